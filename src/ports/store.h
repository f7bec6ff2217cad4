// What outlives even the death of everything: specification documents, in memory and on disk, and the list of runs, on
// disk. Nothing here waits for a disk: it is written behind and never synced, and serves the next hearth when memory
// was lost, too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/event.h"
#include "model/service_spec.h"

namespace hearth::ports {

// Of DIR/runs.json (docs/formats/runs.md): one with another number is not read.
inline constexpr std::uint64_t run_list_format = 1;

// One live run, for the list on disk.
struct RunNote {
  std::string label;  // project.service.index, as in the service's environment
  std::uint64_t document = 0;
  std::uint32_t service = 0;
  std::uint32_t replica = 0;
  RunId run = no_run;
  std::int32_t pid = 0;
  std::uint64_t start_ticks = 0;
  bool want_up = true;
  bool was_ready = false;  // this run has been, as far as that had been noted
  friend bool operator==(const RunNote&, const RunNote&) = default;
};

// What the list has in the place of a slot. Without a label: nothing.
struct SlotNote {
  SlotIndex slot = no_slot;
  RunNote note;
};

// A file of the user's that tells others about a service.
struct Mark {
  enum class Kind : std::uint8_t { ready, pid };
  Kind kind = Kind::ready;
  std::string path;    // absolute
  std::string label;   // project.service.index
  bool there = false;  // shall it be there? Then:
  RunId run = no_run;
  std::int32_t pid = 0;
  WallNs since = 0;  // ready: since when
  friend bool operator==(const Mark&, const Mark&) = default;
};

// What the last hearth in this directory left behind.
struct Heritage {
  std::vector<RunNote> runs;        // still alive, identity checked (boot, PID namespace, pid, start time)
  std::vector<RunNote> gone;        // noted but no longer there
  std::vector<Document> documents;  // of those runs
  std::uint64_t greatest_document = 0;
  RunId greatest_run = 0;
  EventId last_event = no_event;    // with which it had ended; none: it had not, or nobody knows
  std::vector<std::string> losses;  // in words, for status
};

// How far the event journal is committed.
struct JournalMark {
  EventId last = no_event;
  std::uint64_t end = 0;  // byte behind it, in the part of the journal that it stands in
  // By the copy on the disk, which is behind: there may have been more events, and somebody may have seen them.
  bool of_copy = false;
  friend bool operator==(const JournalMark&, const JournalMark&) = default;
};

// Ids that are left out after such a mark: more than an instance has events in what the copy may be behind.
inline constexpr EventId ids_left_out = 1'000'000;

// Lines of the journal, each with its end, ids ascending.
struct EventLines {
  EventId oldest = no_event;  // that can still be asked for; newest + 1: none can
  EventId newest = no_event;
  std::string text;
};

class Store {
 public:
  virtual ~Store() = default;
  // Outlives the death of every process when it returns, and a reboot a moment later. Fails when there is no room for the
  // former: then the request is refused. A document of the same version is replaced.
  virtual Status put_document(const Document& document) = 0;
  // The same of one that an earlier hearth has left somewhere. Whatever fails, what there is of it is not removed.
  virtual Status keep_document(const Document& document) = 0;
  virtual void drop_document(std::uint64_t version) = 0;
  // After a take-over: those of `versions` that were put. All others are dropped. Fails when something is so short that
  // nobody can say which are there: then nothing is dropped, and another supervisor may find more.
  virtual Result<std::vector<Document>> documents(const std::vector<std::uint64_t>& versions) = 0;
  // Room for the records of this many slots in slot table and decision page. Fails when there is none: then the
  // request is refused, and what is there goes on.
  virtual Status reserve(std::uint32_t slots) {
    (void)slots;
    return {};
  }
  // The list of runs, written behind: of slots that have changed; all others are as they were noted. A new store has
  // noted none.
  virtual void note_runs(const std::vector<SlotNote>& changed, RunId next_run) = 0;
  // All marks of a slot, also those that shall not be there, written behind; those of before that are not among them are
  // removed. A new store knows of none: it is told again of all.
  virtual void mark(SlotIndex slot, const std::vector<Mark>& marks) {
    (void)slot;
    (void)marks;
  }
  // A deliberate end: nothing is left for the next hearth but the number of its first run. False: it is not on the disk
  // yet; to be asked again in a moment. True: it is, or there is no use in waiting any longer.
  virtual bool finish(RunId next_run) = 0;
  // ---- the event journal (docs/formats/events.md)
  // Once, before anything else of it. What lies behind `mark` was never committed and is cut away; without a mark it
  // goes on behind what is found. Returns the mark in force. Fails when nobody can say now what there is: then it stays as
  // it is, and another supervisor may find it.
  virtual Result<JournalMark> continue_journal(std::optional<JournalMark> mark) { return mark.value_or(JournalMark{}); }
  // Written, and seen by nobody until they are committed. Ids ascend. Returns the end for the mark; fails when nothing
  // was written. Waits for no disk.
  virtual Result<std::uint64_t> append_events(const std::vector<EventRecord>& events) {
    (void)events;
    return 0;
  }
  virtual void events_committed(JournalMark mark) { (void)mark; }
  // Those after an id, as many as fit into `most_bytes`, at least one.
  virtual EventLines read_events(EventId after, std::size_t most_bytes) const {
    (void)after, (void)most_bytes;
    return {};
  }
  // Why what is written behind is not written; in words, for status. As long as it is so.
  virtual std::optional<std::string> trouble() const { return {}; }
};

}  // namespace hearth::ports
