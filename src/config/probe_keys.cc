// The tables `ready` and `live`, and `max_memory`, which is looked at with the tries of `live`. Which keys a probe may have
// depends on its type, so the keys are read first and then held against the type.
#include <algorithm>
#include <array>
#include <filesystem>
#include <regex.h>

#include <fmt/core.h>

#include "config/host_port.h"
#include "config/numbers.h"
#include "config/service_keys.h"
#include "config/text.h"
#include "model/replica.h"

namespace hearth::config {
namespace {

struct ProbeDraft {
  Probe probe;
  const Node* type = nullptr;
};

// What a type takes beside the intervals and thresholds that all that are tried take. `needs`: one of these.
struct TypeKeys {
  std::string_view type;
  ProbeType value;
  std::array<std::string_view, 2> needs;
  std::string_view example;
};
constexpr std::array<TypeKeys, 11> types = {{
    {"notify", ProbeType::notify, {}, ""},
    {"fd", ProbeType::fd, {"fd"}, "fd = 3"},
    {"http", ProbeType::http, {"url"}, "url = \"http://127.0.0.1:8080/health\""},
    {"tcp", ProbeType::tcp, {"address"}, "address = \"127.0.0.1:8080\""},
    {"unix", ProbeType::unix_socket, {"path"}, "path = \"server.sock\""},
    {"exec", ProbeType::exec, {"command"}, "command = [\"program\", \"argument\"]"},
    {"file", ProbeType::file, {"path"}, "path = \"server.ready\""},
    {"log", ProbeType::log, {"pattern"}, "pattern = \"^listening on \""},
    {"frame", ProbeType::frame, {"path", "address"}, "path = \"server.sock\" or address = \"127.0.0.1:8080\""},
    {"uptime", ProbeType::uptime, {"after"}, "after = \"1s\""},
    {"memory", ProbeType::memory, {}, ""},
}};

constexpr std::array type_words = {
    Word{"notify", ProbeType::notify},    Word{"fd", ProbeType::fd},
    Word{"http", ProbeType::http},        Word{"tcp", ProbeType::tcp},
    Word{"unix", ProbeType::unix_socket}, Word{"exec", ProbeType::exec},
    Word{"file", ProbeType::file},        Word{"log", ProbeType::log},
    Word{"frame", ProbeType::frame},      Word{"uptime", ProbeType::uptime},
};
constexpr Word memory_word{"memory", ProbeType::memory};
constexpr auto live_words = [] {
  std::array<Word<ProbeType>, type_words.size() + 1> words{};
  std::ranges::copy(type_words, words.begin());
  words.back() = memory_word;
  return words;
}();
constexpr std::array type_synonyms = {
    Synonym{"sd_notify", "notify"}, Synonym{"systemd", "notify"},    Synonym{"https", "http"},
    Synonym{"httpGet", "http"},     Synonym{"http_get", "http"},     Synonym{"port", "tcp"},
    Synonym{"tcpSocket", "tcp"},    Synonym{"socket", "tcp"},        Synonym{"command", "exec"},
    Synonym{"cmd", "exec"},         Synonym{"shell", "exec"},        Synonym{"unix_socket", "unix"},
    Synonym{"output", "log"},       Synonym{"pattern", "log"},       Synonym{"log_line", "log"},
    Synonym{"path", "file"},        Synonym{"pipefd", "fd"},         Synonym{"notification-fd", "fd"},
    Synonym{"ping", "frame"},       Synonym{"min_uptime", "uptime"}, Synonym{"startsecs", "uptime"},
    Synonym{"time", "uptime"},      Synonym{"delay", "uptime"}};

constexpr std::size_t max_pattern = 512;
constexpr std::size_t max_socket_path = 107;  // unix(7): sun_path without its NUL
constexpr SpanNs longest_uptime = seconds(86'400);
constexpr std::uint64_t least_memory = 1u << 20;
constexpr std::uint64_t most_memory = std::uint64_t{1} << 50;
constexpr int last_descriptor = 255;  // wire/spawn_plan.h

void read_url(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  std::string url;
  if (!r.expanded(value, key, url)) return;
  constexpr std::string_view scheme = "http://";
  const std::string remedy = "write \"http://127.0.0.1:8080/health\"";
  if (url.starts_with("https://")) {
    return r.problem(value.at, fmt::format("{} is {}, and hearth probes without TLS", key, quote(url)),
                     "give the service a plain address on 127.0.0.1, or use type = \"exec\" with curl");
  }
  if (!url.starts_with(scheme)) {
    return r.problem(value.at, fmt::format("{} is {}, not http://HOST:PORT/PATH", key, quote(url)), remedy);
  }
  std::string_view rest = std::string_view(url).substr(scheme.size());
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  std::string authority(rest.substr(0, slash));
  std::string path(rest.substr(slash));
  const std::size_t colon = authority.rfind(':');
  if (colon == authority.npos || authority.ends_with(']')) authority += ":80";
  if (!path.starts_with('/')) path = "/" + path;
  const auto host_port = parse_host_port(with_index(authority, 0));
  const bool sound_path = path.find_first_of(" \t\r\n") == path.npos;
  if (!host_port || host_port->port == 0 || host_port->host == "*" || !sound_path) {
    return r.problem(value.at, fmt::format("{} is {}, not http://HOST:PORT/PATH", key, quote(url)),
                     has_impossible_port(authority) ? std::string(possible_ports) : remedy);
  }
  // One form for the prober: always with port and path, without a fragment.
  draft.probe.url = std::string(scheme) + authority + path.substr(0, path.find('#'));
}

void read_address(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  std::string address;
  if (!r.expanded(value, key, address)) return;
  const auto host_port = parse_host_port(with_index(address, 0));
  if (!host_port || host_port->port == 0 || host_port->host == "*") {
    return r.problem(
        value.at, fmt::format("{} is {}, not HOST:PORT", key, quote(address)),
        has_impossible_port(address) ? std::string(possible_ports) : "write \"127.0.0.1:8080\" or \"[::1]:8080\"");
  }
  draft.probe.address = address;
}

void read_probe_command(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  if (value.kind == Node::Kind::string) {
    return r.wrong_type(value, key, "an array of texts", "write [\"program\", \"argument\"]");
  }
  std::vector<std::string> command;
  if (!r.expanded_list(value, key, command)) return;
  if (command.empty() || command[0].empty()) {
    return r.problem(value.at, fmt::format("{} has no program", key), "write [\"program\", \"argument\"]");
  }
  if (r.at_home(value.items[0], fmt::format("{}[0]", key), command[0])) draft.probe.command = std::move(command);
}

// Relative ones become absolute when the working directory is known (finish_probes).
void read_path(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  std::string path;
  if (!r.expanded(value, key, path) || !r.at_home(value, key, path)) return;
  if (path.empty()) return r.problem(value.at, fmt::format("{} is empty", key), "write a path");
  draft.probe.target = path;
}

// regcomp(3) makes copies of what is repeated, and copies of copies: a short pattern can ask for all memory.
bool repeats_too_often(std::string_view pattern) {
  std::uint64_t copies = 1;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
      continue;
    }
    const std::size_t end = pattern[i] == '{' ? pattern.find('}', i) : pattern.npos;
    if (end == pattern.npos) continue;
    const std::string_view inside = pattern.substr(i + 1, end - i - 1);
    const std::size_t comma = inside.find(',');
    for (const std::string_view number :
         {inside.substr(0, comma), comma == inside.npos ? "" : inside.substr(comma + 1)})
      if (const auto times = parse_number(number); times && *times > 1)
        copies = std::min(copies * *times, std::uint64_t{1} << 20);
  }
  return copies > 1000;
}

void read_pattern(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  std::string pattern;
  if (!r.text(value, key, pattern)) return;
  if (pattern.empty() || pattern.size() > max_pattern) {
    return r.problem(value.at, fmt::format("{} has {} bytes, not 1 to {}", key, pattern.size(), max_pattern),
                     "write a piece of the line that tells readiness");
  }
  if (repeats_too_often(pattern)) {
    return r.problem(value.at, fmt::format("{} is {}, which repeats too often", key, quote(pattern)),
                     "write * or + instead of great numbers");
  }
  regex_t compiled;
  if (const int error = ::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB); error != 0) {
    char words[128];
    ::regerror(error, &compiled, words, sizeof words);
    return r.problem(value.at, fmt::format("{} is {}, no extended regular expression: {}", key, quote(pattern), words),
                     "regex(7) has the syntax; a backslash makes ( ) [ { . * + ? ^ $ | ordinary");
  }
  ::regfree(&compiled);
  draft.probe.target = pattern;
}

