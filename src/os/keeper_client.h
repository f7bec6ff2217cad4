// ports::Keeper over Linux: makes what a run needs, orders it, and sends the orders to keeper and spawners.
//
// The order of spawn(), such that a successor which repeats it for the same run, after a crash at any point, ends
// in exactly one process:
//
//   0 prepare    directories, credentials: by a thread; until it is done the order is answered with `later`
//   1 plan       built first: a command that cannot be is refused before anything is made
//   2 listen     sockets of the slot, once per slot and name; they stay between runs
//   3 FIFO       by name o/RUN; a found one is opened again
//   4 notify     by name n/RUN; likewise
//   5 leaf       by name LABEL.RUN; and, without a name, the pipe of ready = "fd:N"
//   6 PARK       of FIFO, notify socket and pipe, in one message (the keeper handles what a dead supervisor had sent).
//                Late, because it wakes the keeper, whom nobody waits for now
//   7 entry      stop fields, then run (release): from here on the run is known
//   8 plan sent  to the spawner at work. Sent twice it starts one process: spawners claim the entry.
//
// FIFO and notify socket of the next run, whosever it will be, are made ahead when nothing is on its way: their
// names hold nothing but the number, and run numbers only grow. So a restart finds them made (Spare), and parked: for no
// slot, which keeps them from the logger and from our epoll. When their run has started they are parked again, for
// its slot; before that nobody needs to know whose they are. What is not used, because numbers were passed over or all
// ends, is removed.
//
// Plans on their way are counted per spawner generation, at most window_max. When a spawner is gone, entries
// ordered from it that nobody has claimed are named by take_changed(), and the supervisor asks again.
//
// A spawner that has been at one entry for stuck_after (an exec that hangs) is given up: the spare one takes over,
// the keeper is asked to replace it. The child goes on hanging, and stuck_for() goes on telling.
//
// A run has started when its exec is over, which its spawner says (RunEntry::exec_over). One whose spawner did not
// live to say it has started when it is another program than the keeper, whose copy it was; nobody tells when that
// comes to be, so it is looked at, and take_changed() names the entry.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/status.h"
#include "os/cgroup.h"
#include "os/keeper_link.h"
#include "os/pid_file.h"
#include "os/plan_builder.h"
#include "os/port_look.h"
#include "os/preparation.h"
#include "os/proc_stat.h"
#include "os/program_look.h"
#include "os/run_files.h"
#include "os/run_members.h"
#include "os/sweep.h"
#include "ports/keeper.h"

namespace hearth::os {

struct ClientOptions {
  std::string directory;              // absolute path of the instance directory
  std::optional<NofileLimit> nofile;  // what services get that say nothing (parse_nofile(getenv("HEARTH_NOFILE")))
  std::optional<ServiceRoots> roots;  // none: service_roots(directory)
};

class KeeperClient final : public ports::Keeper {
 public:
  static constexpr std::size_t window_max = 64;
  static constexpr SpanNs stuck_after = seconds(1);
  static constexpr SpanNs busy_leaf_max = seconds(2);

  // `link` is borrowed and must outlive this.
  KeeperClient(KeeperLink& link, CgroupTree cgroups, ClientOptions options);

