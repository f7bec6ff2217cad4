// What the mover does before a batch: which file is it, is it still ours, and is there space.
#include <algorithm>
#include <errno.h>
#include <string.h>
#include <string_view>
#include <utility>

#include "logger/log_files.h"
#include "logger/mover.h"
#include "logger/open_line.h"
#include "logger/torn_line.h"

namespace hearth::logger {
namespace {

using wire::BatchKind;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr uint64_t small_step = 64u << 10;
constexpr uint64_t large_step = 1u << 20;
constexpr uint64_t least_batch = 512;
static_assert(sink_buffer_bytes >= open_line_most);
constexpr SpanNs claim_nap = milliseconds(2);

uint64_t round_up(uint64_t value, uint64_t step) {
  return (value + step - 1) / step * step;
}
bool is_shortage(int error) {
  return error == ENOSPC || error == EDQUOT;
}
int64_t write_whole(System& system, int fd, std::string_view bytes, uint64_t at) {
  while (!bytes.empty()) {
    int64_t done = system.pwrite(fd, bytes.data(), bytes.size(), at);
    if (done == -EINTR) continue;
    if (done <= 0) return done < 0 ? done : -ENOSPC;
    bytes.remove_prefix(static_cast<size_t>(done));
    at += static_cast<uint64_t>(done);
  }
  return 0;
}

}  // namespace

int Mover::prepare(SlotIndex slot, OpenFile& file, RunId run) {
  wire::LogStream& s = stream(slot);
  if (!directory_name_valid(s.directory)) return EINVAL;
  if (strcmp(file.directory, s.directory) != 0) {
    file.close();
    file.oldest = 0;
    memcpy(file.directory, s.directory, sizeof file.directory);
  }
  if (s.file.load(relaxed) == 0) {
    int error = first_file(slot, file);
    if (error != 0) return error;
  }
  bool open = file.fd && file.number == s.file.load(relaxed);
  int error = open ? check_current(slot, file, run) : open_current(slot, file, run);
  if (error != 0) return error;
  // A failure is not worth stopping for: the batch goes into this file, and the next one tries again.
  RunId before = s.line_run.load(relaxed);
  bool other = page_.policy[slot].per_process != 0 && before != run && s.offset.load(relaxed) > 0;
  if (other && s.mid_line.load(relaxed) != 0) own_batch(slot, file, before, BatchKind::close_line, 0, 0);
  if (other || is_due(slot, file)) own_batch(slot, file, run, BatchKind::rotate, 0, 0);
  return file.fd ? 0 : EBADF;
}

// The next file's turn has come, before a batch: never in a line, and never because of an age of nothing.
bool Mover::is_due(SlotIndex slot, OpenFile& file) {
  const wire::LogStream& s = stream(slot);
  uint64_t offset = s.offset.load(relaxed);
  if (s.mid_line.load(relaxed) != 0 || offset == 0) return false;
  if (s.max_size > 0 && offset >= s.max_size) return true;
  int64_t max_age = page_.policy[slot].max_age_ns;
  if (max_age <= 0 || !file.fd) return false;
  WallNs begun = begun_at(system_, parts_.log_directory, s, file, offset);
  return begun > 0 && system_.wall_ns() - begun >= max_age;
}

MoveResult Mover::rotate(SlotIndex slot, OpenFile& file) {
  if (stuck_) return {Moved::stuck, 0, 0};
  wire::LogStream& s = stream(slot);
  RunId run = s.line_run.load(relaxed);
  int error = prepare(slot, file, run);
  if (error == 0 && s.offset.load(relaxed) > 0) error = own_batch(slot, file, run, BatchKind::rotate, 0, 0);
  if (error != 0) return {Moved::blocked, 0, error};
  return {Moved::bytes, 0, 0};
}

void Mover::link_process(SlotIndex slot, OpenFile& file, RunId run) {
  const wire::LogPolicy& policy = page_.policy[slot];
  bool known = policy.pid_run.load(std::memory_order_acquire) == run;
  bool written = file.fd && stream(slot).line_run.load(relaxed) == run;
  if (policy.per_process == 0 || !known || !written) return;
  if (file.linked == file.number && file.linked_run == run) return;
  file.linked = file.number;
  file.linked_run = run;
  link_run(system_, parts_.log_directory, stream(slot), policy.pid.load(relaxed), file.number);
}

SlotIndex Mover::take_untidy() {
  if (!has_untidy_) return no_slot;
  for (SlotIndex slot = 0; slot < wire::max_slots; ++slot) {
    if (!untidy_[slot]) continue;
    untidy_.reset(slot);
    return slot;
  }
  has_untidy_ = false;
  return no_slot;
}

// A new instance, or a new directory: it goes on in the newest file, or else behind the greatest number.
int Mover::first_file(SlotIndex slot, OpenFile& file) {
  wire::LogStream& s = stream(slot);
  int64_t fd = open_directory(system_, parts_.log_directory, s);
  if (fd < 0) return static_cast<int>(-fd);
  os::Fd directory(static_cast<int>(fd));
  file.close();  // with its claim
  NumberRange range;
  int64_t done = system_.scan(directory.get(), range);
  if (done < 0) return static_cast<int>(-done);
  int64_t end = range.greatest > 0 ? end_of_newest(directory.get(), range.greatest, s) : -ENOENT;
  // Its line is ended when there is space again.
  if (end < 0 && is_shortage(static_cast<int>(-end))) return static_cast<int>(-end);
  put(s.mid_line, 0u);
  put(s.line_tail, 0u);
  put(s.offset, end >= 0 ? static_cast<uint64_t>(end) : uint64_t{0});
  put(s.file, end >= 0 ? range.greatest : range.greatest + 1);  // last: with file 0 nobody reads the others
  return 0;
}

// Where to go on in a file that an earlier instance has written, or a negative errno when that is not to be done: it is
// full, it ends as a power loss ends files, or its logger lives: that of a dead keeper drains until the last moment,
// and two who write at offsets of their own would overwrite each other. A line that will never come to its end is
// ended, also one that stands at the end of the file before, because the newest has nothing yet.
int64_t Mover::end_of_newest(int directory, uint64_t number, const wire::LogStream& s) {
  int64_t fd = open_named(system_, directory, file_name(number).text, s);
  if (fd < 0) return fd;
  os::Fd opened(static_cast<int>(fd));
  if (int64_t claimed = claim_newest(opened.get()); claimed < 0) return claimed;
  struct stat info{};
  int64_t done = system_.stat(opened.get(), info);
  if (done < 0) return done;
  auto size = static_cast<uint64_t>(info.st_size);
  int64_t last = size > 0 ? system_.last_byte(opened.get(), size) : '\n';
  if (last < 0) return last;
  if (last != '\n' || size == 0) {
    OpenLine line = read_open_line(system_, directory, number, opened.get(), size, s, sink_buffer_.get());
    if (line.error < 0) return line.error;
    LineEnding ending;
    if (!line.tail.empty()) ending = end_of_torn_line(s.format, line.tail, line.view);
    done = write_whole(system_, opened.get(), ending.view(), size);
    if (done < 0) return done;
    size += ending.size;
  }
  if (last == 0 || (s.max_size > 0 && size >= s.max_size)) return -EFBIG;
  return static_cast<int64_t>(size);
}

// A logger that still drains moves what its FIFOs held when its keeper died, which is over in milliseconds: it is worth
// waiting for, because a line that it leaves open in a file that is not the newest any more has no end. Only as long as
// this logger is young: later it is one that is stopped or held by its disk, or this one itself for another slot.
int64_t Mover::claim_newest(int fd) {
  int64_t claimed = system_.claim(fd);
  while (claimed == -EWOULDBLOCK && system_.mono_ns() < waits_for_claims_until_) {
    system_.nap(claim_nap);
    claimed = system_.claim(fd);
  }
  return claimed;
}

int Mover::open_current(SlotIndex slot, OpenFile& file, RunId run) {
  wire::LogStream& s = stream(slot);
  uint64_t number = s.file.load(relaxed);
  uint64_t offset = s.offset.load(relaxed);
  file.close();
  int64_t fd = open_directory(system_, parts_.log_directory, s);
  if (fd < 0) return static_cast<int>(-fd);
  os::Fd directory(static_cast<int>(fd));
  fd = open_file(system_, directory.get(), number, s);
  if (fd == -ENOENT && offset == 0) fd = create_file(system_, directory.get(), number, s);
  if (fd == -ENOENT) return own_batch(slot, file, run, BatchKind::removed, offset, 0);
  if (fd < 0) return static_cast<int>(-fd);
  os::Fd opened(static_cast<int>(fd));
  struct stat info{};
  int64_t done = system_.stat(opened.get(), info);
  if (done < 0) return static_cast<int>(-done);
  auto size = static_cast<uint64_t>(info.st_size);
  if (size < offset) return own_batch(slot, file, run, BatchKind::truncated, offset - size, 0);
  if (size > offset) done = system_.truncate(opened.get(), offset);
  if (done < 0) return static_cast<int>(-done);
  file.fd = std::move(opened);
  file.number = number;
  file.reserved = 0;
  file.has_leftovers = true;
  point_current(system_, directory.get(), number);
  return 0;
}

int Mover::check_current(SlotIndex slot, OpenFile& file, RunId run) {
  struct stat info{};
  int64_t done = system_.stat(file.fd.get(), info);
  if (done < 0) return static_cast<int>(-done);
  uint64_t offset = stream(slot).offset.load(relaxed);
  auto size = static_cast<uint64_t>(info.st_size);
  // An empty file is made anew, as by a logger that had it not open: nothing is gone that could be told.
  if (info.st_nlink == 0 && offset == 0) return open_current(slot, file, run);
  if (info.st_nlink == 0) return own_batch(slot, file, run, BatchKind::removed, offset, 0);
  if (size < offset) return own_batch(slot, file, run, BatchKind::truncated, offset - size, 0);
  return 0;
}

// Makes sure that `need` bytes fit behind the committed ones.
int Mover::reserve(SlotIndex slot, OpenFile& file, uint64_t need) {
  const wire::LogStream& s = stream(slot);
  uint64_t offset = s.offset.load(relaxed);
  uint64_t end = offset + need;
  if (end <= file.reserved) return 0;
  if (!file.can_reserve) {
    // No promise, as somebody else may take the space in between; then the batch is stuck for a while.
    int64_t available = system_.free_bytes(file.fd.get());
    return available >= 0 && static_cast<uint64_t>(available) < need + small_step ? ENOSPC : 0;
  }
  uint64_t step = offset < 4 * small_step ? small_step : large_step;
  uint64_t wanted = round_up(end, step);
  // Not more than the file will take, unless the batch itself may need it: for what will go into the next one.
  uint64_t most = round_up(s.max_size + 1, small_step);
  if (s.max_size > 0 && end <= most) wanted = std::min(wanted, most);
  uint64_t from = std::max(offset, file.reserved);
  for (uint64_t until : {wanted, end}) {
    int64_t done = system_.reserve(file.fd.get(), from, until - from);
    if (done == -EINTR) done = system_.reserve(file.fd.get(), from, until - from);
    if (done >= 0) {
      file.reserved = until;
      return 0;
    }
    if (done == -EOPNOTSUPP || done == -ENOSYS) {
      file.can_reserve = false;
      return reserve(slot, file, need);
    }
    if (!is_shortage(static_cast<int>(-done)) || until == end) return static_cast<int>(-done);
  }
  return ENOSPC;
}

// Reserves for as many raw bytes as can be had, at most `raw`: formatting may make a byte into many, and on an
// almost full disk small batches go on for longer.
int Mover::reserve_for(SlotIndex slot, OpenFile& file, uint64_t& raw) {
  for (;;) {
    int error = reserve(slot, file, formatted_bound(stream(slot).format, raw));
    if (!is_shortage(error) || raw <= least_batch) return error;
    raw = std::max(least_batch, raw / 8);
  }
}

void Mover::release_reservation(SlotIndex slot, OpenFile& file) {
  const wire::LogStream& s = stream(slot);
  uint64_t offset = s.offset.load(relaxed);
  bool busy = stuck_ && stuck_slot() == slot;
  if (busy || !file.fd || file.number != s.file.load(relaxed) || file.reserved <= offset) return;
  if (system_.truncate(file.fd.get(), offset) >= 0) file.reserved = 0;
}

// Removes the files beyond max_files; after the batch is committed, because doing it again needs file N.
void Mover::remove_old(SlotIndex slot, OpenFile& file) {
  const wire::LogStream& s = stream(slot);
  if (file.tidied != file.number) {
    file.tidied = file.number;
    const wire::LogPolicy& policy = page_.policy[slot];
    if (policy.compress != 0 || policy.max_total > 0) {
      untidy_.set(slot);
      has_untidy_ = true;
    }
  }
  uint64_t keep = std::max<uint64_t>(1, s.max_files);
  if (file.oldest != 0 && file.number < file.oldest + keep) return;
  int64_t fd = open_directory(system_, parts_.log_directory, s);
  if (fd < 0) return;
  os::Fd directory(static_cast<int>(fd));
  if (file.oldest == 0) {
    NumberRange range;
    if (system_.scan(directory.get(), range) < 0 || range.least == 0) return;
    file.oldest = range.least;
  }
  for (; file.oldest + keep <= file.number; ++file.oldest) {
    remove_file(system_, directory.get(), file.oldest);
  }
}

}  // namespace hearth::logger
