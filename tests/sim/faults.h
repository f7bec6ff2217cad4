// Which faults there are, where the supervisor can die, and how both are told.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace hearth::sim {

// Thrown by the simulated outside world through the supervisor: SIGKILL at that place.
struct Crash {
  std::string where;
};

// A promise that was broken. Ends the run of a seed.
struct Violation {
  std::string what;
};

// Each can be taken away without changing the others.
struct Faults {
  bool crash = true;         // the supervisor is killed at any call and between the stores of a commit
  bool absence = true;       // ... stays dead for long, or is stopped
  bool clocks = true;        // suspend, CLOCK_REALTIME steps
  bool spawners = true;      // spawners die before claim, after claim, after the pid
  bool refusals = true;      // EMFILE, ENOSPC
  bool handover = true;      // window full, a signal or reap that cannot be handed over now
  bool lateness = true;      // events and messages take long
  bool misbehaviour = true;  // services crash, hang, ignore, spam
  bool orders = true;        // requests after the first
  bool keeper = true;        // the keeper is killed, its spawners with it; the supervisor starts another
  bool everybody = true;     // all of hearth is killed at once; slot table and decision page stay
  bool state = true;         // the same, and they do not stay: what is on disk is left
  bool scarcity = true;      // for a while the kernel has nothing left to give: EMFILE, ENFILE, ENOMEM, EAGAIN
  bool disk = true;          // ... the disk nothing: ENOSPC, EDQUOT, EIO, and half of what was to be written
  bool leaps = true;         // the wall clock is set by years
  bool freeze = true;        // everything is stopped at once, services too, and goes on later
  std::uint32_t crashes_max = UINT32_MAX;

  static constexpr std::pair<const char*, bool Faults::*> kinds[] = {
      {"crash", &Faults::crash},         {"absence", &Faults::absence},
      {"clocks", &Faults::clocks},       {"spawners", &Faults::spawners},
      {"refusals", &Faults::refusals},   {"handover", &Faults::handover},
      {"lateness", &Faults::lateness},   {"misbehaviour", &Faults::misbehaviour},
      {"orders", &Faults::orders},       {"keeper", &Faults::keeper},
      {"everybody", &Faults::everybody}, {"state", &Faults::state},
      {"scarcity", &Faults::scarcity},   {"disk", &Faults::disk},
      {"leaps", &Faults::leaps},         {"freeze", &Faults::freeze},
  };

  static Faults none() {
    Faults faults;
    for (const auto& [name, fault] : kinds) faults.*fault = false;
    faults.crashes_max = 0;
    return faults;
  }
};

// What there is none of just now. Whoever drives says so; what is answered then is one of the errors that the kernel has
// for it, and now and then it works all the same.
struct Shortage {
  bool resources = false;
  bool disk = false;
};

// The places where the supervisor can be killed: each port call has one before and one after its effect, and a
// commit has one before each of its stores.
class CrashPoints {
 public:
  void arm(std::uint64_t countdown) { countdown_ = countdown; }
  // The nth passing (from 1) of the place with that name.
  void arm_at(std::string name, unsigned nth = 1) {
    name_ = std::move(name);
    nth_ = nth;
  }
  void disarm() {
    countdown_ = 0;
    nth_ = 0;
  }
  bool armed() const { return countdown_ != 0 || nth_ != 0; }
  std::uint64_t passed() const { return passed_; }

  void point(const char* name) {
    ++passed_;
    if (nth_ != 0 && name_ == name && --nth_ == 0) throw Crash{name};
    if (countdown_ != 0 && --countdown_ == 0) throw Crash{name};
  }

 private:
  std::uint64_t countdown_ = 0;
  std::uint64_t passed_ = 0;
  unsigned nth_ = 0;
  std::string name_;
};

}  // namespace hearth::sim
