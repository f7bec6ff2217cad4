// The dependency graph of the services of one project: order, cycles, who waits for whom. Pure.
//
// Nodes are positions in the vector of specs. An edge a -> b means: a depends on b.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/service_spec.h"
#include "model/slot_state.h"

namespace hearth::lifecycle {

struct Edge {
  std::uint32_t to = 0;
  Condition condition = Condition::ready;
  bool required = true;
  bool restart = false;
  bool stop = false;
};

class Graph {
 public:
  // Fails with fix_input when a name is unknown (nearest valid name in the hint), when two services have one name,
  // or when there is a cycle (named in full: "a -> b -> c -> a"); an edge that only orders can close one too.
  // The rules are those of model/dependencies.h.
  static Result<Graph> create(const std::vector<ServiceSpec>& services);

  const std::vector<Edge>& dependencies(std::uint32_t node) const { return down_[node]; }
  const std::vector<std::uint32_t>& dependents(std::uint32_t node) const { return up_[node]; }
  // 0 for services that depend on nothing; else 1 + the greatest rank among its dependencies. Start by
  // ascending rank, stop by descending.
  std::uint32_t rank(std::uint32_t node) const { return rank_[node]; }
  // Is there an edge with stop = true? Where there is none, nobody has to be asked what has gone.
  bool any_stops() const { return any_stops_; }

 private:
  void assign_ranks();

  std::vector<std::vector<Edge>> down_;
  std::vector<std::vector<std::uint32_t>> up_;
  std::vector<std::uint32_t> rank_;
  bool any_stops_ = false;
};

// How a dependency stands for one edge.
enum class Standing { met, unmet, failed };

// phase/ready/exited_success of the dependency against the edge's condition. `failed` only when it cannot be
// met any more without an order (phase failed, or completed where completed does not meet it).
//
//   started                 running or completed; starting, once a run of it has been spawned
//   ready                   running and ready
//   completed               completed; or failed after a run of its own (`ever_started`), however that ended
//   completed_successfully  completed, and its last exit was a success
//
// An edge that is not required orders only: met also when the dependency has failed or is stopped.
Standing standing(const Edge& edge, Phase phase, bool ready, bool ever_started, bool last_exit_success);

// The valid name nearest to `name` (Damerau-Levenshtein distance at most 2 and less than its length), or "".
std::string nearest(const std::string& name, const std::vector<std::string>& valid);

}  // namespace hearth::lifecycle
