// What a service asks of its surroundings, and what others see of it there: files that tell its state.
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <set>

#include <fmt/core.h>

#include "config/host_port.h"
#include "config/numbers.h"
#include "config/replicas.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::size_t max_ports = 64;
constexpr std::size_t max_credentials = 64;
constexpr std::uint64_t max_cpu = 4095;

// Relative ones become absolute when the working directory is known.
void read_file(Reader& r, const Node& value, std::string_view key, std::string& out) {
  std::string path;
  if (!r.expanded(value, key, path) || !r.at_home(value, key, path)) return;
  if (path.empty() || path.ends_with('/')) {
    return r.problem(value.at, fmt::format("{} is {}, not the name of a file", key, quote(path)),
                     fmt::format("write {} = \"run/{}\"", key, key == "pid_file" ? "server.pid" : "server.ready"));
  }
  out = path;
}

void finish_file(ServiceDraft& draft, std::string_view key, const std::string& path) {
  if (path.empty()) return;
  std::string full = (std::filesystem::path(draft.spec.cwd) / path).lexically_normal().string();
  Surroundings& around = draft.spec.around.edit();
  (key == "pid_file" ? around.pid_file : around.ready_file) = full;
}

// Behind all others: it looks at what they have made whole.
void finish_replicas(Reader& r, const ServiceDraft& draft) {
  for (const ReplicaProblem& problem : replica_problems(draft.spec)) {
    const Entry* entry = draft.table->find(problem.key);
    const Position at = problem.key == "listen" ? draft.listen_at[problem.item]
                        : entry != nullptr      ? entry->value.at
                                                : draft.at;
    r.problem(at, problem.reason, problem.remedy);
  }
}

void read_ports(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::array) {
    const bool number = value.kind == Node::Kind::integer;
    return r.wrong_type(value, key, "an array of TCP ports",
                        fmt::format("write {} = [{}]", key, number ? value.described() : "8080"));
  }
  std::vector<std::uint16_t> ports;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    std::uint16_t port = 0;
    if (value.items[i].kind == Node::Kind::string) {
      return r.wrong_type(value.items[i], fmt::format("{}[{}]", key, i), "a TCP port",
                          "write the port that it listens on, 8080; nothing is mapped. For a socket that hearth opens "
                          "write listen = [\"tcp:127.0.0.1:8080\"]");
    }
    if (!r.integer(value.items[i], fmt::format("{}[{}]", key, i), 1, 65535, port)) return;
    if (std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
  }
  if (ports.size() > max_ports) {
    return r.problem(value.at, fmt::format("{} has {} ports, more than {}", key, ports.size(), max_ports), {});
  }
  if (!ports.empty()) draft.spec.around.edit().ports = std::move(ports);
}

// What hearth holds itself would always be in use.
void finish_ports(Reader& r, ServiceDraft& draft) {
  const Entry* entry = draft.table->find("ports");
  for (const ListenSocket& socket : draft.spec.listen) {
    const auto host_port =
        socket.address.starts_with("tcp:") ? parse_host_port(std::string_view(socket.address).substr(4)) : std::nullopt;
    if (!host_port || entry == nullptr) continue;
    for (const std::uint16_t port : draft.spec.around->ports) {
      if (port != host_port->port) continue;
      r.problem(entry->value.at, fmt::format("ports has {}, which is a socket of listen", port),
                "remove it from ports: hearth opens that one itself");
    }
  }
}

// "best-effort", "realtime:0", "idle"
void read_io_priority(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  const std::string_view text = value.kind == Node::Kind::string ? std::string_view(value.text) : "";
  const std::size_t colon = text.find(':');
  const auto io_class = value_of(io_class_words, text.substr(0, colon));
  const bool has_level = colon != text.npos;
  const auto level = has_level ? parse_number(text.substr(colon + 1)) : std::optional<std::uint64_t>(4);
  const bool takes_level = io_class == IoClass::realtime || io_class == IoClass::best_effort;
  if (!io_class || io_class == IoClass::none || !level || *level > 7 || (has_level && !takes_level)) {
    return r.problem(value.at, fmt::format("{} is {}, not an I/O priority", key, value.described()),
                     "write \"best-effort:0\" (first) to \"best-effort:7\", \"idle\", or, as root, \"realtime:4\"");
  }
  draft.spec.around.edit().io_class = *io_class;
  draft.spec.around.edit().io_level = static_cast<int>(*level);
}