constexpr std::array<KeyRule<ProbeDraft>, 13> rules = {{
    {"type",
     [](Reader& r, const Node& v, std::string_view k, ProbeDraft& d) {
       d.type = &v;
       if (k != "ready.type")
         r.choice(v, k, live_words, type_synonyms, d.probe.type);
       else if (v.kind == Node::Kind::string && v.text == memory_word.text)
         d.probe.type = memory_word.value;  // read_ready has more to say of that
       else
         r.choice(v, k, type_words, type_synonyms, d.probe.type);
     }},
    {"url", read_url},
    {"address", read_address},
    {"command", read_probe_command},
    {"path", read_path},
    {"pattern", read_pattern},
    {"fd", [](Reader& r, const Node& v, std::string_view k,
              ProbeDraft& d) { r.integer(v, k, 3, last_descriptor, d.probe.descriptor); }},
    {"after", [](Reader& r, const Node& v, std::string_view k,
                 ProbeDraft& d) { r.span(v, k, {milliseconds(10), longest_uptime}, d.probe.uptime); }},
    {"expect_status", [](Reader& r, const Node& v, std::string_view k,
                         ProbeDraft& d) { r.integer(v, k, 100, 599, d.probe.expect_status); }},
    {"interval", [](Reader& r, const Node& v, std::string_view k,
                    ProbeDraft& d) { r.span(v, k, {milliseconds(10), seconds(3600)}, d.probe.interval); }},
    {"timeout", [](Reader& r, const Node& v, std::string_view k,
                   ProbeDraft& d) { r.span(v, k, {milliseconds(10), seconds(3600)}, d.probe.timeout); }},
    {"success_threshold", [](Reader& r, const Node& v, std::string_view k,
                             ProbeDraft& d) { r.integer(v, k, 1, 1000, d.probe.success_threshold); }},
    {"failure_threshold", [](Reader& r, const Node& v, std::string_view k,
                             ProbeDraft& d) { r.integer(v, k, 1, 1000, d.probe.failure_threshold); }},
}};

