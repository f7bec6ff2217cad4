// One run: hearth is started, leads services through a story, and is shut down; somewhere on the way one of its processes
// is killed, or nobody (a clean run). There are five stories (story.h); this is the first, `life`:
//
//   a  no probe; writes log lines (raw, with rotation), never restarted
//   b  ready by notify, watchdog, fd store; restarted by order
//   c  exits with 7 and is started again; stopped by order; log in json
//   d  exits with 9 *while the victim stands at its point*, before it is killed; in a clean run at its own step
//
// No step waits for time: each waits for an event (a service's answer, a settled order, a status), with a deadline
// for the case that it never comes. While it waits, orphans are reaped, since the kernel tells their exit status
// only then, and hearth is started again where the point has killed all of it.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/time.h"
#include "clients.h"
#include "hub.h"
#include "invariants.h"
#include "load.h"
#include "story.h"
#include "tracer.h"

namespace hearth::kill_anywhere {

struct ScenarioOptions {
  std::string directory;   // of this run alone; made by the caller
  std::string programs;    // directory of hearth's programs
  std::string supervisor;  // path; "" = the one in `programs`
  std::string logger;      // the same
  std::string next;        // directory of the programs of an upgrade
  Story story = Story::life;
  std::string service_mode;       // plants a violation in services: "drops-a-line", "leaves"
  SpanNs deadline = seconds(20);  // for the event that each step waits for
  bool attack = false;
  Point point;  // its ordinal is whose calls are counted
  std::uint64_t commit_offset = 0;
  bool count_commits = false;
  bool learn_failures = false;
  bool write_calls = false;  // of the target, with times, into the directory
};

// A step whose event did not come.
struct Stuck : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct RunResult {
  Report report;
  Verdict verdict;
  double seconds = 0;
};

class Scenario {
 public:
  explicit Scenario(ScenarioOptions options);
  ~Scenario();
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  RunResult run();

 private:
  // steps.cc: the story `life`, and what all have in common
  void steps();
  void step(Phase phase, void (Scenario::*what)());
  void start_load();
  void bring_up();
  void say_things();
  std::int64_t watchdog_deadline();
  void exit_and_rotate();
  void restart_b();
  void end_d();
  void stop_c();
  void look_at_the_end();
  void look_at_takeovers(bool reached_before);
  void shut_down();

  // steps_change.cc
  void begin_change();
  void run_hooks_and_task();
  void send_hangup();
  void fail_liveness();
  void apply_again();
  void accept_after_restart();
  void restart_k();
  std::string change_document(bool second) const;

  // steps_upgrade.cc
  void begin_upgrade();
  void upgrade();
  void go_on_after_it();
  void execute_keeper();
  void go_on_after_exec();

  // steps_revival.cc
  void live_before();
  void kill_all_of_hearth();
  void revive();
  void go_on_after_revival();

  // scenario.cc
  void prepare();
  void begin_load();
  void launch();
  void await(const std::string& what, const std::function<bool()>& holds);
  void pump(int timeout_ms);
  void look_after_hearth();
  // "" when nobody of hearth may be left now.
  std::string why_nobody_is_left() const;
  void note_what_is_settled();
  void before_kill();
  void after_kill();
  pid_t start_keeper() const;
  void start_another_keeper();
  bool hearth_lives() const;
  bool services_live() const;
  // Its answer, whatever it is.
  std::string ask(const std::string& service, const std::string& text);
  // Returns the words after "done"; repeats what failed because all of hearth was dead.
  std::string command(const std::string& service, const std::string& text);
  // A service of a document: a command, where it finds us, and further members, beginning with a comma.
  std::string service_json(const std::string& name, const std::string& mode, const std::string& more) const;
  std::string apply_json(const std::string& project, const std::string& services, bool again = false) const;
  void await_greeting(const std::string& name, Order& order);
  Order& order(const std::string& name, const std::string& target, const std::string& body,
               Refused refused = Refused::is_an_error);
  void settle(Order& order);
  StatusView status();
  StatusView status_when(const std::string& what, const std::function<bool(const StatusView&)>& holds);
  Loss loss() const;
  Loss loss_of_point() const;
  bool failing() const { return options_.point.times != 0; }
  // collect.cc
  void collect(const Report& report);
  void collect_members(const Report& report);
  LogFindings log_of(const std::string& name, const std::string& directory) const;
  void find_leftovers();

  ScenarioOptions options_;
  Hub hub_;
  os::Fd wake_;
  os::Fd child_signals_;
  Circumstances circumstances_;
  Load load_;
  std::unique_ptr<Tracer> tracer_;
  std::vector<std::unique_ptr<Order>> orders_;
  Evidence evidence_;
  std::string project_;
  pid_t keeper_ = 0;
  bool keeper_ended_ = false;
  std::atomic<bool> shutdown_ordered_{false};
  int revivals_ = 0;
  bool launched_ = false;             // the hearth that is attacked
  std::atomic<bool> between_{false};  // the hearth before it is dead, and this one has not answered yet
  std::uint64_t launched_at_ticks_ = 0;
  std::atomic<bool> committed_{false};  // somebody has had an answer: the page has a commit
  std::atomic<bool> killed_after_commit_{false};
  std::atomic<bool> upgrading_{false};     // an order to do so is under way
  std::atomic<bool> next_answers_{false};  // the supervisor of an upgrade: it has everything
  std::atomic<bool> killed_upgrading_{false};
  std::atomic<bool> died_as_next_{false};
  std::atomic<std::uint64_t> killed_at_ticks_{0};
  std::uint64_t answered_at_ticks_ = 0;
  std::atomic<Phase> killed_from_{Phase::any}, killed_to_{Phase::any};
  std::map<std::string, std::uint64_t> standing_;  // what the files had when the step before began
  std::atomic<bool> killed_in_shutdown_{false};
  MemberCounts counts_;
  int counted_revivals_ = -1;                           // when the counts were looked at
  std::map<std::string, std::string> log_directories_;  // by service, as status says
  std::vector<os::Fd> ports_;                           // bound, so that nobody else gets them; services listen there
  std::vector<int> port_numbers_;
};

}  // namespace hearth::kill_anywhere
