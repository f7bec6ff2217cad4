// The tables `ready` and `live`. Which keys a probe may have depends on its type, so the keys are read first and
// then held against the type.
#include <array>

#include <fmt/core.h>

#include "config/scalars.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

struct ProbeDraft {
  Probe probe;
  const Node* type = nullptr;
  const Node* url = nullptr;
  const Node* address = nullptr;
  const Node* command = nullptr;
};

// What a type takes beside the intervals and thresholds that all but notify take.
struct TypeKeys {
  std::string_view type;
  ProbeType value;
  std::string_view needs;
  std::string_view example;
};
constexpr std::array<TypeKeys, 4> types = {{
    {"notify", ProbeType::notify, "", ""},
    {"http", ProbeType::http, "url", "url = \"http://127.0.0.1:8080/health\""},
    {"tcp", ProbeType::tcp, "address", "address = \"127.0.0.1:8080\""},
    {"exec", ProbeType::exec, "command", "command = [\"program\", \"argument\"]"},
}};

constexpr std::array<Word<ProbeType>, 4> type_words = {
    {{"notify", ProbeType::notify}, {"http", ProbeType::http}, {"tcp", ProbeType::tcp}, {"exec", ProbeType::exec}}};
constexpr std::array type_synonyms = {
    Synonym{"sd_notify", "notify"}, Synonym{"systemd", "notify"}, Synonym{"https", "http"},
    Synonym{"httpGet", "http"},     Synonym{"http_get", "http"},  Synonym{"port", "tcp"},
    Synonym{"tcpSocket", "tcp"},    Synonym{"socket", "tcp"},     Synonym{"command", "exec"},
    Synonym{"cmd", "exec"},         Synonym{"shell", "exec"}};

void read_url(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  draft.url = &value;
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
  const auto host_port = parse_host_port(authority);
  const bool sound_path = path.find_first_of(" \t\r\n") == path.npos;
  if (!host_port || host_port->port == 0 || host_port->host == "*" || !sound_path) {
    return r.problem(value.at, fmt::format("{} is {}, not http://HOST:PORT/PATH", key, quote(url)), remedy);
  }
  // One form for the prober: always with port and path, without a fragment.
  draft.probe.url = std::string(scheme) + authority + path.substr(0, path.find('#'));
}

void read_address(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  draft.address = &value;
  std::string address;
  if (!r.expanded(value, key, address)) return;
  const auto host_port = parse_host_port(address);
  if (!host_port || host_port->port == 0 || host_port->host == "*") {
    return r.problem(value.at, fmt::format("{} is {}, not HOST:PORT", key, quote(address)),
                     "write \"127.0.0.1:8080\" or \"[::1]:8080\"");
  }
  draft.probe.address = address;
}

void read_probe_command(Reader& r, const Node& value, std::string_view key, ProbeDraft& draft) {
  draft.command = &value;
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

constexpr std::array<KeyRule<ProbeDraft>, 9> rules = {{
    {"type",
     [](Reader& r, const Node& v, std::string_view k, ProbeDraft& d) {
       d.type = &v;
       r.choice(v, k, type_words, type_synonyms, d.probe.type);
     }},
    {"url", read_url},
    {"address", read_address},
    {"command", read_probe_command},
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

// The type that the keys of a probe without type speak of.
std::string_view implied_type(const ProbeDraft& draft) {
  return draft.url != nullptr       ? "http"
         : draft.address != nullptr ? "tcp"
         : draft.command != nullptr ? "exec"
                                    : "notify";
}

void check_keys_of_type(Reader& r, const Node& table, std::string_view key, const TypeKeys& type) {
  if (!type.needs.empty() && table.find(type.needs) == nullptr) {
    r.problem(table.at, fmt::format("{} has type = \"{}\" and no {}", key, type.type, type.needs),
              "add " + std::string(type.example));
  }
  for (const Entry& entry : table.entries) {
    std::string_view owner;
    for (const TypeKeys& other : types) {
      if (other.needs == entry.key) owner = other.type;
    }
    if (entry.key == "expect_status") owner = "http";
    const bool known =
        owner.empty() ? entry.key == "interval" || entry.key == "timeout" || entry.key.ends_with("_threshold") : true;
    const bool strange = owner.empty() ? known && type.value == ProbeType::notify : owner != type.type;
    if (!strange) continue;
    r.problem(entry.at, fmt::format("{}.{} has no meaning with type = \"{}\"", key, entry.key, type.type),
              owner.empty() ? "remove it" : fmt::format("remove it, or write type = \"{}\"", owner));
  }
}

void read_probe_table(Reader& r, const Node& value, std::string_view key, Probe& out) {
  ProbeDraft draft;
  if (!r.table<ProbeDraft>(value, key, rules, Scope::probe, draft)) return;
  if (draft.type == nullptr) {
    return r.problem(value.at, fmt::format("{} has no type", key),
                     fmt::format("add type = \"{}\"", implied_type(draft)));
  }
  if (draft.probe.type == ProbeType::none) return;  // told already
  for (const TypeKeys& type : types) {
    if (type.value == draft.probe.type) check_keys_of_type(r, value, key, type);
  }
  out = std::move(draft.probe);
}

void read_probe(Reader& r, const Node& value, std::string_view key, Probe& out) {
  if (value.kind == Node::Kind::string) {
    if (value.text == "notify") {
      out = Probe{};
      out.type = ProbeType::notify;
      return;
    }
    std::string remedy = "write ready = \"notify\", or a table with type, like { type = \"tcp\", address = ... }";
    if (value.text.starts_with("http://"))
      remedy = fmt::format("write {} = {{ type = \"http\", url = {} }}", key, quote(value.text));
    if (parse_host_port(value.text))
      remedy = fmt::format("write {} = {{ type = \"tcp\", address = {} }}", key, quote(value.text));
    return r.problem(value.at, fmt::format("{} is {}, not a probe", key, quote(value.text)), std::move(remedy));
  }
  if (value.kind != Node::Kind::table) {
    return r.wrong_type(value, key, "a probe",
                        "write \"notify\" or a table with type, like { type = \"tcp\", address = ... }");
  }
  read_probe_table(r, value, key, out);
}

void read_ready(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft) {
  read_probe(reader, value, key, draft.spec.ready);
}

void read_live(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft) {
  read_probe(reader, value, key, draft.spec.live);
  if (draft.spec.live.type != ProbeType::notify) return;
  reader.problem(value.at, "live is \"notify\", and a program tells that it is alive through the watchdog",
                 "write watchdog = \"30s\" and send WATCHDOG=1, or probe with http, tcp or exec");
}

constexpr std::array group_rules = {
    ServiceRule{"ready", read_ready, "How hearth learns that it is ready for work: \"notify\" or a probe."},
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
};

}  // namespace

KeyGroup probe_keys() {
  return {group_rules};
}

}  // namespace hearth::config
