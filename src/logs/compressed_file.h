// Reads a compressed log file from anywhere in it (wire/log_compressed.h). Inside the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::logs {

class CompressedFile {
 public:
  // `name` is for errors.
  static Result<CompressedFile> open(os::Fd file, std::string name);

  std::uint64_t size() const { return frames_.empty() ? 0 : frames_.back().end; }  // of the content
  // `size` bytes of the content from `offset` on, fewer where it ends before. Keeps the frame that it read last.
  Result<std::size_t> read_at(void* data, std::size_t size, std::uint64_t offset);

 private:
  struct Frame {
    std::uint64_t at;       // in the file
    std::uint32_t bytes;    // there
    std::uint32_t content;  // of it
    std::uint64_t end;      // of its content in the whole content
  };
  Status take(std::size_t frame);
  Error broken(std::string reason) const;

  os::Fd file_;
  std::string name_;
  std::vector<Frame> frames_;
  std::size_t taken_ = SIZE_MAX;
  std::string content_;  // of frames_[taken_]
};

}  // namespace hearth::logs
