// Descriptors and the few things that everybody does with them. Every descriptor made here is close-on-exec.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "base/result.h"

namespace hearth::os {

// Owns one descriptor. Move-only; closes on destruction. -1 is "none".
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  // close(2) is never repeated on EINTR: on Linux the descriptor is gone by then.
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// A second descriptor of the same open file, close-on-exec.
Result<Fd> duplicate(int fd);

Result<Fd> make_eventfd();
// Adds 1. Never blocks: a full counter wakes the reader all the same.
void ring(int eventfd);
// Takes the counter; 0 when nobody rang. The descriptor must be non-blocking.
std::uint64_t drain(int eventfd);

// Everything up to end of file; an error when there are more than `most` bytes.
Result<std::string> read_all(int fd, std::size_t most, std::string_view subject);
// The whole of a small file. Also for /proc, whose files have no size.
Result<std::string> read_file(const std::string& path, std::size_t most = 1u << 20);
Result<std::string> read_file_at(int directory, const std::string& name, std::size_t most);
Status write_all(int fd, std::string_view bytes, std::string_view subject);

// A memfd of `size` zero bytes.
Result<Fd> make_memfd(const char* name, std::uint64_t size);
// A memfd with these bytes that nobody can change or resize any more.
Result<Fd> make_sealed_memfd(const char* name, std::string_view bytes);
Result<std::uint64_t> file_size(int fd, std::string_view subject);

// What file it is: a hash of st_dev and st_ino, never 0. Two descriptors of one file have equal identities.
std::uint64_t file_identity(int fd);

// FNV-1a, 64 bits. For identities and breadcrumbs, not against an adversary.
inline constexpr std::uint64_t hash_seed = 14695981039346656037u;
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = hash_seed);

enum class Access { read, write };

// A shared mapping of a T (plain data) over a file. Move-only. The file may be larger.
template <typename T>
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      unmap();
      at_ = std::exchange(other.at_, nullptr);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { unmap(); }

  static Result<Mapping> map(int fd, Access access, std::string_view subject) {
    Result<std::uint64_t> size = file_size(fd, subject);
    if (!size) return failure(size.error());
    if (*size < sizeof(T))
      return failure(Remedy::fix_input, "map", std::string(subject), "it is too short for its format");
    int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* at = ::mmap(nullptr, sizeof(T), protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return errno_failure("map", subject, errno);
    Mapping mapping;
    // The bytes are there already; T is plain data whose lifetime began in another process.
    mapping.at_ = std::launder(static_cast<T*>(at));
    return mapping;
  }

  explicit operator bool() const { return at_ != nullptr; }
  T* get() const { return at_; }
  T& operator*() const { return *at_; }
  T* operator->() const { return at_; }

 private:
  void unmap() {
    if (at_ != nullptr) ::munmap(at_, sizeof(T));
    at_ = nullptr;
  }
  T* at_ = nullptr;
};

}  // namespace hearth::os
