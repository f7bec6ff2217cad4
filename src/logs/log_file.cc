#include "logs/log_file.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hearth::logs {

std::string file_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + ".log";
}

std::uint64_t file_number(std::string_view name) {
  std::uint64_t number = 0;
  if (name.ends_with(".zst")) name.remove_suffix(4);
  if (name.size() < 12 || !name.ends_with(".log")) return 0;
  name.remove_suffix(4);
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

std::string index_name(std::uint64_t number) {
  std::string name = file_name(number);
  name.replace(name.size() - 3, 3, "idx");
  return name;
}

std::string compressed_name(std::uint64_t number) {
  return file_name(number) + ".zst";
}

Result<std::size_t> read_at(int file, void* data, std::size_t size, std::uint64_t offset, const std::string& name) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = pread(file, static_cast<char*>(data) + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_failure("read", name, errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

Result<os::Fd> open_named(int directory, const std::string& name) {
  // O_NONBLOCK: a FIFO of that name must not hold us.
  os::Fd file(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file) return file;
  if (errno == ENOENT) return os::Fd();
  return errno_failure("open", name, errno);
}

Result<LogFile> LogFile::open(int directory, std::uint64_t number) {
  LogFile file;
  // In this order: one is made before the other is removed.
  file.name_ = file_name(number);
  Result<os::Fd> plain = open_named(directory, file.name_);
  if (!plain) return failure(plain.error());
  file.plain_ = std::move(*plain);
  if (file.plain_) return file;
  file.name_ = compressed_name(number);
  Result<os::Fd> compressed = open_named(directory, file.name_);
  if (!compressed) return failure(compressed.error());
  if (!*compressed) return LogFile();
  Result<CompressedFile> opened = CompressedFile::open(std::move(*compressed), file.name_);
  if (!opened) return failure(opened.error());
  file.compressed_ = std::make_unique<CompressedFile>(std::move(*opened));
  return file;
}

void LogFile::reset() {
  plain_.reset();
  compressed_.reset();
}

Result<LogFile::Facts> LogFile::facts() const {
  if (compressed_) return Facts{.size = compressed_->size(), .linked = true};
  struct stat info{};
  if (fstat(plain_.get(), &info) < 0) return errno_failure("read", name_, errno);
  return Facts{.size = static_cast<std::uint64_t>(info.st_size), .linked = info.st_nlink > 0};
}

Result<std::size_t> LogFile::read_at(void* data, std::size_t size, std::uint64_t offset) {
  if (compressed_) return compressed_->read_at(data, size, offset);
  return logs::read_at(plain_.get(), data, size, offset, name_);
}

}  // namespace hearth::logs
