// The event journal in memory: what is committed of it outlives every process, and who asks for events is answered from
// here without a disk.
//
// Model
// -----
// The journal is a row of *segments*, each named by the id of its first event: files of DIR/state (tmpfs), or, where that
// cannot be used, memfds that die with this process. Lines are appended to the newest one; a segment that has reached
// segment_bytes is followed by another, and of more than segments_kept the oldest goes. So memory is bounded by
// segments_kept * segment_bytes and what one turn has to say.
//
//   append()     writes the lines of a turn behind the committed end. Nobody reads them yet.
//   the commit   stores {last id, end} with the decisions of that turn, in one store (supervisor/head.h)
//   committed()  readers see them
//
// Killed before the commit, the turn did not happen: resume() cuts its lines away. Killed after it, they are there. So an
// event is there exactly when what it tells of is. On the disk the journal is copied behind (journal_copy.h).
//
// Nothing is cut by a mark that may be of another segment: when the newest cannot be opened because something else stands
// in its place, or may not be touched, all that can is left as it is, and the next event begins another segment.
//
// A write that fails appends nothing; the ids of the turn's events are gone then, and the next event that can be written
// says how many were lost.
//
// Supervision thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/event.h"
#include "os/fd.h"
#include "ports/store.h"
#include "wire/state.h"

namespace hearth::store {

inline constexpr std::uint64_t segment_bytes = 1u << 20;
inline constexpr std::size_t segments_kept = 4;
inline constexpr const char* segment_prefix = wire::event_file_prefix;

// One segment; the copy to the disk may still read what supervision has let go, hence shared.
struct Segment {
  EventId first = no_event;
  std::shared_ptr<const os::Fd> file;
  std::uint64_t size = 0;  // committed
};

class Journal {
 public:
  // `state`: of DIR/state, borrowed; -1: there is none.
  explicit Journal(int state, std::uint64_t segment_size = segment_bytes)
      : state_(state), segment_size_(segment_size) {}

  // Goes on where `mark` says. Without: behind what is found, at least behind `floor` (what the disk has). Fails, with
  // nothing changed, when what is there cannot be seen or read now.
  Result<ports::JournalMark> resume(std::optional<ports::JournalMark> mark, EventId floor);
  // The new end. `events` is not empty; their ids are above all before.
  Result<std::uint64_t> append(const std::vector<EventRecord>& events);
  void committed(ports::JournalMark mark);

  ports::EventLines read(EventId after, std::size_t most_bytes) const;
  EventId last() const { return last_; }
  const std::vector<Segment>& segments() const { return segments_; }

 private:
  Result<EventId> find_segments();
  void remove(const Segment& segment);
  Status begin_segment(EventId first);

  const int state_;
  const std::uint64_t segment_size_;
  std::vector<Segment> segments_;  // oldest first
  bool begins_another_ = false;    // the newest segment is none of segments_
  EventId last_ = no_event;        // committed
  std::string lines_;              // of one turn; kept for its memory
};

// Offset of the first line whose id is above `after`, within the first `size` bytes; `size` when there is none.
std::uint64_t find_line(int file, std::uint64_t size, EventId after);

// The last whole line of a file of lines, of which the last may be torn: its id, and where it ends. None: it cannot be read
// (errno).
std::optional<ports::JournalMark> end_of_journal(int file);

// pread of exactly so many bytes. False with errno: they are not there, or cannot be read.
bool read_exactly(int file, char* bytes, std::size_t count, std::uint64_t at);

}  // namespace hearth::store
