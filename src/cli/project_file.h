// The project's file: where it is, what it says, and how its mistakes are told. For `up`, `reload` and `config`.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "config/source.h"
#include "config/toml.h"

namespace hearth::cli {

struct ProjectFile {
  std::string path;   // canonical where it exists
  std::string shown;  // as the user would write it
};

// The file of -f, or the first hearth.toml from here upwards. `must_exist`: not for `down`, whose file may be gone.
Result<ProjectFile> find_file(const Context& context, bool must_exist);

// Files that a configuration names, from the disk. Nothing that is no regular file: a FIFO would keep us for ever.
class DiskFiles : public config::Files {
 public:
  Result<File> read(const std::string& path) override;
  Result<std::vector<std::string>> match(const std::string& pattern) override;
};

// Everything that has a say when the file is read: owns what config::ProjectInput borrows.
struct ProjectText {
  ProjectFile file;
  std::string text;
  config::Environment environment;    // the caller's
  std::vector<std::string> settings;  // of --set
  DiskFiles files;

  config::ProjectInput input() { return {text, file.path, file.shown, environment, &files, settings}; }
};
Result<ProjectText> read_project(const Context& context);

// Shows what is wrong, each with its line, then "FILE was not applied; nothing has changed" or whatever `consequence`
// says. Returns the exit code.
int refuse(const Context& context, const std::string& shown, const config::Parsed& parsed, const char* consequence);

// 0 and the document, accounts resolved; or the exit code of a complaint that has been made.
struct Loaded {
  int code = exit_code::done;
  Document document;
};
Loaded load_project(const Context& context);

}  // namespace hearth::cli
