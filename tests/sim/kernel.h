// The simulated machine: processes, spawners and the keeper, with the slot table between them.
//
// Model
// -----
// The same as wire/slot_table.h and the keeper's: an entry is ordered by the supervisor, claimed by a spawner,
// given a pid by the clone, watched once the exec is over, exited, and freed by REAP. What the keeper is asked to do
// are messages in one queue, handled in order a little later; those of a supervisor that died are handled before
// its successor begins. Nothing here knows the supervisor's code.
//
// A run's process is described twice: `Entry` is what the supervisor may see, `Process` is the truth.
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
  std::int32_t pid = 0;
  Life life = Life::in_exec;
  Script script;
  MonoNs born = 0;
  MonoNs began = 0;            // the exec was over
  std::int32_t exit_code = 0;  // valid as zombie or gone
  std::int32_t exit_status = 0;
  unsigned stop_signals = 0;  // other than KILL, delivered
  bool killed = false;
  bool socket_open = true;
  bool output_ended = false;
  // How a probe finds it.
  bool answers(bool live, MonoNs now) const {
    if (life != Life::alive || (script.sick_after != not_at_all && now >= began + script.sick_after)) return false;
    return live || (script.ready_after != not_at_all && now >= began + script.ready_after);
  }
  bool running() const { return life == Life::in_exec || life == Life::alive; }
  std::deque<Datagram> socket;
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
  SpanNs stuck_for(EntryIndex entry) const;
  void end_output(RunId run);
  void release_run(SlotIndex slot, RunId run);
  void release_slot(SlotIndex slot);

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
  struct Message {
    bool reap;
    EntryIndex entry;
    RunId run;
    OpId op;
    int signal;
  };
  struct Order {
    SlotIndex slot;
    SlotRole role;
    ServiceSpec spec;
    std::string label;
  };

  SpanNs latency(SpanNs usual);
  void forget_port_memory();
  void spawner_next(std::uint32_t index);
  void spawner_claims(std::uint32_t index, Plan plan);
  void spawner_clones(std::uint32_t index, Plan plan);
  void exec_over(RunId run, std::uint32_t index, std::uint32_t generation);
  void spawner_reaped(std::uint32_t index, std::uint32_t generation);
  void begin(Process& process);
  void ping(RunId run);
  void watch(EntryIndex entry);
  void record_exit(EntryIndex entry, RunId run);
  void handle_message();
  void deliver(Process& process, int signal);
  void free_entry(EntryIndex entry);

  Timeline& time_;
  Trace& trace_;
  const Faults& faults_;
  Casting casting_;
  Random latency_, deaths_;
  std::vector<ports::EntryView> entries_;
  std::vector<Order> orders_;
  std::map<std::string, unsigned> runs_of_;
  std::set<EntryIndex> changed_;
  std::map<RunId, std::unique_ptr<Process>> processes_;
  Spawner spawner_[2];
  std::uint32_t generations_ = 2;
  std::uint32_t next_spawner_ = 0;
  std::map<RunId, std::uint32_t> sent_to_;  // generation that a plan was sent to; the port's memory
  std::deque<Message> inbox_;
  std::int32_t next_pid_ = 100;
  std::uint64_t next_token_ = 1;
};

}  // namespace hearth::sim
