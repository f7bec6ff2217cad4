// hearth-sim: the real supervisor on a simulated machine. README.md says how to read what it prints.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sim/explore.h"
#include "sim/plants.h"

namespace {

using namespace hearth;
using namespace hearth::sim;

const char usage[] =
    "hearth-sim [--seeds N] [--from S]       N seeds from S (1000 from 1); stops at the first failure and shrinks it\n"
    "hearth-sim --seed S [--trace]           one seed, with what happened\n"
    "hearth-sim --planted [--seeds N]        each planted bug must be caught within N seeds\n"
    "hearth-sim --plant NAME [--seeds N]     one of them, with its shortest trace\n"
    "hearth-sim --repeat [--seeds N]         twice, and the traces must be the same\n"
    "hearth-sim --coverage ...               fails unless every transition of the tables is met, and says which was "
    "not\n"
    "hearth-sim --any-transition ...         those that are called impossible are told, and no failure\n"
    "hearth-sim --also S,S... ...            these seeds, too\n"
    "also: --without FAULT                   crash absence clocks spawners refusals handover lateness misbehaviour "
    "orders keeper everybody state scarcity disk leaps freeze\n";

struct Arguments {
  std::uint64_t seeds = 0;  // not said: 1,000; enough for the rarest of the planted bugs
  std::uint64_t from = 1;
  std::uint64_t seed = 0;
  std::uint32_t services = 6;
  std::uint32_t crashes = UINT32_MAX;
  bool trace = false, planted = false, repeat = false, coverage = false, any_transition = false;
  std::string plant;
  std::vector<std::uint64_t> also;
  Faults faults;
};

// "4711,815"
std::vector<std::uint64_t> numbers(const char* text) {
  std::vector<std::uint64_t> all;
  for (char* end = nullptr; *text != '\0'; text = *end == ',' ? end + 1 : end) {
    all.push_back(std::strtoull(text, &end, 10));
    if (end == text) break;
  }
  return all;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    const auto number = [&] { return ++i, value == nullptr ? 0 : std::strtoull(value, nullptr, 10); };
    if (word == "--seeds")
      arguments.seeds = number();
    else if (word == "--from")
      arguments.from = number();
    else if (word == "--seed")
      arguments.seed = number();
    else if (word == "--services")
      arguments.services = static_cast<std::uint32_t>(number());
    else if (word == "--crashes")
      arguments.crashes = static_cast<std::uint32_t>(number());
    else if (word == "--trace")
      arguments.trace = true;
    else if (word == "--planted")
      arguments.planted = true;
    else if (word == "--repeat")
      arguments.repeat = true;
    else if (word == "--coverage")
      arguments.coverage = true;
    else if (word == "--any-transition")
      arguments.any_transition = true;
    else if (word == "--also" && value != nullptr)
      arguments.also = numbers(argv[++i]);
    else if (word == "--plant" && value != nullptr)
      arguments.plant = argv[++i];
    else if (word == "--without" && value != nullptr) {
      bool known = false;
      for (const auto& [name, fault] : Faults::kinds)
        if (std::strcmp(name, value) == 0) known = true, arguments.faults.*fault = false;
      if (!known) return false;
      ++i;
    } else
      return false;
  }
  return true;
}

void print_how_to_repeat(const Plan& plan) {
  std::printf("again: hearth-sim --seed %lu --trace --services %u", plan.seed, plan.services_max);
  if (plan.faults.crashes_max != UINT32_MAX) std::printf(" --crashes %u", plan.faults.crashes_max);
  for (const auto& [name, fault] : Faults::kinds)
    if (!(plan.faults.*fault)) std::printf(" --without %s", name);
  if (plan.sabotage != nullptr) std::printf(" --plant %s", plan.sabotage->name.c_str());
  std::printf("\n");
}

