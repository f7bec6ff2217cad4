// The event journal on the disk: DIR/events.jsonl, with what it was before in DIR/events.1.jsonl.
//
// Model
// -----
// The supervision thread offers the segments of the journal as they are committed. pass() brings the disk up to them:
// whatever is newer than the last whole line of the file is appended. Nothing else is remembered about the disk than
// what is seen in it, so a successor that finds a line cut in the middle cuts it away and goes on: each event is there
// once. Only committed events come here.
//
// A file that has reached most_bytes becomes events.1.jsonl, in the place of the one before. While the disk is full or
// hangs, the journal in memory goes on; what leaves memory before it could be copied is missing on the disk, which shows
// as a jump of the ids.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "model/event.h"
#include "os/fd.h"
#include "store/journal.h"

namespace hearth::store {

inline constexpr char events_file[] = "events.jsonl";
inline constexpr char events_file_before[] = "events.1.jsonl";

// The newest event that the files in this directory have. 0: none. Fails when one of them is there and cannot be read: nobody
// can tell then.
Result<EventId> last_event_on_disk(int directory);
// For who cannot read the newest file: more than none, and no more than there are. The list of runs may know better.
EventId least_event_on_disk(int directory);

class JournalCopy {
 public:
  // `directory` is borrowed.
  explicit JournalCopy(int directory, std::uint64_t most_bytes = 8u << 20)
      : directory_(directory), most_bytes_(most_bytes) {}

  // Supervision thread.
  void offer(const std::vector<Segment>& segments);
  // Any thread: nothing was offered that pass() has not seen.
  bool settled() const;
  // Writing thread. False with errno: not all could be written.
  bool pass();

 private:
  bool open();
  bool rotate();
  bool copy(const Segment& segment);

  const int directory_;
  const std::uint64_t most_bytes_;
  mutable std::mutex mutex_;
  std::vector<Segment> offered_;
  std::uint64_t offers_ = 0;
  std::uint64_t written_ = 0;  // of the offers

  // Of pass() alone.
  os::Fd file_;
  std::uint64_t size_ = 0;
  EventId last_ = no_event;
};

}  // namespace hearth::store
