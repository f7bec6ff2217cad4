// Runs a keeper under ptrace(2) and kills one of hearth's processes at a chosen point.
//
// Model
// -----
// The keeper is started as a tracee; PTRACE_O_TRACEFORK and its kin attach its children by themselves, so that a
// process is watched from its first instruction. Processes are named by their *ordinal* among the keeper's
// children (0 is the keeper itself), which is the same in every run, and get a role when they exec or name
// themselves. One process is the *target*: it is stopped at entry and exit of every system call; all others
// run freely. Services, the children that spawners make, are let go at once.
//
// A *point* is (ordinal, number of the system call, before or after it), or (ordinal, number of the commit, number
// of the instruction inside it). When the target reaches it, `victims` are killed with SIGKILL while it is stopped
// there, and everybody is let go: what follows happens at full speed.
//
// ptrace belongs to a thread: the tracer runs in one of its own, started by start().
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hearth::kill_anywhere {

struct Point {
  std::uint32_t ordinal = 0;       // whose system calls are counted; see Report::children
  std::uint64_t call = 0;          // from 0
  bool after = false;              // at exit of the call instead of at entry
  std::uint64_t commit = 0;        // from 1: single-step this commit instead; 0 = not
  std::uint64_t instruction = 0;   // inside that commit
  bool everything = false;         // kill all of hearth there, not only the target
  bool with_keeper = false;        // kill the keeper together with the target
};

// What a run showed of one process.
struct Child {
  std::uint32_t ordinal = 0;
  pid_t pid = 0;
  std::string role;                // "keeper", "supervisor", "logger", "spawner", "?"
  std::uint64_t calls = 0;         // counted only for the target
};

struct Report {
  bool reached = false;
  long call_number = -1;           // of the call at which it was killed
  std::vector<Child> children;
  std::map<long, std::uint64_t> calls_by_number;  // of the target
  std::vector<std::uint64_t> commits;             // instructions of each commit, when they were counted
};

class Tracer {
 public:
  struct Options {
    std::vector<std::string> argv;      // of the keeper
    std::string output;                 // file for its stderr
    bool attack = false;                // false: only count the calls of `point.ordinal`
    Point point;
    std::string supervisor_program;     // whose symbol marks the commit
    std::string commit_symbol;          // mangled
    bool count_commits = false;         // clean run: single-step every commit and count instructions
  };
  explicit Tracer(Options options) : options_(std::move(options)) {}
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  void start();
  // Lets everybody go and ends the tracer's thread; the processes live on.
  Report finish();
  bool reached() const { return reached_.load(); }
  pid_t keeper() const { return keeper_.load(); }
  // All of hearth's processes seen and not known to be dead.
  std::vector<pid_t> members() const;

 private:
  struct Tracee {
    Child child;
    bool target = false;
    bool in_call = false;
    bool stepping = false;
    std::uint64_t commits = 0;
    std::uint64_t instructions = 0;
    std::uint64_t return_address = 0;
    std::uint64_t stack = 0;
    std::uint64_t breakpoint = 0;
    long original_word = 0;
  };

  void run();
  pid_t launch();
  void on_stop(pid_t pid, int status);
  void on_event(Tracee& tracee, int event);
  void on_call(Tracee& tracee);
  void on_trap(Tracee& tracee);
  void add_child(pid_t pid, bool of_keeper);
  void name_role(Tracee& tracee);
  void set_breakpoint(Tracee& tracee);
  bool at_commit(Tracee& tracee);
  void strike(Tracee& tracee, long call_number);
  void resume(const Tracee& tracee, int signal);
  void let_go(pid_t pid);
  void let_all_go();

  Options options_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> reached_{false};
  std::atomic<pid_t> keeper_{0};
  mutable std::mutex mutex_;  // tracees_, for members()
  std::map<pid_t, Tracee> tracees_;
  std::map<pid_t, Child> gone_;
  std::map<pid_t, Child> released_;
  std::uint32_t next_ordinal_ = 0;
  Report report_;
};

}  // namespace hearth::kill_anywhere
