// An instance of hearth in a directory of its own, driven as people drive it: with the `hearth` program.
//
// What a test starts ends with it: the fixture is a subreaper, so that everything below it whose parent dies
// becomes its own child; in the end it orders a shutdown and kills what is left of its own children, generation
// after generation. Nobody else's process can be hit.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/fd.h"
#include "stage.h"

namespace hearth::test {

struct Output {
  int code = -1;  // 128 + signal when it was killed; -1 when it did not end in time
  std::string out, err;
  std::string all() const { return out + err; }
};

// A program under way. Killed when it is dropped before its end.
class Command {
 public:
  Command() = default;
  Command(Command&& other) noexcept = default;
  Command& operator=(Command&& other) noexcept = default;
  ~Command();
  Output wait(int timeout_ms = 60'000);
  void signal(int number) const;
  bool ended() const;
  pid_t pid() const { return pid_; }
  std::string out() const;  // so far
  std::string err() const;

 private:
  friend class Machine;
  pid_t pid_ = -1;
  os::Fd pidfd_, out_, err_;
};

struct ServiceView {
  bool there = false;
  std::string state, reason, reason_text, containment, status, leftover, log_directory;
  bool ready = false;
  pid_t pid = 0;
  std::uint64_t run = 0;
  std::uint64_t restarts = 0;
  int exit_code = -1, exit_signal = -1, exit_errno = -1;
};

struct InstanceView {
  bool answered = false;
  pid_t supervisor = 0, keeper = 0;
  std::uint64_t takeovers = 0;
  std::vector<std::string> notes;
  std::map<std::string, ServiceView> services;
  std::string notes_text() const;
};

enum class As {
  caller,                // whoever runs the tests
  root_without_cgroups,  // in a mount namespace where they are read-only
  user,                  // 65534, who may write to none
};
const char* as_name(As as);

class Machine : public ::testing::Test {
 protected:
  explicit Machine(As as = As::caller);
  ~Machine() override;
  // Why this kind of user cannot be had here; "" = it can.
  std::string obstacle() const;

  // hearth --dir DIRECTORY WORDS...
  Output hearth(const std::vector<std::string>& words, int timeout_ms = 60'000);
  Command begin(const std::vector<std::string>& words);
  // The same without --dir; `prepare` runs in the child before the exec.
  Command execute(const std::vector<std::string>& words, const std::function<void()>& prepare = {});

  // Writes hearth.toml into the project's directory, where every command runs. "@STAGE@", "@PUPPET@" and
  // "@TREE@" in it are replaced.
  void project(std::string text);
  std::string puppet(const std::string& label = "web") const;  // TOML: command = [...]
  Output up(const std::vector<std::string>& more = {});

  InstanceView status();
  ServiceView service(const std::string& name = "web");
  // Looks every few milliseconds until it holds. For what no event tells.
  bool until(const std::function<bool()>& holds, int timeout_ms = patience_ms);
  bool until_state(const std::string& name, const std::string& state);
  // For what nobody can tell of, because nobody runs.
  static void pass_time(int ms);
  // SIGSTOP, which is sent before it is obeyed: until everybody can see it.
  void stop_process(pid_t pid);

  // The processes of hearth itself, by name of their program: from the keeper's children.
  std::vector<pid_t> members(const std::string& program);
  void kill_members(const std::string& program, int signal);
  std::string logged(const std::string& name = "web");  // all files of the log, in order

  // Ends hearth and says what is left.
  void expect_clean_shutdown();
  void reap();
  // All of hearth at once, and nobody else. The supervisor is stopped first, so that it does not replace whom it
  // survives.
  void kill_everything();

  bool root() const;
  std::string bin(const std::string& program) const { return bin_ + "/" + program; }
  void use_copies_of_programs();  // from here on; in base/bin, to be broken

  As as_;
  std::string base;       // the test's directory
  std::string directory;  // the instance's
  std::string work;       // the project's
  std::unique_ptr<Stage> stage;

 private:
  void use_programs_that_the_user_may_read();
  void become() const;
  std::string bin_;
};

// The bytes of every file whose name ends in ".log" in there, by name.
std::string read_logs(const std::string& directory);
bool exists(const std::string& path);
// A socket that is bound to a port of 127.0.0.1 that nobody else has.
struct BoundPort {
  os::Fd socket;
  int number = 0;
};
BoundPort bind_port();
// One that was free a moment ago.
inline int free_port() {
  return bind_port().number;
}
void write_file(const std::string& path, const std::string& text, mode_t mode = 0644);

}  // namespace hearth::test
