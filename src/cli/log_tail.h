// New lines of many logs, for a command that shows them as they come.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/answers.h"
#include "cli/log_lines.h"
#include "logs/reader.h"
#include "logs/watcher.h"

namespace hearth::cli {

// New lines of log files, with the names of their services before them.
class LogTail {
 public:
  LogTail();
  // Only what comes from now on, of the service with this full name.
  void begin(const std::string& full_name, const std::string& log_directory);
  // These are the services now; whoever is not known yet has begun to write only now.
  void follow(const std::vector<SlotNews>& slots);
  // The text of what has been written since; all the same when nothing tells of it. Of each service a piece at least, and
  // no more when it has become `take_most` bytes: then there is more().
  std::string take();
  bool more() const { return more_; }
  // What is left without an end of line.
  std::string finish();
  // Becomes readable when there is more for take(); -1: nothing tells, look again and again.
  int descriptor() const { return watcher_ && all_watched_ ? watcher_->descriptor() : -1; }

 private:
  static constexpr std::size_t take_most = 256u << 10;
  struct Source {
    logs::Cursor cursor;  // until there is a follower
    std::unique_ptr<logs::Follower> follower;
    LineCutter cutter;
    std::string label, directory;
    bool more = false;  // than was taken
  };
  void read(Source& source, std::string& out);

  std::unique_ptr<logs::Watcher> watcher_;  // none: there are no more for this user. Before the followers
  bool all_watched_ = true;
  bool more_ = false;
  std::map<std::string, Source> sources_;  // by full name
};

}  // namespace hearth::cli
