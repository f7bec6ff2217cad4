// Makes the disk equal to what is in memory: DIR/spec to the documents, DIR/runs.json to the list of runs.
//
// Model
// -----
// The supervision thread says what shall be there (want, drop, note, finish). It never waits for a disk: it takes a
// mutex that is held for copies in memory only. Whoever calls pass(), one thread at a time, compares and writes:
//
//   1. documents that are not there, or there with other bytes: to N.json.new, renamed
//   2. runs.json, when it has changed since it was last begun: the same
//   3. events that DIR/events.jsonl does not have yet (journal_copy.h)
//   4. away with documents that nobody wants (only when there may be some)
//
// There is no queue: what was wanted and is not wanted any more is not written, and of a hundred changes of the list
// the newest is. Killed anywhere, the next pass of whoever comes next does the rest, from the start: nothing is
// remembered about the disk but what is seen on it.
//
// runs.json is written line by line from the list as it is at that moment, so a change under way may show in one
// line and not yet in another. It is written again then. Nothing is synced.
//
// A document's bytes come from DIR/state, or, where there is none, from a memfd.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.h"
#include "os/fd.h"
#include "ports/store.h"
#include "store/journal_copy.h"
#include "store/run_list.h"

namespace hearth::store {

// "document-N" in DIR/state, "spec/N.json" in DIR.
std::string state_name(std::uint64_t version);
std::string spec_name(std::uint64_t version);
// The version that a file of either kind is of, also "N.json.new" and "document-N.new"; 0 = it is none.
std::uint64_t version_of(std::string_view name);

class Mirror {
 public:
  struct Place {
    std::string directory;  // absolute, as services have it
    os::Fd instance;        // of it
    os::Fd state;           // of DIR/state; none: documents come with their memfds
    std::string boot_id;
    std::uint64_t pid_namespace = 0;
  };
  explicit Mirror(Place place);
  const Place& place() const { return place_; }

  // Supervision thread.
  void want(std::uint64_t version, os::Fd memory);  // in the place of another one of that version
  void drop(std::uint64_t version);
  // True when that is another list than before.
  bool note(const std::vector<ports::SlotNote>& changed, RunId next_run);
  // The newest event. True when the list is to be written for it.
  bool note_event(EventId last);
  // A deliberate end: no document and no run from here on.
  void finish(RunId next_run, EventId last_event);

  JournalCopy& journal() { return journal_; }

  // Any thread.
  bool wants(std::uint64_t version) const;
  // The disk is as wanted.
  bool settled() const;

  // Writing thread. True when all could be done that was wanted when it began.
  bool pass();

  // What is under way or went wrong, for status.
  struct Condition {
    std::string doing;  // "write", "remove"; "" = nothing is under way
    std::string doing_subject;
    MonoNs doing_since = 0;
    std::string failed;  // the same of the first thing that failed in the last pass; "" = all went well
    std::string failed_subject;
    int error = 0;
    WallNs failing_since = 0;
    std::uint32_t tries = 0;
  };
  Condition condition() const;

 private:
  struct Wanted {
    std::uint64_t version = 0;
    os::Fd memory;
    std::uint64_t serial = 0;  // of this want(): another one may take its place while it is written
    std::uint64_t tried = 0;   // in this pass
    bool written = false;
  };
  enum class Act : std::uint8_t { none, document, runs, events, removal };
  struct Step {
    Act act = Act::none;
    std::uint64_t version = 0;
  };
  // What a pass does at the moment, for condition().
  class Doing;

  Wanted* find(std::uint64_t version);
  bool write_documents();
  bool write_document(Step step, os::Fd& memory);
  bool write_runs();
  bool copy_events();
  bool without_list(std::uint64_t& serial);
  bool write_run_lines(int fd, std::uint64_t& serial);
  bool remove_unwanted();
  bool remove_from_spec(Step& step);
  bool fail(Step step);  // with errno; false
  std::string subject(Step step) const;

  const Place place_;
  JournalCopy journal_;
  mutable std::mutex mutex_;
  std::vector<Wanted> documents_;
  std::vector<ports::RunNote> runs_;  // by slot; no label: nothing is there
  RunId next_run_ = 0;
  EventId last_event_ = no_event;  // since finish()
  EventId event_floor_ = no_event;
  std::uint64_t serial_ = 0;
  std::uint64_t runs_serial_ = 0;
  std::uint64_t runs_written_ = 0;
  bool removal_due_ = false;  // of documents that nobody wants
  bool noted_once_ = false;   // what others have left is looked for since then
  bool finished_ = false;
  Step step_;
  MonoNs step_since_ = 0;
  Step failed_;  // in the pass before
  int error_ = 0;
  WallNs failing_since_ = 0;
  std::uint32_t tries_ = 0;

  // Of pass() alone.
  std::uint64_t pass_ = 0;
  Step first_failed_;
  int first_error_ = 0;
  std::string line_;
};

}  // namespace hearth::store
