// What must hold, checked by somebody who knows the world's truth and reads the page, but shares no code with the
// supervisor. A broken promise throws Violation at the event that broke it.
//
// Safety, after every event:
//   - each run number is spawned once, greater than all before; at most one live run per slot
//   - every act was committed before: spawn, signal, reap, release
//   - a run hears its stop signal at most once; no reap before its exit is in the page, with the world's status
//   - no stop or KILL by a clock that has not run out, by a clock that ran out while nobody watched, or while a
//     statement of the service that would have stopped that clock lay unread
//   - what a service has said and what was consumed is known: ready, status; what it has not said is not
//   - nothing is started that was stopped deliberately, nor before its dependencies, nor before its retry time; a
//     retry time is the same before and after a take-over
//   - dependents end before what they depend on; those that are restarted with it, also before it is restarted
//   - one key is one order for ever
//   - a process that runs is in its entry, or named as left alone; how a run ended is true, or said to be unknown
//     where nobody can tell, and those are counted; a new keeper moves no retry time
// The death of everybody takes nothing of this away. Only where slot table and page are lost with it, what is known is
// what is on disk: counters begin anew, but no number of a run that is there is given again, and what was noted as down
// stays down.
//   - the event journal has each change of a slot once: where one state ends the next begins, ids grow, causes are earlier;
//     what could not be written is counted, and an event tells how many
//   - backoff grows as it is specified, a crash limit holds, and a kernel without room is no failure of a service
//   - a readiness file is there while its service is ready
//   - an order is refused with a reason, and changes nothing
//   - the fd store holds what the statements say
//   - a hook is run once for one occasion: before_start for a start, before_stop and stop_command for a run, after_stop
//     for what had begun; no run begins before its before_start has succeeded
// Liveness is in liveness.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/machine.h"

namespace hearth::sim {

class Checker final : public Watcher {
 public:
  explicit Checker(Machine& machine) : m_(machine) {}

  // Watcher
  void committed() override;
  void absent(MonoNs from, MonoNs to) override;
  void before_death() override;
  void turn_done() override;
  void keeper_replaced() override;
  void everybody_died(bool state_lost) override;
  void inherits(const ports::Heritage& heritage) override;
  // Observer
  void cloned(const Process& process) override;
  void signal_delivered(const Process& process, int signal) override;
  void spawn_called(const ports::SpawnOrder& order) override;
  void spawn_refused(const ports::SpawnOrder& order) override;
  void signal_called(EntryIndex entry, RunId run, OpId op, int signal) override;
  void reap_called(EntryIndex entry, RunId run) override;
  void end_tree_called(EntryIndex entry, RunId run) override;
  void release_run_called(SlotIndex slot, RunId run) override;
  void release_slot_called(SlotIndex slot) override;
  void finish_called(bool leave) override;
  void notify_consumed(const Process& process, const Datagram& datagram) override;
  void descriptor_consumed(SlotIndex slot, const Datagram& datagram) override;
  void journal_grew(const std::vector<EventRecord>& events) override;
  void journal_begins_anew() override {
    told_phases_.clear();
    loss_unknown_ = true;
  }
  void answered(const Request& request, const Result<Accepted>& result) override;
  void probe_answered(SlotIndex slot, RunId run, bool live, bool good) override;
  void probe_refused(SlotIndex slot) override { not_looked_at(slot); }

  const ServiceSpec* spec_of(const SlotState& state) const;
  std::string name_of(const SlotState& state) const;
  const PageView& view() const { return view_; }

 private:
  // When the service's clocks run out, reckoned from its words and from when they were heard.
  struct Clocks {
    MonoNs start = 0;
    SpanNs start_span = 0;
    std::vector<MonoNs> other_starts;  // the same, if a readiness try that was refused has been decided upon
    MonoNs watchdog = 0;
    SpanNs watchdog_span = 0;
  };
  struct Stop {
    MonoNs grace = 0;
    SpanNs span = 0;
    OrderId order = 0;
  };

