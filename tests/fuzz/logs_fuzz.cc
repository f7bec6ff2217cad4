// Hostile files in a directory of logs, which belongs to a service's user where there is one. Parts of the input, parted
// by the byte 0x1e, are files; the first byte of each chooses: 'l' a log, 'c' one that is compressed here as the logger
// does it, 'z' hostile bytes under the name of a compressed one, 'i' a time index for the log before it.
//
// Readers deliver what stands there, whole, in order and once, or say why they cannot.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>
#include <zstd.h>

#include "base/check.h"
#include "base/rfc3339.h"
#include "fuzz/bytes.h"
#include "fuzz/scratch.h"
#include "logs/lines.h"
#include "logs/log_file.h"
#include "logs/reader.h"
#include "wire/log_compressed.h"

namespace {

using namespace hearth;

// One directory for all inputs; tmpfs where there is one.
class Directory {
 public:
  const std::string& path() const { return place_.path(); }
  void put(const std::string& name, std::string_view bytes) {
    const os::Fd file(::open((path() + "/" + name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    HEARTH_CHECK(file && ::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
                 name.c_str());
    names_.push_back(name);
  }
  void empty() {
    for (const std::string& name : names_) ::unlink((path() + "/" + name).c_str());
    names_.clear();
  }

 private:
  fuzz::ScratchDirectory place_;
  std::vector<std::string> names_;
};

void append(std::string& out, const auto& plain) {
  out.append(reinterpret_cast<const char*>(&plain), sizeof plain);
}

// As logger/tidy.cc, with frames of 64 bytes.
std::string compressed(std::string_view content) {
  constexpr std::size_t frame_bytes = 64;
  std::string out, table;
  std::uint32_t frames = 0;
  for (; !content.empty(); ++frames) {
    const std::string_view part = content.substr(0, frame_bytes);
    content.remove_prefix(part.size());
    char frame[ZSTD_COMPRESSBOUND(frame_bytes)];
    const std::size_t size = ZSTD_compress(frame, sizeof frame, part.data(), part.size(), 1);
    HEARTH_CHECK(ZSTD_isError(size) == 0, "zstd compresses");
    out.append(frame, size);
    append(table, wire::LogFrameEntry{static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(part.size())});
  }
  append(table, wire::LogFrameFooter{frames, 0, wire::log_frame_footer_magic});
  append(out, wire::LogFrameTableHeader{wire::log_frame_table_magic, static_cast<std::uint32_t>(table.size())});
  return out + table;
}

void explains(const Error& error) {
  HEARTH_CHECK(!error.reason.empty() && !error.subject.empty(), "every refusal says why, and of which file");
}

// All bytes in order; false when somebody could not read on.
bool read_bytes(const std::string& directory, std::string& out, bool& gap) {
  logs::Follower follower = logs::Follower::unwatched(directory, {});
  logs::Cursor last;
  const Result<bool> taken = follower.take([&](const logs::Piece& piece) {
    HEARTH_CHECK(piece.next.file > last.file || (piece.next.file == last.file && piece.next.offset >= last.offset),
                 "a cursor goes forward");
    HEARTH_CHECK(logs::cursor_from_text(logs::to_text(piece.next)) == piece.next, "a cursor is written and read");
    last = piece.next;
    gap |= piece.gap;
    out += piece.bytes;
    return true;
  });
  if (!taken) explains(taken.error());
  return taken.has_value();
}

void check_lines(const std::string& directory, const std::string& content) {
  logs::LineReader reader(logs::Follower::unwatched(directory, {}));
  std::string lines;
  logs::Line line;
  for (;;) {
    const Result<logs::LineReader::Got> got = reader.next(line);
    if (!got) return explains(got.error());
    if (*got == logs::LineReader::Got::nothing) break;
    if (*got == logs::LineReader::Got::gap) continue;
    lines.append(line.text).append("\n");
    const std::string_view stamp = logs::stamp_of(line.text);
    const WallNs time = logs::stamp_time(stamp);
    if (time != 0)
      HEARTH_CHECK(logs::stamp_time(rfc3339(time, logs::stamp_digits)) == time, "a time is written and read");
  }
  if (reader.finish(line)) lines.append(line.text);
  HEARTH_CHECK(lines == content, "the lines are the log");
}

void check_tail(const std::string& directory, const std::string& content, std::size_t wanted) {
  const Result<logs::Tail> tail = logs::last_lines(directory, wanted);
  if (!tail) return explains(tail.error());
  HEARTH_CHECK(content.ends_with(tail->bytes), "a tail is the end of the log");
  std::size_t count = 0;
  for (const char c : tail->bytes) count += c == '\n' ? 1u : 0u;
  if (!tail->bytes.empty() && tail->bytes.back() != '\n') ++count;
  HEARTH_CHECK(count <= wanted, "and not more than was asked for");
  if (count < wanted) HEARTH_CHECK(tail->bytes == content, "nor less, if there is more");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Directory directory;
  fuzz::Bytes bytes(data, size);
  const std::size_t wanted = bytes.byte() % 8;
  const auto since = bytes.number<WallNs>();
  std::string content;
  bool whole = true;  // no file has hostile bytes where a reader must believe them
  std::uint64_t number = 0;
  while (!bytes.empty() && number < 6) {
    std::string_view part = bytes.part();
    if (part.empty()) continue;
    const char kind = part[0];
    part.remove_prefix(1);
    if (kind == 'i') {
      directory.put(logs::index_name(number == 0 ? 1 : number), part);
      continue;
    }
    ++number;
    whole &= kind == 'l' || kind == 'c';
    if (kind == 'c') {
      directory.put(logs::compressed_name(number), compressed(part));
    } else {
      directory.put(kind == 'z' ? logs::compressed_name(number) : logs::file_name(number), part);
    }
    content += part;
  }
  std::string read;
  bool gap = false;
  const bool well = read_bytes(directory.path(), read, gap);
  if (whole) {
    HEARTH_CHECK(well && read == content, "all that stands there is read, once");
    check_lines(directory.path(), content);
    check_tail(directory.path(), content, wanted);
  } else if (well) {
    check_lines(directory.path(), read);
  }
  const Result<logs::Cursor> place = logs::place_of(directory.path(), since);
  if (!place) {
    explains(place.error());
  } else {
    HEARTH_CHECK(place->file <= number, "a time is in a file that is there");
    logs::Follower follower = logs::Follower::unwatched(directory.path(), *place);
    if (const Result<bool> taken = follower.take([](const logs::Piece&) { return true; }); !taken)
      explains(taken.error());
  }
  directory.empty();
  return 0;
}
