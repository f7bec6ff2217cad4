// As whom and with what it runs: `env`, `user`, `group`, `umask`, `nice`, `oom_score_adj`.
#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "config/limits.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

// What hearth itself puts into the environment of a service.
constexpr std::array<std::string_view, 9> own_variables = {"HEARTH_RUN",    "HEARTH_SLOT",  "HEARTH_INSTANCE",
                                                           "LISTEN_FDS",    "LISTEN_PID",   "LISTEN_FDNAMES",
                                                           "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

void read_env(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::table) {
    return r.wrong_type(value, key, "a table", "write env = { NAME = \"value\" }");
  }
  for (const Entry& entry : value.entries) {
    const std::string name = fmt::format("{}.{}", key, entry.key);
    if (!valid_variable(entry.key)) {
      r.problem(entry.at, fmt::format("{} cannot be the name of a variable", quote(entry.key)),
                "a name is not empty and has no '='");
      continue;
    }
    if (std::ranges::find(own_variables, entry.key) != own_variables.end()) {
      r.problem(entry.at, fmt::format("{} is set by hearth", name), "remove it");
      continue;
    }
    std::string text;
    if (entry.value.kind == Node::Kind::integer || entry.value.kind == Node::Kind::boolean) {
      text = entry.value.described();
    } else if (entry.value.kind != Node::Kind::string) {
      r.wrong_type(entry.value, name, "text, an integer, true or false", "put it in quotes");
      continue;
    } else if (!r.expanded(entry.value, name, text)) {
      continue;
    }
    draft.spec.env.emplace_back(entry.key, std::move(text));
  }
}

// A name as in passwd(5), or a number.
bool read_account(Reader& r, const Node& value, std::string_view key, std::string& out) {
  if (value.kind == Node::Kind::integer) {
    std::int64_t id = 0;
    if (!r.integer(value, key, 0, std::int64_t{UINT32_MAX} - 1, id)) return false;
    out = std::to_string(id);
    return true;
  }
  std::string name;
  if (!r.text(value, key, name)) return false;
  const bool odd = name.find_first_of(":/ \t\n") != name.npos || name.starts_with('-');
  if (name.empty() || odd) {
    r.problem(value.at, fmt::format("{} is {}, not the name of a {}", key, quote(name), key), {});
    return false;
  }
  out = name;
  return true;
}

void read_umask(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  const std::string_view remedy = "write octal digits in quotes: umask = \"022\"";
  const std::string& text = value.text;
  const bool octal = value.kind == Node::Kind::string && !text.empty() && text.size() <= 4 &&
                     text.find_first_not_of("01234567") == text.npos;
  int mask = 0;
  for (const char c : text) mask = octal ? mask * 8 + (c - '0') : 0;
  if (!octal || mask > 0777) {
    return r.problem(value.at, fmt::format("{} is {}, not a umask from \"000\" to \"777\"", key, value.described()),
                     std::string(remedy));
  }
  draft.spec.umask = mask;
}

constexpr std::array rules = {
    ServiceRule{"env", read_env, "Variables on top of the environment of who calls `hearth up`."},
    ServiceRule{
        "user",
        [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { read_account(r, v, k, d.spec.user); },
        "The user it runs as, by name or number; needs a hearth of root."},
    ServiceRule{
        "group",
        [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { read_account(r, v, k, d.spec.group); },
        "The group it runs as, by name or number; needs a hearth of root."},
    ServiceRule{"umask", read_umask, "Octal digits in quotes, \"000\" to \"777\"."},
    ServiceRule{"nice",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  if (int n = 0; r.integer(v, k, -20, 19, n)) d.spec.nice = n;
                },
                "Priority for the processor, from -20 (first) to 19."},
    ServiceRule{"oom_score_adj",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  if (int n = 0; r.integer(v, k, -1000, 1000, n)) d.spec.oom_score_adj = n;
                },
                "Whom the kernel ends when memory is short, from -1000 (never) to 1000 (first)."},
};

}  // namespace

KeyGroup process_keys() {
  return {rules};
}

}  // namespace hearth::config
