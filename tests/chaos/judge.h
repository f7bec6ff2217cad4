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

struct Evidence {
  support::StatusView status;
  std::vector<Living> living;
  Truth truth;
  std::map<std::string, std::string> ready_files;  // by slot, of those that have one: "" = not there
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

// When the keeper died: afterwards an exit status may be unknown.
struct Deaths {
  std::vector<MonoNs> of_keeper;
  std::vector<DeathOfAll> of_all;
  std::uint64_t batches = 0;  // how often all of it may have died
};
bool may_end_unread(const Deaths& deaths, MonoNs at);

struct ExitVerdict {
  std::vector<std::string> violations;
  std::uint64_t compared = 0;
  std::uint64_t unknown = 0;  // tolerated
  bool complete = true;       // no exit that has yet to be told
};
// `living`: runs of which a process lives. `lost`: events that hearth says it has lost, which may be exits. `last`: what has not been told by now is missing. Each run is complained of
// once: `told` remembers.
ExitVerdict judge_exits(const Truth& truth, const std::vector<ToldExit>& exits, const std::set<std::uint64_t>& living,
                        const Deaths& deaths, std::uint64_t lost, bool last, std::set<std::uint64_t>& told);

}  // namespace hearth::chaos
