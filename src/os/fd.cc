#include "os/fd.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

namespace hearth::os {

Result<Fd> duplicate(int fd) {
  int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return errno_failure("duplicate", "a descriptor", errno);
  return Fd(copy);
}

Result<Fd> make_eventfd() {
  int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return errno_failure("make", "an eventfd", errno);
  return Fd(fd);
}

void ring(int eventfd) {
  const std::uint64_t one = 1;
  while (::write(eventfd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

std::uint64_t drain(int eventfd) {
  std::uint64_t count = 0;
  ssize_t n = 0;
  do {
    n = ::read(eventfd, &count, sizeof count);
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(sizeof count) ? count : 0;
}

Result<std::string> read_all(int fd, std::size_t most, std::string_view subject) {
  std::string bytes;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_failure("read", subject, errno);
    if (n == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(n) > most)
      return failure(Remedy::fix_input, "read", std::string(subject), "it is larger than it may be");
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
}

Result<std::string> read_file_at(int directory, const std::string& name, std::size_t most) {
  Fd fd(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return errno_failure("open", name, errno);
  return read_all(fd.get(), most, name);
}

Result<std::string> read_file(const std::string& path, std::size_t most) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_failure("open", path, errno);
  return read_all(fd.get(), most, path);
}

Status write_all(int fd, std::string_view bytes, std::string_view subject) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_failure("write", subject, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<Fd> make_memfd(const char* name, std::uint64_t size) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return errno_failure("make", name, errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) < 0) return errno_failure("size", name, errno);
  return fd;
}

Result<Fd> make_sealed_memfd(const char* name, std::string_view bytes) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return errno_failure("make", name, errno);
  if (Status written = write_all(fd.get(), bytes, name); !written) return failure(written.error());
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
    return errno_failure("seal", name, errno);
  return fd;
}

Result<std::uint64_t> file_size(int fd, std::string_view subject) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return errno_failure("examine", subject, errno);
  return static_cast<std::uint64_t>(st.st_size);
}

std::uint64_t file_identity(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return 1;
  std::uint64_t words[2] = {st.st_dev, st.st_ino};
  std::uint64_t hash = hash_bytes({reinterpret_cast<const char*>(words), sizeof words});
  return hash == 0 ? 1 : hash;
}

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211u;
  }
  return hash;
}

}  // namespace hearth::os
