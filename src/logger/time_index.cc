#include "logger/time_index.h"

#include <errno.h>

#include "logger/file_sink.h"
#include "logger/log_files.h"
#include "wire/log_index.h"

namespace hearth::logger {
namespace {

using wire::LogIndexHeader;
using wire::LogIndexRecord;

constexpr uint64_t header_bytes = sizeof(LogIndexHeader);
constexpr uint64_t record_bytes = sizeof(LogIndexRecord);

bool write_all(System& system, int fd, const void* data, uint64_t size, uint64_t offset) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    int64_t done = system.pwrite(fd, from, size, offset);
    if (done == -EINTR) continue;
    if (done <= 0) return false;
    from += done;
    offset += static_cast<uint64_t>(done);
    size -= static_cast<uint64_t>(done);
  }
  return true;
}

bool begin_index(System& system, OpenIndex& index) {
  LogIndexHeader header{wire::log_index_magic, wire::log_index_version, index.number};
  if (system.truncate(index.fd.get(), 0) < 0 || !write_all(system, index.fd.get(), &header, header_bytes, 0)) {
    return false;
  }
  index.size = header_bytes;
  return true;
}

// What stands there already: its last record that can be true, `end` being where the log ends.
bool go_on(System& system, OpenIndex& index, uint64_t end) {
  struct stat info{};
  LogIndexHeader header{};
  int fd = index.fd.get();
  if (system.stat(fd, info) < 0) return false;
  bool known = system.read_at(fd, &header, header_bytes, 0) == static_cast<int64_t>(header_bytes) &&
               header.magic == wire::log_index_magic && header.version == wire::log_index_version &&
               header.file == index.number;
  if (!known) return begin_index(system, index);
  LogIndexRecord first{};
  if (system.read_at(fd, &first, record_bytes, header_bytes) == static_cast<int64_t>(record_bytes)) {
    index.begun_ns = first.wall_ns;
  }
  uint64_t there = static_cast<uint64_t>(info.st_size);
  uint64_t size = there - (there - header_bytes) % record_bytes;
  while (size > header_bytes) {
    LogIndexRecord last{};
    if (system.read_at(fd, &last, record_bytes, size - record_bytes) != static_cast<int64_t>(record_bytes)) {
      return false;
    }
    if (last.wall_ns > 0 && last.offset <= end) {
      index.next_ns = last.wall_ns + wire::log_index_span_ns;
      index.last_offset = last.offset;
      break;
    }
    size -= record_bytes;
  }
  if (size < there && system.truncate(fd, size) < 0) return false;
  index.size = size;
  return true;
}

void open_index(System& system, int log_directory, const wire::LogStream& stream, OpenFile& file, uint64_t end) {
  OpenIndex& index = file.index;
  index = {};
  index.number = file.number;
  int64_t fd = open_directory(system, log_directory, stream);
  if (fd < 0) return;
  os::Fd directory(static_cast<int>(fd));
  FileName name = index_name(file.number);
  fd = open_named(system, directory.get(), name.text, stream);
  bool fresh = fd == -ENOENT;
  if (fresh) fd = create_named(system, directory.get(), name.text, stream);
  if (fd < 0) return;
  index.fd.reset(static_cast<int>(fd));
  if (fresh ? begin_index(system, index) : go_on(system, index, end)) return;
  index.size = 0;
  index.fd.reset();
}

}  // namespace

void note_time(System& system, int log_directory, const wire::LogStream& stream, OpenFile& file, WallNs wall_ns,
               uint64_t offset) {
  OpenIndex& index = file.index;
  if (index.number != file.number) open_index(system, log_directory, stream, file, offset);
  if (index.begun_ns == 0 || offset == 0) index.begun_ns = wall_ns;
  if (index.size == 0 || wall_ns < index.next_ns) return;
  // The same place once more: nothing has come at the time that the last record names.
  bool again = index.size > header_bytes && index.last_offset == offset;
  uint64_t at = again ? index.size - record_bytes : index.size;
  LogIndexRecord record{wall_ns, offset};
  if (!write_all(system, index.fd.get(), &record, record_bytes, at)) {
    index.size = 0;
    index.fd.reset();
    return;
  }
  index.size = at + record_bytes;
  index.last_offset = offset;
  index.next_ns = wall_ns + wire::log_index_span_ns;
}

WallNs begun_at(System& system, int log_directory, const wire::LogStream& stream, OpenFile& file, uint64_t end) {
  if (file.index.number != file.number) open_index(system, log_directory, stream, file, end);
  return file.index.begun_ns;
}

}  // namespace hearth::logger
