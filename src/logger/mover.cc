#include "logger/mover.h"

#include <algorithm>
#include <atomic>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "logger/line_format.h"
#include "logger/log_files.h"
#include "logger/sinks.h"

namespace hearth::logger {
namespace {

using wire::BatchKind;
using wire::BatchState;

constexpr auto relaxed = std::memory_order_relaxed;

bool goes_to_next_file(BatchKind kind) {
  return kind == BatchKind::rotate || kind == BatchKind::removed || kind == BatchKind::truncated;
}

// The text of a line that hearth itself writes.
void write_note(const wire::LogBatch& batch, uint64_t file, LineSink& sink) {
  char text[160];
  auto bytes = static_cast<unsigned long long>(batch.note_bytes);
  if (batch.kind == BatchKind::lost) {
    const char* why = strerrordesc_np(batch.note_error);
    snprintf(text, sizeof text, "%llu bytes lost: %s", bytes, why != nullptr ? why : "unknown error");
  } else {
    snprintf(text, sizeof text, "%s was %s by somebody else: %llu bytes gone", file_name(file).text,
             batch.kind == BatchKind::removed ? "removed" : "cut", bytes);
  }
  format_note(batch.format, {batch.run, batch.wall_ns}, text, batch.note_bytes, sink);
}

}  // namespace

void Mover::commit(SlotIndex slot, uint64_t file, BatchState state) {
  put(page_.commit_word, wire::pack_commit(slot, file, state));
}

Mover::Mover(System& system, const MoverParts& parts)
    : system_(system),
      parts_(parts),
      page_(*parts.page),
      sink_buffer_(new char[sink_buffer_bytes]),
      waits_for_claims_until_(after(system.mono_ns(), claims_are_waited_for)) {}

SlotIndex Mover::stuck_slot() const {
  return wire::commit_stream(page_.commit_word.load(relaxed));
}

MoveResult Mover::recover() {
  const uint64_t word = page_.commit_word.load(std::memory_order_acquire);
  if (wire::commit_state(word) == BatchState::idle && system_.pending(parts_.pipe_read) <= 0) {
    // Its batch was whole; what it made too many of files it may have left.
    recovered_.number = wire::commit_file(word);
    if (recovered_.number != 0 && wire::commit_stream(word) < wire::max_slots)
      remove_old(wire::commit_stream(word), recovered_);
    recovered_.close();
    return {};
  }
  stuck_ = true;
  MoveResult result = try_again(recovered_);
  recovered_.close();
  return result;
}

MoveResult Mover::try_again(OpenFile& file) {
  uint64_t word = page_.commit_word.load(relaxed);
  SlotIndex slot = wire::commit_stream(word);
  if (slot >= wire::max_slots) return {Moved::stuck, 0, EINVAL};
  if (wire::commit_state(word) == BatchState::idle) {
    put(page_.batch.length, static_cast<uint64_t>(system_.pending(parts_.pipe_read)));
    put(page_.batch.wall_ns, system_.wall_ns());
    commit(slot, wire::commit_file(word), BatchState::read);
    word = page_.commit_word.load(relaxed);
  }
  if (wire::commit_state(word) == BatchState::read) {
    int error = copy_to_buffer(system_.pending(parts_.pipe_read));
    if (error != 0) return {Moved::stuck, 0, error};
    enter_write(slot);
  }
  return write(slot, file, true);
}

MoveResult Mover::move(SlotIndex slot, OpenFile& file, RunId run, int fifo) {
  if (stuck_) return {Moved::stuck, 0, 0};
  int64_t waiting = system_.pending(fifo);
  if (waiting <= 0) return {};
  if (stream(slot).gap_bytes.load(relaxed) > 0) {
    MoveResult told = tell_gap(slot, file, run);
    if (told.what != Moved::bytes) return told;
  }
  int error = prepare(slot, file, run);
  if (error != 0) return {Moved::blocked, 0, error};
  uint64_t size = std::min<uint64_t>({static_cast<uint64_t>(waiting), parts_.pipe_bytes, largest_batch});
  error = reserve_for(slot, file, size);
  if (error != 0) return {Moved::blocked, 0, error};

  MoveResult taken = take(slot, run, fifo, size, BatchKind::data, 0);
  if (taken.what != Moved::bytes) return taken;
  MoveResult written = write(slot, file, false);
  if (written.what == Moved::bytes) written.bytes = taken.bytes;
  return written;
}

MoveResult Mover::discard(SlotIndex slot, RunId run, int fifo, int why) {
  if (stuck_) return {Moved::stuck, 0, 0};
  uint64_t size = std::min(parts_.pipe_bytes, largest_batch);
  MoveResult taken = take(slot, run, fifo, size, BatchKind::discard, why);
  if (taken.what == Moved::bytes) finish_discard(slot);
  return taken;
}

MoveResult Mover::tell_gap(SlotIndex slot, OpenFile& file, RunId run) {
  if (stuck_) return {Moved::stuck, 0, 0};
  wire::LogStream& s = stream(slot);
  uint64_t gap = s.gap_bytes.load(relaxed);
  if (gap == 0) return {};
  int error = prepare(slot, file, run);
  if (error == 0) error = reserve(slot, file, 4096);
  if (error == 0) error = own_batch(slot, file, run, BatchKind::lost, gap, s.gap_error.load(relaxed));
  if (error != 0) return {Moved::blocked, 0, error};
  return {Moved::bytes, 0, 0};
}

MoveResult Mover::close_line(SlotIndex slot, OpenFile& file, RunId run) {
  if (stuck_) return {Moved::stuck, 0, 0};
  const wire::LogStream& s = stream(slot);
  bool open = s.mid_line.load(relaxed) != 0 && s.line_run.load(relaxed) == run &&
              line_tail_format(s.line_tail.load(relaxed)) == wire::LogFormat::json;
  if (!open) return {};
  int error = prepare(slot, file, run);
  if (error == 0) error = reserve(slot, file, 4096);
  if (error == 0) error = own_batch(slot, file, run, BatchKind::close_line, 0, 0);
  if (error != 0) return {Moved::blocked, 0, error};
  return {Moved::bytes, 0, 0};
}

MoveResult Mover::take(SlotIndex slot, RunId run, int fifo, uint64_t size, BatchKind kind, int why) {
  uint64_t number = stream(slot).file.load(relaxed);
  put(page_.batch.run, run);
  put(page_.batch.kind, kind);
  put(page_.batch.note_error, why);
  commit(slot, number, BatchState::idle);
  int64_t taken = system_.splice(fifo, parts_.pipe_write, size);
  if (taken <= 0) return {};
  put(page_.batch.length, static_cast<uint64_t>(taken));
  put(page_.batch.wall_ns, system_.wall_ns());
  commit(slot, number, BatchState::read);
  int error = copy_to_buffer(taken);
  if (error != 0) {
    stuck_ = true;
    return {Moved::stuck, 0, error};
  }
  enter_write(slot);
  return {Moved::bytes, static_cast<uint64_t>(taken), 0};
}

// `left`: what FIONREAD shows, which after one's own splice is what that moved. It has not been copied yet: the pipe
// gives up a byte only after it was copied.
int Mover::copy_to_buffer(int64_t left) {
  uint64_t length = page_.batch.length;
  if (length > wire::log_buffer_bytes) return EINVAL;
  while (left > 0) {
    auto rest = static_cast<uint64_t>(left);
    if (rest > length) return EINVAL;
    int64_t copied = system_.read(parts_.pipe_read, parts_.buffer + (length - rest), rest);
    if (copied <= 0 && copied != -EINTR) return copied < 0 ? static_cast<int>(-copied) : EIO;
    if (copied > 0) left -= copied;
  }
  return left < 0 ? static_cast<int>(-left) : 0;
}

// Notes down all that writing depends on, then begins it.
void Mover::enter_write(SlotIndex slot) {
  wire::LogStream& s = stream(slot);
  wire::LogBatch& b = page_.batch;
  bool open = s.mid_line.load(relaxed) != 0;
  uint32_t tail = s.line_tail.load(relaxed);
  bool other = s.line_run.load(relaxed) != b.run || line_tail_format(tail) != s.format;
  put(b.offset, s.offset.load(relaxed));
  put(b.at_line_start, uint64_t{open ? 0u : 1u});
  put(b.format, s.format);
  put(b.max_size, s.max_size);
  put(b.written, s.written.load(relaxed));
  put(b.discarded, s.discarded.load(relaxed));
  put(b.gap_bytes, s.gap_bytes.load(relaxed));
  put(b.gaps, s.gaps.load(relaxed));
  put(b.line_tail, tail);
  put(b.close_first, uint32_t{open && (other || b.kind == BatchKind::lost) ? 1u : 0u});
  commit(slot, s.file.load(relaxed), BatchState::write);
}

MoveResult Mover::write(SlotIndex slot, OpenFile& file, bool again) {
  const wire::LogBatch batch = page_.batch;
  uint64_t number = wire::commit_file(page_.commit_word.load(relaxed));
  if (batch.kind == BatchKind::discard) {
    finish_discard(slot);
    return {Moved::bytes, 0, 0};
  }
  int error = again ? reopen(slot, file, batch) : 0;
  FileSink sink(system_, parts_.log_directory, stream(slot), batch.max_size, file, number, batch.offset, batch.wall_ns,
                sink_buffer_.get());
  LineState state = LineState::unpack(batch.at_line_start != 0, batch.line_tail);
  if (error == 0) {
    if (batch.kind == BatchKind::removed || batch.kind == BatchKind::truncated) file.close();
    if (!file.fd) state = {};  // the open line is gone with its file
    if (!file.fd || goes_to_next_file(batch.kind)) sink.next_file();
    error = file.fd ? 0 : sink.rotation_error();
  }
  if (error == 0) {
    sink.note_time();
    sink.expect(formatted_bound(batch.format, batch.length));
    if (batch.close_first != 0) ::hearth::logger::close_line(line_tail_format(batch.line_tail), state, sink);
    if (batch.kind == BatchKind::data) {
      state = format_lines(batch.format, {batch.run, batch.wall_ns}, state, parts_.buffer, batch.length, sink);
    } else if (batch.kind == BatchKind::close_line) {
      ::hearth::logger::close_line(line_tail_format(batch.line_tail), state, sink);
    } else if (batch.kind != BatchKind::rotate) {
      write_note(batch, number, sink);
    }
    sink.flush();
    error = sink.error();
  }
  if (error == 0) {
    finish(slot, sink, state, batch);
    bool wanted = batch.kind == BatchKind::data && page_.policy[slot].sink != wire::LogSink::none;
    if (wanted && sinks_ != nullptr) sinks_->offer(slot, batch.run, batch.wall_ns, parts_.buffer, batch.length);
    remove_old(slot, file);
    if (page_.policy[slot].per_process != 0) link_process(slot, file, batch.run);
    return {Moved::bytes, 0, 0};
  }
  if (batch.length > 0) {
    stuck_ = true;
    return {Moved::stuck, 0, error};
  }
  // Nothing of anybody's is in it: as if it had never been.
  reopen(slot, file, batch);
  commit(slot, number, BatchState::idle);
  stuck_ = false;
  return {Moved::blocked, 0, error};
}

// Opens the file of the batch as it was before it. `file` stays closed when somebody has removed or cut it.
int Mover::reopen(SlotIndex slot, OpenFile& file, const wire::LogBatch& batch) {
  uint64_t number = wire::commit_file(page_.commit_word.load(relaxed));
  file.close();
  if (number == 0) return EINVAL;
  int64_t fd = open_directory(system_, parts_.log_directory, stream(slot));
  if (fd < 0) return static_cast<int>(-fd);
  os::Fd directory(static_cast<int>(fd));
  // The later files first: a reader that sees file N shorter than it was and N + 1 beside it may conclude that
  // somebody cut N.
  remove_from(system_, directory.get(), number + 1);
  fd = open_file(system_, directory.get(), number, stream(slot));
  if (fd == -ENOENT && batch.offset == 0) fd = create_file(system_, directory.get(), number, stream(slot));
  if (fd == -ENOENT) return 0;
  if (fd < 0) return static_cast<int>(-fd);
  os::Fd opened(static_cast<int>(fd));
  struct stat info{};
  int64_t done = system_.stat(opened.get(), info);
  if (done >= 0 && static_cast<uint64_t>(info.st_size) < batch.offset) return 0;
  if (done >= 0) done = system_.truncate(opened.get(), batch.offset);
  if (done < 0) return static_cast<int>(-done);
  file.fd = std::move(opened);
  file.number = number;
  file.has_leftovers = false;
  point_current(system_, directory.get(), number);
  return 0;
}

// A batch without bytes of a FIFO. Returns errno; then nothing has changed.
int Mover::own_batch(SlotIndex slot, OpenFile& file, RunId run, BatchKind kind, uint64_t bytes, int why) {
  wire::LogBatch& b = page_.batch;
  put(b.run, run);
  put(b.kind, kind);
  put(b.length, uint64_t{0});
  put(b.wall_ns, system_.wall_ns());
  put(b.note_bytes, bytes);
  put(b.note_error, why);
  enter_write(slot);
  MoveResult result = write(slot, file, false);
  return result.what == Moved::bytes ? 0 : result.error;
}

void Mover::finish(SlotIndex slot, const FileSink& sink, const LineState& state, const wire::LogBatch& batch) {
  wire::LogStream& s = stream(slot);
  put(s.written, batch.written + sink.appended());
  put(s.mid_line, uint32_t{state.at_line_start ? 0u : 1u});
  put(s.line_tail, state.pack(batch.format));
  put(s.line_run, batch.run);
  if (batch.kind == BatchKind::lost) put(s.gap_bytes, uint64_t{0});
  if (s.error.load(relaxed) != 0 && batch.kind != BatchKind::rotate) put(s.error, 0);
  put(s.offset, sink.offset());
  put(s.file, sink.number());
  commit(slot, sink.number(), BatchState::idle);
  page_.batches.fetch_add(1, relaxed);
  stuck_ = false;
}

void Mover::finish_discard(SlotIndex slot) {
  wire::LogStream& s = stream(slot);
  const wire::LogBatch& b = page_.batch;
  put(s.discarded, b.discarded + b.length);
  put(s.gaps, b.gaps + (b.gap_bytes == 0 ? 1 : 0));
  put(s.gap_error, b.note_error);
  put(s.gap_bytes, b.gap_bytes + b.length);
  commit(slot, s.file.load(relaxed), BatchState::idle);
  page_.batches.fetch_add(1, relaxed);
  stuck_ = false;
}

void Mover::give_up(int why) {
  if (!stuck_) return;
  SlotIndex slot = stuck_slot();
  uint64_t word = page_.commit_word.load(relaxed);
  if (slot >= wire::max_slots) return;
  if (wire::commit_state(word) == BatchState::read) {
    if (copy_to_buffer(system_.pending(parts_.pipe_read)) != 0) return;
    enter_write(slot);
  }
  // Not needed to be right, as `offset` is what counts; but a follower should not read what is not there.
  OpenFile file;
  reopen(slot, file, page_.batch);
  put(page_.batch.note_error, why);
  put(page_.batch.kind, BatchKind::discard);
  finish_discard(slot);
}

}  // namespace hearth::logger
