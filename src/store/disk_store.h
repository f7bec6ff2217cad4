// ports::Store: documents in memory that outlives every process, and on the disk; the list of runs on the disk.
//
// Two lines of defence, and two threads:
//
//   memory   for the death of any and all processes. A document is a file of DIR/state (tmpfs) and parked at the keeper
//            when put_document() returns; where DIR/state cannot be used it is a memfd, parked. Done by the supervision
//            thread, since nothing there waits for a disk. No room there refuses the document.
//   disk     for the loss of that: a reboot, a removed DIR/state. DIR/spec and DIR/runs.json follow what is in memory,
//            written by the writer's thread (mirror.h, behind.h). A disk that is full or hangs costs a note in status.
//
// Slot table, page and documents are one line: whoever finds the first two finds the documents that they name. Only if
// one is missing all the same it is looked for on the disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "os/keeper_link.h"
#include "ports/store.h"
#include "store/behind.h"
#include "store/journal.h"
#include "store/marks.h"
#include "store/mirror.h"

namespace hearth::store {

// How documents become text and back: config's business, wired by the program.
struct DocumentFormat {
  std::function<std::string(const Document&)> to_text;
  std::function<Result<Document>(std::string_view)> from_text;
};

class DiskStore final : public ports::Store {
 public:
  // For the keeper to take a document that has no other place.
  static constexpr SpanNs keeper_patience = seconds(1);
  // A write that has not returned for so long is told.
  static constexpr SpanNs hangs_after = seconds(1);
  // Events wait so long for others before they are copied to the disk: a crash loop wakes no thread at each crash.
  static constexpr SpanNs copied_after = milliseconds(500);
  // How long a deliberate end waits for the disk before the keeper is told.
  static constexpr SpanNs finish_patience = seconds(2);

  // `link` is borrowed; `directory` is the absolute path of the instance.
  DiskStore(os::KeeperLink& link, std::string directory, DocumentFormat format, BehindOptions options = {});

  // What may pass has kept it from opening its directories, or from knowing which boot this is, for as long as it lives: the
  // next supervisor tries again.
  Status has_directories() const;

  Status put_document(const Document& document) override;
  Status keep_document(const Document& document) override;
  void drop_document(std::uint64_t version) override;
  Result<std::vector<Document>> documents(const std::vector<std::uint64_t>& versions) override;
  Status reserve(std::uint32_t slots) override;
  void note_runs(const std::vector<ports::SlotNote>& changed, RunId next_run) override;
  void mark(SlotIndex slot, const std::vector<ports::Mark>& marks) override { marks_.want(slot, marks); }
  bool finish(RunId next_run) override;
  std::optional<std::string> trouble() const override;
  Result<ports::JournalMark> continue_journal(std::optional<ports::JournalMark> mark) override;
  Result<std::uint64_t> append_events(const std::vector<EventRecord>& events) override;
  void events_committed(ports::JournalMark mark) override;
  ports::EventLines read_events(EventId after, std::size_t most_bytes) const override;

  std::optional<std::string> trouble_at(Now now) const;
  // Makes the writer's thread if it could not be made before, and has it copy events that wait. Returns when to call
  // again.
  MonoNs ensure_writer(MonoNs now);
  // Waits until the disk is as memory; false: it still is not.
  bool settle(SpanNs patience) { return writer_.settle(patience) && mirror_->settled(); }
  bool settle_marks(SpanNs patience) { return marks_.settle(patience); }
  // Of users' files: readable when somebody may have touched one. -1: nothing is watched (yet).
  int marks_watch() const { return marks_.watch(); }
  void look_at_marks() { marks_.look_again(); }
  // What is worth telling people, since the last call; without times.
  std::vector<Note> take_notes() { return marks_.take_notes(); }
  std::vector<std::string> take_settled_notes() { return marks_.take_settled(); }
  Mirror& mirror() { return *mirror_; }

 private:
  Result<os::Fd> keep_text(std::uint64_t version, std::string_view text);
  Result<std::string> find_text(std::uint64_t version);
  bool is_in_state(std::uint64_t version) const;
  void keep_found(std::uint64_t version, std::string_view text);
  bool park(std::uint64_t version, os::Fd fd, SpanNs patience);
  void remove_unwanted_state() const;
  EventId least_event_in_list() const;
  void copy_events();
  int instance() const { return link_.descriptor(wire::HelloDescriptor::directory); }
  std::string state_path() const;

  os::KeeperLink& link_;
  std::string directory_;
  DocumentFormat format_;
  int identity_error_ = 0;  // errno of asking for boot and PID namespace
  int state_error_ = 0;     // errno of opening what follows
  os::Fd state_;            // DIR/state; none: it cannot be used
  Journal journal_;
  std::shared_ptr<Mirror> mirror_;  // also of the writer, whose last write may not have returned when we end
  Behind writer_;                   // makes the disk equal to what is wanted
  Marks marks_;
  MonoNs copy_at_ = never;      // events are posted to the writer
  bool uncopied_ = false;       // since the last ensure_writer()
  std::uint32_t reserved_ = 0;  // slots
  bool noted_ = false;
  MonoNs finish_until_ = 0;
};

// The largest document that is read back.
inline constexpr std::size_t document_bytes_max = 64u << 20;

}  // namespace hearth::store
