// What the replicas of a service cannot share, each needs for itself: one rule for `replicas` in a file, for documents
// that come by the API, and for `hearth scale`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/service_spec.h"

namespace hearth::config {

inline constexpr std::size_t max_socket_path = 107;  // unix(7): sun_path without its NUL

struct ReplicaProblem {
  std::string_view key;  // "listen", "ports", "ready_file" or "pid_file"
  std::size_t item = 0;  // of listen
  std::string reason;    // "all 3 replicas would listen on ..., and only one can"
  std::string remedy;
};

// Nothing of a service with one replica. `spec`: paths are absolute, {index} still stands in its texts.
std::vector<ReplicaProblem> replica_problems(const ServiceSpec& spec);

// A socket that a replica is given: where it is bound. Services whose sockets meet cannot be up together.
struct Listening {
  std::string place;        // "unix:PATH", or the port
  std::string host;         // of a port
  std::size_t service = 0;  // whose, and its item of `listen`: for the caller
  std::size_t item = 0;
};
// Nothing where the kernel chooses the port, or the address is none.
std::optional<Listening> listening(const std::string& address, std::uint32_t replica);
// As os/listeners.h binds them: "*" is of both families, an address of IPv6 is of that alone, localhost is 127.0.0.1.
// Two ways to write one address of IPv6 are taken for two.
bool meet(const Listening& a, const Listening& b);

}  // namespace hearth::config
