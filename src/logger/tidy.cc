#include "logger/tidy.h"

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <memory>
#include <string.h>
#include <string>
#include <vector>
#include <zstd.h>

#include "logger/log_files.h"
#include "os/fd.h"
#include "wire/log_compressed.h"

namespace hearth::logger {
namespace {

using wire::LogFrameEntry;

constexpr int level = 3;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

// Appends to a file.
class Appender {
 public:
  Appender(System& system, int fd) : system_(system), fd_(fd) {}

  int append(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      int64_t done = system_.pwrite(fd_, from, size, end_);
      if (done == -EINTR) continue;
      if (done <= 0) return done < 0 ? static_cast<int>(-done) : ENOSPC;
      from += done;
      end_ += static_cast<uint64_t>(done);
      size -= static_cast<size_t>(done);
    }
    return 0;
  }

 private:
  System& system_;
  int fd_;
  uint64_t end_ = 0;
};

int write_table(Appender& to, const std::vector<LogFrameEntry>& frames) {
  uint64_t size = frames.size() * sizeof(LogFrameEntry) + sizeof(wire::LogFrameFooter);
  if (size > UINT32_MAX) return EFBIG;
  wire::LogFrameTableHeader header{wire::log_frame_table_magic, static_cast<uint32_t>(size)};
  wire::LogFrameFooter footer{static_cast<uint32_t>(frames.size()), 0, wire::log_frame_footer_magic};
  int error = to.append(&header, sizeof header);
  if (error == 0) error = to.append(frames.data(), frames.size() * sizeof(LogFrameEntry));
  if (error == 0) error = to.append(&footer, sizeof footer);
  return error;
}

int compress_into(System& system, int from, int to) {
  std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (!context) return ENOMEM;
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  // Not cleared: of a small file little of them is touched.
  constexpr std::size_t most = wire::log_frame_bytes;
  const std::size_t room = ZSTD_compressBound(most);
  const auto content = std::make_unique_for_overwrite<char[]>(most);
  const auto compressed = std::make_unique_for_overwrite<char[]>(room);
  std::vector<LogFrameEntry> frames;
  Appender appender(system, to);
  for (uint64_t at = 0;;) {
    size_t have = 0;
    while (have < most) {
      int64_t got = system.read_at(from, content.get() + have, most - have, at + have);
      if (got == -EINTR) continue;
      if (got < 0) return static_cast<int>(-got);
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    if (have == 0) return write_table(appender, frames);
    size_t size = ZSTD_compress2(context.get(), compressed.get(), room, content.get(), have);
    if (ZSTD_isError(size)) return ENOMEM;
    if (int error = appender.append(compressed.get(), size); error != 0) return error;
    frames.push_back({static_cast<uint32_t>(size), static_cast<uint32_t>(have)});
    at += have;
  }
}

// Whether a compressed file is whole, and has as much as `content`: nothing is missing between its begin and the table at
// its end.
bool is_whole(System& system, int fd, uint64_t size, uint64_t content) {
  constexpr uint64_t around = sizeof(wire::LogFrameTableHeader) + sizeof(wire::LogFrameFooter);
  wire::LogFrameFooter footer{};
  if (size < around || system.read_at(fd, &footer, sizeof footer, size - sizeof footer) != sizeof footer) return false;
  const uint64_t table = footer.frames * sizeof(LogFrameEntry) + around;
  if (footer.magic != wire::log_frame_footer_magic || table > size) return false;
  wire::LogFrameTableHeader header{};
  if (system.read_at(fd, &header, sizeof header, size - table) != sizeof header) return false;
  if (header.magic != wire::log_frame_table_magic || header.size != table - sizeof header) return false;
  uint64_t compressed = 0, inside = 0;
  for (uint64_t i = 0; i < footer.frames; ++i) {
    LogFrameEntry entry{};
    uint64_t at = size - table + sizeof header + i * sizeof entry;
    if (system.read_at(fd, &entry, sizeof entry, at) != sizeof entry) return false;
    compressed += entry.compressed;
    inside += entry.content;
  }
  return compressed == size - table && inside >= content;
}

class Tidier {
 public:
  Tidier(System& system, int directory, const TidyOrder& order)
      : system_(system), directory_(directory), order_(order) {
    stream_.uid = order.uid;
    stream_.gid = order.gid;
  }

  int run() {
    std::vector<NumberedFile> files;
    note(static_cast<int>(-std::min<int64_t>(0, system_.list(directory_, files))));
    for (const NumberedFile& file : files) {
      if (file.kind == FileKind::unfinished) system_.remove(directory_, unfinished_name(file.number).text);
    }
    const uint64_t first = order_.current > order_.keep ? order_.current - order_.keep + 1 : 1;
    for (const NumberedFile& file : files) {
      if (file.kind == FileKind::unfinished || file.kind == FileKind::index || file.number >= order_.current) continue;
      if (file.number < first) {
        remove_file(system_, directory_, file.number);
      } else if (file.kind == FileKind::log) {
        look_at(file, files);
      }
    }
    if (order_.max_total > 0) bound();
    return error_;
  }

 private:
  void note(int error) {
    if (error_ == 0) error_ = error;
  }

  // One that is not compressed, or not known to be.
  void look_at(const NumberedFile& file, const std::vector<NumberedFile>& files) {
    const auto other = std::ranges::find_if(files, [&](const NumberedFile& each) {
      return each.kind == FileKind::compressed && each.number == file.number;
    });
    if (other != files.end()) {
      const FileName name = compressed_name(file.number);
      const os::Fd fd(static_cast<int>(open_named(system_, directory_, name.text, stream_)));
      if (fd && is_whole(system_, fd.get(), other->bytes, file.bytes)) {
        system_.remove(directory_, file_name(file.number).text);
        return;
      }
      system_.remove(directory_, name.text);
    }
    if (order_.compress) note(compress(file.number));
  }

  int compress(uint64_t number) {
    int64_t fd = open_named(system_, directory_, file_name(number).text, stream_);
    if (fd < 0) return fd == -ENOENT ? 0 : static_cast<int>(-fd);
    os::Fd from(static_cast<int>(fd));
    FileName fresh = unfinished_name(number);
    fd = create_named(system_, directory_, fresh.text, stream_);
    if (fd < 0) return static_cast<int>(-fd);
    os::Fd to(static_cast<int>(fd));
    int error = compress_into(system_, from.get(), to.get());
    struct stat info{};
    if (error == 0 && system_.stat(from.get(), info) >= 0) system_.set_time(to.get(), info.st_mtim);
    // Its name must not be on the disk before its content: the original goes then.
    if (error == 0) error = static_cast<int>(-system_.sync(to.get()));
    if (error == 0) error = static_cast<int>(-system_.rename(directory_, fresh.text, compressed_name(number).text));
    if (error != 0) {
      system_.remove(directory_, fresh.text);
    } else if (system_.remove(directory_, file_name(number).text) == -ENOENT) {
      system_.remove(directory_, compressed_name(number).text);  // nobody wants it any more
    }
    return error;
  }

  void bound() {
    std::vector<NumberedFile> files;
    note(static_cast<int>(-std::min<int64_t>(0, system_.list(directory_, files))));
    std::ranges::sort(files, {}, [](const NumberedFile& file) { return file.number; });
    uint64_t total = order_.reserve;
    for (const NumberedFile& file : files) total += file.number < order_.current ? file.bytes : 0;
    for (size_t i = 0; i < files.size() && total > order_.max_total;) {
      uint64_t number = files[i].number;
      if (number >= order_.current) break;
      remove_file(system_, directory_, number);
      for (; i < files.size() && files[i].number == number; ++i) total -= std::min(total, files[i].bytes);
    }
  }

  System& system_;
  int directory_;
  const TidyOrder& order_;
  wire::LogStream stream_{};
  int error_ = 0;
};

}  // namespace

int tidy(System& system, int directory, const TidyOrder& order) {
  return Tidier(system, directory, order).run();
}

}  // namespace hearth::logger
