// hearth-chaos: breaks a running hearth at random for a while, from one seed, and looks whether it keeps its promises.
#include <cstdio>
#include <exception>
#include <iostream>
#include <random>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "faults.h"
#include "options.h"
#include "report.h"
#include "storm.h"
#include "support/own_world.h"
#include "support/processes.h"
#include "world.h"

namespace chaos = hearth::chaos;

namespace {

const std::set<std::string> kPlants = {"lost-line",         "doubled-line",   "wrong-exit",           "stranger",
                                       "ready-file",        "second-process", "lost-event",           "closed-socket",
                                       "stored-descriptor", "unknown-exits",  "restarted-by-upgrade", "overlap"};

std::string directory_of_this_program() {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  const std::string text(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  return text.substr(0, text.rfind('/'));
}

// CLI11 in a function of its own, because of what it throws. -1: go on.
int parse(int count, char** arguments, chaos::Options& options) {
  CLI::App app("Breaks a running hearth at random for a while, and looks whether it keeps its promises.");
  double minutes = 1;
  double seconds = 0;
  std::vector<std::string> without, only, plants;
  const std::vector<std::string> kinds = chaos::Faults::kinds();
  app.add_option("--minutes", minutes, "how long (1)")->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds, "how long, in seconds")->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "the same services and the same choices again");
  app.add_option("--bin", options.programs, "directory of hearth's programs");
  app.add_option("--without", without, "leave out this fault; may be repeated")->check(CLI::IsMember(kinds));
  app.add_option("--only", only, "this fault and no other; may be repeated")->check(CLI::IsMember(kinds));
  app.add_option("--plant", plants, "doctor the tool's own evidence, so that it has something to find")
      ->check(CLI::IsMember(kPlants));
  app.add_option("--least-kills", options.least_kills, "fewer fail the run");
  app.add_option("--least-lines", options.least_lines, "fewer lines compared fail the run");
  app.add_flag("--keep", options.keep, "keep the directory");
  app.add_flag("--json", options.json, "write one JSON object at the end");
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.length = static_cast<hearth::SpanNs>((seconds > 0 ? seconds : minutes * 60) * 1e9);
  options.without.insert(without.begin(), without.end());
  options.only.insert(only.begin(), only.end());
  options.plants.insert(plants.begin(), plants.end());
  return -1;
}

int run(const chaos::Options& options, hearth::support::World around) {
  chaos::World world(options, around);
  chaos::Result result;
  bool failed = true;
  try {
    result = chaos::Storm(options, world).run();
    failed = !result.violations.empty() || !chaos::too_little(result, options).empty();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hearth-chaos: %s\n", error.what());
  }
  const bool keep = options.keep || (failed && options.plants.empty());
  if (keep) result.directory = world.base();
  world.end(keep);
  std::fputs((options.json ? json_of(result, options) : text_of(result, options)).c_str(), stdout);
  std::fflush(stdout);
  return failed ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) {
  chaos::Options options;
  options.programs = directory_of_this_program();
  options.seed = std::random_device()();
  options.terminal = isatty(STDERR_FILENO) == 1;
  if (const int code = parse(count, arguments, options); code >= 0) return code;
  if (!options.json) std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  return run(options, hearth::support::enter_own_world(true));
}