  [[noreturn]] void fail(const std::string& what) const;
  // checker_hooks.cc
  void follow_hooks(SlotIndex slot, const SlotState& before, const SlotState& now);
  void check_prepared(SlotIndex slot, const SlotState& now);
  void hook_cloned(const Process& process);
  void check_new_run(SlotIndex slot, const SlotState& before, const SlotState& now);
  void check_end(SlotIndex slot, const RunCell& cell, const SlotState& now);
  void not_looked_at(SlotIndex parent);
  void check_stop(SlotIndex slot, const SlotState& before, const SlotState& now);
  void check_dependents_ended(const SlotState& now) const;
  void check_followers_ended(const SlotState& now) const;
  bool was_ill(SlotIndex slot, const SlotState& before) const;
  // checker_policy.cc
  void check_policy(SlotIndex slot, const SlotState& before, const SlotState& now);
  void check_backoff(const SlotState& before, const SlotState& now, const ServiceSpec& spec) const;
  void check_crash_limit(SlotIndex slot, const SlotState& before, const SlotState& now, const ServiceSpec& spec);
  void check_no_room(const SlotState& now, EntryIndex entry) const;
  void check_ready_file(const SlotState& state) const;
  void check_ready(SlotIndex slot, const SlotState& before, const SlotState& now);
  static bool replica_met(const SlotState& other, const Dependency& dependency, const ServiceSpec& spec);
  bool dependency_met(const SlotState& of, const Dependency& dependency) const;
  std::string words(const SlotState& of, const Dependency& dependency) const;
  void renew_what_was_missed();
  bool unread(RunId run, const char* what) const;
  bool somebody_may_want_up(const ports::SpawnOrder& order, OrderId decided) const;
  static std::optional<bool> goal_in(const Request& request, const std::string& project, const std::string& service);
  void remember_retries();
  void check_accounted_for() const;
  bool cannot_be_found(const Process& process) const;
  void check_losses_counted(const PageView& before, std::uint32_t lost) const;
  const RunCell* cell_in_page(RunId run, EntryIndex entry) const;

  Machine& m_;
  EventId last_event_ = no_event;
  bool loss_unknown_ = false;                       // of events, before the page was lost that had counted it
  std::map<std::string, std::string> told_phases_;  // of services, by the journal
  PageView view_;                                   // as of the last commit
  std::map<RunId, Clocks> clocks_;
  std::map<SlotIndex, Stop> stops_;
  std::set<RunId> cloned_;
  std::map<RunId, OrderId> decided_;  // the last order there was when a run was decided upon
  RunId greatest_run_ = 0;
  OpId greatest_op_ = 0;
  OrderId orders_before_ = 0;  // the last order of the commit before
  std::map<OperationKey, OrderId> orders_;
  std::map<OrderId, Request> accepted_;
  std::map<OrderId, std::set<std::string>> started_;  // by each start or restart, what it needs included
  std::map<OrderId, std::set<std::string>> stopped_;  // by each stop of all: not what had completed
  std::set<RunId> probed_well_;
  std::set<RunId> probed_ill_;  // the last answer about its liveness was a bad one
  std::map<SlotIndex, std::map<std::string, std::set<std::uint64_t>>> store_;
  // What of a service's hooks has been, since something of it had begun.
  struct Hooks {
    bool began = false;           // a start or a run, not cleared away by after_stop since
    RunId before_start = no_run;  // the newest one that was cloned since the last run was decided
    RunId after_stop = no_run;    // the last one
    bool left_starting = false;   // ... and the service was elsewhere since
    RunId asked[2] = {};          // the run that before_stop and stop_command were last cloned for
  };
  std::map<SlotIndex, Hooks> hooks_;
  std::set<RunId> ended_hooks_;  // we were ending these, whatever they did then
  std::map<SlotIndex, MonoNs> retries_at_death_;
  std::map<SlotIndex, std::vector<MonoNs>> tries_;  // again by itself, since somebody has ordered something
  std::map<std::string, bool> noted_goals_;         // by label, of the last heritage
  std::vector<std::string> noted_losses_;           // ... in words
  std::set<std::int32_t> in_exec_at_heritage_;      // PIDs
  MonoNs absent_from_ = never;                      // since then nobody has looked at a clock; never: somebody does
};

}  // namespace hearth::sim
