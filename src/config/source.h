// The texts that a configuration is made of: the project file, files that it includes, drop-ins, environment files, and
// single settings that come from the environment or the command line. A Position names one of them by its index.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/diagnostic.h"

namespace hearth::config {

struct Source {
  std::string shown;  // how messages call it: "hearth.toml", "hearth.d/10-gpu.toml", "--set service.web.nice=5"
  std::string path;   // canonical; "" for what is no file
  std::string text;   // of a file, for the line below a message; not of one with secrets
};

// How this room gets at files besides the project file: its caller reads them. An implementation may be a map.
class Files {
 public:
  struct File {
    std::string path;  // canonical: one file has one, however it was called
    std::string text;
  };

  virtual ~Files() = default;
  // `path` is absolute. A file that is not there is `not_found`, everything else another remedy; `reason` is shown.
  // Refuses what has more than max_file_bytes.
  virtual Result<File> read(const std::string& path) = 0;
  // The files that a pattern of glob(3) names, absolute, in byte order; none is no failure.
  virtual Result<std::vector<std::string>> match(const std::string& pattern) = 0;
};

}  // namespace hearth::config
