// ports::Probes: tries over sockets, files and logs without blocking. One small epoll, which nests into the program's
// event loop as a single descriptor; time is passive.
//
//   http    connecting -> sending -> receiving -> result     the status of the first line decides
//   tcp     connecting -> result                             connected is good
//   unix    looking -> result                                the same
//   frame   connecting or looking -> sending -> receiving -> result   an answer to a PING (frame.h)
//   file    looking -> result                                it is there, and has changed since the run began
//   log     looking -> result                                a line of the run matches (log_search.h)
//   memory  looking -> result                                the run does not use more than max_memory
//
// A try of liveness with max_memory that has ended well goes on as one of type memory, and so ends with what that finds.
// Memory that cannot be seen is no bad memory: such a try is refused, also when the look has not come back in half of the
// time that was left, so that this is told before the try counts as one that was not answered. That is rare: the pages of a
// run are only walked through where nothing else can tell (os/run_memory.h).
//
// A try ends with a result exactly once: by what it finds, or when its timeout has passed. A cancelled try gives none. What
// it would have looked for is not looked for any more: no more looks wait than there are tries.
// Of an answer at most answer_max bytes are taken, and at most turn_max in one go: whoever floods us holds up nobody.
// Names are not looked up: the supervisor never waits for DNS. What follows a path is done by the looker's thread: it
// never waits for a disk either.
//
// One thread. begin() may give a result before it returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/slot_state.h"
#include "os/fd.h"
#include "ports/inputs.h"
#include "ports/probes.h"
#include "probe/frame.h"
#include "probe/http.h"
#include "probe/looker.h"

namespace hearth::probe {

// How far the output of a slot is written (wire/log_page.h).
struct OutputState {
  std::string directory;  // absolute
  LogPlace end;           // committed
  std::uint64_t written = 0;
};

class Prober final : public ports::Probes {
 public:
  static constexpr std::size_t answer_max = 4u << 20;
  static constexpr std::size_t status_line_max = 4096;
  static constexpr std::size_t turn_max = 64u << 10;
  // To add up the pages of a great service takes longer than a sound disk does. Beyond this the others need not wait for it.
  static constexpr SpanNs measuring_max = seconds(2);

  using OutputOf = std::function<OutputState(SlotIndex)>;

  // For the run of that try; what is borrowed by it outlives all threads.
  using MeasureOf = std::function<Measure(const ports::ProbeTry&)>;

  // `push` takes results: Input of kind probe_result, with the reason of a bad one in `data`. `output_of` is asked
  // when a log is looked at, `measure_of` when a try is about memory.
  static Result<std::unique_ptr<Prober>> create(std::function<void(ports::Input)> push, OutputOf output_of = {},
                                                MeasureOf measure_of = {});

  void begin(const ports::ProbeTry& order) override;
  void cancel(SlotIndex slot) override;

  int epoll() const { return epoll_.get(); }
  // When epoll() is readable.
  void ready();
  // `never` when nothing is under way.
  MonoNs next_deadline() const;
  void advance_to(MonoNs now);
  // Before that, when nobody watched from then to now: a try whose time ran out meanwhile gets it anew.
  void forgive_absence(MonoNs from, MonoNs now);
  std::size_t under_way() const { return tries_.size(); }

 private:
  enum class State { looking, connecting, sending, receiving };
  struct Try {
    std::uint64_t id = 0;
    ProbeType type = ProbeType::none;
    SlotIndex slot = no_slot;
    bool live = false;
    std::uint64_t attempt = 0;
    RunId run = no_run;
    int expect = 0;
    Deadline deadline;
    Deadline until;   // then it counts as not answered
    Measure measure;  // set: max_memory is to be held against it
    std::uint64_t max_memory = 0;
    bool measuring = false;
    State state = State::connecting;
    HttpTarget target;
    os::Fd socket;
    std::size_t sent = 0;
    std::size_t taken = 0;  // bytes of the answer
    std::string received;   // http
    FrameReader frames;
  };
  struct Outcome {
    bool over = false;
    bool good = false;
    std::string reason;
    bool refused = false;
    std::uint64_t used_kib = 0;  // of memory
  };
  // Where the search through the output of a run goes on.
  struct LogCursor {
    SlotIndex slot;
    RunId run;
    LogPlace at;
    std::string begun;
  };

  Prober() = default;
  Status make_looker(std::unique_ptr<Looker>& looker, SpanNs patience);
  Result<Outcome> start(Try& t, const ports::ProbeTry& order);
  Outcome look(Try& t, Look order);
  Outcome measure(Try& t);
  void end_look(const Try& t);
  LogSearch log_search(const ports::ProbeTry& order) const;
  void take_seen();
  Outcome seen(Try& t, Seen& one);
  Outcome connect(Try& t, const os::SocketAddress& address);
  Outcome connected(Try& t);
  Outcome send(Try& t);
  Outcome receive(Try& t, bool& progress);
  static Outcome judge_status(Try& t, std::string_view bytes);
  static Outcome judge_frame(Try& t, std::string_view bytes);
  Outcome advance(Try& t);
  Outcome failed_to_connect(Try& t, int code);
  void watch(const Try& t, std::uint32_t events);
  void finish(std::uint64_t id, const Outcome& outcome);
  void report(const Try& t, const Outcome& outcome);

  std::function<void(ports::Input)> push_;
  OutputOf output_of_;
  MeasureOf measure_of_;
  os::Fd epoll_;
  std::unique_ptr<Looker> looker_;
  std::unique_ptr<Looker> measurer_;  // another one, so that paths do not wait for memory; made when it is needed
  std::vector<std::unique_ptr<Try>> tries_;
  std::vector<LogCursor> cursors_;
  std::size_t looks_ = 0;      // begun, and not seen
  std::uint64_t next_id_ = 1;  // 0 is that of the lookers, in the epoll
};

}  // namespace hearth::probe
