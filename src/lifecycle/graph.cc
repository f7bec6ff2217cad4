#include "lifecycle/graph.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/nearest.h"
#include "model/dependencies.h"

namespace hearth::lifecycle {
namespace {

std::unexpected<Error> refused(const std::string& service, std::string reason, std::string hint) {
  return failure(Remedy::fix_input, "order services", service, std::move(reason), std::move(hint));
}

std::unexpected<Error> refused(const std::vector<ServiceSpec>& services, const DependencyProblem& problem) {
  const ServiceSpec& service = services[problem.service];
  switch (problem.fault) {
    case DependencyFault::self: return refused(service.name, "it depends on itself", "remove that dependency");
    case DependencyFault::cycle:
      return refused(service.name, "the dependencies form a cycle: " + problem.cycle, "remove one of them");
    case DependencyFault::unknown: break;
  }
  const std::string& name = service.depends_on[problem.dependency].service;
  return refused(service.name, "it depends on \"" + name + "\", and there is no such service",
                 problem.nearest.empty() ? "add that service or remove the dependency"
                                         : "did you mean \"" + problem.nearest + "\"?");
}

Standing standing_of_required(Condition condition, Phase phase, bool ready, bool ever_started, bool last_exit_success) {
  const bool ended = phase == Phase::completed || phase == Phase::failed;
  const auto final_unless = [ended](bool met) {
    return met ? Standing::met : ended ? Standing::failed : Standing::unmet;
  };
  switch (condition) {
    case Condition::started:
      return final_unless(phase == Phase::running || phase == Phase::completed ||
                          (phase == Phase::starting && ever_started));
    case Condition::ready: return final_unless(phase == Phase::running && ready);
    case Condition::completed:
      return final_unless(phase == Phase::completed || (phase == Phase::failed && ever_started));
    case Condition::completed_successfully: return final_unless(phase == Phase::completed && last_exit_success);
  }
  return Standing::unmet;
}

}  // namespace

Result<Graph> Graph::create(const std::vector<ServiceSpec>& services) {
  std::unordered_map<std::string_view, std::uint32_t> ids;
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    if (!ids.emplace(services[i].name, i).second) {
      return refused(services[i].name, "two services have this name", "rename one of them");
    }
  }
  const auto problems = dependency_problems(services, 1);
  if (!problems.empty()) return refused(services, problems.front());

  Graph graph;
  graph.down_.resize(services.size());
  graph.up_.resize(services.size());
  for (std::uint32_t node = 0; node < services.size(); ++node) {
    for (const Dependency& dependency : services[node].depends_on) {
      const std::uint32_t to = ids.at(dependency.service);
      graph.down_[node].push_back({to, dependency.condition, dependency.required, dependency.restart, dependency.stop});
      graph.any_stops_ = graph.any_stops_ || dependency.stop;
      // Two conditions on one service are two edges, but one dependent.
      std::vector<std::uint32_t>& dependents = graph.up_[to];
      if (dependents.empty() || dependents.back() != node) dependents.push_back(node);
    }
  }
  graph.assign_ranks();
  return graph;
}

// Kahn's algorithm: a node is ranked once all that it depends on are.
void Graph::assign_ranks() {
  rank_.assign(down_.size(), 0);
  std::vector<std::size_t> open(down_.size());
  std::vector<std::uint32_t> ready;
  for (std::uint32_t node = 0; node < down_.size(); ++node) {
    open[node] = down_[node].size();
    if (open[node] == 0) ready.push_back(node);
  }
  while (!ready.empty()) {
    const std::uint32_t node = ready.back();
    ready.pop_back();
    for (const std::uint32_t dependent : up_[node]) {
      rank_[dependent] = std::max(rank_[dependent], rank_[node] + 1);
      const auto edges = std::ranges::count(down_[dependent], node, &Edge::to);
      open[dependent] -= static_cast<std::size_t>(edges);
      if (open[dependent] == 0) ready.push_back(dependent);
    }
  }
}

Standing standing(const Edge& edge, Phase phase, bool ready, bool ever_started, bool last_exit_success) {
  const Standing required = standing_of_required(edge.condition, phase, ready, ever_started, last_exit_success);
  if (edge.required) return required;
  // Order only: what has failed, or what nobody wants up, is not waited for.
  if (required == Standing::failed || phase == Phase::stopped) return Standing::met;
  return required;
}

std::string nearest(const std::string& name, const std::vector<std::string>& valid) {
  const std::vector<std::string_view> views(valid.begin(), valid.end());
  return std::string(hearth::nearest(name, views));
}

}  // namespace hearth::lifecycle
