// Many runs: clean ones to learn the points, then one attacked run per point, and the table of what came of it.
//
// Each run happens in a process of its own (a subreaper, so that nothing of it is left to others), forked by one
// of `jobs` workers; results come back as one line of JSON each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "points.h"
#include "scenario.h"

namespace hearth::kill_anywhere {

struct CampaignOptions {
  std::string programs;      // directory of hearth's programs
  std::string supervisor;    // "" = the one there
  std::string logger;        // the same
  std::string service_mode;  // plants a violation in service a
  std::string role;          // "" = all of them and "all"
  Story story = Story::life;
  Scope also = Scope::target;  // who dies together with the target, in the place of "all"
  std::size_t sample = 0;      // 0 = every point
  std::uint64_t seed = 0;
  std::uint64_t part = 0, parts = 1;  // of all points those whose names have this rest, so that parts make up a whole
  std::optional<Point> only;
  std::uint64_t first_call = 0;  // only points at calls (or commits) with these numbers
  std::uint64_t last_call = UINT64_MAX;
  int jobs = 1;
  SpanNs deadline = seconds(20);  // of a step of a run
  bool fail = false;              // calls fail, and nobody is killed
  bool keep = false;              // directories of runs without violations, too
  bool json = false;
  std::string self;         // how we were called, for the lines that repeat a point
  std::string next;         // directory of the programs of an upgrade; made by the campaign
  std::string next_keeper;  // "" = the same as the one that runs
};

// One finished run.
struct Outcome {
  Planned planned;
  RunResult result;
  std::string directory;  // "" = removed
};

// 0: no violation and enough points reached; 1: not so; 2: the tool itself could not work.
int run_campaign(const CampaignOptions& options);

// isolated_run.cc: the run in a child of ours, waited for.
RunResult isolated_run(const ScenarioOptions& options);

// One line each, without the newline.
std::string to_json(const RunResult& result);
RunResult result_from_json(const std::string& line);

// workers.cc. What all runs have in common.
ScenarioOptions options_of_runs(const CampaignOptions& options);
// Runs all of `planned`, `jobs` at a time; `done` is called in the order in which they end.
void run_points(const CampaignOptions& options, const std::string& root, std::uint64_t commit_offset,
                const std::vector<Planned>& planned, const std::function<void(Outcome)>& done);

// table.cc
struct Row {
  std::uint64_t calls = 0;   // of the clean run
  std::uint64_t points = 0;  // that there are
  std::uint64_t tried = 0;
  std::uint64_t reached = 0;
  std::uint64_t violations = 0;         // points with at least one
  std::map<long, std::uint64_t> kinds;  // of call in the clean run, and at how many points each was hit
  double seconds = 0;
};
// Enough of the role's points, of which two may be missed by chance where that many percent are none.
bool is_reached(const Row& row, double percent_needed);
using Table = std::map<std::string, Row>;
std::string text_of(const Table& table);
std::string json_of(const Table& table);

}  // namespace hearth::kill_anywhere
