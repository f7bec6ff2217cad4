// Runs a keeper under ptrace(2) and kills one of hearth's processes at a chosen point.
//
// Model
// -----
// The keeper is seized before it executes its program, with PTRACE_O_TRACEFORK and its kin: its children are
// seized from their first instruction. A process is named by its *ordinal* among them (0 is the keeper itself),
// which is the same in every run. One process is the *target*: it is stopped at entry and exit of every system
// call. All other children are let go at their first stop, and whatever they fork is never seen; only the keeper
// stays attached, because it must tell of its children.
//
// A keeper that executes another program is the same process: it stays seized, with its options, and its calls are
// counted on.
//
// A *point* is (ordinal, phase, number of the system call, before or after it), or (number of the commit, number of the
// instruction inside it), the latter in the supervisor. When the target reaches it, `before_kill` is called, the
// victims get SIGKILL while the target stands there, and the tracer's thread ends, which detaches everybody: what
// follows happens at full speed.
//
// PTRACE_SEIZE and not PTRACE_TRACEME: a seized process has no SIGSTOP of its own, so that whoever is detached at
// the wrong moment does not stay stopped for ever.
//
// ptrace belongs to a thread: the tracer runs in one of its own, from start() to finish(). The keeper is this
// process's child; its exit status is left for the caller to wait for, unless Report::keeper_exited says that the
// tracer had to.
#pragma once

#include <atomic>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

#include "base/time.h"
#include "os/fd.h"
#include "points.h"

namespace hearth::kill_anywhere {

struct Report {
  bool reached = false;
  long call_number = -1;       // of the call at which it was killed; -1: inside a commit
  std::string trail;           // names of the calls before that one
  std::string role;            // of the target: "keeper", "supervisor", "logger", "spawner", "dry-run"; "": not seen
  std::uint32_t children = 0;  // how many the keeper had
  std::vector<Call> calls;     // of the target, in order
  std::vector<std::uint64_t> commits;  // instructions of each commit, when they were counted
  std::uint32_t failed = 0;            // how many of its calls were made to fail
  int failure = 0;                     // how
  bool executing = false;              // it had executed another program, and waited for nothing since
  bool had_waited = false;             // the target had waited for something before its call failed: it was up
  bool target_ended = false;           // by itself, after its call had failed; as of wait(2):
  int target_status = 0;
  bool keeper_exited = false;  // waited for by the tracer:
  int keeper_status = 0;       // as of wait(2)
  std::string problem;         // of the tool itself
};

class Tracer {
 public:
  struct Options {
    std::vector<std::string> argv;  // of the keeper
    std::vector<std::string> env;
    std::string output;                 // file for its stderr
    std::string calls;                  // file for the target's calls with times; "" = none
    bool attack = false;                // false: only count
    Point point;                        // its ordinal is the target
    std::string supervisor_program;     // whose commits are meant
    std::uint64_t commit_offset = 0;    // of the commit function in it
    bool learn_failures = false;        // note how each call may fail, and look at all threads of the target
    bool count_commits = false;         // single-step every commit and count its instructions
    std::function<void()> before_kill;  // on the tracer's thread
    std::function<void()> after_kill;
  };
  explicit Tracer(Options options) : options_(std::move(options)) {}
  ~Tracer() { finish(); }
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  void start();
  // Lets everybody go and ends the tracer's thread; the processes live on. Once.
  const Report& finish();
  // From any thread: calls that are entered from now on are of this phase.
  void begin(Phase phase) { phase_ = phase; }
  bool reached() const { return reached_.load(); }
  Phase phase() const { return phase_.load(); }
  // The first keeper has ended and the tracer has waited for it.
  bool keeper_exited() const { return keeper_exited_.load(); }
  pid_t keeper() const { return keeper_.load(); }

 private:
  struct Tracee {
    std::uint32_t ordinal = 0;
    bool stepping = false;
    std::uint64_t instructions = 0;
    std::uint64_t stack = 0;       // at the entry of the commit
    std::uint64_t breakpoint = 0;  // 0 = none
    long original_word = 0;
    std::size_t call = SIZE_MAX;  // the one at hand, among report_.calls; of failing runs
    bool failing = false;         // its result is to be replaced
    std::uint64_t length = 0;     // what it asked for, when that was made shorter
  };

  void run();
  pid_t launch();
  void on_stop(pid_t pid, int status);
  void on_event(pid_t pid, Tracee& tracee, int event);
  bool counts(const Call& call) const;
  void on_call(pid_t pid, Tracee& tracee);
  // tracer_fail.cc: runs whose calls fail instead of killing.
  bool of_failures() const { return options_.learn_failures || options_.point.times != 0; }
  bool is_end_of_story(int status) const;
  void on_call_of_failures(pid_t pid, Tracee& tracee);
  void enter_call(pid_t pid, Tracee& tracee, std::int64_t kind, const std::uint64_t* args);
  bool is_executing() const;
  void begin_failure(pid_t pid, Tracee& tracee);
  void end_failure(pid_t pid, Tracee& tracee);
  void on_trap(pid_t pid, Tracee& tracee);
  void add_child(pid_t pid);
  std::string role_of(pid_t pid) const;
  void set_breakpoint(pid_t pid, Tracee& tracee);
  void arm(pid_t pid, const Tracee& tracee);
  void disarm(pid_t pid, const Tracee& tracee);
  void strike(pid_t pid, long call_number);
  void resume(pid_t pid, const Tracee& tracee, int signal);
  bool is_target(const Tracee& tracee) const { return tracee.ordinal == options_.point.ordinal; }

  Options options_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> ended_{false};
  std::atomic<bool> reached_{false};
  std::atomic<bool> keeper_exited_{false};
  std::atomic<pid_t> keeper_{0};
  std::map<pid_t, Tracee> tracees_;
  std::ofstream calls_;
  std::atomic<Phase> phase_{Phase::launch};
  std::uint64_t counted_ = 0;  // calls of the target that the point counts
  std::uint32_t failed_ = 0;   // of them
  MonoNs fail_until_ = 0;
  bool over_ = false;    // no more are to fail
  bool waited_ = false;  // the target, for something
  struct Released {
    pid_t pid = 0;
    os::Fd handle;  // pidfd: the number of one that has died may be a stranger's
  };
  std::vector<Released> released_;
  pid_t target_ = 0;
  std::uint32_t next_ordinal_ = 0;
  Report report_;
};

}  // namespace hearth::kill_anywhere
