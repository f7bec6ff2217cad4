#include "config/replicas.h"

#include <map>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "config/host_port.h"
#include "config/text.h"
#include "model/replica.h"

namespace hearth::config {
namespace {

bool differs(const std::string& text) {
  return with_index(text, 0) != with_index(text, 1);
}

bool is_unix(const std::string& address) {
  return address.starts_with("unix:");
}

bool any_port(const std::string& address) {
  return address.starts_with("tcp:") && address.ends_with(":0");
}

// Of the highest index: it may be one that the first does not come to.
std::optional<ReplicaProblem> out_of_range(const ServiceSpec& spec, std::size_t item) {
  const std::string& address = spec.listen[item].address;
  const std::string last = with_index(address, spec.replicas - 1);
  if (is_unix(address) && last.size() - 5 > max_socket_path)
    return ReplicaProblem{"listen", item,
                          fmt::format("the path of a socket has {} bytes, more than {}: {}", last.size() - 5,
                                      max_socket_path, quote(last.substr(5))),
                          "choose a shorter one"};
  if (address.starts_with("tcp:") && !parse_host_port(std::string_view(last).substr(4)))
    return ReplicaProblem{
        "listen", item,
        fmt::format("replica {} would listen on {}, and 65535 is the last port", spec.replicas - 1, quote(last)),
        "let them begin at a lower one"};
  return std::nullopt;
}

void check_listen(const ServiceSpec& spec, std::vector<ReplicaProblem>& problems) {
  bool each_for_itself = true;
  for (std::size_t i = 0; i < spec.listen.size(); ++i) {
    const std::string& address = spec.listen[i].address;
    if (any_port(address)) continue;
    if (differs(address)) {
      if (auto problem = out_of_range(spec, i)) problems.push_back(std::move(*problem));
      continue;
    }
    each_for_itself = false;
    problems.push_back(
        {"listen", i,
         fmt::format("all {} replicas would listen on {}, and only one can", spec.replicas, quote(address)),
         is_unix(address) ? fmt::format("write {{index}} into it: {}", quote(address + ".{index}"))
                          : "write {index+N} for its port: \"tcp:127.0.0.1:{index+8001}\""});
  }
  // {index+8001} and {index+8002}: the second socket of one is the first of the next.
  std::map<std::string, std::uint32_t> taken;
  for (std::uint32_t replica = 0; replica < spec.replicas && each_for_itself; ++replica) {
    for (std::size_t i = 0; i < spec.listen.size(); ++i) {
      const std::string address = with_index(spec.listen[i].address, replica);
      if (any_port(address)) continue;
      const auto [other, is_new] = taken.emplace(address, replica);
      if (is_new || other->second == replica) continue;
      problems.push_back({"listen", i,
                          fmt::format("replicas {} and {} would both listen on {}, and only one can", other->second,
                                      replica, quote(address)),
                          fmt::format("let its sockets begin at least {} apart", spec.replicas)});
      return;
    }
  }
}

}  // namespace

std::vector<ReplicaProblem> replica_problems(const ServiceSpec& spec) {
  std::vector<ReplicaProblem> problems;
  if (spec.replicas < 2) return problems;
  check_listen(spec, problems);
  if (!spec.around->ports.empty())
    problems.push_back({"ports", 0,
                        fmt::format("all {} replicas would listen on port {}, and only one can", spec.replicas,
                                    spec.around->ports.front()),
                        "remove it: these ports do not follow {index}"});
  for (const auto& [key, path] :
       {std::pair<std::string_view, const std::string&>{"ready_file", spec.around->ready_file},
        {"pid_file", spec.around->pid_file}})
    if (!path.empty() && !differs(path))
      problems.push_back({key, 0, fmt::format("{} is one file for {} replicas", key, spec.replicas),
                          "put {index} into its name, which becomes the number of the replica"});
  return problems;
}

std::optional<Listening> listening(const std::string& address, std::uint32_t replica) {
  std::string text = with_index(address, replica);
  if (!text.starts_with("tcp:")) return Listening{std::move(text), {}};
  auto parsed = parse_host_port(std::string_view(text).substr(4));
  if (!parsed || parsed->port == 0) return std::nullopt;
  return Listening{std::to_string(parsed->port), std::move(parsed->host)};
}

bool meet(const Listening& a, const Listening& b) {
  if (a.place != b.place) return false;
  if (a.host == b.host || a.host == "*" || b.host == "*") return true;
  const auto is_v6 = [](const std::string& host) { return host.starts_with('['); };
  if (is_v6(a.host) != is_v6(b.host)) return false;
  const auto is_any = [](const std::string& host) { return host == "0.0.0.0" || host == "[::]"; };
  const auto plain = [](const std::string& host) { return host == "localhost" ? "127.0.0.1" : host; };
  return is_any(a.host) || is_any(b.host) || plain(a.host) == plain(b.host);
}

}  // namespace hearth::config