// The type that the keys of a probe without type speak of; of several the first.
std::string_view implied_type(const Node& table) {
  for (const TypeKeys& type : types)
    if (type.needs[0] != "" && table.find(type.needs[0]) != nullptr) return type.type;
  return "notify";
}

bool takes(const TypeKeys& type, std::string_view key) {
  if (std::ranges::find(type.needs, key) != type.needs.end()) return true;
  if (key == "type" || key == "expect_status") return key == "type" || type.value == ProbeType::http;
  const bool tried = is_tried(type.value);
  const bool clock = key == "interval" || key == "timeout";
  // What a log says it does not take back, so one line is enough.
  return tried && (clock || (key.ends_with("_threshold") && type.value != ProbeType::log));
}

void check_keys_of_type(Reader& r, const Node& table, std::string_view key, const TypeKeys& type) {
  std::size_t there = 0;
  for (const std::string_view need : type.needs)
    if (need != "" && table.find(need) != nullptr) ++there;
  if (type.needs[0] != "" && there == 0) {
    r.problem(table.at,
              fmt::format("{} has type = \"{}\" and no {}{}", key, type.type, type.needs[0],
                          type.needs[1] == "" ? "" : fmt::format(" or {}", type.needs[1])),
              "add " + std::string(type.example));
  }
  if (there > 1) {
    r.problem(table.at, fmt::format("{} has both {} and {}", key, type.needs[0], type.needs[1]), "remove one of them");
  }
  for (const Entry& entry : table.entries) {
    const bool known = std::ranges::any_of(rules, [&](const auto& rule) { return rule.name == entry.key; });
    if (!known || takes(type, entry.key)) continue;
    std::string owners;
    for (const TypeKeys& other : types) {
      const bool one = std::ranges::find(other.needs, entry.key) != other.needs.end();
      if (one || (entry.key == "expect_status" && other.value == ProbeType::http))
        owners += fmt::format("{}\"{}\"", owners.empty() ? "" : " or ", other.type);
    }
    r.problem(entry.at, fmt::format("{}.{} has no meaning with type = \"{}\"", key, entry.key, type.type),
              type.value == ProbeType::http && entry.key == "path"
                  ? "it stands in \"url\": url = \"http://127.0.0.1:8080/health\""
              : owners.empty() ? "remove it"
                               : fmt::format("remove it, or write type = {}", owners));
  }
}

