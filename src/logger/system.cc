#include "logger/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "logger/log_files.h"

namespace hearth::logger {
namespace {

int64_t checked(int64_t result) {
  return result < 0 ? -errno : result;
}

int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * ns_per_s + now.tv_nsec;
}

template <typename Each>
int64_t each_file(int directory, Each each) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  DIR* entries = fdopendir(fd);
  if (entries == nullptr) {
    int code = errno;
    close(fd);
    return -code;
  }
  while (const dirent* entry = readdir(entries)) each(*entry);
  closedir(entries);
  return 0;
}

}  // namespace

int64_t System::splice(int from, int to, size_t size) {
  return checked(::splice(from, nullptr, to, nullptr, size, SPLICE_F_NONBLOCK));
}
int64_t System::read(int fd, void* data, size_t size) {
  return checked(::read(fd, data, size));
}
int64_t System::pending(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
}

int64_t System::widen(int fd, size_t size) {
  return checked(fcntl(fd, F_SETPIPE_SZ, static_cast<int>(size)));
}

int64_t System::pwrite(int fd, const void* data, size_t size, uint64_t offset) {
  return checked(::pwrite(fd, data, size, static_cast<off_t>(offset)));
}
int64_t System::truncate(int fd, uint64_t size) {
  return checked(ftruncate(fd, static_cast<off_t>(size)));
}
int64_t System::reserve(int fd, uint64_t offset, uint64_t size) {
  return checked(fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size)));
}
int64_t System::free_bytes(int fd) {
  struct statvfs space{};
  if (fstatvfs(fd, &space) < 0) return -errno;
  return static_cast<int64_t>(space.f_bavail * space.f_frsize);
}
int64_t System::stat(int fd, struct stat& out) {
  return checked(fstat(fd, &out));
}
int64_t System::read_at(int fd, void* data, size_t size, uint64_t offset) {
  return checked(pread(fd, data, size, static_cast<off_t>(offset)));
}
int64_t System::last_byte(int fd, uint64_t size) {
  unsigned char byte = 0;
  int64_t got = checked(pread(fd, &byte, 1, static_cast<off_t>(size - 1)));
  return got < 0 ? got : got == 0 ? -ENODATA : byte;
}

int64_t System::open(int directory, const char* name, int flags, mode_t mode) {
  return checked(openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, mode));
}
int64_t System::make_directory(int directory, const char* name) {
  return checked(mkdirat(directory, name, 0700));
}
bool System::exists(int directory, const char* name) {
  return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
int64_t System::remove(int directory, const char* name) {
  return checked(unlinkat(directory, name, 0));
}
int64_t System::change_owner(int fd, uint32_t uid, uint32_t gid) {
  return checked(fchown(fd, uid, gid));
}
int64_t System::link_to(int directory, const char* target, const char* name) {
  return checked(symlinkat(target, directory, name));
}
int64_t System::rename(int directory, const char* from, const char* to) {
  return checked(renameat(directory, from, directory, to));
}

int64_t System::claim(int fd) {
  return checked(flock(fd, LOCK_EX | LOCK_NB));
}

int64_t System::scan(int directory, NumberRange& out) {
  out = {};
  return each_file(directory, [&](const dirent& entry) {
    NumberedFile file;
    if (!parse_name(entry.d_name, file) || file.kind == FileKind::index || file.kind == FileKind::unfinished) return;
    if (out.least == 0 || file.number < out.least) out.least = file.number;
    if (file.number > out.greatest) out.greatest = file.number;
  });
}

int64_t System::list(int directory, std::vector<NumberedFile>& out) {
  out.clear();
  return each_file(directory, [&](const dirent& entry) {
    NumberedFile file;
    if (!parse_name(entry.d_name, file)) return;
    struct stat info{};
    if (fstatat(directory, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) return;
    file.bytes = static_cast<uint64_t>(info.st_size);
    out.push_back(file);
  });
}
int64_t System::remove_dangling(int directory, const char* prefix) {
  size_t size = strlen(prefix);
  return each_file(directory, [&](const dirent& entry) {
    size_t length = strlen(entry.d_name);
    bool named =
        length > size + 4 && memcmp(entry.d_name, prefix, size) == 0 && strcmp(entry.d_name + length - 4, ".log") == 0;
    if (!named || faccessat(directory, entry.d_name, F_OK, 0) == 0) return;
    struct stat info{};
    bool link = fstatat(directory, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
    if (link) unlinkat(directory, entry.d_name, 0);
  });
}
int64_t System::sync(int fd) {
  return checked(fdatasync(fd));
}
int64_t System::set_time(int fd, timespec modified) {
  timespec times[2] = {{0, UTIME_OMIT}, modified};
  return checked(futimens(fd, times));
}

MonoNs System::mono_ns() {
  return clock_ns(CLOCK_MONOTONIC);
}
void System::nap(SpanNs span) {
  timespec time{span / ns_per_s, span % ns_per_s};
  nanosleep(&time, nullptr);
}
WallNs System::wall_ns() {
  return clock_ns(CLOCK_REALTIME);
}

}  // namespace hearth::logger
