#include "model/dependencies.h"

#include <string_view>
#include <unordered_map>

#include "base/nearest.h"

namespace hearth {
namespace {

using Index = std::unordered_map<std::string_view, std::size_t>;

struct Edge {
  std::size_t to;
  std::size_t dependency;  // position in depends_on
};

// Depth-first search with its own stack: a chain of thousands of services must not overflow ours.
class CycleSearch {
 public:
  CycleSearch(const std::vector<ServiceSpec>& services, std::vector<std::vector<Edge>> edges)
      : services_(services), edges_(std::move(edges)), mark_(services.size(), Mark::fresh), told_(services.size()) {}

  void run(std::vector<DependencyProblem>& out, std::size_t limit) {
    for (std::size_t root = 0; root < services_.size() && out.size() < limit; ++root) {
      if (mark_[root] == Mark::fresh) visit(root, out, limit);
    }
  }

 private:
  enum class Mark : unsigned char { fresh, on_path, done };
  struct Step {
    std::size_t node;
    std::size_t next = 0;  // edge to follow next; the one taken is next - 1
  };

  void visit(std::size_t root, std::vector<DependencyProblem>& out, std::size_t limit) {
    path_.assign(1, Step{root});
    mark_[root] = Mark::on_path;
    while (!path_.empty() && out.size() < limit) {
      Step& step = path_.back();
      if (step.next == edges_[step.node].size()) {
        mark_[step.node] = Mark::done;
        path_.pop_back();
        continue;
      }
      const std::size_t to = edges_[step.node][step.next++].to;
      if (mark_[to] == Mark::fresh) {
        mark_[to] = Mark::on_path;
        path_.push_back(Step{to});
      } else if (mark_[to] == Mark::on_path) {
        tell(to, out);
      }
    }
  }

  // The path from `start` to its end, and back to `start`, is a cycle.
  void tell(std::size_t start, std::vector<DependencyProblem>& out) {
    std::size_t first = path_.size() - 1;
    while (path_[first].node != start) --first;
    bool known = false;
    for (std::size_t i = first; i < path_.size(); ++i) known = known || told_[path_[i].node];
    if (known) return;

    DependencyProblem problem;
    problem.fault = DependencyFault::cycle;
    problem.service = start;
    problem.dependency = edges_[start][path_[first].next - 1].dependency;
    for (std::size_t i = first; i < path_.size(); ++i) {
      told_[path_[i].node] = true;
      problem.cycle += services_[path_[i].node].name + " -> ";
    }
    problem.cycle += services_[start].name;
    out.push_back(std::move(problem));
  }

  const std::vector<ServiceSpec>& services_;
  std::vector<std::vector<Edge>> edges_;
  std::vector<Mark> mark_;
  std::vector<bool> told_;
  std::vector<Step> path_;
};

}  // namespace

std::vector<DependencyProblem> dependency_problems(const std::vector<ServiceSpec>& services, std::size_t limit) {
  std::vector<DependencyProblem> problems;
  std::vector<std::string_view> names;
  Index index;
  for (std::size_t i = 0; i < services.size(); ++i) {
    names.push_back(services[i].name);
    index.emplace(services[i].name, i);
  }

  std::vector<std::vector<Edge>> edges(services.size());
  for (std::size_t i = 0; i < services.size(); ++i) {
    for (std::size_t k = 0; k < services[i].depends_on.size(); ++k) {
      const std::string& wanted = services[i].depends_on[k].service;
      const auto found = index.find(wanted);
      const bool self = wanted == services[i].name;
      if (found != index.end() && !self) {
        edges[i].push_back(Edge{found->second, k});
        continue;
      }
      if (problems.size() >= limit) return problems;
      DependencyProblem problem;
      problem.fault = self ? DependencyFault::self : DependencyFault::unknown;
      problem.service = i;
      problem.dependency = k;
      if (!self) problem.nearest = nearest(wanted, names);
      problems.push_back(std::move(problem));
    }
  }
  CycleSearch(services, std::move(edges)).run(problems, limit);
  return problems;
}

}  // namespace hearth
