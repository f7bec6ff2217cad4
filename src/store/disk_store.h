// ports::Store: documents in DIR/spec and parked at the keeper; the list of runs in DIR/runs.json.
//
// A document is on disk (temporary file, rename) and in a sealed memfd of class spec before put_document() returns.
// The memfd is what a successor reads; the disk is for the next hearth. Nothing is synced: a kill loses nothing,
// power may. documents() reads the disk only where an earlier hearth may have left some: then it parks them again, and last
// a mark (an empty memfd of version 0) that lets its successors do without the disk. What the keeper did not take
// is read by each of them, until it has.
//
// The list of runs is written behind: note_runs() keeps the newest, flush() writes it at most once in write_every.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "os/keeper_link.h"
#include "ports/store.h"

namespace hearth::store {

// How documents become text and back: config's business, wired by the program.
struct DocumentFormat {
  std::function<std::string(const Document&)> to_text;
  std::function<Result<Document>(std::string_view)> from_text;
};

class DiskStore final : public ports::Store {
 public:
  static constexpr SpanNs write_every = milliseconds(100);
  static constexpr SpanNs keeper_patience = seconds(1);

  // `link` is borrowed; `directory` is the absolute path of the instance.
  DiskStore(os::KeeperLink& link, std::string directory, DocumentFormat format);

  Status put_document(const Document& document) override;
  void drop_document(std::uint64_t version) override;
  std::vector<Document> documents() override;
  Status reserve(std::uint32_t slots) override;
  void note_runs(const std::vector<ports::RunNote>& runs, RunId next_run) override;
  void finish(RunId next_run) override;

  // Writes the list when it is due. Returns when to call again, `never` when nothing waits.
  MonoNs flush(MonoNs now);
  // Writes what waits at once; before an orderly end.
  void flush_now(MonoNs now);
  std::uint32_t failures() const { return failures_; }

 private:
  Status write_file(const std::string& name, std::string_view text);
  // True when the keeper has taken all.
  bool read_disk(std::vector<Document>& documents);
  bool park(std::uint64_t version, std::string_view text);
  int instance() const { return link_.descriptor(wire::HelloDescriptor::directory); }

  os::KeeperLink& link_;
  std::string directory_;
  DocumentFormat format_;
  std::string boot_id_;
  std::uint64_t pid_namespace_ = 0;
  std::vector<ports::RunNote> runs_;
  RunId next_run_ = 0;
  std::uint32_t reserved_ = 0;  // slots
  bool waits_ = false;
  MonoNs written_at_ = 0;
  std::uint32_t failures_ = 0;
};

// The largest document that is read back.
inline constexpr std::size_t document_bytes_max = 64u << 20;

}  // namespace hearth::store
