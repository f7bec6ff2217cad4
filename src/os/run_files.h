// What a run has in the instance directory: its FIFO o/RUN and its notify socket n/RUN. Found again by name after
// everybody's death.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

// To whom a run's files belong; nothing when we are not root or the service runs as ourselves.
struct Owner {
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
};

struct Fifo {
  Fd reader;          // O_RDONLY|O_NONBLOCK
  bool made = false;  // it was not there
};

// Opens the FIFO of the run, makes it when it is missing (0600, the owner's).
Result<Fifo> open_fifo(int directory, RunId run, const Owner& owner);
// The end that the service gets: read-write, so that it never sees SIGPIPE or end of file. `reader` is an end we
// have already, for when the name is gone.
Result<Fd> open_fifo_for_service(int directory, RunId run, int reader);
void remove_fifo(int directory, RunId run);
// One that was made for nobody yet gets its owner.
Status give_fifo(int directory, RunId run, const Owner& owner);

// A pipe without a name for one line of a service. This end is for reading, but open for writing too: so it never sees an
// end of file, which would keep an epoll awake. The service's end likewise: it never sees SIGPIPE, and what it has said
// stays there when all of hearth is dead.
Result<Fd> make_parked_pipe();
Result<Fd> open_pipe_for_service(int pipe);

// A pseudoterminal: this end is held, the other is the service's standard input and its user's. It is nobody's
// controlling terminal.
inline constexpr const char* terminal_name = "pty";
Result<Fd> make_pty(const Owner& owner);
Result<Fd> open_pty_for_service(int master);

// A datagram socket bound to n/RUN (0600, the owner's) that tells who sent. A socket that an earlier hearth left
// under that name is replaced: nobody can be reading it but us.
Result<Fd> bind_notify(int directory, const std::string& directory_path, RunId run, const Owner& owner);
void remove_notify(int directory, RunId run);
Status give_notify(int directory, RunId run, const Owner& owner);

// True when everybody who could write has closed and nothing is left to read.
bool fifo_complete(int reader);
// poll(2) tells of the end of writers only where there was a writer since the pipe was opened. After this there
// was one.
void touch_as_writer(int reader);
// Bytes waiting in a pipe or socket; 0 when that cannot be told.
int bytes_waiting(int fd);

}  // namespace hearth::os
