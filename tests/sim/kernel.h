// The simulated machine: processes, spawners and the keeper, with the slot table between them.
//
// Model
// -----
// The same as wire/slot_table.h and the keeper's: an entry is ordered by the supervisor, claimed by a spawner,
// given a pid by the clone, watched once the exec is over, exited, and freed by REAP. What the keeper is asked to do
// are messages in one queue, handled in order a little later; those of a supervisor that died are handled before
// its successor begins. Nothing here knows the supervisor's code.
//
// The keeper dies, and all of hearth (deaths.cc). Its children are then somebody else's (`foreign`): whoever is keeper
// next reaches a run only when it is given a pidfd of it, and learns its status only if it had that when the run ended,
// its new parent reaps, and the kernel tells (Linux 6.15). Lost with a keeper: messages that it has not handled; of the
// one in hand, that it is done. Lost with everybody: plans, datagrams, stored descriptors. What stays are entries.
//
// A run's process is described twice: `EntryView` is what the supervisor may see, `Process` is the truth.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "ports/keeper.h"
#include "sim/faults.h"
#include "sim/observer.h"
#include "sim/random.h"
#include "sim/script.h"
#include "sim/timeline.h"

namespace hearth::sim {

struct Datagram {
  std::uint64_t token = 0;
  RunId run = no_run;
  SlotIndex slot = no_slot;
  std::string data;
  std::uint64_t file = 0;
  MonoNs sent = 0;
  MonoNs peeked = 0;  // by the first supervisor that saw it; 0 = by none
};

enum class Life : std::uint8_t { in_exec, alive, zombie, gone };

struct Process {
  RunId run = no_run;
  SlotIndex slot = no_slot;
  EntryIndex entry = no_entry;
  SlotRole role = SlotRole::service;
  std::string service;
  std::string label;
  std::string hook;  // of a hook: which
  std::int32_t pid = 0;
  Life life = Life::in_exec;
  Script script;
  MonoNs born = 0;
  MonoNs began = 0;  // the exec was over
  MonoNs ended = 0;
  std::int32_t exit_code = 0;  // valid as zombie or gone
  std::int32_t exit_status = 0;
  unsigned stop_signals = 0;       // other than KILL, delivered
  unsigned forgotten_signals = 0;  // of them, by a hearth whose state is lost
  bool killed = false;
  bool socket_open = true;
  bool output_ended = false;
  // After the deaths of keepers:
  bool foreign = false;     // not the child of the keeper that lives
  bool held = false;        // foreign: that keeper has a pidfd of it, or it is on its way there
  bool adopted = false;     // foreign: it has been told so
  bool exit_known = true;   // false: nobody can tell any more how it ended
  bool unheard = false;     // it was there while all of hearth was dead, and may have spoken to nobody
  bool released = false;    // its names are given back
  bool left_alone = false;  // no hearth knows of it any more
  bool inherited = false;   // found by a hearth that began with nothing but what is on disk
  // How a probe finds it.
  bool answers(bool live, MonoNs now) const {
    if (life != Life::alive || (script.sick_after != not_at_all && now >= began + script.sick_after)) return false;
    return live || (script.ready_after != not_at_all && now >= began + script.ready_after);
  }
  bool running() const { return life == Life::in_exec || life == Life::alive; }
  bool script_failed() const { return script.fails != wire::SpawnStage::none && began == 0; }
  std::deque<Datagram> socket;
  std::unique_ptr<Process> daemon;  // that it has left in the background, and that has not been followed
  // Of what it has said, what has been consumed:
  bool ready_said = false;
  bool gave_itself_up = false;  // WATCHDOG=trigger
  bool ready_heard = false;
  bool stopping_heard = false;
  std::string status_heard;
};

class Kernel {
 public:
  static constexpr std::uint32_t entries_max = 2 * 96;

  Kernel(std::uint64_t seed, Timeline& time, Trace& trace, const Faults& faults, Casting casting);

  // ---- what the supervisor's port uses ----
  const ports::EntryView& entry(EntryIndex entry) const { return entries_[entry]; }
  void take_changed(std::vector<EntryIndex>& entries);
  // Fills the entry; the plan is sent apart, because one can die in between.
  void order_entry(const ports::SpawnOrder& order);
  bool plan_on_its_way(EntryIndex entry, RunId run) const;
  bool send_plan(EntryIndex entry, RunId run);  // false: no spawner lives now
  void post_signal(EntryIndex entry, RunId run, OpId op, int signal);
  void post_reap(EntryIndex entry, RunId run);
  void post_follow(EntryIndex entry, RunId run, std::int32_t pid);
  void end_tree(RunId run);
  SpanNs stuck_for(EntryIndex entry) const;
  void end_output(RunId run);
  void release_run(SlotIndex slot, RunId run);
  void release_slot(SlotIndex slot);

