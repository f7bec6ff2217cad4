// `limits`: resource limits, as setrlimit(2) has them.
#include <algorithm>
#include <array>
#include <optional>

#include <fmt/core.h>

#include "config/scalars.h"
#include "config/service_keys.h"

namespace hearth::config {
namespace {

// An integer, a size or "unlimited".
bool read_limit_value(Reader& r, const Node& value, std::string_view key, std::uint64_t& out) {
  if (value.kind == Node::Kind::string && value.text == "unlimited") {
    out = UINT64_MAX;
    return true;
  }
  std::optional<std::uint64_t> number;
  if (value.kind == Node::Kind::integer && value.integer >= 0) number = static_cast<std::uint64_t>(value.integer);
  if (value.kind == Node::Kind::string) number = parse_size(value.text);
  if (!number) {
    r.wrong_type(value, key, "a limit", "write an integer, a size like \"64MiB\", or \"unlimited\"");
    return false;
  }
  out = *number;
  return true;
}

void read_limit(Reader& r, const Entry& entry, std::string_view key, ServiceDraft& draft) {
  ResourceLimit limit{entry.key, 0, 0};
  if (entry.value.kind != Node::Kind::table) {
    if (!read_limit_value(r, entry.value, key, limit.soft)) return;
    limit.hard = limit.soft;
    draft.spec.process.edit().limits.push_back(std::move(limit));
    return;
  }
  static constexpr std::array<KeyRule<ResourceLimit>, 2> rules = {{
      {"soft",
       [](Reader& q, const Node& v, std::string_view k, ResourceLimit& t) { read_limit_value(q, v, k, t.soft); }},
      {"hard",
       [](Reader& q, const Node& v, std::string_view k, ResourceLimit& t) { read_limit_value(q, v, k, t.hard); }},
  }};
  r.table<ResourceLimit>(entry.value, key, rules, Scope::limits, limit);
  if (entry.value.find("soft") == nullptr || entry.value.find("hard") == nullptr) {
    return r.problem(entry.value.at, fmt::format("{} needs both soft and hard", key),
                     fmt::format("or one number for both: {} = 1024", entry.key));
  }
  if (limit.soft > limit.hard) {
    return r.problem(entry.value.at, fmt::format("{}: soft is above hard", key), "exchange them");
  }
  draft.spec.process.edit().limits.push_back(std::move(limit));
}

void read_limits(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::table) {
    return r.wrong_type(value, key, "a table", "write limits = { nofile = 65536 }");
  }
  for (const Entry& entry : value.entries) {
    if (std::ranges::find(limit_names, entry.key) == limit_names.end()) {
      r.unknown_key(entry, key, limit_names, Scope::limits);
    } else {
      read_limit(r, entry, Reader::full_key(key, entry.key), draft);
    }
  }
  // A table has no order: another one in the file is no change.
  if (!draft.spec.process->limits.empty())
    std::ranges::sort(draft.spec.process.edit().limits, {}, &ResourceLimit::name);
}

constexpr std::array rules = {
    ServiceRule{"limits", read_limits, "Resource limits, as setrlimit(2) has them.",
                R"("type":"object","additionalProperties":{"type":["integer","string","object"]})"},
};

}  // namespace

KeyGroup limits_keys() {
  return {rules};
}

}  // namespace hearth::config
