// Every system call of the logger that changes the world, behind one small class: a test derives from it and
// dies, fails or cuts short at the call of its choice. The hot path makes about seven calls a batch, so what a
// virtual call costs is not to be seen.
//
// All functions return a value >= 0, or a negative errno.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <vector>

#include "base/time.h"

namespace hearth::logger {

struct NumberRange {
  uint64_t least = 0;  // 0 = there is no file
  uint64_t greatest = 0;
};

enum class FileKind { log, index, compressed, unfinished };
struct NumberedFile {
  uint64_t number = 0;
  FileKind kind = FileKind::log;
  uint64_t bytes = 0;  // on the disk
};

class System {
 public:
  virtual ~System() = default;

  // Pipes. splice is non-blocking; pending is FIONREAD.
  virtual int64_t splice(int from, int to, size_t size);
  virtual int64_t read(int fd, void* data, size_t size);
  virtual int64_t pending(int fd);
  virtual int64_t widen(int fd, size_t size);  // returns the capacity

  // Files.
  virtual int64_t pwrite(int fd, const void* data, size_t size, uint64_t offset);
  virtual int64_t truncate(int fd, uint64_t size);
  virtual int64_t reserve(int fd, uint64_t offset, uint64_t size);  // fallocate, the file's size stays
  virtual int64_t free_bytes(int fd);                               // what fstatvfs offers to us
  virtual int64_t stat(int fd, struct stat& out);
  virtual int64_t read_at(int fd, void* data, size_t size, uint64_t offset);
  virtual int64_t last_byte(int fd, uint64_t size);  // the byte at size - 1

  // Names, always relative to a directory's descriptor.
  virtual int64_t open(int directory, const char* name, int flags, mode_t mode);
  virtual int64_t make_directory(int directory, const char* name);
  virtual bool exists(int directory, const char* name);
  virtual int64_t remove(int directory, const char* name);
  virtual int64_t change_owner(int fd, uint32_t uid, uint32_t gid);
  virtual int64_t link_to(int directory, const char* target, const char* name);  // symlink
  // Removes links PREFIX*.log that point to nothing.
  virtual int64_t remove_dangling(int directory, const char* prefix);
  virtual int64_t rename(int directory, const char* from, const char* to);
  virtual int64_t claim(int fd);                          // flock, exclusive, at once or not at all
  virtual int64_t scan(int directory, NumberRange& out);  // least and greatest of all numbered files
  virtual int64_t list(int directory, std::vector<NumberedFile>& out);
  virtual int64_t sync(int fd);
  virtual int64_t set_time(int fd, timespec modified);

  virtual MonoNs mono_ns();
  virtual WallNs wall_ns();

  virtual void nap(SpanNs span);

  // Called before each store to the log page.
  virtual void before_store() {}
};

}  // namespace hearth::logger