  // ---- deaths.cc ----
  bool keeper_lives() const { return keeper_lives_; }
  std::uint32_t keeper_generation() const { return keeper_generation_; }
  std::uint32_t continued_by() const { return continued_by_; }
  void kill_keeper();
  void keeper_begins();                // by a supervisor that lives, or in a table that was lost
  void keeper_continues();             // with the table of a hearth that died as a whole
  void hand_over();                    // a supervisor that lives gives a new keeper all that runs
  void everybody_died();               // after kill_keeper()
  void lose_table();                   // after that
  void forget_runs_above(RunId last);  // their numbers are given again
  void leave_the_rest_alone();         // what no entry holds
  bool adopt(const ports::SpawnOrder& order, std::int32_t pid);
  void take_up(const ports::SpawnOrder& order);
  RunId greatest_name() const;
  std::function<void()> keeper_died = [] {};  // at its work, not by kill_keeper()

  // ---- what happens to the supervisor ----
  void supervisor_died() { forget_port_memory(); }
  void handle_everything_sent();  // before a successor begins

  // ---- for whoever drives and checks ----
  Process* process(RunId run);
  const std::map<RunId, std::unique_ptr<Process>>& processes() const { return processes_; }
  Process* live_process_of(SlotIndex slot);
  std::set<EntryIndex>& changed() { return changed_; }
  void notice(EntryIndex entry);
  void exit(Process& process, int code, int status);
  void say(Process& process, std::string data, std::uint64_t file = 0);
  void kill_spawner(std::uint32_t index);
  unsigned live_count() const;
  ports::EntryView& planted_entry(EntryIndex entry) { return entries_[entry]; }

  Observer* observer = nullptr;
  Shortage shortage;
  std::function<void()> wake = [] {};      // the supervisor's eventfd
  bool strays_are_taken_for_runs = false;  // a planted bug of the keeper's
  std::uint32_t strays_reaped = 0;

 private:
  struct Plan {
    EntryIndex entry;
    RunId run;
  };
  struct Spawner {
    std::uint32_t generation = 0;
    bool alive = true;
    bool busy = false;
    EntryIndex at_work = no_entry;
    MonoNs since = 0;
    std::deque<Plan> inbox;
  };
  enum class Kind : std::uint8_t { signal, reap, adopt, follow };
  // What becomes of a child of a keeper that has died, and what its new parent lets others know.
  enum class Init : std::uint8_t { tells, silent, never_reaps };
  struct Message {
    Kind kind;
    EntryIndex entry;
    RunId run;
    OpId op;
    int signal;  // follow: the PID
  };
  struct Order {
    SlotIndex slot;
    SlotRole role;
    ServiceSpec spec;  // of a hook: with its command in the place of the service's
    std::string label;
    std::string hook;
  };

  SpanNs latency(SpanNs usual);
  void forget_port_memory();
  void spawner_next(std::uint32_t index);
  void spawner_claims(std::uint32_t index, Plan plan);
  void spawner_clones(std::uint32_t index, Plan plan);
  void exec_over(RunId run, std::int32_t pid, std::uint32_t index, std::uint32_t generation);
  void spawner_reaped(std::uint32_t index, std::uint32_t generation);
  void begin(Process& process);
  void ping(RunId run, std::int32_t pid);
  void watch(EntryIndex entry);
  Process* process(RunId run, std::int32_t pid);  // null when the number has been given again
  Process& make_child(EntryIndex entry, const Script& script);
  void record_exit(EntryIndex entry, RunId run);
  void post(Message message);
  void handle_message(bool may_die);
  void deliver(Process& process, int signal);
  void free_entry(EntryIndex entry);
  // daemons.cc
  void leave_daemon(Process& leader);
  void follow(EntryIndex entry, std::int32_t pid);
  Process& promote(Process& leader);
  bool fails_in_spawner(EntryIndex entry, const Script& script);
  bool finds_no_room(EntryIndex entry);
  void tell_failure(EntryIndex entry, wire::SpawnStage stage, int code);

  // deaths.cc
  bool keeper_dies_here();
  void half_handle(const Message& message);
  void end_spawner(std::uint32_t index);
  void orphan(Process& process);
  bool failed_exec(const Process& process) const;  // and says so in its entry
  void renew_members();
  void watch_adopted(EntryIndex entry, RunId run);
  void record_foreign_exit(EntryIndex entry, RunId run);
  void record_unseen_end(EntryIndex entry);

  Timeline& time_;
  Trace& trace_;
  const Faults& faults_;
  Casting casting_;
  Random latency_, deaths_, keeper_, scarce_;
  Init init_;
  bool mortal_;  // the keeper dies at its work in this seed
  bool keeper_lives_ = true;
  std::uint32_t keeper_generation_ = 1;
  std::uint32_t continued_by_ = 0;
  std::vector<ports::EntryView> entries_;
  std::vector<Order> orders_;
  std::map<std::string, unsigned> runs_of_;
  std::set<EntryIndex> changed_;
  std::map<RunId, std::unique_ptr<Process>> processes_;
  RunId named_ = no_run;  // greatest that had a name when the table was lost
  std::vector<std::unique_ptr<Process>> forgotten_;
  Spawner spawner_[2];
  std::uint32_t generations_ = 2;
  std::uint32_t next_spawner_ = 0;
  std::map<RunId, std::uint32_t> sent_to_;  // generation that a plan was sent to; the port's memory
  std::deque<Message> inbox_;
  std::int32_t next_pid_ = 100;
  std::uint64_t next_token_ = 1;
};

}  // namespace hearth::sim
