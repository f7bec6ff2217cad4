#include "logger/open_line.h"

#include <algorithm>
#include <errno.h>

#include "logger/log_files.h"
#include "os/fd.h"

namespace hearth::logger {
namespace {

int64_t read_whole(System& system, int fd, char* to, size_t size, uint64_t from) {
  while (size > 0) {
    int64_t got = system.read_at(fd, to, size, from);
    if (got == -EINTR) continue;
    if (got <= 0) return got < 0 ? got : -ENODATA;
    to += got;
    from += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

}  // namespace

OpenLine read_open_line(System& system, int directory, uint64_t number, int fd, uint64_t size,
                        const wire::LogStream& stream, char* buffer) {
  const uint64_t newest = number;
  char* const end = buffer + open_line_most;
  char* begin = end;  // what has been read stands in [begin, end)
  os::Fd earlier;
  for (;;) {
    auto part = static_cast<size_t>(std::min<uint64_t>(size, static_cast<uint64_t>(begin - buffer)));
    begin -= part;
    if (int64_t done = read_whole(system, fd, begin, part, size - part); done < 0) {
      if (number == newest) return {{}, LineView::whole, done};
      return {{begin + part, end}, LineView::unknown, 0};
    }
    const std::string_view fresh(begin, part);
    if (const size_t newline = fresh.rfind('\n'); newline != fresh.npos)
      return {{begin + newline + 1, end}, LineView::whole, 0};
    const std::string_view all(begin, end);
    if (begin == buffer) return {all, LineView::middle, 0};
    // This file was read to its beginning.
    if (--number == 0) return {all, LineView::whole, 0};
    const int64_t opened = open_named(system, directory, file_name(number).text, stream);
    struct stat info{};
    if (opened >= 0) earlier.reset(static_cast<int>(opened));
    if (opened < 0 || system.stat(earlier.get(), info) < 0) return {all, LineView::unknown, 0};
    fd = earlier.get();
    size = static_cast<uint64_t>(info.st_size);
  }
}

}  // namespace hearth::logger
