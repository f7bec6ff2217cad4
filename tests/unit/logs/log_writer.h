// Writes log files the way a logger does, by hand.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

#include "base/check.h"

namespace hearth::logs::test {

class LogWriter {
 public:
  LogWriter() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hearth-logs-XXXXXX").string();
    HEARTH_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    above_ = pattern;
  }
  ~LogWriter() {
    std::error_code ignored;
    std::filesystem::remove_all(above_, ignored);
  }
  std::string directory() const { return above_ + "/web.0"; }
  std::string file(int number) const {
    char name[32];
    snprintf(name, sizeof name, "/%08d.log", number);
    return directory() + name;
  }
  void append(int number, std::string_view bytes) {
    std::filesystem::create_directory(directory());
    std::ofstream(file(number), std::ios::binary | std::ios::app) << bytes;
  }
  void cut(int number, std::size_t size) { std::filesystem::resize_file(file(number), size); }
  void remove(int number) { std::filesystem::remove(file(number)); }

 private:
  std::string above_;
};

}  // namespace hearth::logs::test