  ports::EntryView entry(EntryIndex entry) const override;
  void take_changed(std::vector<EntryIndex>& entries) override;
  ports::SpawnAnswer spawn(const ports::SpawnOrder& order) override;
  Status can_listen(const ListenSocket& socket, const ServiceSpec& spec) override;
  Status can_start(const ServiceSpec& spec) override;
  std::string not_held(const ServiceSpec& spec) const override;
  std::optional<Status> can_find(const std::vector<ports::SpawnOrder>& orders) override;
  bool signal(EntryIndex entry, RunId run, OpId op, int signal) override;
  ports::MainAnswer follow(const ports::SpawnOrder& order, const ports::MainWish& wish) override;
  bool end_tree(EntryIndex entry, RunId run, const std::string& label) override;
  bool sweep_tree(EntryIndex entry, RunId run) override;
  std::string take_leftover(RunId run) override;
  bool reap(EntryIndex entry, RunId run) override;
  void release_run(SlotIndex slot, RunId run) override;
  void release_surroundings(const ports::SpawnOrder& order) override;
  void release_slot(SlotIndex slot) override;
  bool is_alive(EntryIndex entry) const override;
  std::uint64_t start_ticks(EntryIndex entry, std::int32_t pid) override;
  bool output_drained(SlotIndex slot, RunId run) override;
  bool output_closed(RunId run) const override;
  bool left_behind(RunId run, const std::string& label) const override;
  void output_ended(SlotIndex slot, RunId run) override;
  LogStatus log_status(SlotIndex slot, const std::string& label) const override;
  const char* containment() const override { return cgroups_.usable() ? "cgroup" : "sweep"; }
  bool adopt(const ports::SpawnOrder& order, std::int32_t pid, std::uint64_t start_ticks) override;
  void take_up(const ports::SpawnOrder& order) override;
  std::string keep_open(const ports::SpawnOrder& order, bool its_spec) override;
  void respecify(const ports::SpawnOrder& order) override;
  Companions companions() const override;
  SpanNs stuck_for(EntryIndex entry, MonoNs now) const override;
  void finish(bool leave_running, bool failed) override;

  // After every turn: sends what has gathered, drops what released runs no longer need, looks after spawners.
  void flush();
  // A new keeper holds everything (KeeperLink::hand_over_to): plans on their way are asked for again.
  void keeper_replaced();
  // The keeper has room again: it is offered what it has refused to hold, and runs that it has refused to watch.
  void offer_again();
  // Removes FIFOs and notify sockets of runs that are not known and that nobody writes to. Once, when a new
  // instance has adopted what it found.
  void remove_stale_names();
  // After finish() and a flush(): keeper and logger end meanwhile, through descriptors. The names of runs have nobody left
  // to lead to the pipes.
  void remove_names();
  // After a deliberate end, and after everything else is removed: as long as there is a state, the next hearth goes on
  // with what this one has not done.
  void remove_state();
  // What is worth telling people, since the last call; without times.
  std::vector<Note> take_notes();
  const CgroupTree& cgroups() const { return cgroups_; }

 private:
  struct Outstanding {
    EntryIndex entry;
    RunId run;
    std::uint32_t generation;
    MonoNs sent;
  };
  struct Hung {
    EntryIndex entry;
    RunId run;
    std::int32_t pid;
    MonoNs since;
    SpanNs wait = 0;  // until the next look; doubles
    MonoNs next = 0;
  };
  struct Released {
    RunId run;
    SpanNs wait;  // until the next look; doubles
    MonoNs next;  // `never`: when its last writer closes
  };
  struct Sweeping {
    RunId run;
    std::unique_ptr<Sweep> sweep;
    MonoNs next;
    int rounds;  // sweeps that found nothing more although somebody held the output
  };
  // What follow() saw of a run without anybody that is named.
  struct LastLook {
    RunMember only;       // PID 0: none, or several
    unsigned nobody = 0;  // so many looks in a row
  };
  struct BusyLeaf {
    RunId run;
    MonoNs since;
    SpanNs wait;
  };
  // What spawn() made in this call: taken back when it is refused, else parked in one message.
  struct Made {
    Fd fifo;
    Fd notify;
    Fd ready;
    Fd terminal;
    Fd leaf;
    std::shared_ptr<const Fd> ruleset;  // as Prepared has it
  };

  struct ToPark {
    std::vector<wire::ParkRecord> records;
    std::vector<Fd> descriptors;
  };

  // Made and parked for the run that is likely to come next.
  struct Spare {
    RunId run = no_run;
    Fd output;  // the service's end; none after a take-over
  };
  // A run that uses a spare, which is still parked for no slot. Its end is not told before: what it has said is not heard.
  struct Unassigned {
    RunId run;
    EntryIndex entry;
  };

