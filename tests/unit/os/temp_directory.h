// A directory that is removed with everything in it at the end of a test.
#pragma once

#include <filesystem>
#include <stdlib.h>
#include <string>

namespace hearth::test {

class TempDirectory {
 public:
  TempDirectory() {
    char name[] = "/tmp/hearth-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace hearth::test