// "0-3,6"
std::optional<std::vector<std::uint32_t>> parse_cpus(std::string_view text) {
  std::set<std::uint32_t> cpus;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    const std::size_t dash = item.find('-');
    const auto first = parse_number(item.substr(0, dash));
    const auto last = dash == item.npos ? first : parse_number(item.substr(dash + 1));
    if (!first || !last || *first > *last || *last > max_cpu || comma + 1 == text.size()) return std::nullopt;
    for (std::uint64_t cpu = *first; cpu <= *last; ++cpu) cpus.insert(static_cast<std::uint32_t>(cpu));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return std::vector<std::uint32_t>(cpus.begin(), cpus.end());
}

void read_cpus(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  auto cpus = value.kind == Node::Kind::string ? parse_cpus(value.text) : std::nullopt;
  if (!cpus || cpus->empty()) {
    return r.problem(value.at, fmt::format("{} is {}, not processors from 0 to {}", key, value.described(), max_cpu),
                     fmt::format("write {} = \"0-3,6\"", key));
  }
  draft.spec.around.edit().cpus = std::move(*cpus);
}

void read_paths(Reader& r, const Node& value, std::string_view key, std::vector<std::string>& out) {
  std::vector<std::string> paths;
  if (!r.expanded_list(value, key, paths)) return;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string name = fmt::format("{}[{}]", key, i);
    if (!r.at_home(value.items[i], name, paths[i])) return;
    // ld.so takes both as separators, and knows no way to quote them.
    if (paths[i].empty() || paths[i].find_first_of(": ") != std::string::npos) {
      return r.problem(value.items[i].at,
                       fmt::format("{} is {}, not one path without ':' and blanks", name, quote(paths[i])),
                       "write one item for each");
    }
  }
  out = std::move(paths);
}

void read_stdin(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  std::string text;
  if (!r.expanded(value, key, text)) return;
  Surroundings& around = draft.spec.around.edit();
  std::string path = text.starts_with("file:") ? text.substr(5) : "";
  if (!path.empty() && r.at_home(value, key, path)) {
    around.stdin_from = StdinFrom::file;
    around.stdin_path = path;
  } else if (text == "pty" || text == "null") {
    around.stdin_from = *value_of(stdin_words, text);
  } else {
    const bool looks_like_path = text.find('/') != text.npos && !text.starts_with("file:");
    r.problem(value.at, fmt::format("{} is {}, not \"null\", \"pty\" or \"file:PATH\"", key, quote(text)),
              looks_like_path ? fmt::format("write {}", quote("file:" + text)) : "");
  }
}

void read_credentials(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::table) {
    return r.wrong_type(value, key, "a table from names to files",
                        fmt::format("write {} = {{ key = \"/etc/key\" }}", key));
  }
  if (value.entries.size() > max_credentials) {
    return r.problem(value.at, fmt::format("{} has {} files, more than {}", key, value.entries.size(), max_credentials),
                     {});
  }
  for (const Entry& entry : value.entries) {
    const std::string name = Reader::full_key(key, entry.key);
    const bool plain = std::ranges::all_of(entry.key, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
             c == '.';
    });
    if (entry.key.empty() || entry.key.size() > 100 || entry.key[0] == '.' || !plain) {
      r.problem(entry.at, fmt::format("{} cannot be the name of a credential", quote(entry.key)),
                "use letters, digits, '_', '-' and '.'");
      continue;
    }
    std::string path;
    if (!r.expanded(entry.value, name, path) || !r.at_home(entry.value, name, path)) continue;
    if (path.empty()) {
      r.problem(entry.value.at, fmt::format("{} is empty", name), "write the file that holds it");
      continue;
    }
    draft.spec.around.edit().credentials.emplace_back(entry.key, std::move(path));
  }
}

