#include "logger/file_sink.h"

#include <algorithm>
#include <errno.h>
#include <string.h>

#include "logger/log_files.h"

namespace hearth::logger {

void OpenFile::close() {
  fd.reset();
  number = 0;
  reserved = 0;
  has_leftovers = true;
  index = {};
}

void FileSink::append(const char* data, size_t size) {
  if (size == 0) return;
  appended_ += size;
  offset_ += size;
  last_ = data[size - 1];
  if (size >= sink_buffer_bytes / 4) {
    flush();
    write_out(data, size);
    return;
  }
  if (buffered_ + size > sink_buffer_bytes) flush();
  memcpy(buffer_ + buffered_, data, size);
  buffered_ += size;
}

void FileSink::flush() {
  size_t size = buffered_;
  buffered_ = 0;
  if (size > 0) write_out(buffer_, size);
}

// Behind what is written: what may still come into this file, or at least this. Returns errno.
int FileSink::reserve(uint64_t chunk) {
  const uint64_t least = written_ + chunk;
  if (!file_.can_reserve || least <= file_.reserved) return 0;
  const uint64_t rest = expected_ > appended_ ? expected_ - appended_ : 0;
  const uint64_t from = std::max(written_, file_.reserved);
  int64_t done = 0;
  for (const uint64_t end : {least + std::min(rest, room()), least}) {
    do done = system_.reserve(file_.fd.get(), from, end - from);
    while (done == -EINTR);
    if (done >= 0) file_.reserved = end;
    if (done != -ENOSPC && done != -EDQUOT) break;
  }
  if (done == -EOPNOTSUPP || done == -ENOSYS) file_.can_reserve = false;
  return done == -ENOSPC || done == -EDQUOT ? static_cast<int>(-done) : 0;
}

void FileSink::write_out(const char* data, size_t size) {
  if (error_ == 0) error_ = reserve(size);
  uint64_t at = written_;
  while (size > 0 && error_ == 0) {
    int64_t done = system_.pwrite(file_.fd.get(), data, size, at);
    if (done == -EINTR) continue;
    if (done <= 0) {
      error_ = done < 0 ? static_cast<int>(-done) : ENOSPC;
      return;
    }
    data += done;
    size -= static_cast<size_t>(done);
    at += static_cast<uint64_t>(done);
  }
  written_ = at;
}

uint64_t FileSink::room() const {
  if (!bounded()) return UINT64_MAX;
  uint64_t end = max_size_ + long_line_slack;
  return offset_ < end ? end - offset_ : 0;
}

uint64_t FileSink::until_due() const {
  if (!bounded()) return UINT64_MAX;
  return offset_ < max_size_ ? max_size_ - offset_ : 0;
}

void FileSink::next_file() {
  flush();
  if (error_ != 0) return;
  // Give back what was reserved and not used, before the next file needs it.
  if (file_.fd && (file_.reserved > offset_ || file_.has_leftovers)) {
    system_.truncate(file_.fd.get(), offset_);
    file_.reserved = offset_;
    file_.has_leftovers = false;
  }
  os::Fd directory;
  int64_t fd = open_directory(system_, log_directory_, stream_);
  if (fd >= 0) {
    directory.reset(static_cast<int>(fd));
    fd = create_file(system_, directory.get(), number_ + 1, stream_);
  }
  if (fd < 0) {
    // Better a file that is too long than output that stops: go on in this one.
    rotation_error_ = static_cast<int>(-fd);
    return;
  }
  file_.fd.reset(static_cast<int>(fd));
  file_.number = ++number_;
  file_.reserved = 0;
  file_.has_leftovers = false;
  offset_ = 0;
  written_ = 0;
  point_current(system_, directory.get(), number_);
  note_time();
}

}  // namespace hearth::logger
