// Starting a new keeper when the old one has died under a living supervisor.
//
//   1 socketpair; double fork, so that the keeper is not our child (its supervisor must not be its parent);
//     exec of the keeper with --take-over FD. We hold its pidfd: a keeper that does not come up is killed, never
//     just forgotten, or there would be two (its lock is no help, for it is one open file in all hands)
//   2 KeeperLink::hand_over_to(): pages and parked descriptors are handed over, all live runs are adopted
//   3 KeeperClient::keeper_replaced(), Supervisor::keeper_replaced(): what was on its way is decided again
//
// The supervisor's only fork. Under a systemd unit (INVOCATION_ID and NOTIFY_SOCKET in our environment) systemd
// restarts the keeper by itself, and two must not race: successor_wait() says how long to leave it that chance. What
// systemd starts (`hearth daemon`) then offers itself on DIR/keeper.sock before it becomes a keeper:
//
//   hearth daemon: offer_as_keeper()  ->  supervisor: accept_keeper()
//     a socket, at hello                    the old keeper is dead: hand_over_to() says hello
//     none, when it is closed               it lives: declined
//
// The lock decides in the end: who cannot take it is no keeper.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/keeper_link.h"

namespace hearth::os {

struct SuccessorCommand {
  std::string keeper;      // path of hearth-keeper
  std::string supervisor;  // paths for its options
  std::string logger;
  std::string directory;
  std::string log_directory;
  // The same programs by O_PATH descriptors, borrowed; -1: by the path above. Of a descriptor nobody asks again who may
  // write the file: that was looked at, or it is of a process that runs or ran as hearth's. A keeper that is older than
  // the options for the last two refuses them.
  int keeper_program = -1, supervisor_program = -1, logger_program = -1;
};

// 0 outside systemd, 5 s under it.
SpanNs successor_wait();

// What that would execute, in words.
std::string keeper_of(const SuccessorCommand& command);

struct StartedKeeper {
  NewKeeper line;  // for KeeperLink::hand_over_to()
  Fd process;      // the same pidfd, for who asks later how it ended
  Fd refusal;      // from its child: why its program could not be executed
};

// The keeper waits for hello on the other end of the socket, and ends when that is closed. Blocks for the middle process,
// which ends at once; not for the program, whose disk may hang: whether it is there at all shows in its end.
Result<StartedKeeper> start_keeper(const SuccessorCommand& command);

// Of one that went away, as far as it can be told by now.
struct KeeperEnd {
  int not_executed = 0;       // errno; 0: it was executed
  std::optional<int> status;  // as wait(2) has it; of who was executed, has been reaped, and on Linux 6.15 or later
};
KeeperEnd end_of(const StartedKeeper& keeper);

// What became of an offer.
struct Offer {
  Fd socket;             // for --take-over: the supervisor's hello waits in it; none: nobody wants a keeper
  bool ignored = false;  // somebody listens and has not answered: a supervisor that is stopped
};
// For who is about to become the keeper of `directory`. Waits for an answer, at most `patience`.
Offer offer_as_keeper(const std::string& directory, SpanNs patience = seconds(10));
// Takes one offer from the socket DIR/keeper.sock; no socket when there is none any more, or it is a stranger's.
NewKeeper accept_keeper(int listener, uid_t owner);

// Path of a program beside our own (/proc/self/exe): all parts come from one installation.
std::string program_beside(const std::string& name);

}  // namespace hearth::os
