// Files of variables: `env_files = ["secrets.env", "-local.env"]`.
//
//   # a comment
//   NAME=value            up to the end of the line or " #"; blanks around it do not count
//   export NAME=value     as a shell may read the same file
//   NAME='as it is'       until the next ', also over several lines
//   NAME="with \n \t \\ \" \$"
//
// Nothing is replaced: a '$' is a '$'. Later lines and later files win; the service's own `env` wins over all.
//
// The files are read when the configuration is read, not for each run: what runs is then known as a whole, a changed
// file is a change that `up` sees, and a disk that hangs keeps no service from being started again
// (docs/decisions).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/reader.h"
#include "config/source.h"

namespace hearth::config {

using Variables = std::vector<std::pair<std::string, std::string>>;

struct EnvFileProblem {
  Position at;
  std::string message, remedy;
};

// Each name once, in the order of the file. On problems what could be read is still there.
Variables parse_env_file(std::string_view text, std::vector<EnvFileProblem>& problems);

// What hearth itself puts into the environment of a service.
bool is_own_variable(std::string_view name);

// Reads each file once, however many services name it. Notes problems with the reader whose turn it is.
class EnvFiles {
 public:
  // Both outlive it; `files` may be null. Each file becomes a source.
  EnvFiles(Files* files, std::vector<Source>& sources, std::size_t bytes)
      : files_(files), sources_(sources), bytes_(bytes) {}

  // `path` is absolute, `shown` as written, `at` where it is. Null when there is nothing. Valid as long as this.
  const Variables* read(Reader& reader, const std::string& path, std::string_view shown, Position at,
                        bool may_be_missing);

 private:
  Files* files_;
  std::vector<Source>& sources_;
  std::size_t bytes_;
  std::map<std::string, Variables> known_;  // by path
};

}  // namespace hearth::config
