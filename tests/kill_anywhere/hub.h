// The test's end of the services' command sockets: who has connected, what they are told, what they answer.
//
// Also the witness of who lives at the same time: each process is held by a pidfd from its greeting on, and one
// that greets while another one of the same service lives is a violation.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/types.h>
#include <vector>

#include "os/fd.h"

namespace hearth::kill_anywhere {

struct ServiceProcess {
  std::string name;
  pid_t pid = 0;
  std::uint64_t run = 0;
  std::uint64_t start_ticks = 0;
  std::uint64_t ended_ticks = 0;  // when its end was seen; 0 = not yet
  int listen_fds = 0;
  std::string listen_names;
  std::string content;  // of its first passed descriptor, "-" without one
  os::Fd control;
  os::Fd handle;                 // pidfd
  std::optional<int> told_exit;  // the code that it was told to exit with
  std::deque<std::string> answers;

  bool alive() const;  // a zombie does not live
};

class Hub {
 public:
  // Listens at a name of its own, below the abstract namespace.
  Hub();
  const std::string& address() const { return address_; }

  void add_to(std::vector<pollfd>& polled) const;
  // Takes in whatever has come.
  void read();

  // Processes so far, the newest last; of all services, or of one.
  std::vector<ServiceProcess*> all() const;
  std::vector<ServiceProcess*> all(const std::string& name) const;
  ServiceProcess* newest(const std::string& name) const;
  // These, from any thread. To the newest process of the service; false when it is not there.
  bool send(const std::string& name, const std::string& command);
  // How many lines the service was told to write.
  std::uint64_t lines_of(const std::string& name) const;
  // Of its newest process; 0 for none.
  std::uint64_t run_of(const std::string& name) const;
  std::optional<std::string> take_answer(const std::string& name);

  // From any thread: tells the newest process of the service to exit and waits until it has. False when there is
  // none that lives.
  bool end_now(const std::string& name, int code);

  const std::vector<std::string>& violations() const { return violations_; }

 private:
  void accept_all();
  void greet(ServiceProcess& process, const std::string& text);

  std::string address_;
  os::Fd listener_;
  mutable std::mutex mutex_;  // processes_ and lines_, for other threads
  std::vector<std::unique_ptr<ServiceProcess>> processes_;
  std::map<std::string, std::uint64_t> lines_;  // by service
  std::vector<std::string> violations_;
};

}  // namespace hearth::kill_anywhere
