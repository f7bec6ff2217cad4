// The control API of one instance: HTTP/1.1 with JSON on a Unix socket, inside the supervisor's process and on
// its thread. docs/reference/api.md is the contract.
//
// Model
// -----
// A connection is idle, or reads one request, or waits for its answer, or writes it; then it is idle again.
//
//   idle    -- bytes ------------------> reading
//   reading -- complete, a question ---> writing
//   reading -- complete, a mutation ---> waiting    submit() now; answer() brings the rest
//   reading -- complete, an order's ---> polling    until turn_done() finds it settled or changed, or its time
//   reading -- complete, events -------> streaming  what the journal has, then what turn_done() finds, until it is closed
//   waiting, polling -- answer --------> writing
//   writing -- done -------------------> idle, or draining when this connection ends here
//   any     -- peer gone, 30 s without progress --> closed
//
// A stream holds one piece of the journal at a time, and the id behind it: who reads slowly is behind, and costs no more
// than others. Supervision is never asked to wait for it.
//
// An idle connection owns no buffer; a request's memory is freed with its answer. What a slow or hostile client
// can hold is bounded: header 16 KiB, body 8 MiB and 32 MiB for all together, 256 connections (an idle one is
// closed for a new one), one answer. A connection that breaks leaves nothing behind, except that a submitted
// mutation takes place: the client repeats it with its key and is told so.
//
// Only the owner of the instance and root are answered (SO_PEERCRED); others get 403. So does a process of a run that has a
// sandbox, of whatever user: orders of its would be carried out outside of it (os/peer_run.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "model/request.h"
#include "os/fd.h"
#include "ports/control.h"
#include "ports/inputs.h"

namespace boost::asio {
class io_context;
}

namespace hearth::api {

struct ServerOptions {
  uid_t owner = 0;
  std::string tree;  // of cgroups, in which the runs are; "" = there is none, and nobody can be told to be of a run
  std::size_t most_connections = 256;
  std::size_t most_streams = 64;
  std::size_t most_header = 16u << 10;
  std::size_t most_body = 8u << 20;
  std::size_t most_bodies = 32u << 20;
  std::chrono::milliseconds patience{30'000};  // without progress
  std::chrono::milliseconds answer_within{60'000};
  // Waiters are looked at not more often than this, and less often when a look takes long: a start of 1,000 services
  // has hundreds of turns, and each look makes a report of all of them.
  std::chrono::milliseconds look_pause{20};
};

class Server {
 public:
  // Takes a request over for the next turn. `answer` may come from within or any time later.
  using Submit = std::function<void(ports::Input)>;

  // `listener`: a bound and listening Unix stream socket; none: nobody is served before listen(). `io`, `control` must
  // outlive the server. Nothing is unlinked at the end: the listener may be parked elsewhere for a successor.
  Server(boost::asio::io_context& io, os::Fd listener, const ports::Control& control, Submit submit,
         ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Once, of a server that was made without one.
  void listen(os::Fd listener);

  // Answers the request that was submitted under `token`; nothing happens when its client is gone.
  void answer(std::uint64_t token, const Result<Accepted>& result);

  // After each turn that changed something clients can see, between turns.
  void turn_done();

  std::size_t connections() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared only with handlers that Asio still holds, and they only weakly
};

}  // namespace hearth::api
