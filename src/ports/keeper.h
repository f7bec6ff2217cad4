// The supervisor's view of keeper, spawners and logger: the slot table and orders about runs and descriptors.
//
// All orders are idempotent by (entry, run, op) or by identity; a successor repeats them. None blocks: an order
// that cannot be handed over now returns false and is tried again in a later turn.
// One thread. Implementations may throw nothing; the simulator throws its own Crash to end the supervisor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/service_spec.h"
#include "model/slot_state.h"
#include "model/status.h"

namespace hearth::ports {

// One consistent reading of a slot table entry.
struct EntryView {
  RunId run = no_run;       // 0 = free
  std::uint32_t claim = 0;  // spawner generation, 0 = not claimed
  std::int32_t pid = 0;
  std::uint32_t fail_stage = 0;  // with pid == 0: the spawner gave up
  std::int32_t fail_errno = 0;
  bool watched = false;  // phase watched or adopted
  bool exited = false;   // exit_code, exit_status, exited_at hold
  bool main = false;     // all this is of the main process that was followed, and not of the run's leader
  std::int32_t exit_code = 0;
  std::int32_t exit_status = 0;
  MonoNs exited_at = 0;
  RunUse use;  // exited
  OpId last_op = 0;
  std::uint64_t start_ticks = 0;
};

// What is needed to start one run. Borrowed for the call.
struct SpawnOrder {
  SlotIndex slot = no_slot;
  EntryIndex entry = no_entry;
  RunId run = no_run;
  std::string label;  // "project.service.index": leaf, log directory
  const Document* document = nullptr;
  const ServiceSpec* spec = nullptr;
  const std::vector<std::string>* command = nullptr;           // the spec's, or that of a probe or a hook
  std::vector<std::pair<std::string, std::string>> variables;  // of a hook: what tells it why it runs
  RunId of_run = no_run;  // of a probe or a hook: the run of its service that lives, whose credentials it may read
  SlotIndex log_slot = no_slot;  // whose log its output goes to, when that is not its own; under the name
  std::string log_label;
  SlotRole role = SlotRole::service;
  SpanNs watchdog = 0;
  bool notify = false;  // make and pass a notify socket
  std::uint32_t stop_rank = 0;
};

enum class SpawnOutcome {
  sent,     // the plan is on its way (or the run is known already)
  later,    // not this one: its entry is not free yet, something of it could not be handed over
  full,     // not any: the window is full, or no spawner is there
  refused,  // a resource is missing: see error; nothing was changed
};

struct SpawnAnswer {
  SpawnOutcome outcome = SpawnOutcome::later;
  Error error;  // refused: why; later: `reason` is what it waits for, where people should know
};

// Who is taken for the main process of a run whose leader has gone.
struct MainWish {
  std::int32_t told = 0;  // MAINPID=: that one and nobody else. 0: by the PID file, else the only one there is
  bool whoever = false;   // it is to end: without a PID that fits, the oldest of those that are left
};
enum class MainFound {
  no,      // ask again: see missing
  sent,    // the keeper has been told; when it has done it, the entry tells
  nobody,  // no process of the run is left
};
struct MainAnswer {
  MainFound found = MainFound::no;
  std::string missing;  // no: what is missing, for people
};

class Keeper {
 public:
  virtual ~Keeper() = default;

  virtual EntryView entry(EntryIndex entry) const = 0;
  // Entries whose change notice was taken since the last call. May name one that did not change.
  virtual void take_changed(std::vector<EntryIndex>& entries) = 0;