void read_directories(Reader& r, const Node& value, std::string_view key, std::vector<std::string>& out) {
  std::vector<std::string> names;
  if (!r.expanded_list(value, key, names)) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::filesystem::path path(names[i]);
    const bool odd =
        names[i].empty() || path.is_absolute() || names[i].find_first_of(":\n") != std::string::npos ||
        std::ranges::any_of(path, [](const auto& part) { return part == ".." || part == "." || part == ""; });
    if (!odd) continue;
    return r.problem(
        value.items[i].at,
        fmt::format("{}[{}] is {}, not a name below the directory that hearth has for this", key, i, quote(names[i])),
        "write a name like \"voice\" or \"voice/models\"");
  }
  out = std::move(names);
}

// Relative paths are those of the service's directory.
void finish_paths(ServiceDraft& draft) {
  if (draft.spec.around.is_usual()) return;
  Surroundings& around = draft.spec.around.edit();
  const auto full = [&](std::string& path) {
    if (!path.empty()) path = (std::filesystem::path(draft.spec.cwd) / path).lexically_normal().string();
  };
  for (std::string& path : around.library_path) full(path);
  for (std::string& path : around.preload) full(path);
  for (auto& [name, path] : around.credentials) full(path);
  full(around.stdin_path);
}

void finish_surroundings(Reader& r, ServiceDraft& draft) {
  finish_ports(r, draft);
  finish_paths(draft);
  const std::string ready_file = draft.spec.around->ready_file;
  const std::string pid_file = draft.spec.around->pid_file;
  finish_file(draft, "ready_file", ready_file);
  finish_file(draft, "pid_file", pid_file);
  finish_replicas(r, draft);
  if (pid_file.empty() || draft.spec.around->ready_file != draft.spec.around->pid_file) return;
  const Entry* entry = draft.table->find("pid_file");
  r.problem(entry != nullptr ? entry->value.at : draft.at, "ready_file and pid_file are one file",
            "give them different names");
}

constexpr std::array rules = {
    ServiceRule{"ready_file",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_file(r, v, k, d.spec.around.edit().ready_file);
                },
                "A file that is there exactly as long as the service is ready."},
    ServiceRule{"pid_file",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_file(r, v, k, d.spec.around.edit().pid_file);
                },
                "A file with the PID of the service, for programs that want one; with type = \"forking\" it writes it "
                "by itself."},
    ServiceRule{"ports", read_ports,
                "TCP ports that it listens on by itself; who else has one is told before a start."},
    ServiceRule{"io_priority", read_io_priority,
                "\"best-effort:LEVEL\" or \"realtime:LEVEL\" with a level from 0 (first) to 7, or \"idle\"."},
    ServiceRule{"cpus", read_cpus, "The processors it may run on: \"0-3,6\"."},
    ServiceRule{"library_path",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_paths(r, v, k, d.spec.around.edit().library_path);
                },
                "Directories before those of LD_LIBRARY_PATH; they must be there."},
    ServiceRule{"preload",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_paths(r, v, k, d.spec.around.edit().preload);
                },
                "Libraries before those of LD_PRELOAD; they must be there."},
    ServiceRule{"stdin", read_stdin, "\"null\", \"pty\" or \"file:PATH\"."},
    ServiceRule{"credentials", read_credentials,
                "Files that are copied to a directory of its own, CREDENTIALS_DIRECTORY, as long as it runs."},
    ServiceRule{"runtime_directories",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_directories(r, v, k, d.spec.around.edit().runtime_directories);
                },
                "Directories below /run that are its own and go when it stops."},
    ServiceRule{"state_directories",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_directories(r, v, k, d.spec.around.edit().state_directories);
                },
                "Directories below /var/lib (~/.local/state) that are its own."},
    ServiceRule{"cache_directories",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_directories(r, v, k, d.spec.around.edit().cache_directories);
                },
                "Directories below /var/cache (~/.cache) that are its own."},
};

}  // namespace

KeyGroup surroundings_keys() {
  return {rules, finish_surroundings};
}

}  // namespace hearth::config
