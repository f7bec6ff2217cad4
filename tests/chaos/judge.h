// Evidence in, violations out: is what hearth says what is? Pure, so that its test can doctor the evidence.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "plan.h"
#include "support/status_view.h"
#include "truth.h"

namespace hearth::chaos {

// A process below us that is neither the tool's nor hearth's own.
struct Living {
  pid_t pid = 0;
  std::uint64_t run = 0;  // HEARTH_RUN of its environment; 0 = none
  bool hook = false;      // a probe or a hook on its way
  std::string text;       // command, for messages
};

// A time in which what is parked with hearth may have been lost.
struct Gap {
  MonoNs from = 0;
  MonoNs until = INT64_MAX;
};
bool meets(const std::vector<Gap>& gaps, MonoNs from, MonoNs until);

struct Evidence {
  support::StatusView status;
  std::vector<Living> living;
  Truth truth;
  std::map<std::string, std::string> ready_files;  // by slot, of those that have one: "" = not there
  std::vector<Gap> gaps;                           // in which stored descriptors may have been lost
};

// At a quiet moment. What it finds may be of two times; what stands when it is asked again and again is a violation.
std::vector<std::string> judge_state(const Plan& plan, const Evidence& evidence);

struct ToldExit {
  std::string slot;
  std::uint64_t run = 0;
  bool known = false;
  int code = -1;
  int signal = -1;
  bool started = true;
};

// All of hearth was dead. `unread_since`: what runs had written then may still have been in their pipes when they ended,
// because the logger was stopped or its disk full; it goes with the last who holds the pipe.
struct DeathOfAll {
  MonoNs unread_since = 0;
  MonoNs until = INT64_MAX;  // hearth was there again
};

struct KeeperDeath {
  pid_t pid = 0;
  MonoNs at = 0;
  MonoNs blind_since = 0;  // it was stopped from then on; else `at`
};

struct Deaths {
  std::vector<KeeperDeath> of_keeper;
  std::vector<DeathOfAll> of_all;
  std::uint64_t batches = 0;  // how often all of it may have died
  // Who was to hold more than it had room for, and then who held it as well has died.
  std::vector<Gap> of_parked;
};
bool may_end_unread(const Deaths& deaths, MonoNs at);

// An exit status may be unknown only of a run whose keeper died, and only where no kernel could tell its successor: a
// process that ended before anybody had a pidfd of it, or while nobody had one. So it is looked who has one. On a kernel
// that tells the status of the reaped (PIDFD_GET_INFO, 6.15), who ends while a keeper that lives on has its pidfd has
// a status that is known, however often he was adopted.
struct Held {
  pid_t keeper = 0;
  MonoNs since = 0;  // when it was first seen
};

// An orphan of hearth comes to the tool, which is its parent then, and so does each keeper: whose end was not there at
// `since`, and was at `at`.
struct Reaped {
  MonoNs since = 0;
  MonoNs at = 0;
  bool killed = false;  // by a signal
};

struct Adoptions {
  bool kernel_tells = false;
  std::multimap<pid_t, Held> held;
  std::multimap<pid_t, Reaped> reaped;
};

struct ExitVerdict {
  std::vector<std::string> violations;
  std::uint64_t compared = 0;
  std::uint64_t unknown = 0;  // tolerated
  std::uint64_t adopted = 0;  // known, though the keeper of its start was dead
  bool complete = true;       // no exit that has yet to be told
};
// `living`: runs of which a process lives. `lost`: events that hearth says it has lost, which may be exits. `last`: what
// has not been told by now is missing. Each run is complained of once: `told` remembers.
ExitVerdict judge_exits(const Truth& truth, const std::vector<ToldExit>& exits, const std::set<std::uint64_t>& living,
                        const Deaths& deaths, const Adoptions& adoptions, std::uint64_t lost, bool last,
                        std::set<std::uint64_t>& told);

}  // namespace hearth::chaos