  // Makes FIFO, leaf, notify socket and listening sockets (by name; existing ones are used again), parks them,
  // orders the entry and sends the plan. Known run: `sent`, nothing is done twice. A plan is sent again only
  // when the entry has neither pid nor claim.
  virtual SpawnAnswer spawn(const SpawnOrder& order) = 0;
  // Could a service of this specification listen there now? Before an order changes anything: nothing is kept of it.
  // What hearth itself listens on counts as free, because the order may be what gives it back.
  virtual Status can_listen(const ListenSocket& socket, const ServiceSpec& spec) {
    (void)socket, (void)spec;
    return {};
  }
  // Could a run of this specification have what it is to have of privileges? Before an order changes anything, for what no
  // waiting would change.
  virtual Status can_start(const ServiceSpec& spec) {
    (void)spec;
    return {};
  }
  // What of the restrictions that a specification asks for this machine does not hold, in words; "" = it holds all. A run
  // of it is started nevertheless.
  virtual std::string not_held(const ServiceSpec& spec) const {
    (void)spec;
    return {};
  }
  // Are the working directories and programs there from which these would be started? Before an order stops what runs of
  // them; of an order only what is of the service counts, nothing of a run. They are on users' disks, so it is looked for
  // beside: nothing = it is not known yet, ask again soon, with the same orders. A disk that does not answer is an error, too.
  virtual std::optional<Status> can_find(const std::vector<SpawnOrder>& orders) {
    (void)orders;
    return Status();
  }
  // To the run's group, at most once per op (KILL may repeat). With to_leader_alone: to its leader.
  virtual bool signal(EntryIndex entry, RunId run, OpId op, int signal) = 0;
  // The leader of this run has exited with code 0 and was to leave a daemon (type = "forking"): finds its main process,
  // makes sure that it belongs to the run, and tells the keeper. Never waits for a disk. Repeating it is harmless.
  virtual MainAnswer follow(const SpawnOrder& order, const MainWish& wish) {
    (void)order, (void)wish;
    return {};
  }
  // Ends what is left of a run's tree after its leader's end: KILL to the group while the zombie holds its id,
  // then the leaf. True when nothing is known to be left (or no leaf is there).
  virtual bool end_tree(EntryIndex entry, RunId run, const std::string& label) = 0;
  // After end_tree and before reap, when the service shall stay down: where containment is "sweep", one pass (a few
  // milliseconds) for what has left the run's group; false: call again in the next turn. Bounded; what cannot be
  // ended is named among the instance's notes. Never on the way of a restart.
  virtual bool sweep_tree(EntryIndex entry, RunId run) {
    (void)entry, (void)run;
    return true;
  }
  // What end_tree and sweep_tree could not end, in words ("cat (PID 7)"); "" = nothing. Asked once, before reap.
  virtual std::string take_leftover(RunId run) {
    (void)run;
    return {};
  }
  virtual bool reap(EntryIndex entry, RunId run) = 0;
  // The run is over and reaped: notify socket and FIFO are dropped when they have nothing more to give.
  virtual void release_run(SlotIndex slot, RunId run) = 0;
  // No run of the service is left, nor wanted now: what was made for its runs together goes.
  virtual void release_surroundings(const SpawnOrder& order) { (void)order; }
  // The service is gone for good: listening sockets, fd store.
  virtual void release_slot(SlotIndex slot) = 0;
  // Field 22 of /proc/PID/stat; 0 when it cannot be read. Also recorded in the entry.
  virtual std::uint64_t start_ticks(EntryIndex entry, std::int32_t pid) = 0;
  // False: its process has ended, whether or not its entry says so yet. That of a run which the keeper did not start comes
  // when its parent has reaped it.
  virtual bool is_alive(EntryIndex entry) const {
    (void)entry;
    return true;
  }
  // True when the logger has read all that the run's leader can have written.
  virtual bool output_drained(SlotIndex slot, RunId run) = 0;
  // Nobody has the output of `run` open for writing: with its leader, its tree has ended, as far as that shows.
  virtual bool output_closed(RunId run) const {
    (void)run;
    return true;
  }
  // The leader of this run has ended: does anybody else of it live, as far as that shows? Before end_tree.
  virtual bool left_behind(RunId run, const std::string& label) const {
    (void)run, (void)label;
    return false;
  }
  // Tells the logger that the leader of `run` has ended.
  virtual void output_ended(SlotIndex slot, RunId run) = 0;
  // How far the output of `slot` has got under the name `label`; all 0 when that has not begun yet.
  virtual LogStatus log_status(SlotIndex slot, const std::string& label) const {
    (void)slot, (void)label;
    return {};
  }
  // "cgroup", "sweep" or "group": how descendants are contained on this machine.
  virtual const char* containment() const = 0;
  // Takes a run over that an earlier hearth left: fills the entry, opens a pidfd after checking `start_ticks`,
  // hands it to the keeper, opens its FIFO and binds its notify socket again by name. False: it is not there.
  virtual bool adopt(const SpawnOrder& order, std::int32_t pid, std::uint64_t start_ticks) {
    (void)order, (void)pid, (void)start_ticks;
    return false;
  }
  // After the death of everything: the entry is as it was left. Opens again by name what was parked of the run, and
  // hands its process to the keeper; where there is none any more, its end is recorded as unknown. Without an entry:
  // the run is over, and what is left of it is released. Repeating it is harmless.
  virtual void take_up(const SpawnOrder& order) { (void)order; }
  // At a take-over, of a run that has a process: what the keeper had no room for, and died with the supervisor that held
  // it alone, is opened again as by take_up. In words, what was lost of it by which the run may have said that it is ready;
  // "" = nothing. `its_spec`: the run follows that of the order; else what that one asks for is not looked for. Repeating it
  // is harmless.
  virtual std::string keep_open(const SpawnOrder& order, bool its_spec) = 0;
  // Who of hearth works beside us, and who of them is stopped.
  virtual Companions companions() const { return {}; }
  // For how long a spawner has been at work on this entry, in nanoseconds; 0 = it is not.
  virtual SpanNs stuck_for(EntryIndex entry, MonoNs now) const {
    (void)entry, (void)now;
    return 0;
  }
  // A run that lives follows another specification from now on: what keeper and logger were told of it when it was
  // spawned is told anew. Repeating it is harmless.
  virtual void respecify(const SpawnOrder& order) { (void)order; }
  // The keeper may end: everything is stopped, or everything shall be left. `failed`: its exit status says that a service
  // was given up for which all of hearth is to end.
  virtual void finish(bool leave_running, bool failed) = 0;
};

}  // namespace hearth::ports
