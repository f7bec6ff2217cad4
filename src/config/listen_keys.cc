// `listen`: sockets that hearth opens and the service inherits.
#include <array>
#include <filesystem>
#include <set>

#include <fmt/core.h>

#include "config/host_port.h"
#include "config/limits.h"
#include "config/numbers.h"
#include "config/replicas.h"
#include "config/service_keys.h"
#include "config/text.h"
#include "model/replica.h"

namespace hearth::config {
namespace {

constexpr std::size_t max_sockets = 32;
constexpr std::string_view forms = "write \"tcp:HOST:PORT\" or \"unix:PATH\"";

std::string remedy_for(std::string_view address) {
  if (has_impossible_port(address)) return std::string(possible_ports);
  if (address.starts_with("tcp:")) {
    const auto port = parse_number(address.substr(4));
    if (port && *port <= 65535)
      return fmt::format("write \"tcp:127.0.0.1:{}\", or \"tcp:*:{}\" for all addresses", *port, *port);
  } else if (address.starts_with('/') || address.starts_with("./")) {
    return fmt::format("write {}", quote("unix:" + std::string(address)));
  } else if (parse_host_port(address)) {
    return fmt::format("write {}", quote("tcp:" + std::string(address)));
  }
  return std::string(forms);
}

void read_address(Reader& r, const Node& value, std::string_view key, ListenSocket& out) {
  std::string address;
  if (!r.expanded(value, key, address)) return;
  if (address.starts_with("unix:")) {
    std::string path = address.substr(5);
    if (path.empty())
      return r.problem(value.at, fmt::format("{} is {}, without a path", key, quote(address)), std::string(forms));
    if (path.starts_with('@')) {
      return r.problem(
          value.at,
          fmt::format("{} is {}, an abstract socket, which has no owner and no permissions", key, quote(address)),
          "write a path");
    }
    if (!r.at_home(value, key, path)) return;
    out.address = "unix:" + path;
  } else if (address.starts_with("tcp:") && parse_host_port(with_index(std::string_view(address).substr(4), 0))) {
    out.address = address;
  } else {
    r.problem(value.at, fmt::format("{} is {}, not an address", key, quote(address)), remedy_for(address));
  }
}

void read_name(Reader& r, const Node& value, std::string_view key, ListenSocket& out) {
  std::string name;
  if (!r.text(value, key, name)) return;
  if (!valid_name(name)) {
    return r.problem(value.at, fmt::format("{} is {}, not a name", key, quote(name)),
                     "use 1 to 48 letters, digits, '_' and '-'");
  }
  out.name = name;
}

constexpr std::array<KeyRule<ListenSocket>, 3> rules = {{
    {"name", read_name},
    {"address", read_address},
    {"backlog",
     [](Reader& r, const Node& v, std::string_view k, ListenSocket& t) { r.integer(v, k, 1, 65535, t.backlog); }},
}};

void read_socket(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  ListenSocket socket;
  if (value.kind == Node::Kind::table) {
    r.table<ListenSocket>(value, key, rules, Scope::listen, socket);
    if (value.find("address") == nullptr) {
      r.problem(value.at, fmt::format("{} has no address", key), "add address = \"tcp:HOST:PORT\" or \"unix:PATH\"");
    }
  } else if (value.kind == Node::Kind::string) {
    read_address(r, value, key, socket);
  } else {
    r.wrong_type(value, key, "an address or a table", std::string(forms));
  }
  if (socket.address.empty()) return;
  draft.spec.listen.push_back(std::move(socket));
  draft.listen_at.push_back(value.at);
}

void read_listen(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::array) {
    const bool text = value.kind == Node::Kind::string;
    return reader.wrong_type(value, key, "an array of addresses or tables",
                             text ? fmt::format("write listen = [{}]", quote(value.text)) : "");
  }
  if (value.items.size() > max_sockets) {
    return reader.problem(value.at,
                          fmt::format("{} has {} sockets, more than {}", key, value.items.size(), max_sockets), {});
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    read_socket(reader, value.items[i], fmt::format("{}[{}]", key, i), draft);
  }
}

void finish_listen(Reader& reader, ServiceDraft& draft) {
  std::set<std::string> names, addresses;
  for (std::size_t i = 0; i < draft.spec.listen.size(); ++i) {
    ListenSocket& socket = draft.spec.listen[i];
    const Position at = draft.listen_at[i];
    if (socket.name.empty()) socket.name = fmt::format("socket{}", i);
    if (socket.address.starts_with("unix:")) {
      const std::string path = (std::filesystem::path(draft.spec.cwd) / socket.address.substr(5)).lexically_normal();
      if (const std::string first = with_index(path, 0); first.size() > max_socket_path) {
        reader.problem(at,
                       fmt::format("the path of a socket has {} bytes, more than {}: {}", first.size(), max_socket_path,
                                   quote(first)),
                       "choose a shorter one");
      }
      socket.address = "unix:" + path;
    }
    if (!names.insert(socket.name).second) {
      reader.problem(at, fmt::format("two sockets have the name {}", quote(socket.name)), "rename one of them");
    }
    const bool any_port = socket.address.starts_with("tcp:") && socket.address.ends_with(":0");
    if (!addresses.insert(socket.address).second && !any_port) {
      reader.problem(at, fmt::format("two sockets have the address {}", quote(socket.address)), "remove one of them");
    }
  }
}

constexpr std::array group_rules = {
    ServiceRule{"listen", read_listen, "Sockets that hearth opens, keeps across restarts, and hands to the service.",
                R"("type":"array","maxItems":32,"items":{"type":["string","object"]})"},
    ServiceRule{"fdstore_max",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.integer(v, k, 0, 200, d.spec.fdstore_max);
                },
                "How many descriptors it may leave with hearth (FDSTORE=1)."},
};

}  // namespace

KeyGroup listen_keys() {
  return {group_rules, finish_listen};
}

}  // namespace hearth::config
