// Starting a new keeper when the old one has died under a living supervisor.
//
//   1 socketpair; double fork, so that the keeper is not our child (its supervisor must not be its parent);
//     exec of the keeper with --take-over FD
//   2 KeeperLink::take_to(): pages and parked descriptors are handed over, all live runs are adopted
//   3 KeeperClient::keeper_replaced(), Supervisor::keeper_replaced(): what was on its way is decided again
//
// The supervisor's only fork. Under a systemd unit (INVOCATION_ID and NOTIFY_SOCKET in our environment) systemd
// restarts the keeper by itself, and two must not race: successor_wait() says how long to leave it that chance. What
// systemd starts (`hearth daemon`) then offers itself on DIR/keeper.sock before it becomes a keeper:
//
//   hearth daemon: offer_as_keeper()  ->  supervisor: accept_keeper()
//     a socket, at hello                    the old keeper is dead: take_to() says hello
//     none, when it is closed               it lives: declined
//
// The lock decides in the end: who cannot take it is no keeper.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"

namespace hearth::os {

struct SuccessorCommand {
  std::string keeper;      // path of hearth-keeper
  std::string supervisor;  // paths for its options
  std::string logger;
  std::string directory;
  std::string log_directory;
};

// 0 outside systemd, 5 s under it.
SpanNs successor_wait();

// Our end of the new keeper's socket. The keeper waits for hello on the other one. Blocks for the middle process,
// which ends at once.
Result<Fd> start_keeper(const SuccessorCommand& command);

// What became of an offer.
struct Offer {
  Fd socket;             // for --take-over: the supervisor's hello waits in it; none: nobody wants a keeper
  bool ignored = false;  // somebody listens and has not answered: a supervisor that is stopped
};
// For who is about to become the keeper of `directory`. Waits for an answer, at most `patience`.
Offer offer_as_keeper(const std::string& directory, SpanNs patience = seconds(10));
// Takes one offer from the socket DIR/keeper.sock; none when there is none any more, or it is a stranger's.
Fd accept_keeper(int listener, uid_t owner);

// Path of a program beside our own (/proc/self/exe): all parts come from one installation.
std::string program_beside(const std::string& name);

}  // namespace hearth::os
