// ports::Probes: http and tcp probes without blocking. One small epoll, which nests into the program's event loop
// as a single descriptor; time is passive.
//
//   connecting -> (http) sending -> receiving -> result
//                 (tcp)  result
//
// A try ends with a result exactly once: by what the server does, or when its timeout has passed. tcp: connected is
// good. http: the status of the first line decides, at most answer_max bytes are read for it. A cancelled try gives
// none. Names are not looked up: the supervisor never waits for DNS.
//
// One thread. begin() may give a result before it returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "os/fd.h"
#include "ports/inputs.h"
#include "ports/probes.h"
#include "probe/http.h"

namespace hearth::probe {

class Prober final : public ports::Probes {
 public:
  static constexpr std::size_t answer_max = 4096;

  // `push` takes results: Input of kind probe_result, with the reason of a bad one in `data`.
  static Result<std::unique_ptr<Prober>> create(std::function<void(ports::Input)> push);

  void begin(SlotIndex slot, bool live, std::uint64_t attempt, const Probe& probe) override;
  void cancel(SlotIndex slot) override;

  int epoll() const { return epoll_.get(); }
  // When epoll() is readable.
  void ready();
  // `never` when nothing is under way.
  MonoNs next_deadline() const;
  void advance_to(MonoNs now);
  std::size_t under_way() const { return tries_.size(); }

 private:
  enum class State { connecting, sending, receiving };
  struct Try {
    std::uint64_t id;
    SlotIndex slot;
    bool live;
    std::uint64_t attempt;
    int expect;
    bool http;
    MonoNs deadline;
    State state = State::connecting;
    HttpTarget target;
    os::Fd socket;
    std::size_t sent = 0;
    std::string received;
  };
  struct Outcome {
    bool over = false;
    bool good = false;
    std::string reason;
  };

  Prober() = default;
  Outcome connect(Try& t, const os::SocketAddress& address);
  Outcome connected(Try& t);
  Outcome send(Try& t);
  Outcome receive(Try& t, bool& progress);
  Outcome advance(Try& t);
  Outcome failed_to_connect(Try& t, int code);
  void watch(const Try& t, std::uint32_t events);
  void finish(std::uint64_t id, const Outcome& outcome);
  void report(SlotIndex slot, bool live, std::uint64_t attempt, bool good, const std::string& reason);

  std::function<void(ports::Input)> push_;
  os::Fd epoll_;
  std::vector<std::unique_ptr<Try>> tries_;
  std::uint64_t next_id_ = 1;
};

}  // namespace hearth::probe
