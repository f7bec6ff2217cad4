#include "truth.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "os/fd.h"
#include "support/lines.h"

namespace hearth::chaos {
namespace {

void read_lines(TrueRun& run, const std::string& path) {
  const std::string bytes = os::read_file(path).value_or("");
  if (bytes.size() < sizeof(support::Counters)) return;
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  run.lines_begun = words[0];
  run.lines_finished = words[1];
}

// What a run says of itself later than "start".
void take_word(TrueRun& run, const std::string& what, std::istringstream& words) {
  std::uint64_t first = 0;
  std::int64_t second = 0;
  words >> first >> second;
  if (what == "exit") {
    run.exit_code = static_cast<int>(first);
    run.ended = second;
  }
  if (what == "overlap") run.overlaps = first;
  if (what == "got") run.got.push_back({first, static_cast<std::uint64_t>(second)});
  if (what == "keeps") run.keeps = first;
  if (what == "kept") run.kept = second;
  if (what == "drops") run.drops[first] = second;
  if (what == "dropped") run.dropped[first] = second;
}

std::vector<TrueRun> read_slot(const std::string& path) {
  std::vector<TrueRun> runs;
  std::ifstream in(path);
  int befores = 0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string what;
    TrueRun run;
    words >> what >> run.run;
    if (what == "before") ++befores;
    if (what == "start") {
      words >> run.pid >> run.started >> run.born;
      for (std::uint64_t inode = 0; words >> inode;) run.sockets.push_back(inode);
      run.befores = befores;
      befores = 0;
      runs.push_back(run);
    }
    const auto it = std::find_if(runs.begin(), runs.end(), [&](const TrueRun& r) { return r.run == run.run; });
    if (it != runs.end()) take_word(*it, what, words);
  }
  return runs;
}

}  // namespace

Truth read_truth(const std::string& directory, const std::vector<std::string>& slots) {
  Truth truth;
  for (const std::string& slot : slots) {
    std::vector<TrueRun> runs = read_slot(truth_path(directory, slot));
    for (TrueRun& run : runs) read_lines(run, lines_path(directory, slot, std::to_string(run.run)));
    if (!runs.empty()) truth[slot] = std::move(runs);
  }
  return truth;
}

}  // namespace hearth::chaos