void read_probe_table(Reader& r, const Node& value, std::string_view key, Probe& out) {
  ProbeDraft draft;
  if (!r.table<ProbeDraft>(value, key, rules, Scope::probe, draft)) return;
  if (draft.type == nullptr) {
    return r.problem(value.at, fmt::format("{} has no type", key),
                     fmt::format("add type = \"{}\"", implied_type(value)));
  }
  if (draft.probe.type == ProbeType::none) return;  // told already
  for (const TypeKeys& type : types) {
    if (type.value == draft.probe.type) check_keys_of_type(r, value, key, type);
  }
  if (draft.probe.type == ProbeType::memory) {
    const Probe usual = memory_probe(0);
    if (value.find("interval") == nullptr) draft.probe.interval = usual.interval;
    if (value.find("failure_threshold") == nullptr) draft.probe.failure_threshold = usual.failure_threshold;
  }
  out = std::move(draft.probe);
}

// "fd:3"
void read_descriptor(Reader& r, const Node& value, std::string_view key, Probe& out) {
  const auto number = parse_number(std::string_view(value.text).substr(3));
  if (!number || *number < 3 || *number > last_descriptor) {
    return r.problem(value.at,
                     fmt::format("{} is {}, not a descriptor from 3 to {}", key, quote(value.text), last_descriptor),
                     fmt::format("write {} = \"fd:3\"", key));
  }
  out = Probe{};
  out.type = ProbeType::fd;
  out.descriptor = static_cast<int>(*number);
}

// A path is looked for where the service runs.
void finish_path(Reader& r, const Entry* entry, std::string_view key, std::string_view cwd, Boxed<Probe>& boxed) {
  if (boxed.is_usual()) return;
  Probe& probe = boxed.edit();
  const bool socket = probe.type == ProbeType::unix_socket || probe.type == ProbeType::frame;
  if ((!socket && probe.type != ProbeType::file) || probe.target.empty() || entry == nullptr) return;
  probe.target = (std::filesystem::path(cwd) / probe.target).lexically_normal().string();
  if (!socket || probe.target.size() <= max_socket_path) return;
  r.problem(entry->value.at,
            fmt::format("{}.path is that of a socket and has {} bytes, more than {}: {}", key, probe.target.size(),
                        max_socket_path, quote(probe.target)),
            "choose a shorter one");
}

void read_probe(Reader& r, const Node& value, std::string_view key, Probe& out) {
  if (value.kind == Node::Kind::string) {
    if (value.text == "notify") {
      out = Probe{};
      out.type = ProbeType::notify;
      return;
    }
    if (value.text.starts_with("fd:")) return read_descriptor(r, value, key, out);
    std::string remedy = "write ready = \"notify\", or a table with type, like { type = \"tcp\", address = ... }";
    if (value.text.starts_with("http://"))
      remedy = fmt::format("write {} = {{ type = \"http\", url = {} }}", key, quote(value.text));
    // "tcp:8080", "tcp:127.0.0.1:8080" as in `listen`, "127.0.0.1:8080"
    std::string address = value.text.starts_with("tcp:") ? value.text.substr(4) : value.text;
    if (address.find(':') == address.npos && address != value.text) address = "127.0.0.1:" + address;
    if (has_impossible_port(address) && address.find(':') != address.npos) {
      remedy = possible_ports;
    } else if (parse_host_port(address)) {
      remedy = fmt::format("write {} = {{ type = \"tcp\", address = {} }}", key, quote(address));
    }
    return r.problem(value.at, fmt::format("{} is {}, not a probe", key, quote(value.text)), std::move(remedy));
  }
  if (value.kind != Node::Kind::table) {
    return r.wrong_type(value, key, "a probe",
                        "write \"notify\" or a table with type, like { type = \"tcp\", address = ... }");
  }
  read_probe_table(r, value, key, out);
}

