#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "sim/simulation.h"
int main(int argc, char** argv) {
  using namespace hearth::sim;
  std::uint64_t from = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1, count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    Plan plan; plan.seed = seed; plan.keep_trace = argc > 3;
    std::fprintf(stderr, "seed %lu\r", seed);
    Outcome o = simulate(plan);
    for (auto& l : o.trace) std::puts(l.c_str());
    if (o.failed) std::printf("seed %lu: %s (%lu events %lu steps %u crashes)\n", seed, o.what.c_str(), o.events, o.steps, o.crashes);
    else if (argc > 3) std::printf("seed %lu ok: %lu events %lu steps %u crashes %f s\n", seed, o.events, o.steps, o.crashes, o.simulated_s);
  }
}
