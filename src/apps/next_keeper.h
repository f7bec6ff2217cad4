// A dead keeper's successor, in the supervisor that outlived it: which program it is of, and when it is started.
//
// Everything lives on meanwhile. One that the service manager started offers itself (os/keeper_successor.h) and is taken
// before any that we start; for it we wait a while where there is a service manager, and between two tries of our own a
// second. The keeper's line then hands everything over (os/keeper_link.h); a candidate that fails at that is followed by
// another, until one has everything.
//
// Which program: what is held (held_programs.h) may not be good any more: its file system has gone or forbids it, or it
// is older than the options that it is given. What lies beside us may be none, or another version. So they take turns;
// the first is the one that is known to be good.
#pragma once

#include <cstdint>
#include <functional>
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
  // All of it is borrowed, and lives as long as this. `note`: what people are told.
  NextKeeper(os::KeeperLink& link, const HeldPrograms& programs, const ProgramOptions& options,
             std::function<void(std::string)> note)
      : link_(link), programs_(programs), options_(options), note_(std::move(note)) {}

  // It would be our keeper. Dropped, which declines it, as long as there is one that lives or is on its way.
  void offer(os::NewKeeper candidate);
  // In each turn in which the line is lost, or handing over; returns when to look again.
  MonoNs start(MonoNs now);
  MonoNs hand_over(MonoNs now);
  // Since the last call, a keeper has got everything.
  bool take_done() { return std::exchange(done_, false); }

 private:
  os::SuccessorCommand command() const;
  void tell(const Error& error);

  os::KeeperLink& link_;
  const HeldPrograms& programs_;
  const ProgramOptions& options_;
  std::function<void(std::string)> note_;
  os::NewKeeper offered_;          // by the service manager
  std::vector<std::string> told_;  // the last that were, of this death
  std::string tried_;              // the last candidate, in words
  std::uint32_t tries_ = 0;        // of our own, of this death
  MonoNs lost_at_ = 0;             // 0: there is a keeper
  MonoNs next_try_ = 0;
  bool done_ = false;
};

}  // namespace hearth::apps
