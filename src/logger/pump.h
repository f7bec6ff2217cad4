// Which FIFO is read when, and what becomes of a stream that cannot be written.
//
// Model
// -----
// A *source* is the FIFO of one run; it feeds the stream of its slot. A stream is
//
//   flowing     its sources are in the epoll; each event moves one batch, so a flood takes one turn like others
//   blocked     a write failed before its batch was taken (no space, no permission): sources are out of the
//               epoll, bytes stay in the FIFO, `error` is set; tried again after 10 ms, 20 ms ... 1 s
//   discarding  blocked for longer than full_wait: sources are watched again, what comes is counted and thrown
//               away; tried again every second, and then a line tells how much was lost
//
// A *stuck* batch (see mover.h) stops all streams: tried again likewise, given up after a second, when its
// stream becomes blocked.
//
// A source ends at EPOLLHUP with nothing left (all writers gone): a FIFO that no writer has opened yet reads as
// empty too, but does not hang up. An end need not be for good: a supervisor that dies between opening the FIFO
// for a service and handing it over hangs up before the service has begun. So whoever writes afterwards is heard
// again. It is closed when the keeper unparks it, after what it held then was moved.
//
// When the leader of a run has ended (`ended_run`), its source is read once more; when that gives nothing,
// `drained_run` says so.
//
// A program that writes line by line makes a batch of each line: each costs us a wakeup, and costs the writer one,
// for a polled pipe wakes its poller at every write. So when small turns follow each other closely, their sources
// are taken out of the epoll and read after rests, until a read gives nothing. A rest is 100 us, grows up to 1 ms
// while the FIFOs stay almost empty meanwhile, and shrinks when they fill. A line that comes alone is never delayed.
// (Network cards are polled under load for the same reason: Mogul and Ramakrishnan, "Eliminating receive livelock",
// 1997.)
//
// A FIFO that was well filled eight times in a row is made wider: fewer and larger batches, and its writer waits less.
// Where that is refused (an ordinary user's pipes beyond fs.pipe-user-pages-soft) it stays as it is.
//
// A source for which the epoll has no room (ENOMEM, ENOSPC) is not heard: it is put in again until there is some.
//
// One thread. Allocates only when sources come.
#pragma once

#include <memory>
#include <stdint.h>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "logger/mover.h"
#include "logger/system.h"
#include "os/fd.h"
#include "wire/log_page.h"

namespace hearth::logger {

inline constexpr SpanNs first_pause = milliseconds(10);
inline constexpr SpanNs longest_pause = seconds(1);
inline constexpr SpanNs watch_pause = milliseconds(20);
inline constexpr SpanNs longest_stuck = seconds(1);
inline constexpr SpanNs rest_span = 100 * ns_per_us;
inline constexpr SpanNs longest_rest = milliseconds(1);
inline constexpr uint64_t wide_fifo = 256u << 10;
inline constexpr uint32_t widen_after = 8;
inline constexpr SpanNs close_turns = 200 * ns_per_us;

class Pump {
 public:
  // `epoll`: sources are added to it with their token. Everything borrowed outlives the pump.
  Pump(System& system, Mover& mover, wire::LogPage& page, int epoll);
  ~Pump();

  // A run's read end came (again: it replaces), or is no longer needed.
  void add(RunId run, SlotIndex slot, os::Fd fifo);
  void remove(RunId run);

  // An event of the epoll. Tokens of sources that are gone are ignored.
  void ready(uint64_t token, bool hung_up);
  // Compares `ended_run` of all sources' streams with what is known.
  void look_at_ended();
  // One batch of each source that must be read without an event, and what time has made due.
  void run_due();
  // When run_due() wants to be called again: 0 = at once, `never` = only after something else happened.
  MonoNs next_due() const;
  // While true nothing can be moved, and epoll would only spin.
  bool is_stuck() const { return mover_.is_stuck(); }
  // Begins the next file of the stream of that directory. False: not now.
  bool rotate(std::string_view directory);
  // To be called once, when recover() has left a stuck batch.
  void note_stuck(int error);

  // After each turn: how long to rest before the next. Not 0 only in a flood of small writes.
  SpanNs rest();
  // At least as many as there are sources.
  size_t source_count() const { return sources_.size(); }
  // True once after something happened that the supervisor waits for.
  bool take_notice();
  // Moves what the FIFOs hold now, gives back reservations. For the end.
  void drain();

 private:
  struct Source;
  struct Stream;

  Stream& stream_of(SlotIndex slot);
  Source* find(RunId run);
  void pump(Source& source, bool hung_up);
  MoveResult move_or_discard(Source& source, Stream& stream);
  void check_ended(Source& source);
  void gave_nothing(Source& source, bool hung_up);
  void end_of_file(Source& source);
  bool is_over(Source& source);
  void make_eager(Source& source);
  void erase(Source& source);
  void moved(Source& source, uint64_t bytes);
  void watch(Source& source);
  void unwatch(Source& source);
  void watch_again();

  void block(SlotIndex slot, int error);
  void unblock(SlotIndex slot);
  void try_blocked(SlotIndex slot, Stream& stream);
  void try_stuck();
  void release_all_reservations();

  System& system_;
  Mover& mover_;
  wire::LogPage& page_;
  int epoll_;
  std::vector<std::unique_ptr<Source>> sources_;  // by index; null = free
  std::vector<std::unique_ptr<Stream>> streams_;  // by slot; null = no source
  std::vector<uint32_t> eager_;                   // indices of sources to be read without an event
  std::vector<uint32_t> eager_now_;               // those of this turn
  std::vector<SlotIndex> waiting_;                // streams that are blocked or discarding
  SlotIndex slots_end_ = 0;                       // no source was ever of this slot or a greater one
  uint32_t next_generation_ = 1;
  MonoNs stuck_since_ = 0;
  MonoNs stuck_next_ = 0;
  SpanNs stuck_pause_ = first_pause;
  int stuck_error_ = 0;
  MonoNs watch_again_at_ = never;  // some are out of the epoll because it had no room
  bool notice_ = false;
  bool leaving_ = false;
  bool moved_small_ = false;
  bool moved_large_ = false;
  bool flood_ = false;    // the last turn and the one before were small and close
  bool filling_ = false;  // a source gave more than an eighth of its FIFO in this turn
  SpanNs rest_ = rest_span;
  MonoNs last_small_turn_ = 0;
};

}  // namespace hearth::logger
