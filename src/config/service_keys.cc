#include "config/service_keys.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/limits.h"
#include "config/scalars.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr SpanNs hour = seconds(3600);
constexpr SpanNs day = 24 * hour;

// What hearth itself puts into the environment of a service.
constexpr std::array<std::string_view, 9> own_variables = {"HEARTH_RUN",    "HEARTH_SLOT",  "HEARTH_INSTANCE",
                                                           "LISTEN_FDS",    "LISTEN_PID",   "LISTEN_FDNAMES",
                                                           "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

constexpr std::array restart_synonyms = {
    Synonym{"no", "never"},
    Synonym{"false", "never"},
    Synonym{"none", "never"},
    Synonym{"off", "never"},
    Synonym{"true", "always"},
    Synonym{"yes", "always"},
    Synonym{"unless-stopped", "always"},
    Synonym{"on_failure", "on-failure"},
    Synonym{"failure", "on-failure"},
    Synonym{"on-abnormal", "on-failure"},
    Synonym{"unexpected", "on-failure"},
    Synonym{"temporary", "never"},
    Synonym{"permanent", "always"},
    Synonym{"transient", "on-failure"},
};

void read_cwd(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  std::string path;
  if (!r.expanded(value, key, path) || !r.at_home(value, key, path)) return;
  if (path.empty()) return r.problem(value.at, fmt::format("{} is empty", key), "remove it, or write a directory");
  std::filesystem::path full = (std::filesystem::path(r.directory()) / path).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();  // "/srv/" and "/srv" are one directory
  draft.spec.cwd = full.string();
}

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
    draft.spec.limits.push_back(std::move(limit));
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
  draft.spec.limits.push_back(std::move(limit));
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
}

void read_exit_codes(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::array) {
    return r.wrong_type(value, key, "an array of integers", "write success_exit_codes = [0, 3]");
  }
  std::set<int> codes;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    int code = 0;
    if (!r.integer(value.items[i], fmt::format("{}[{}]", key, i), 0, 255, code)) return;
    codes.insert(code);
  }
  draft.spec.success_exit_codes.assign(codes.begin(), codes.end());
}

void read_backoff(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static constexpr std::array<KeyRule<Backoff>, 5> rules = {{
      {"initial", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.span(v, k, {0, hour}, t.initial); }},
      {"max", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.span(v, k, {0, day}, t.max); }},
      {"factor", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.number(v, k, 1, 10, t.factor); }},
      {"jitter", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.number(v, k, 0, 1, t.jitter); }},
      {"reset_after",
       [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.span(v, k, {0, 30 * day}, t.reset_after); }},
  }};
  Backoff& backoff = draft.spec.backoff;
  if (value.kind != Node::Kind::table) {
    // A duration most likely is the first delay; it is written as toml would have it.
    const bool number = value.kind == Node::Kind::integer || value.kind == Node::Kind::floating;
    const bool text = value.kind == Node::Kind::string && parse_duration(value.text);
    const std::string initial = number ? value.described() : quote(text ? value.text : "1s");
    return r.wrong_type(value, key, "a table", fmt::format("write backoff = {{ initial = {} }}", initial));
  }
  if (!r.table<Backoff>(value, key, rules, Scope::backoff, backoff)) return;
  if (backoff.initial <= backoff.max) return;
  if (value.find("max") != nullptr) {
    return r.problem(value.at,
                     fmt::format("{}: initial ({}) is above max ({})", key, duration_text(backoff.initial),
                                 duration_text(backoff.max)),
                     "exchange them");
  }
  backoff.max = backoff.initial;  // only the default was below
}

void read_log(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static constexpr std::array format_synonyms = {Synonym{"text", "raw"}, Synonym{"plain", "raw"},
                                                 Synonym{"timestamps", "stamped"}, Synonym{"jsonl", "json"}};
  static constexpr std::array<KeyRule<LogSpec>, 4> rules = {{
      {"format", [](Reader& q, const Node& v, std::string_view k,
                    LogSpec& t) { q.word(v, k, log_formats, format_synonyms, t.format); }},
      {"max_size", [](Reader& q, const Node& v, std::string_view k,
                      LogSpec& t) { q.size(v, k, 4096, std::uint64_t{1} << 40, t.max_size); }},
      {"max_files",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.integer(v, k, 1, 10000, t.max_files); }},
      {"full_wait",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.span(v, k, {0, day}, t.full_wait); }},
  }};
  r.table<LogSpec>(value, key, rules, Scope::log, draft.spec.log);
}

// The command as an array, for the remedy; "" when it takes a shell to understand it.
std::string as_array(std::string_view command) {
  if (command.find_first_of("|&;<>()$`\\\"'*?[]#~=%{}\n") != command.npos) return {};
  std::string out;
  while (!command.empty()) {
    const std::size_t start = command.find_first_not_of(" \t");
    if (start == command.npos) break;
    command.remove_prefix(start);
    const std::size_t end = std::min(command.find_first_of(" \t"), command.size());
    out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", command.substr(0, end));
    command.remove_prefix(end);
  }
  return out.empty() ? out : "[" + out + "]";
}

