// Lines of support/lines.h as hearth's logger has put them into files, read on from where one was.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace hearth::support {

enum class LogForm : std::uint8_t { raw, stamped, json };

struct LogLine {
  bool torn = false;         // json: an object without its end
  bool whole = false;        // one of ours, byte by byte; else the numbers mean nothing
  std::uint64_t number = 0;  // as in make_line()
  std::uint64_t run = 0;
  std::string text;        // what the service wrote, without its line end
  std::string where;       // name of the file
  std::uint64_t lost = 0;  // hearth's own line that says how many bytes it has thrown away
};

// A place in a log. Its files, compressed or not, are read in the order of their numbers; what has no line end yet is read
// again.
class LogCursor {
 public:
  LogCursor(std::string directory, LogForm form) : directory_(std::move(directory)), form_(form) {}

  // Whatever complete lines have come since.
  void read(const std::function<void(const LogLine&)>& take);
  std::uint64_t files() const { return files_; }
  const std::string& rest() const { return rest_; }  // behind the last line end

 private:
  std::string directory_;
  LogForm form_;
  std::string file_;          // the newest that was read
  std::uint64_t offset_ = 0;  // in it
  std::uint64_t files_ = 0;
  std::string rest_;
};

LogForm log_form(const std::string& name);
// A text that may be long, for messages.
std::string shown(std::string text);

}  // namespace hearth::support
