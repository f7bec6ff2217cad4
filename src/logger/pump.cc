#include "logger/pump.h"

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <utility>

#include "logger/report.h"

namespace hearth::logger {
namespace {
constexpr auto relaxed = std::memory_order_relaxed;
}  // namespace

struct Pump::Source {
  uint32_t index = 0;
  uint32_t generation = 0;
  RunId run = no_run;
  SlotIndex slot = 0;
  os::Fd fifo;
  bool watched = false;
  bool ended = false;     // all writers gone and nothing left
  bool eager = false;     // in eager_
  bool draining = false;  // its leader has ended: drained_run waits for a read that gives nothing
  bool unheard = false;   // the epoll had no room for it
  bool polled = false;    // in a flood: out of the epoll, read after rests
  bool closing = false;   // unparked: closed after `left` more bytes, or when there is nothing
  uint64_t left = 0;
  uint64_t capacity = 0;
  uint32_t well_filled = 0;  // reads in a row that gave a quarter of it and more; above widen_after: no wider

  uint64_t token() const { return static_cast<uint64_t>(generation) << 32 | index; }
};

struct Pump::Stream {
  OpenFile file;
  uint32_t sources = 0;
  bool blocked = false;
  bool discarding = false;
  int error = 0;
  MonoNs since = 0;
  MonoNs next_try = 0;
  SpanNs pause = first_pause;
};

Pump::Pump(System& system, Mover& mover, wire::LogPage& page, int epoll)
    : system_(system), mover_(mover), page_(page), epoll_(epoll), streams_(wire::max_slots) {}
Pump::~Pump() = default;

Pump::Stream& Pump::stream_of(SlotIndex slot) {
  return *streams_[slot];
}

Pump::Source* Pump::find(RunId run) {
  for (auto& source : sources_) {
    if (source && source->run == run) return source.get();
  }
  return nullptr;
}

void Pump::add(RunId run, SlotIndex slot, os::Fd fifo) {
  if (slot >= wire::max_slots || run == no_run) {
    report("a parked output names no slot", EINVAL);
    return;
  }
  if (Source* old = find(run)) erase(*old);
  auto free = std::find(sources_.begin(), sources_.end(), nullptr);
  if (free == sources_.end()) free = sources_.insert(sources_.end(), nullptr);
  auto source = std::make_unique<Source>();
  source->index = static_cast<uint32_t>(free - sources_.begin());
  source->generation = next_generation_++;
  source->run = run;
  source->slot = slot;
  source->fifo = std::move(fifo);
  int capacity = fcntl(source->fifo.get(), F_GETPIPE_SZ);
  source->capacity = capacity > 0 ? static_cast<uint64_t>(capacity) : 0;
  if (!streams_[slot]) streams_[slot] = std::make_unique<Stream>();
  slots_end_ = std::max(slots_end_, slot + 1);
  Stream& stream = stream_of(slot);
  ++stream.sources;
  eager_.reserve(sources_.size());
  eager_now_.reserve(sources_.size());
  Source& added = *source;
  *free = std::move(source);
  if (!stream.blocked || stream.discarding) watch(added);
  check_ended(added);
}

void Pump::remove(RunId run) {
  Source* source = find(run);
  if (source == nullptr) return;
  if (is_over(*source)) {
    erase(*source);
    return;
  }
  int64_t left = system_.pending(source->fifo.get());
  source->closing = true;
  source->left = left > 0 ? static_cast<uint64_t>(left) : 0;
  make_eager(*source);
}

void Pump::erase(Source& source) {
  unwatch(source);
  SlotIndex slot = source.slot;
  Stream& stream = stream_of(slot);
  sources_[source.index].reset();
  if (--stream.sources > 0) return;
  mover_.release_reservation(slot, stream.file);
  // With its last source gone nothing of it waits any more.
  if (stream.blocked) page_.stream[slot].error.store(0, std::memory_order_release);
  std::erase(waiting_, slot);
  streams_[slot].reset();
}

void Pump::watch(Source& source) {
  if (source.watched) return;
  // After a hang-up only by edge: the level is EPOLLHUP for as long as nobody writes.
  const uint32_t events = source.ended ? uint32_t{EPOLLIN} | EPOLLET : uint32_t{EPOLLIN};
  epoll_event event{.events = events, .data = {.u64 = source.token()}};
  source.watched = epoll_ctl(epoll_, EPOLL_CTL_ADD, source.fifo.get(), &event) == 0;
  if (source.watched || source.unheard) return;
  report("cannot watch a run's output, and try again until it can be", errno);
  source.unheard = true;
  watch_again_at_ = std::min(watch_again_at_, after(system_.mono_ns(), watch_pause));
}

void Pump::watch_again() {
  watch_again_at_ = never;
  for (auto& source : sources_) {
    if (!source || !source->unheard) continue;
    watch(*source);
    if (source->watched)
      source->unheard = false;
    else
      watch_again_at_ = after(system_.mono_ns(), watch_pause);
  }
}

void Pump::unwatch(Source& source) {
  if (source.watched) epoll_ctl(epoll_, EPOLL_CTL_DEL, source.fifo.get(), nullptr);
  source.watched = source.unheard = false;
}

void Pump::make_eager(Source& source) {
  if (source.eager) return;
  source.eager = true;
  eager_.push_back(source.index);
}

void Pump::ready(uint64_t token, bool hung_up) {
  auto index = static_cast<uint32_t>(token);
  if (index >= sources_.size() || !sources_[index] || sources_[index]->token() != token) return;
  if (is_over(*sources_[index])) return;
  pump(*sources_[index], hung_up);
}

void Pump::look_at_ended() {
  for (auto& source : sources_) {
    if (!source) continue;
    mover_.link_process(source->slot, stream_of(source->slot).file, source->run);
    check_ended(*source);
  }
}

void Pump::check_ended(Source& source) {
  if (source.draining) return;
  const wire::LogStream& s = page_.stream[source.slot];
  if (s.ended_run.load(std::memory_order_acquire) != source.run) return;
  if (s.drained_run.load(relaxed) == source.run) return;
  source.draining = true;
  make_eager(source);
}

// One batch of one source. The source may be gone afterwards.
void Pump::pump(Source& source, bool hung_up) {
  if (is_over(source)) {
    gave_nothing(source, false);
    return;
  }
  Stream& stream = stream_of(source.slot);
  if (is_stuck()) {
    if (source.draining || source.closing || source.polled) make_eager(source);
    return;
  }
  if (stream.blocked && (!stream.discarding || leaving_)) return;
  MoveResult result = move_or_discard(source, stream);
  switch (result.what) {
    case Moved::bytes:
      moved(source, result.bytes);
      source.left -= std::min(source.left, result.bytes);
      if (source.closing && source.left == 0) {
        gave_nothing(source, false);
      } else if (source.draining || source.closing || source.polled) {
        make_eager(source);
      }
      break;
    case Moved::nothing:
      if (std::exchange(source.polled, false)) watch(source);
      gave_nothing(source, hung_up);
      break;
    case Moved::blocked: block(source.slot, result.error); break;
    case Moved::stuck: note_stuck(result.error); break;
  }
}

// Learns from a batch how its writer writes.
void Pump::moved(Source& source, uint64_t bytes) {
  // What one batch can be at most, of what such a FIFO may hold: all of a wide one never comes at once.
  const uint64_t most = std::min(source.capacity, mover_.most());
  const bool small = bytes < most / 2;
  (small ? moved_small_ : moved_large_) = true;
  if (bytes > most / 8) filling_ = true;
  if (flood_ && source.watched && small) {
    unwatch(source);
    source.polled = true;
  }
  if (source.well_filled > widen_after) return;
  source.well_filled = bytes >= most / 4 ? source.well_filled + 1 : 0;
  if (source.well_filled <= widen_after || source.capacity >= wide_fifo) return;
  int64_t capacity = system_.widen(source.fifo.get(), wide_fifo);
  if (capacity > 0) source.capacity = static_cast<uint64_t>(capacity);
}

MoveResult Pump::move_or_discard(Source& source, Stream& stream) {
  int fifo = source.fifo.get();
  if (stream.blocked && system_.mono_ns() < stream.next_try) {
    return mover_.discard(source.slot, source.run, fifo, stream.error);
  }
  MoveResult result = mover_.move(source.slot, stream.file, source.run, fifo);
  if (result.what == Moved::blocked && !stream.blocked) {
    // Space that others hold in reserve is better used now.
    release_all_reservations();
    result = mover_.move(source.slot, stream.file, source.run, fifo);
  } else if (result.what == Moved::blocked && stream.discarding) {
    stream.error = result.error;
    stream.next_try = after(system_.mono_ns(), stream.pause);
    return mover_.discard(source.slot, source.run, fifo, stream.error);
  }
  if (result.what == Moved::bytes && stream.blocked) unblock(source.slot);
  return result;
}

void Pump::gave_nothing(Source& source, bool hung_up) {
  if (source.draining) {
    wire::LogStream& s = page_.stream[source.slot];
    s.drained_run.store(source.run, std::memory_order_release);
    source.draining = false;
    notice_ = true;
  }
  if (hung_up && !source.ended) end_of_file(source);
  if (source.closing) erase(source);
}

void Pump::end_of_file(Source& source) {
  unwatch(source);
  source.ended = true;
  watch(source);
  Stream& stream = stream_of(source.slot);
  MoveResult result = mover_.close_line(source.slot, stream.file, source.run);
  if (result.what == Moved::stuck) note_stuck(result.error);
  wire::LogStream& s = page_.stream[source.slot];
  if (s.eof_run.load(relaxed) < source.run) s.eof_run.store(source.run, std::memory_order_release);
  if (stream.sources == 1) mover_.release_reservation(source.slot, stream.file);
}

// Takes the end back when somebody has written since.
bool Pump::is_over(Source& source) {
  if (!source.ended || system_.pending(source.fifo.get()) <= 0) return source.ended;
  unwatch(source);
  source.ended = false;
  const Stream& stream = stream_of(source.slot);
  if (!stream.blocked || stream.discarding) watch(source);
  return false;
}

void Pump::block(SlotIndex slot, int error) {
  Stream& stream = stream_of(slot);
  MonoNs now = system_.mono_ns();
  if (!stream.blocked) {
    stream.blocked = true;
    stream.discarding = false;
    stream.since = now;
    stream.pause = first_pause;
    waiting_.push_back(slot);
    report_stream(page_.stream[slot].directory, error);
  }
  stream.error = error;
  stream.next_try = after(now, stream.pause);
  page_.stream[slot].error.store(error, std::memory_order_release);
  notice_ = true;
  for (auto& source : sources_) {
    if (!source || source->slot != slot) continue;
    unwatch(*source);
    source->polled = false;
  }
}

void Pump::unblock(SlotIndex slot) {
  Stream& stream = stream_of(slot);
  stream.blocked = false;
  stream.discarding = false;
  std::erase(waiting_, slot);
  page_.stream[slot].error.store(0, std::memory_order_release);
  notice_ = true;
  for (auto& source : sources_) {
    if (!source || source->slot != slot) continue;
    watch(*source);
    if (source->draining || source->closing) make_eager(*source);
  }
}

// A blocked or discarding stream whose time has come.
void Pump::try_blocked(SlotIndex slot, Stream& stream) {
  MonoNs now = system_.mono_ns();
  stream.pause = std::min(stream.pause * 2, longest_pause);
  stream.next_try = after(now, stream.pause);
  RunId run = no_run;
  MoveResult result;
  for (auto& source : sources_) {
    if (!source || source->slot != slot) continue;
    run = source->run;
    if (!is_over(*source)) result = mover_.move(slot, stream.file, run, source->fifo.get());
    if (result.what != Moved::nothing) break;
  }
  if (result.what == Moved::nothing) result = mover_.tell_gap(slot, stream.file, run);
  if (result.what == Moved::stuck) {
    note_stuck(result.error);
  } else if (result.what != Moved::blocked) {
    unblock(slot);
  } else {
    stream.error = result.error;
    page_.stream[slot].error.store(result.error, std::memory_order_release);
    bool patience_ends = now - stream.since >= page_.stream[slot].full_wait_ns;
    if (stream.discarding || !patience_ends) return;
    stream.discarding = true;
    for (auto& source : sources_) {
      if (!source || source->slot != slot) continue;
      watch(*source);
      if (source->draining || source->closing) make_eager(*source);
    }
  }
}

void Pump::note_stuck(int error) {
  MonoNs now = system_.mono_ns();
  if (stuck_since_ == 0) {
    stuck_since_ = now;
    stuck_pause_ = first_pause;
  }
  stuck_error_ = error;
  stuck_next_ = after(now, stuck_pause_);
  SlotIndex slot = mover_.stuck_slot();
  if (slot >= wire::max_slots) return;
  page_.stream[slot].error.store(error, std::memory_order_release);
  report_stream(page_.stream[slot].directory, error);
  notice_ = true;
}

void Pump::try_stuck() {
  MonoNs now = system_.mono_ns();
  SlotIndex slot = mover_.stuck_slot();
  OpenFile unknown;
  Stream* stream = slot < wire::max_slots ? streams_[slot].get() : nullptr;
  MoveResult result = mover_.try_again(stream != nullptr ? stream->file : unknown);
  if (result.what != Moved::stuck) {
    stuck_since_ = 0;
    return;
  }
  stuck_error_ = result.error;
  stuck_pause_ = std::min(stuck_pause_ * 2, longest_pause);
  stuck_next_ = after(now, stuck_pause_);
  if (now - stuck_since_ < longest_stuck) return;
  mover_.give_up(stuck_error_);
  if (mover_.is_stuck()) return;
  stuck_since_ = 0;
  if (stream != nullptr) {
    stream->file.close();
    block(slot, stuck_error_);
  }
}

bool Pump::rotate(std::string_view directory) {
  if (is_stuck()) return false;
  // Not through all of the page, most of which was never used and takes no memory yet.
  for (SlotIndex slot = 0; slot < slots_end_; ++slot) {
    const wire::LogStream& s = page_.stream[slot];
    // A slot may still have the name of a service that has gone, and what it knows of the files is old.
    if (s.directory[0] == 0 || directory != s.directory || slot >= streams_.size() || !streams_[slot]) continue;
    MoveResult result = mover_.rotate(slot, streams_[slot]->file);
    if (result.what == Moved::stuck) note_stuck(result.error);
    return result.what == Moved::bytes;
  }
  return true;  // nobody writes it: what comes some day goes on where it ended
}

void Pump::release_all_reservations() {
  for (SlotIndex slot = 0; slot < streams_.size(); ++slot) {
    if (streams_[slot]) mover_.release_reservation(slot, streams_[slot]->file);
  }
}

void Pump::run_due() {
  if (is_stuck()) {
    if (system_.mono_ns() >= stuck_next_) try_stuck();
    if (is_stuck()) return;
  }
  std::swap(eager_, eager_now_);
  for (uint32_t index : eager_now_) {
    if (!sources_[index] || !sources_[index]->eager) continue;
    sources_[index]->eager = false;
    pump(*sources_[index], false);
  }
  eager_now_.clear();
  if (watch_again_at_ != never && system_.mono_ns() >= watch_again_at_) watch_again();
  if (waiting_.empty()) return;
  MonoNs now = system_.mono_ns();
  for (size_t i = 0; i < waiting_.size() && !is_stuck();) {
    SlotIndex slot = waiting_[i];
    Stream& stream = stream_of(slot);
    if (stream.next_try <= now) try_blocked(slot, stream);
    if (i < waiting_.size() && waiting_[i] == slot) ++i;  // else it was unblocked and taken out
  }
}

MonoNs Pump::next_due() const {
  if (is_stuck()) return stuck_next_;
  if (!eager_.empty()) return 0;
  MonoNs due = watch_again_at_;
  for (SlotIndex slot : waiting_) due = std::min(due, streams_[slot]->next_try);
  return due;
}

SpanNs Pump::rest() {
  bool small = std::exchange(moved_small_, false);
  bool large = std::exchange(moved_large_, false);
  bool filling = std::exchange(filling_, false);
  flood_ = false;
  if (large) rest_ = std::max(rest_span, rest_ / 2);
  if (!small || large) return 0;
  MonoNs now = system_.mono_ns();
  flood_ = now - last_small_turn_ < close_turns;
  last_small_turn_ = now;
  if (!flood_) {
    rest_ = rest_span;
    return 0;
  }
  SpanNs rest = rest_;
  last_small_turn_ += rest;
  if (!filling) rest_ = std::min(longest_rest, rest_ * 2);
  return rest;
}

bool Pump::take_notice() {
  return std::exchange(notice_, false);
}

void Pump::drain() {
  // The disk may be well since the last try, and the next one would be too late.
  if (is_stuck()) try_stuck();
  for (SlotIndex slot : std::vector<SlotIndex>(waiting_))
    if (!is_stuck()) try_blocked(slot, stream_of(slot));
  leaving_ = true;  // what cannot be written stays in its FIFO, for whoever opens that by name
  std::vector<RunId> runs;
  for (auto& source : sources_) {
    if (source) runs.push_back(source->run);
  }
  for (RunId run : runs) remove(run);
  while (!eager_.empty() && !is_stuck()) run_due();
  release_all_reservations();
  for (auto& source : sources_) {
    int64_t bytes = source ? system_.pending(source->fifo.get()) : 0;
    if (bytes <= 0) continue;
    int error = is_stuck() ? stuck_error_ : stream_of(source->slot).error;
    report_unwritten(page_.stream[source->slot].directory, static_cast<uint64_t>(bytes), error);
  }
}

}  // namespace hearth::logger
