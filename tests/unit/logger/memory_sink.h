#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "logger/line_format.h"

namespace hearth::logger {

// Files in memory: one begins where the one before is `max_size` long and its line ends, at the latest `slack` bytes later.
// max_size 0: one file.
class MemorySink : public LineSink {
 public:
  explicit MemorySink(std::uint64_t max_size = 0, std::uint64_t slack = 200) : max_size_(max_size), slack_(slack) {}
  void append(const char* data, std::size_t size) override { files.back().append(data, size); }
  std::uint64_t room() const override {
    std::uint64_t end = max_size_ + slack_;
    return max_size_ == 0 ? UINT64_MAX : files.back().size() < end ? end - files.back().size() : 0;
  }
  std::uint64_t until_due() const override {
    std::uint64_t size = files.back().size();
    return max_size_ == 0 ? UINT64_MAX : size < max_size_ ? max_size_ - size : 0;
  }
  void next_file() override { files.emplace_back(); }
  std::string all() const {
    std::string text;
    for (const std::string& file : files) text += file;
    return text;
  }
  std::vector<std::string> files = {""};

 private:
  std::uint64_t max_size_, slack_;
};

}  // namespace hearth::logger