  // leaves.cc
  // Where leaves of the instance stand, by those who are in them.
  struct LeavesSeen {
    std::map<std::string, std::string> above;  // of a leaf's name: the cgroup with the tree
    bool all;                                  // false: somebody could not be looked at
  };
  struct LeafPlace {
    const CgroupTree* tree = nullptr;  // none: it cannot be told now
    bool is_removed = false;           // it stood somewhere, and is not there any more: nobody was left in it
  };
  const LeavesSeen& look_for_leaves();
  LeafPlace place_of(EntryIndex entry, RunId run, const std::string& label);
  void remove_leaf_of(RunId run);
  // following.cc
  ports::MainAnswer follow_one(const ports::SpawnOrder& order, std::int32_t pid, const std::string& source);
  // keeper_room.cc
  std::size_t still_to_park(const ports::SpawnOrder& order) const;
  Status keeper_can_hold(const ports::SpawnOrder& order) const;
  bool keeper_can_hold_a_spare() const;
  // Each: done, or not now (the keeper's socket is full), or why not.
  Result<bool> make_run(const ports::SpawnOrder& order, Made& made);
  Status make_fifo(const ports::SpawnOrder& order, Made& made);
  Status make_notify(const ports::SpawnOrder& order, Made& made);
  static bool needs_ready_pipe(const ports::SpawnOrder& order);
  Status make_ready_pipe(const ports::SpawnOrder& order, Made& made);
  Status make_terminal(const ports::SpawnOrder& order, Made& made);
  // surroundings.cc. Nothing: not now.
  static bool wants_terminal(const ports::SpawnOrder& order);
  std::optional<Result<Prepared>> prepare_run(const ports::SpawnOrder& order);
  void forget_preparation(RunId run);
  Result<std::shared_ptr<const Fd>> input_of(const ports::SpawnOrder& order);
  Result<bool> make_listeners(const ports::SpawnOrder& order);
  // service_ports.cc
  enum class PortHolding : std::uint8_t { foreign, living, ending };
  Result<bool> look_at_ports(const ports::SpawnOrder& order);
  PortHolding holding_of(const ports::SpawnOrder& order, const PortHolder& holder) const;
  // spare.cc
  void make_spare();
  void drop_spare();
  bool is_spare(RunId run) const;
  void find_spare();
  void assign_spares();
  bool is_unassigned(RunId run) const;
  static ToPark to_park(const ports::SpawnOrder& order, Made& made);
  bool park_made(const ports::SpawnOrder& order, Made& made);
  void undo(const ports::SpawnOrder& order, const Made& made);
  static SlotIndex log_slot(const ports::SpawnOrder& order);
  SlotIndex slot_of_output(EntryIndex entry) const;
  void configure_stream(SlotIndex slot, const ports::SpawnOrder& order, const std::string& label) const;
  void configure_log(const ports::SpawnOrder& order);
  std::vector<std::string> passed_names(const ports::SpawnOrder& order) const;
  std::vector<int> passed_descriptors(const ports::SpawnOrder& order) const;
  Result<bool> send_plan(const ports::SpawnOrder& order, const std::string& plan, const Made& made);
  void order_entry(const ports::SpawnOrder& order, std::int32_t pid);
  // adoption.cc
  struct Adoption {
    EntryIndex entry;
    RunId run;
  };
  // Of a run that lives: what could not be opened.
  struct Unopened {
    EntryIndex entry;
    RunId run;
    std::string label;
    Owner owner;
    wire::ParkClass type;              // output, notify or listen
    std::vector<ListenSocket> listen;  // of that type
    std::string told;                  // why not, where that is more than want of descriptors
  };
  void open_again(const ports::SpawnOrder& order, int process);
  void open_output_again(const ports::SpawnOrder& order);
  void open_notify_again(const ports::SpawnOrder& order);
  bool is_lost(wire::ParkClass type, std::uint64_t key, std::string_view name = {}) const;
  void recover_listeners(const ports::SpawnOrder& order, int process);
  bool recover_listeners(Unopened& wanted, int process, SpanNs wait);
  void not_opened(const ports::SpawnOrder& order, wire::ParkClass type, const Error& error);
  void open_later(Unopened one);
  bool open_now(Unopened& one, bool room);
  bool listen_now(Unopened& one, bool room);
  bool read_now(Unopened& one, bool room);
  void note_unopened(Unopened& one, const Error& error);
  void mind_unopened(MonoNs now);
  OpenedProcess open_run(const wire::RunEntry& entry, RunId run, const std::string& label);
  void note_stranger(const KeeperLink::Stranger& stranger);
  bool is_process_of(pid_t pid, const RunIdentity& run) const;
  void hand_to_keeper(const Adoption& adoption, OpenedProcess process, SpanNs wait);
  void mind_adoptions();
  void find_unadopted();
  void find_unrecorded();
  void mind_unrecorded();

