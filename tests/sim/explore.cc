#include "sim/explore.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hearth::sim {
namespace {

// What a child leaves behind even when it aborts.
struct Shared {
  std::uint64_t seed;
  bool failed;
  bool finished;
  Totals totals;
  std::uint64_t events, steps, hash, places;
  std::uint32_t crashes;
  double simulated_s;
  char what[400];
  std::size_t trace_size;
  char trace[4 << 20];
};

void put_trace(Shared& shared, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    if (shared.trace_size + line.size() + 1 > sizeof shared.trace) return;
    std::copy(line.begin(), line.end(), shared.trace + shared.trace_size);
    shared.trace_size += line.size();
    shared.trace[shared.trace_size++] = '\n';
  }
}

void put_outcome(Shared& shared, const Outcome& outcome) {
  shared.failed = outcome.failed;
  std::snprintf(shared.what, sizeof shared.what, "%s", outcome.what.c_str());
  shared.events = outcome.events;
  shared.steps = outcome.steps;
  shared.hash = outcome.hash;
  shared.crashes = outcome.crashes;
  shared.places = outcome.places;
  shared.simulated_s = outcome.simulated_s;
  put_trace(shared, outcome.trace);
}

Outcome get_outcome(const Shared& shared) {
  Outcome outcome;
  outcome.failed = shared.failed;
  outcome.what = shared.what;
  outcome.events = shared.events;
  outcome.steps = shared.steps;
  outcome.hash = shared.hash;
  outcome.crashes = shared.crashes;
  outcome.places = shared.places;
  outcome.simulated_s = shared.simulated_s;
  std::string line;
  for (std::size_t i = 0; i < shared.trace_size; ++i) {
    if (shared.trace[i] != '\n') {
      line += shared.trace[i];
      continue;
    }
    outcome.trace.push_back(std::move(line));
    line.clear();
  }
  return outcome;
}

// Runs `work` in a child; what it writes into `shared` is there afterwards, whatever became of it.
template <typename Work>
Outcome in_child(Shared& shared, Work work) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) {
    std::perror("fork");
    std::exit(2);
  }
  if (child == 0) {
    work();
    shared.finished = true;
    std::fflush(nullptr);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!shared.finished) {
    shared.failed = true;
    std::snprintf(shared.what, sizeof shared.what, "the supervisor aborted (signal %d)",
                  WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  }
  return get_outcome(shared);
}

Shared& fresh_shared() {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::exit(2);
  }
  return *new (memory) Shared;
}

void drop(Shared& shared) {
  munmap(&shared, sizeof(Shared));
}

// Failures are the same when they differ in numbers and names of services only.
std::string kind_of(const std::string& what) {
  std::string kind;
  for (const char c : what)
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) kind += c;
  const std::size_t name = kind.find(' ');
  return name == std::string::npos || name > 8 ? kind : kind.substr(name);
}

}  // namespace

Outcome run_guarded(const Plan& plan) {
  Shared& shared = fresh_shared();
  const Outcome outcome = in_child(shared, [&] { put_outcome(shared, simulate(plan)); });
  drop(shared);
  return outcome;
}

std::optional<Failure> explore(Plan plan, std::uint64_t from, std::uint64_t count, Totals& totals,
                               const std::vector<std::uint64_t>& others) {
  Shared& shared = fresh_shared();
  const Outcome last = in_child(shared, [&] {
    Totals& sum = shared.totals;
    forget_coverage();
    for (std::uint64_t nth = 0; nth < count + others.size(); ++nth) {
      shared.seed = plan.seed = nth < count ? from + nth : others[nth - count];
      Outcome outcome = simulate(plan);
      ++sum.seeds;
      sum.events += outcome.events;
      sum.crashes += outcome.crashes;
      sum.keepers += outcome.keepers;
      sum.everybody += outcome.everybody;
      sum.states += outcome.states;
      sum.places += outcome.places;
      sum.simulated_s += outcome.simulated_s;
      sum.hash = (sum.hash ^ outcome.hash) * 0x100000001b3ULL;
      const bool more_met =
          std::memcmp(&sum.coverage.lifecycle, &lifecycle::coverage(), sizeof(lifecycle::Coverage)) != 0 ||
          std::memcmp(&sum.coverage.health, &health::coverage(), sizeof(health::Coverage)) != 0;
      if (more_met) sum.coverage = coverage_so_far();
      if (!outcome.failed && more_met && !plan.any_transition && plan.sabotage == nullptr &&
          !is_possible(sum.coverage)) {
        outcome.failed = true;
        outcome.what = "a transition was met that is said to be impossible";
      }
      if (!outcome.failed) continue;
      put_outcome(shared, outcome);
      return;
    }
  });
  totals = shared.totals;
  plan.seed = shared.seed;
  drop(shared);
  if (!last.failed) return std::nullopt;
  return Failure{plan, last};
}

Failure shrink(Failure failure) {
  const std::string kind = kind_of(failure.outcome.what);
  const auto still_fails = [&](const Plan& plan) {
    Outcome outcome = run_guarded(plan);
    if (!outcome.failed || kind_of(outcome.what) != kind) return false;
    failure.plan = plan;
    failure.outcome = std::move(outcome);
    return true;
  };
  for (const auto& [name, fault] : Faults::kinds) {
    Plan plan = failure.plan;
    plan.faults.*fault = false;
    still_fails(plan);
  }
  for (std::uint32_t services = 1; services < failure.plan.services_max; ++services) {
    Plan plan = failure.plan;
    plan.services_max = services;
    if (still_fails(plan)) break;
  }
  for (std::uint32_t crashes = 0; crashes < failure.outcome.crashes; ++crashes) {
    Plan plan = failure.plan;
    plan.faults.crashes_max = crashes;
    if (still_fails(plan)) break;
  }
  Plan plan = failure.plan;
  plan.keep_trace = true;
  still_fails(plan);
  return failure;
}

}  // namespace hearth::sim
