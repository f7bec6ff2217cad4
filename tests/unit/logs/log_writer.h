// Writes log files the way a logger does, by hand.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "wire/log_index.h"

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
  // `named`: the number that its header names, where it is another.
  void index(int number, const std::vector<wire::LogIndexRecord>& records, std::uint64_t named = 0) {
    const wire::LogIndexHeader header{wire::log_index_magic, wire::log_index_version,
                                      named != 0 ? named : static_cast<std::uint64_t>(number)};
    append_index(number, {reinterpret_cast<const char*>(&header), sizeof header});
    append_index(number, {reinterpret_cast<const char*>(records.data()), records.size() * sizeof records[0]});
  }
  void append_index(int number, std::string_view bytes) {
    std::ofstream(index_file(number), std::ios::binary | std::ios::app) << bytes;
  }
  void remove_index(int number) { std::filesystem::remove(index_file(number)); }
  void cut(int number, std::size_t size) { std::filesystem::resize_file(file(number), size); }
  void remove(int number) { std::filesystem::remove(file(number)); }

 private:
  std::string index_file(int number) const {
    std::string name = file(number);
    return name.replace(name.size() - 3, 3, "idx");
  }

  std::string above_;
};

}  // namespace hearth::logs::test
