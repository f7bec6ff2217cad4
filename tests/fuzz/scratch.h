// A directory for all inputs of a process, on tmpfs where there is one; gone with it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>

#include "base/check.h"

namespace hearth::fuzz {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    path_ = (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/hearth-fuzz-XXXXXX");
    HEARTH_CHECK(::mkdtemp(path_.data()) != nullptr, "a directory for files");
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hearth::fuzz
