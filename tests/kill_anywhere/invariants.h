// What must hold after a run of the scenario, wherever hearth was killed in it.
//
// Everything that was seen is plain data, so that the test of the test can doctor it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "event_check.h"
#include "log_check.h"
#include "members.h"
#include "points.h"
#include "status_witness.h"
#include "story.h"
#include "views.h"

namespace hearth::kill_anywhere {

// What the point has taken away, and so what hearth need not have kept (the table of promises in the README).
enum class Loss : std::uint8_t {
  nothing,        // supervisor, spawner or logger died: all must be there
  keeper,         // an exit status may be unknown, but nothing else
  all_of_hearth,  // services live on; fd store, unread messages and one batch of output may be gone
};

struct SeenProcess {
  std::string name;
  pid_t pid = 0;
  std::uint64_t run = 0;
  int listen_fds = 0;
  std::string listen_names;
  std::string content;
  std::uint64_t start_ticks = 0;  // 0 = not known
  std::optional<int> told_exit;   // the code that it was told to exit with
  std::uint64_t ended_ticks = 0;  // when its end was seen; 0 = it was not
};

struct SeenOrder {
  std::string name;
  std::set<std::uint64_t> orders;  // what its key was said to be
  std::string report;              // of its end
  std::string error;
  int key_unknown = 0;
  bool refused = false;  // which was its end
};

struct SeenRefusal {
  std::string text;  // the order's name, and its reason
  bool after_death = false;
  bool says(const char* words) const { return text.find(words) != std::string::npos; }
  bool of_dry_run() const { return says("the dry run of the program was killed by signal"); }
  bool of_keeper() const {
    return says("the keeper died before it went on as that") || says("the keeper died soon after it had executed it") ||
           says("its keeper cannot be told just now");
  }
  bool tells_a_death() const { return of_dry_run() || of_keeper(); }
};

struct Evidence {
  Story story = Story::life;
  Loss loss = Loss::nothing;
  bool reached = false;                  // somebody was killed
  std::uint32_t supervisors_killed = 0;  // after the first commit; for the count of takeovers
  std::uint32_t takeovers_before = 0;    // revival: the one at its beginning
  bool takeovers_known = false;          // the last status is of after the kill, or there was none

  std::string stuck;                   // the step that did not come to its end; "" = all did
  std::vector<SeenProcess> processes;  // in the order of their greetings
  std::vector<std::string> late;       // what status said much later than it happened
  std::vector<std::string> overlaps;   // two at a time
  std::vector<SeenOrder> orders;
  StatusView after_ready;            // b has said READY=1 and STATUS=
  StatusView after_exit;             // c has exited with 7 and runs again
  StatusView last;                   // before shutdown
  std::int64_t watchdog_before = 0;  // the deadline, CLOCK_MONOTONIC, that was committed before b said WATCHDOG=1
  std::int64_t watchdog_at = 0;      // and afterwards
  std::uint64_t doubled_keys = 0;
  std::map<std::string, LogFindings> logs;  // by service
  // By service: so many lines stood in its files when the step began in which hearth was killed.
  std::map<std::string, std::uint64_t> settled;
  pid_t keeper = 0;                     // the first one
  std::uint64_t killed_at_ticks = 0;    // of the kill, as start_ticks: whoever began later has a living keeper
  std::uint64_t answered_at_ticks = 0;  // when hearth has first answered after it
  // revival: when the hearth began that is attacked, after the death of one that had nothing under way. 0 = there was none before
  std::uint64_t begun_anew_at_ticks = 0;
  // The step of the kill: the one before it, and the one after it. any = nobody was killed.
  Phase killed_from = Phase::any, killed_to = Phase::any;
  bool killed_in_shutdown = false;  // when every service was about to end
  std::vector<std::string>
      revivals;  // hearths that the test has started because nobody was left whom a point had spared
  std::vector<std::string> crashes;  // of hearth's processes, that no kill explains
  bool starts_known = false;
  Starts starts, allowed;
  std::uint32_t least_spawners = 0;  // whoever of them was killed has a successor; 0 = that is not sure to be counted
  EventFindings events;
  Asked asked;  // by the client that asks status all the time
  // change:
  std::string hooks;         // their names, a line each
  std::string hangups;       // that r has counted
  std::string caller_heard;  // who waited in k's backlog: "pong", or what went wrong
  // upgrade, keeper:
  bool upgraded = false;  // the other programs run
  // keeper:
  bool dry_run_killed = false;
  bool killed_alone = false;                  // by a point that takes nobody else
  bool done_after_death = false;              // the order that succeeded was given after it
  bool died_as_next = false;                  // the keeper that was killed had executed the other program
  std::vector<std::string> refused_and_done;  // what the keeper ran after an order was refused, and the reason
  bool calls_failed = false;                  // and nobody was killed: fail_check.h judges refusals
  std::vector<std::string> left_over;         // processes, files, cgroup leaves
  std::vector<SeenRefusal> refusals;          // orders that were not taken, with the reason, and given again
  int keeper_status = 0;                      // of the last keeper, as of wait(2)
  bool hearth_is_left = false;                // its processes lived when the run was given up
  bool ended = false;                         // hearth came to its end
};

struct Verdict {
  std::vector<std::string> violations;
  std::vector<std::string> tolerated;  // losses that are promised to be possible, for the summary
};

Verdict judge(const Evidence& evidence);

}  // namespace hearth::kill_anywhere
