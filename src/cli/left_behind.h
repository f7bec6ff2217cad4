// Services that an earlier hearth of this instance left running, when nobody answers.
//
// DIR/state tells that there may be some; where it could not be used, DIR/runs.json names them (written up to 100 ms
// behind), and /proc has those that were started later. A run of the list is one that lives only when boot and PID
// namespace are ours and the process of that PID has that start time. The client ends nobody by itself: it starts a
// hearth, which takes them over, looks again with more care, and ends them in their order.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace hearth::cli {

struct LeftRun {
  std::string label;  // PROJECT.SERVICE.INDEX
  pid_t pid = 0;
};

// Ordered by label. Empty also when neither can be read.
std::vector<LeftRun> left_runs(const std::string& instance_directory);

// "blog.web.0 (PID 12), blog.db.0 (PID 9)"; of more than six, how many more.
std::string words_of(const std::vector<LeftRun>& runs);

// A run that an earlier hearth has noted in another PID namespace of this boot, a container or the machine outside it: nobody
// here can see, signal or watch it.
struct RunElsewhere {
  std::string label;   // "run 17" when the list does not name it
  bool lives = false;  // somebody has its output open; false: it has ended, or closed that
};

// Only while no hearth lives, whose own processes have the outputs open.
std::vector<RunElsewhere> runs_elsewhere(const std::string& instance_directory);

// "blog.web.0, blog.db.0": those that live, or of none, all.
std::string words_of(const std::vector<RunElsewhere>& runs);

// DIR/state or a living run.
bool something_is_left(const std::string& instance_directory);

}  // namespace hearth::cli
