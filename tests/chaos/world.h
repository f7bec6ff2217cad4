// The instance under chaos: its directories, hearth's own processes in it, and the clients that the tool runs.
//
//   BASE/p        the project; hearth.toml, sockets, ready files
//   BASE/i        the instance; a small tmpfs where one may be mounted, so that it can be filled
//   BASE/i/logs   its logs; another
//   BASE/next     copies of hearth's programs, for upgrades
//   BASE/truth ...   see truth.h
//
// Processes are reached only if they are below us (the tool is a subreaper, or the first of a PID namespace) and only
// by a pidfd that was opened before it was looked whose they are.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/time.h"
#include "judge.h"
#include "options.h"
#include "os/fd.h"
#include "support/own_world.h"
#include "support/status_view.h"

namespace hearth::chaos {

enum class Role : std::uint8_t { none, keeper, supervisor, spawner, logger };
const char* role_name(Role role);

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';
  std::string program;
  std::string place;  // directory of the program
  Role role = Role::none;
};

struct Client {
  std::string what;
  pid_t pid = 0;
  os::Fd handle, output;
  MonoNs begun = 0;
  MonoNs deadline = 0;
  bool mutates = false;
  bool killed = false;  // by us
  std::function<void(int code, const std::string& output)> then;
};

class World {
 public:
  World(const Options& options, support::World around);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const std::string& base() const { return base_; }
  std::string directory() const { return base_ + "/i"; }
  std::string project() const { return base_ + "/p"; }
  std::string logs() const { return base_ + "/i/logs"; }
  std::string next() const { return base_ + "/next"; }
  bool can_fill() const { return can_fill_; }
  bool own() const { return around_.own; }

  // An address of the loopback network that no other run of this tool has.
  const std::string& host() const { return host_; }

  // All that is below us but ourselves, zombies too.
  std::vector<Process> processes() const;
  std::vector<Process> members(Role role) const;
  // False when it is not what it was any more.
  bool signal(const Process& process, int signal) const;

  // hearth --dir DIR WORDS..., under way until `then` is called, in pump(). `to` is a file for its output, "" = memory.
  Client& run(const std::vector<std::string>& words, SpanNs deadline, std::function<void(int, const std::string&)> then,
              const std::string& to = "");
  std::list<Client>& clients() { return clients_; }
  bool is_client(pid_t pid) const;
  // Waits for signals and ends of processes, reaps, calls `then`s.
  void pump(SpanNs time);
  bool interrupted() const { return interrupted_; }
  // Who of hearth's orphans has come to us and ended, and of whom each keeper has had a pidfd: see Adoptions. To be told
  // of the latter, look often: who has one of a keeper that lives is returned.
  const Adoptions& adoptions() const { return adoptions_; }
  std::set<pid_t> look_at_keepers();
  // Runs one to its end. Its exit code, -1 when it did not come; `output` gets what it said.
  int ask(const std::vector<std::string>& words, std::string* output, SpanNs deadline);
  std::optional<support::StatusView> status();

  bool fill(const std::string& directory);
  void make_room(const std::string& directory);

  // Ends everything below us, and removes the directory unless it shall be kept.
  void end(bool keep);

 private:
  void mount_small(const std::string& path, const char* size);

  const Options& options_;
  support::World around_;
  std::string base_;
  std::string host_;
  os::Fd signals_;
  Adoptions adoptions_;
  MonoNs reaped_at_ = 0;
  std::list<Client> clients_;
  bool can_fill_ = false;
  bool interrupted_ = false;
};

}  // namespace hearth::chaos
