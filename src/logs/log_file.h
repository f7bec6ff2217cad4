// A log's files: their names, and what stands in one. Inside the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "logs/compressed_file.h"
#include "os/fd.h"

namespace hearth::logs {

std::string file_name(std::uint64_t number);
std::string index_name(std::uint64_t number);
std::string compressed_name(std::uint64_t number);
std::uint64_t file_number(std::string_view name);  // of either kind; 0 = it is none of a log's files
// No descriptor when there is nothing of that name.
Result<os::Fd> open_named(int directory, const std::string& name);
// `size` bytes from `offset` on, fewer where the file ends before; through interruptions.
Result<std::size_t> read_at(int file, void* data, std::size_t size, std::uint64_t offset, const std::string& name);

// A log's file, compressed or not.
class LogFile {
 public:
  struct Facts {
    std::uint64_t size = 0;  // of its content
    bool linked = true;      // it has its name still
  };

  LogFile() = default;
  // Empty when there is no file of that number.
  static Result<LogFile> open(int directory, std::uint64_t number);

  explicit operator bool() const { return plain_ || compressed_ != nullptr; }
  void reset();
  Result<Facts> facts() const;
  Result<std::size_t> read_at(void* data, std::size_t size, std::uint64_t offset);

 private:
  std::string name_;
  os::Fd plain_;
  std::unique_ptr<CompressedFile> compressed_;
};

}  // namespace hearth::logs