void print(const Failure& failure) {
  for (const std::string& line : failure.outcome.trace) std::printf("%s\n", line.c_str());
  std::printf("seed %lu: %s\n", failure.plan.seed, failure.outcome.what.c_str());
  std::printf("%lu events, %lu steps, %u crashes\n", failure.outcome.events, failure.outcome.steps,
              failure.outcome.crashes);
  print_how_to_repeat(failure.plan);
}

int run_many(const Arguments& arguments, Plan plan) {
  Totals totals;
  std::optional<Failure> failure = explore(plan, arguments.from, arguments.seeds, totals, arguments.also);
  std::printf("%lu seeds, %.1f simulated hours, %lu events, supervisor killed %lu times at %lu places it passed\n",
              totals.seeds, totals.simulated_s / 3600, totals.events, totals.crashes, totals.places);
  std::printf("keeper killed %lu times, everybody at once %lu times, slot table and page lost with them %lu times\n",
              totals.keepers, totals.everybody, totals.states);
  const bool complete = print_coverage(totals.coverage, arguments.coverage);
  if (!failure) return complete || !arguments.coverage ? 0 : 1;
  std::printf("seed %lu fails: %s\nmaking it shorter ...\n", failure->plan.seed, failure->outcome.what.c_str());
  print(shrink(*failure));
  return 1;
}

int run_planted(const Arguments& arguments, Plan plan) {
  int escaped = 0;
  for (const Sabotage& plant : plants()) {
    plan.sabotage = &plant;
    Totals totals;
    const std::optional<Failure> failure = explore(plan, arguments.from, arguments.seeds, totals);
    if (failure)
      std::printf("%-34s caught   seed %-5lu %5lu events  %s\n", plant.name.c_str(), failure->plan.seed,
                  failure->outcome.events, failure->outcome.what.c_str());
    else
      std::printf("%-34s PLANTED AND NOT CAUGHT in %lu seeds\n", plant.name.c_str(), totals.seeds), ++escaped;
  }
  std::printf("%zu bugs planted, %zu caught\n", plants().size(), plants().size() - static_cast<std::size_t>(escaped));
  return escaped == 0 ? 0 : 1;
}

int run_twice(const Arguments& arguments, const Plan& plan) {
  Totals first, second;
  explore(plan, arguments.from, arguments.seeds, first);
  explore(plan, arguments.from, arguments.seeds, second);
  std::printf("%lu seeds twice: traces %016lx and %016lx\n", first.seeds, first.hash, second.hash);
  return first.hash == second.hash && first.seeds == second.seeds ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(usage, stderr);
    return 2;
  }
  Plan plan;
  plan.faults = arguments.faults;
  plan.faults.crashes_max = arguments.crashes;
  plan.services_max = arguments.services;
  plan.any_transition = arguments.any_transition;
  if (!arguments.plant.empty()) {
    for (const Sabotage& plant : plants())
      if (plant.name == arguments.plant) plan.sabotage = &plant;
    if (plan.sabotage == nullptr) {
      for (const Sabotage& plant : plants()) std::fprintf(stderr, "%s\n", plant.name.c_str());
      return 2;
    }
  }
  if (arguments.seed != 0) {
    plan.seed = arguments.seed;
    plan.keep_trace = arguments.trace;
    const Failure one{plan, run_guarded(plan)};
    if (one.outcome.failed) return print(one), 1;
    for (const std::string& line : one.outcome.trace) std::printf("%s\n", line.c_str());
    std::printf("seed %lu holds: %lu events, %u crashes, trace %016lx\n", plan.seed, one.outcome.events,
                one.outcome.crashes, one.outcome.hash);
    return 0;
  }
  if (arguments.seeds == 0) arguments.seeds = arguments.planted || plan.sabotage != nullptr ? 3'000 : 1'000;
  if (arguments.planted) return run_planted(arguments, plan);
  if (arguments.repeat) return run_twice(arguments, plan);
  return run_many(arguments, plan);
}