void finish_shell_command(Reader& r, ServiceDraft& draft) {
  std::string line;
  if (draft.command->kind == Node::Kind::array) {
    return r.problem(draft.command->at, "command is an array, and with shell = true it is one text",
                     "remove shell = true, or write the command as one text");
  }
  if (!r.expanded(*draft.command, "command", line)) return;
  if (line.find_first_not_of(" \t\n") == line.npos) {
    return r.problem(draft.command->at, "command is empty", "write the command for the shell");
  }
  draft.spec.command = {"/bin/sh", "-c", std::move(line)};
}

bool has_misspelt_command(const Node& table) {
  constexpr std::array<std::string_view, 1> ours = {"command"};
  return std::ranges::any_of(table.entries, [&](const Entry& entry) {
    const bool theirs = foreign_advice(Scope::service, entry.key).find("\"command\"") != std::string_view::npos;
    return theirs || plain_key(entry.key) == "command" || !nearest(entry.key, ours).empty();
  });
}

void finish_command(Reader& r, ServiceDraft& draft) {
  if (draft.command == nullptr) {
    if (has_misspelt_command(*draft.table)) return;  // that one was told
    return r.problem(draft.at, "command is missing", "add command = [\"program\", \"argument\"]");
  }
  if (draft.shell) return finish_shell_command(r, draft);
  const Node& node = *draft.command;
  if (node.kind == Node::Kind::string) {
    const std::string array = as_array(node.text);
    return r.problem(node.at, fmt::format("command is {}, one text, and hearth does not split it", node.described()),
                     array.empty() ? "write [\"program\", \"argument\"], or add shell = true"
                                   : "write command = " + array + ", or add shell = true");
  }
  std::vector<std::string> command;
  if (!r.expanded_list(node, "command", command)) return;
  if (command.empty()) return r.problem(node.at, "command is empty", "write [\"program\", \"argument\"]");
  if (!r.at_home(node.items[0], "command[0]", command[0])) return;
  if (command[0].empty()) {
    return r.problem(node.items[0].at, "command[0] is empty", "the first item is the program");
  }
  draft.spec.command = std::move(command);
}

constexpr std::array<KeyRule<ServiceDraft>, 26> rules = {{
    {"command", [](Reader&, const Node& v, std::string_view, ServiceDraft& d) { d.command = &v; }},
    {"shell", [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.flag(v, k, d.shell); }},
    {"cwd", read_cwd},
    {"env", read_env},
    {"user", [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { read_account(r, v, k, d.spec.user); }},
    {"group",
     [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { read_account(r, v, k, d.spec.group); }},
    {"umask", read_umask},
    {"nice",
     [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
       if (int n = 0; r.integer(v, k, -20, 19, n)) d.spec.nice = n;
     }},
    {"oom_score_adj",
     [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
       if (int n = 0; r.integer(v, k, -1000, 1000, n)) d.spec.oom_score_adj = n;
     }},
    {"limits", read_limits},
    {"restart", [](Reader& r, const Node& v, std::string_view k,
                   ServiceDraft& d) { r.choice(v, k, restart_words, restart_synonyms, d.spec.restart); }},
    {"success_exit_codes", read_exit_codes},
    {"backoff", read_backoff},
    {"max_restarts", [](Reader& r, const Node& v, std::string_view k,
                        ServiceDraft& d) { r.integer(v, k, 0, 1000000, d.spec.crash_limit.max_restarts); }},
    {"restart_window", [](Reader& r, const Node& v, std::string_view k,
                          ServiceDraft& d) { r.span(v, k, {seconds(1), 30 * day}, d.spec.crash_limit.window); }},
    {"depends_on", read_depends_on},
    {"ready", read_ready},
    {"live", read_live},
    {"start_timeout", [](Reader& r, const Node& v, std::string_view k,
                         ServiceDraft& d) { r.span(v, k, {milliseconds(100), 7 * day, true}, d.spec.start_timeout); }},
    {"watchdog", [](Reader& r, const Node& v, std::string_view k,
                    ServiceDraft& d) { r.span(v, k, {milliseconds(100), day, true}, d.spec.watchdog); }},
    {"stop_signal",
     [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.signal(v, k, d.spec.stop_signal); }},
    {"stop_timeout", [](Reader& r, const Node& v, std::string_view k,
                        ServiceDraft& d) { r.span(v, k, {milliseconds(500), hour}, d.spec.stop_timeout); }},
    {"reload_signal",
     [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.signal(v, k, d.spec.reload_signal); }},
    {"listen", read_listen},
    {"fdstore_max", [](Reader& r, const Node& v, std::string_view k,
                       ServiceDraft& d) { r.integer(v, k, 0, 200, d.spec.fdstore_max); }},
    {"log", read_log},
}};

}  // namespace

void read_service(Reader& reader, const Node& table, ServiceDraft& draft) {
  draft.table = &table;
  reader.table<ServiceDraft>(table, "", rules, Scope::service, draft);
  if (draft.spec.cwd.empty()) draft.spec.cwd = std::string(reader.directory());
  finish_command(reader, draft);
  finish_listen(reader, draft);
}

}  // namespace hearth::config
