// Whether a notification comes from a process of the run whose socket it came through.
//
// The socket itself attributes (one per run, the service's user's alone), also what a sender said that has ended since. It
// does not tell apart services of one user, who may open each other's: with a cgroup leaf per run the sender's own does. As
// with systemd's NotifyAccess=all, every process in the leaf and below it may speak for the run, and nobody else.
//
// Refused is only who is proven to be a stranger. Believed are: the leader, by its PID alone, which is its own as long as
// its entry holds the run (the keeper has not reaped it): no system call. Who has ended: nothing is left to look at. Whoever
// comes from another PID namespace. Everybody, where the leader itself is in no leaf.
//
// A PID names the sender of a datagram only as long as that lives; it may have waited for us for long. So the same datagram
// is peeked once more with SO_PASSPIDFD (Linux 6.5): the message holds the sender's identity, and the pidfd is made of that;
// that there is none to be made is an answer too, and whoever has the PID now is not asked.
// Before Linux 6.5, whoever has the PID is taken for the sender when it began before this socket was last seen empty: then
// it had the PID already when the datagram was sent. A socket that always holds one is thus believed for longer.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <sys/types.h>

#include "base/ids.h"

namespace hearth::os {

class NotifySenders {
 public:
  // False: as on a kernel without SO_PASSPIDFD. For tests.
  explicit NotifySenders(bool pidfd_messages = true) : pidfd_messages_(pidfd_messages) {}

  struct Stranger {
    std::string who;    // "PID 12 (sh forge.sh), a process of app.other.0"; "" = no stranger
    std::string label;  // of the run that it would speak for
  };
  // Of the datagram at the head of `socket`, which was peeked with these credentials.
  Stranger look(int socket, pid_t sender, pid_t leader, RunId run) const;

  // A look at all sockets that began at `ticks` (read_boot_ticks()) found datagrams at those of `waiting`; all others were
  // empty then.
  void looked(std::uint64_t ticks, std::span<const RunId> waiting);

 private:
  std::uint64_t last_empty(RunId run) const;

  bool pidfd_messages_;
  std::uint64_t last_look_ticks_ = 0;
  std::map<RunId, std::uint64_t> waiting_since_;  // of sockets that hold datagrams: the last look without
};

// A process's path in the v2 hierarchy, as /proc/PID/cgroup has it; "" when it cannot be read.
std::string cgroup_of(pid_t pid);
// The leaf of the run in a path of /proc/PID/cgroup: everything up to and with ".../hearth.HASH/LABEL.RUN"; "" = none.
std::string leaf_in(const std::string& path, RunId run);

}  // namespace hearth::os
