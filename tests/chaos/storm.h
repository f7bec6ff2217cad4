// One run of the tool: storms of a few seconds, in which faults and orders come at random, and between them quiet
// moments, in which everything is undone, hearth settles, and what it says is held against what is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "faults.h"
#include "judge.h"
#include "load.h"
#include "log_witness.h"
#include "options.h"
#include "plan.h"
#include "world.h"

namespace hearth::chaos {

struct Violation {
  double at = 0;  // seconds from the beginning
  std::uint64_t round = 0;
  std::string what;
  std::vector<std::string> before;  // faults and orders of that round
};

struct Result {
  std::vector<Violation> violations;
  std::map<std::string, Tally> faults;
  std::map<std::string, std::string> left_out;  // kinds of faults, and why
  std::uint64_t rounds = 0, kills = 0, orders = 0, orders_refused = 0, upgrades = 0, looks = 0, knocks = 0;
  std::uint64_t runs = 0, exits_compared = 0, exits_adopted = 0, exits_unknown = 0, statuses_compared = 0,
                slots_compared = 0;
  std::uint64_t sockets_compared = 0, stored_compared = 0;
  std::uint64_t lines_compared = 0, lines_followed = 0, bytes_tolerated = 0, events_compared = 0, events_lost = 0,
                takeovers = 0, deaths_of_all = 0;
  double seconds = 0;
  std::string directory;  // "" = removed
};

class Storm {
 public:
  Storm(const Options& options, World& world);
  Result run();

 private:
  void begin();
  void rage(SpanNs time);
  void calm();
  void end();

  // look.cc: what a quiet moment is for
  bool bring_back();
  std::string unsettled(const support::StatusView& status);
  void wait_until_settled();
  Evidence look();
  void compare_state();
  void compare_untouched(const Evidence& evidence);
  void compare_sockets(const Evidence& evidence);
  void compare_answers(const Planned& service, const Evidence& evidence);
  void compare_upgrade();
  std::string not_upgraded(const std::string& directory, bool keeper) const;
  std::vector<Gap> gaps() const;
  void compare_wanted(const Evidence& evidence);
  void compare_logs_and_exits();
  bool compare_logs(const Truth& truth, bool last);
  bool compare_exits(const Truth& truth, bool last);
  void compare_journal();
  void compare_log_follower();
  Allowance allowance(const Truth& truth) const;
  void compare_end();

  void violation(const std::string& what);
  void violations(const std::vector<std::string>& what);
  void wait(SpanNs time);
  bool planted(const char* what);
  double seconds_since_begin() const;
  SpanNs catches_up() const;
  void progress();

  const Options& options_;
  World& world_;
  Random random_;
  Plan plan_;
  Faults faults_;
  Load load_;
  EventsFollower events_;
  Control* control_ = nullptr;
  Result result_;
  MonoNs begun_ = 0;
  MonoNs looked_at_ = 0;            // at keepers
  std::vector<std::string> trace_;  // of this round
  std::map<std::string, LogWitness> witnesses_;
  std::map<std::string, support::LogCursor> cursors_;
  std::uint64_t batches_used_ = 0;
  std::set<std::uint64_t> told_exits_;
  std::set<std::string> planted_;
  std::map<std::string, std::uint64_t> runs_before_;    // of steady slots, at the last quiet moment
  std::map<std::string, std::uint64_t> socket_inodes_;  // by address
  os::Fd planted_lock_;
  std::set<std::string> reported_;
};

}  // namespace hearth::chaos
