// The test's end of the stage (nasty/stage.h): whoever enters hands a pidfd over and then waits for us.
// All waits end after a generous deadline, with a failure of the test.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "os/fd.h"

namespace hearth::test {

inline constexpr int patience_ms = 30'000;  // for what takes milliseconds on a machine with nothing else to do

class Actor {
 public:
  Actor() = default;
  Actor(std::string its_label, std::string its_run, pid_t its_pid, os::Fd connection, os::Fd pidfd)
      : label(std::move(its_label)),
        run(std::move(its_run)),
        pid(its_pid),
        connection_(std::move(connection)),
        pidfd_(std::move(pidfd)) {}

  bool here() const { return static_cast<bool>(pidfd_); }
  bool alive() const;  // neither ended nor a zombie
  bool wait_end(int timeout_ms = patience_ms) const;
  bool kill(int signal) const;
  // Every process that inherited this connection has ended or closed it.
  bool wait_silence(int timeout_ms = patience_ms) const;

  void order(const std::string& text) const;
  bool try_order(const std::string& text) const;         // of one that may have ended
  std::string hear(int timeout_ms = patience_ms) const;  // "" when nothing came
  std::string ask(const std::string& text) const {       // order and answer
    order(text);
    return hear();
  }

  std::string label;
  std::string run;  // HEARTH_RUN as it saw it; "0" = it has none
  pid_t pid = 0;

 private:
  os::Fd connection_;
  os::Fd pidfd_;
};

class Stage {
 public:
  explicit Stage(const std::string& path);
  const std::string& path() const { return path_; }
  Actor enter(int timeout_ms = patience_ms);
  bool quiet(int timeout_ms) const;  // nobody entered meanwhile
  // Who has entered since, and may have ended.
  std::vector<Actor> all_who_entered();

 private:
  Actor meet(bool& killed) const;

  std::string path_;
  os::Fd listener_;
};

}  // namespace hearth::test
