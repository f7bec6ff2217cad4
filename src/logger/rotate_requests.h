// `hearth logs --rotate`: a file of a stream's name in LOGDIR/.rotate asks for that stream's next file, and is removed
// when it has been begun. So a request outlives the logger that has not come to it, works whatever the supervisor
// does, and is allowed to whoever may write there.
#pragma once

#include <string>
#include <vector>

#include "logger/system.h"
#include "os/fd.h"

namespace hearth::logger {

class RotateRequests {
 public:
  // Makes the directory. Without one (a full disk) nobody can ask, and descriptor() is -1.
  RotateRequests(System& system, int log_directory);

  // Becomes readable when somebody has asked.
  int descriptor() const { return inotify_.get(); }
  // The names of the streams that are asked for now, also those of before our time.
  std::vector<std::string> take();
  void done(const std::string& name);

 private:
  System& system_;
  os::Fd directory_, inotify_;
};

}  // namespace hearth::logger