  void prune_outstanding();
  SpawnerLine* spawner_at_work();
  bool is_outstanding(EntryIndex entry, RunId run) const;
  void mind_spawners(MonoNs now);
  bool spawner_stuck(std::uint32_t index, MonoNs now) const;
  void give_up_spawner(std::uint32_t index, MonoNs now);
  static bool is_watched(wire::EntryPhase phase) {
    return phase == wire::EntryPhase::watched || phase == wire::EntryPhase::adopted;
  }
  bool exec_hangs(EntryIndex entry, RunId run, std::int32_t pid) const;
  void note_if_hung(EntryIndex entry);
  void mind_hung(MonoNs now);
  void mind_released(MonoNs now);
  enum class Dropped { yes, waits_for_reader, waits_for_writers };
  Dropped try_drop(RunId run);
  void find_released();
  std::string label_of(SlotIndex slot) const;
  SweepTarget sweep_target(EntryIndex entry) const;
  bool output_is_held(RunId run) const;
  Owner owner_of(const ServiceSpec& spec) const;
  int directory() const { return link_.descriptor(wire::HelloDescriptor::directory); }

  KeeperLink& link_;
  CgroupTree cgroups_;
  ClientOptions options_;
  ServiceRoots roots_;
  Preparations preparations_;
  PidFiles pid_files_;
  ProgramLooks program_looks_;
  PortLooks port_looks_;
  std::map<RunId, LastLook> last_looks_;
  bool has_credentials_ = false;        // of some run there may be copies
  std::shared_ptr<const Fd> dev_null_;  // shared with the plan at hand
  std::uint32_t at_work_ = 0;
  std::uint32_t replaced_[wire::spawner_count] = {};  // generation that was given up
  RunId last_run_ = no_run;  // the greatest whose plan was sent since the last look at the spare
  Spare spare_;
  std::vector<Unassigned> unassigned_;
  std::vector<Outstanding> outstanding_;
  std::vector<EntryIndex> ask_again_;
  std::vector<Hung> hung_;
  std::vector<Adoption> adoptions_;   // which the keeper could not be told yet
  std::vector<Adoption> unrecorded_;  // whose start time could not be read yet
  std::vector<Unopened> unopened_;
  bool unopened_told_ = false;
  SpanNs open_wait_ = 0;
  MonoNs open_next_ = 0;
  std::vector<Released> released_;
  std::list<CgroupTree> elsewhere_;        // trees of earlier hearths of the instance in which leaves were found
  std::optional<LeavesSeen> leaves_seen_;  // of this turn
  std::set<RunId> uncontained_;            // that have ended, and of which no leaf was found
  std::vector<BusyLeaf> busy_;
  std::vector<Sweeping> sweeps_;
  std::map<RunId, std::string> leftovers_;
  std::vector<Note> notes_;
  bool all_stopped_ = false;
};

// Name under which a stored descriptor is passed: what the service said, or "stored" as systemd has it, also when
// it is no valid name (sd_notify(3): printable, no colon, at most 255; here 103).
std::string stored_name(const std::string& said);

}  // namespace hearth::os
