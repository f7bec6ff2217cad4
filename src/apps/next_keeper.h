// A dead keeper's successor, in the supervisor that outlived it: which program it is of, and when it is started.
//
// Everything lives on meanwhile. One that the service manager started offers itself (os/keeper_successor.h) and is taken
// before any that we start; for it we wait a while where there is a service manager, and between two tries of our own a
// second. The keeper's line then hands everything over (os/keeper_link.h); a candidate that fails at that is followed by
// another, until one has everything.
//
// Which program: the one that ran, held (held_programs.h), with those that supervisor and logger are to be executed from.
// All of them are known to be good; what lies beside us may be a version that nobody has tried, or none. But what is held
// may not be good any more, so there are four ways, one after the other and then the first again:
//
//   the one held, or the one beside us, each with the held programs or without (it opens the files beside us itself)
//
// A way is left for what speaks against it, as far as that can be told, and not for a bad moment:
//
//   it cannot be executed       its file system has gone, or forbids it          -> the other program, at once
//   it was called wrongly       (EX_USAGE) it is older than what it is given     -> the same without that, at once
//   there is no memory, or no descriptor, for a process or for its exec          -> the same, as long as it takes
//   it lacks what it needs      (EX_OSERR) where it is the one held; or SIGKILL  -> the same, sixty times
//   all else                    it crashes, it hangs, nobody can tell            -> the same, five times
//
// When another way than the first was the one, that is told: a version may have come up that nobody has ordered.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/held_programs.h"
#include "apps/supervisor_program.h"
#include "base/result.h"
#include "base/time.h"
#include "os/keeper_link.h"
#include "os/keeper_successor.h"

namespace hearth::apps {

class NextKeeper {
 public:
  struct Ways {
    std::function<Result<os::StartedKeeper>(const os::SuccessorCommand&)> start;  // os::start_keeper
    std::function<void(std::string)> note;                                        // what people are told
  };
  // All that is borrowed lives as long as this.
  NextKeeper(os::KeeperLink& link, const HeldPrograms& programs, const ProgramOptions& options, Ways ways)
      : link_(link), programs_(programs), options_(options), ways_(std::move(ways)) {}

  // It would be our keeper. Dropped, which declines it, as long as there is one that lives or is on its way.
  void offer(os::NewKeeper candidate);
  // In each turn in which the line is lost, or handing over; returns when to look again.
  MonoNs start(MonoNs now);
  MonoNs hand_over(MonoNs now);
  // Since the last call, a keeper has got everything.
  bool take_done() { return std::exchange(done_, false); }

 private:
  struct Try {
    os::StartedKeeper keeper;
    MonoNs until = 0;   // longer is not waited for it
    bool held = false;  // the program
    // Why, is asked when the next one is due: whoever reaps it has had time by then.
    bool failed = false, hung = false;
    int not_executed = 0;  // errno
  };
  os::SuccessorCommand command() const;
  void judge();
  void leave_way(bool for_the_other_program);
  void has_failed(MonoNs now, Error error);
  void tell(const Error& error);

  os::KeeperLink& link_;
  const HeldPrograms& programs_;
  const ProgramOptions& options_;
  Ways ways_;
  os::NewKeeper offered_;                // by the service manager
  std::vector<std::string> told_;        // the last that were, of this death
  std::string tried_;                    // the last candidate, in words
  std::string unexpected_;               // what is told should it come up
  std::optional<Try> try_;               // the last, where it was one of our own
  bool beside_ = false, plain_ = false;  // the way
  int doubt_ = 0;                        // of it
  MonoNs lost_at_ = 0;                   // 0: there is a keeper
  MonoNs next_try_ = 0;
  bool done_ = false;
};

}  // namespace hearth::apps
