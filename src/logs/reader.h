// Reads a stream's log: a directory of files named by number (docs/formats/log-files.md).
//
// Model
// -----
// The log is the bytes of all files in the order of their numbers; where a file ends means nothing. A *cursor*
// is the next byte to be read: {file number, offset}. Files only grow, and the next one is made when the last
// byte of this one is written, with these exceptions:
//
//   - A logger that was killed and started again takes back its last batch (it cuts the file, removes the files
//     behind it, the greatest number first) and writes the same bytes again. So a file that is shorter than the
//     cursor, or missing while no later one stands, is waited for; the cursor stays.
//   - Old files are removed (max_files). The cursor's file missing while a later one stands is a *gap*: it is
//     told, and reading goes on at the least number there is.
//   - Somebody else cuts or removes the current file: the logger goes on in the next one. A file shorter than
//     the cursor while the next one stands is a gap, too.
//
// Nothing here needs the log page, a logger, or hearth at all. One thread per object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "logs/log_file.h"
#include "logs/watcher.h"
#include "os/fd.h"

namespace hearth::logs {

struct Cursor {
  std::uint64_t file = 0;  // 0 = before the oldest file
  std::uint64_t offset = 0;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

// "41:1024", for people and for `--from`. Nothing when the text is not of that form.
std::string to_text(Cursor cursor);
Result<Cursor> cursor_from_text(std::string_view text);

// Numbers of the files of a directory, in order. Other names are passed over.
Result<std::vector<std::uint64_t>> list_files(const std::string& directory);

struct Tail {
  std::string bytes;
  Cursor begin;  // of bytes
  Cursor end;    // where following goes on
};
// The last `lines` lines, an unfinished one at the end counted as one; 0 = none, but the cursor. Reads backwards
// in blocks, across files. At most `most` bytes: of a longer tail its end. A directory without files, or none,
// has an empty tail.
Result<Tail> last_lines(const std::string& directory, std::size_t lines, std::size_t most = 16u << 20);

// What a follower delivers: bytes, or a gap (bytes is empty). `next` is the cursor behind it: kept by somebody
// and given to Follower::create, nothing comes twice and nothing is left out.
struct Piece {
  std::string_view bytes;  // valid during the call
  Cursor begin;
  Cursor next;
  bool gap = false;  // what stood between begin and next is gone
};
// False = enough for now.
using PieceHandler = std::function<bool(const Piece&)>;

class Follower {
 public:
  // The directory need not exist yet; the directory above it must. `shared`, where there are many: outlives the
  // follower, and its owner takes its events.
  static Result<Follower> create(std::string directory, Cursor from, Watcher* shared = nullptr);
  // For what stands there now: nobody tells it of more, and the directory above need not exist either.
  static Follower unwatched(std::string directory, Cursor from) { return {std::move(directory), from}; }

  // Becomes readable when there may be more; for an event loop. take() clears it, unless it is shared.
  int descriptor() const { return watcher_->descriptor(); }
  // Something has happened since the last take(), as far as the events are taken.
  bool has_news() const { return watcher_->events_of(watch_) != seen_; }
  Cursor cursor() const { return cursor_; }
  int directory() const { return directory_.get(); }  // -1 while it is not there
  // Delivers all that is there now. True when the handler never said enough.
  Result<bool> take(const PieceHandler& handler);
  // Delivers and waits until the handler says enough, or `stop` (a descriptor, -1 = none) is readable.
  Status follow(const PieceHandler& handler, int stop = -1);

 private:
  enum class Step { delivered, enough, nothing };

  Follower(std::string directory, Cursor from) : path_(std::move(directory)), cursor_(from) {}
  Status watch();
  Status open_directory();
  Result<Step> step(const PieceHandler& handler);
  Result<Step> read_on(const PieceHandler& handler);
  Result<Step> find_file(const PieceHandler& handler);
  Step move_to(Cursor next, bool gap, const PieceHandler& handler);
  Result<bool> stands(std::uint64_t number) const;

  std::string path_;
  Cursor cursor_;
  std::unique_ptr<Watcher> own_;
  Watcher* watcher_ = nullptr;  // own_ or a shared one; null: unwatched
  int watch_ = -1;
  std::uint64_t seen_ = 0;
  os::Fd directory_;  // none: it does not exist yet, and the directory above is watched
  LogFile file_;      // of cursor_.file
  std::string buffer_;
};

}  // namespace hearth::logs