void read_ready(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft) {
  read_probe(reader, value, key, draft.spec.ready.edit());
  if (draft.spec.ready->type != ProbeType::memory) return;
  reader.problem(value.at, "ready is \"memory\", and how much memory it uses says nothing of readiness",
                 "write max_memory = \"4GiB\", and a probe for ready");
}

void read_live(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft) {
  read_probe(reader, value, key, draft.spec.live.edit());
  const ProbeType type = draft.spec.live->type;
  if (holds_for_the_run(type) && type != ProbeType::notify) {
    return reader.problem(value.at, "live is a probe that is answered once in a run, which tells nothing of later",
                          "probe with http, tcp, unix, exec, file or frame, or write watchdog = \"30s\"");
  }
  if (draft.spec.live->type != ProbeType::notify) return;
  reader.problem(value.at, "live is \"notify\", and a program tells that it is alive through the watchdog",
                 "write watchdog = \"30s\" and send WATCHDOG=1, or probe with http, tcp or exec");
}

void finish_memory(Reader& reader, ServiceDraft& draft) {
  ServiceSpec& spec = draft.spec;
  const Entry* live = draft.table->find("live");
  if (draft.max_memory == 0) {
    if (spec.live->type != ProbeType::memory) return;
    return reader.problem(live != nullptr ? live->value.at : draft.at,
                          "live has type = \"memory\", and there is no max_memory", "add max_memory = \"4GiB\"");
  }
  if (live != nullptr)
    spec.live.edit().max_memory = draft.max_memory;
  else
    spec.live = memory_probe(draft.max_memory);
}

void finish_probes(Reader& reader, ServiceDraft& draft) {
  ServiceSpec& spec = draft.spec;
  finish_memory(reader, draft);
  finish_path(reader, draft.table->find("ready"), "ready", spec.cwd, spec.ready);
  finish_path(reader, draft.table->find("live"), "live", spec.cwd, spec.live);
  const int first_free = 3 + static_cast<int>(spec.listen.size());
  const bool named = spec.ready->type == ProbeType::fd && spec.ready->descriptor >= 3;
  if (!named || spec.ready->descriptor >= first_free) return;
  const Entry* ready = draft.table->find("ready");
  reader.problem(ready != nullptr ? ready->value.at : draft.at,
                 fmt::format("ready is told on descriptor {}, and that is a socket of listen", spec.ready->descriptor),
                 fmt::format("write ready = \"fd:{}\" or a greater number", first_free));
}

constexpr std::array group_rules = {
    ServiceRule{"ready", read_ready, "How hearth learns that it is ready for work: \"notify\" or a probe.",
                R"("const":"notify")"},
    ServiceRule{"live", read_live, "A probe that must go on succeeding; when it fails, the service is restarted."},
    ServiceRule{"start_timeout",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.span(v, k, {milliseconds(100), 7 * day, true}, d.spec.start_timeout);
                },
                "Not ready by then is a failed start. 0: it may take for ever."},
    ServiceRule{"watchdog",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.span(v, k, {milliseconds(100), day, true}, d.spec.watchdog);
                },
                "It must send WATCHDOG=1 within this time, again and again. 0: off."},
    ServiceRule{"max_memory",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.size(v, k, {least_memory, most_memory, true}, d.max_memory);
                },
                "When its processes use more memory than this, it is restarted. 0: any."},
};

}  // namespace

bool probe_takes(ProbeType type, std::string_view key) {
  return std::ranges::any_of(types, [&](const TypeKeys& one) { return one.value == type && takes(one, key); });
}

KeyGroup probe_keys() {
  return {group_rules, finish_probes};
}

}  // namespace hearth::config
