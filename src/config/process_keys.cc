// As whom and with what it runs: `env`, `env_files`, `user`, `group`, `umask`, `nice`, `oom_score_adj`.
#include <algorithm>
#include <array>
#include <filesystem>
#include <span>

#include <fmt/core.h>

#include "config/env_file.h"
#include "config/limits.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr int default_umask = 022;

// `env = ["A=b"]`, as compose files have it, and `env = "A=b"`, as hearth's table would be.
std::string env_as_a_table(const Node& value) {
  constexpr std::size_t most = 3;
  const std::span<const Node> items = value.kind == Node::Kind::string ? std::span(&value, 1) : std::span(value.items);
  std::string all;
  std::size_t count = 0;
  for (const Node& item : items) {
    const std::size_t sign = item.kind == Node::Kind::string ? item.text.find('=') : item.text.npos;
    const std::string name = sign == item.text.npos ? "" : item.text.substr(0, sign);
    const bool bare = !name.empty() && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (!bare) return "NAME = \"value\"";
    if (++count > most) return all + ", ...";
    all += fmt::format("{}{} = {}", all.empty() ? "" : ", ", name, quote(item.text.substr(sign + 1)));
  }
  return all.empty() ? "NAME = \"value\"" : all;
}

void read_env(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::table) {
    return r.wrong_type(value, key, "a table", fmt::format("write env = {{ {} }}", env_as_a_table(value)));
  }
  for (const Entry& entry : value.entries) {
    const std::string name = fmt::format("{}.{}", key, entry.key);
    if (!valid_variable(entry.key)) {
      r.problem(entry.at, fmt::format("{} cannot be the name of a variable", quote(entry.key)),
                "a name is not empty and has no '='");
      continue;
    }
    if (is_own_variable(entry.key)) {
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

void read_env_files(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::array) {
    return r.wrong_type(
        value, key, "an array of paths",
        value.kind == Node::Kind::string ? fmt::format("write env_files = [{}]", quote(value.text)) : "");
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const Node& item = value.items[i];
    const std::string name = fmt::format("{}[{}]", key, i);
    std::string path;
    if (!r.expanded(item, name, path)) continue;
    const bool may_be_missing = path.starts_with('-');
    if (may_be_missing) path.erase(0, 1);
    const std::string shown = path;
    if (!r.at_home(item, name, path)) continue;
    if (path.empty()) {
      r.problem(item.at, fmt::format("{} is empty", name), "write the path of a file");
      continue;
    }
    const std::string full = (std::filesystem::path(r.directory()) / path).lexically_normal().string();
    const Variables* variables =
        r.env_files() != nullptr ? r.env_files()->read(r, full, shown, item.at, may_be_missing) : nullptr;
    if (variables == nullptr) continue;
    for (const auto& [variable, text] : *variables) {
      const auto there = std::ranges::find(draft.file_env, variable, &Variables::value_type::first);
      if (there != draft.file_env.end()) {
        there->second = text;
      } else {
        draft.file_env.emplace_back(variable, text);
      }
    }
  }
}

// The service's own `env` wins over its files.
void finish_env(Reader&, ServiceDraft& draft) {
  if (draft.file_env.empty()) return;
  Variables all;
  for (auto& variable : draft.file_env) {
    const auto same = [&](const auto& own) { return own.first == variable.first; };
    if (std::ranges::none_of(draft.spec.env, same)) all.push_back(std::move(variable));
  }
  all.insert(all.end(), draft.spec.env.begin(), draft.spec.env.end());
  draft.spec.env = std::move(all);
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
  // What a service has without it: to write it down is no change.
  if (mask != default_umask) draft.spec.process.edit().umask = mask;
}

constexpr std::array rules = {
    ServiceRule{"env", read_env, "Variables on top of the environment of who calls `hearth up`.",
                R"("type":"object","additionalProperties":{"type":["string","integer","boolean"]})"},
    ServiceRule{"env_files", read_env_files,
                "Files of NAME=VALUE lines, read by `hearth up`; \"-path\" may be missing.",
                R"("type":"array","items":{"type":"string"})"},
    ServiceRule{"user",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  d.user_at = v.at;
                  read_account(r, v, k, d.spec.process.edit().user);
                },
                "The user it runs as, by name or number; needs a hearth of root.", R"("type":["string","integer"])"},
    ServiceRule{"group",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  d.group_at = v.at;
                  read_account(r, v, k, d.spec.process.edit().group);
                },
                "The group it runs as, by name or number; needs a hearth of root.", R"("type":["string","integer"])"},
    ServiceRule{"umask", read_umask, "Octal digits in quotes, \"000\" to \"777\".",
                R"("type":"string","pattern":"^[0-7]{1,4}$")", R"("022")"},
    ServiceRule{"nice",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  int nice = 0;
                  r.integer(v, k, -20, 19, nice);
                  if (nice != 0) d.spec.process.edit().nice = nice;  // as with umask
                },
                "Priority for the processor, from -20 (first) to 19."},
    ServiceRule{"oom_score_adj",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.integer(v, k, -1000, 1000, d.spec.process.edit().oom_score_adj);
                },
                "Whom the kernel ends when memory is short, from -1000 (never) to 1000 (first)."},
};

}  // namespace

KeyGroup process_keys() {
  return {rules, finish_env};
}

}  // namespace hearth::config
