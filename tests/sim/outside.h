// The four ports, as the simulated machine answers them. What a port remembers for its supervisor is lost with it
// (supervisor_died()); what stands in the kernel, in sockets, in the fd store or on disk is not.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/capabilities.h"
#include "ports/inputs.h"
#include "ports/keeper.h"
#include "ports/probes.h"
#include "ports/store.h"
#include "sim/kernel.h"

namespace hearth::sim {

// What every port needs. Everything outlives the ports.
struct Outside {
  Kernel& kernel;
  Timeline& time;
  Trace& trace;
  CrashPoints& crash;
  const Faults& faults;
  Observer** observer;
};

class KeeperPort final : public ports::Keeper {
 public:
  KeeperPort(Outside outside, std::uint64_t seed)
      : o_(outside), random_(seed, "keeper port"), scarce_(seed, "spawn"), sweeps_(seed, "sweep") {}

  ports::EntryView entry(EntryIndex entry) const override;
  void take_changed(std::vector<EntryIndex>& entries) override;
  ports::SpawnAnswer spawn(const ports::SpawnOrder& order) override;
  Status can_listen(const ListenSocket& socket, const ServiceSpec& spec) override;
  Status can_start(const ServiceSpec& spec) override;
  std::string not_held(const ServiceSpec& spec) const override {
    return spec.process->sandbox.is_usual() ? std::string() : open_sandboxes;
  }
  std::optional<Status> can_find(const std::vector<ports::SpawnOrder>& orders) override;
  bool signal(EntryIndex entry, RunId run, OpId op, int signal) override;
  ports::MainAnswer follow(const ports::SpawnOrder& order, const ports::MainWish& wish) override;
  bool end_tree(EntryIndex entry, RunId run, const std::string& label) override;
  bool sweep_tree(EntryIndex entry, RunId run) override;
  bool reap(EntryIndex entry, RunId run) override;
  void release_run(SlotIndex slot, RunId run) override;
  void release_surroundings(const ports::SpawnOrder& order) override;
  void release_slot(SlotIndex slot) override;
  bool is_alive(EntryIndex) const override { return !processes_are_zombies; }
  std::uint64_t start_ticks(EntryIndex entry, std::int32_t pid) override;
  bool output_drained(SlotIndex slot, RunId run) override;
  bool left_behind(RunId run, const std::string& label) const override;
  void output_ended(SlotIndex slot, RunId run) override;
  const char* containment() const override { return "cgroup"; }
  SpanNs stuck_for(EntryIndex entry, MonoNs now) const override;
  std::string take_leftover(RunId run) override;
  bool adopt(const ports::SpawnOrder& order, std::int32_t pid, std::uint64_t start_ticks) override;
  void take_up(const ports::SpawnOrder& order) override;
  std::string keep_open(const ports::SpawnOrder& order, bool its_spec) override;
  void respecify(const ports::SpawnOrder& order) override;
  void finish(bool leave_running, bool failed) override;
  void supervisor_died() { to_tell_.clear(); }
  void everybody_died() { fd_store.clear(); }

  bool finished = false, failed = false;
  std::map<SlotIndex, std::map<std::string, std::set<std::uint64_t>>> fd_store;
  std::map<RunId, std::uint32_t> stop_ranks;      // as entries have them: for a keeper without a supervisor
  std::uint32_t refuse_next = 0;                  // so many spawns are refused
  int refuse_with = 0;                            // and this is their errno; 0: of something that is short
  std::set<std::string> foreign_addresses;        // others listen there
  std::set<std::string> missing_programs;         // are not there
  std::uint32_t unanswered_looks = 0;             // so many looks for programs have no answer yet
  CapabilitySet capabilities = all_capabilities;  // that hearth has
  std::string open_sandboxes;                     // what does not hold of a sandbox, in words
  bool takes_no_signal = false;                   // none can be handed over
  bool processes_are_zombies = false;             // as /proc shows them, whatever their entries say
  std::string survivor;                           // what no stop can end
  bool hides_start_times = false;                 // nobody can read them just now
  std::string lost_with_supervisor;               // what the next one finds lost, of each run that has a process
  std::set<RunId> kept_open, kept_open_partly;  // runs of which one has looked for that; partly: their spec is another

 private:
  // Nothing can be made, nor a message be sent, just now.
  bool starved() { return o_.kernel.shortage.resources && !scarce_.one_in(4); }

  Outside o_;
  Random random_, scarce_, sweeps_;
  std::set<RunId> to_tell_;  // whose survivor was found and is not named yet
};

// "stop a (key 3)"
std::string words(const Request& request);

class InputsPort final : public ports::Inputs {
 public:
  InputsPort(Outside outside, KeeperPort& keeper, std::uint64_t seed)
      : o_(outside), keeper_(keeper), random_(seed, "inputs port") {}

  void peek(std::vector<ports::Input>& inputs) override;
  void store_descriptors(const ports::Input& input, const std::string& name, std::uint32_t most, bool poll) override;
  void remove_descriptors(SlotIndex slot, const std::string& name) override;
  void consume(const ports::Input& input) override;
  void answer(const ports::Input& input, const Result<Accepted>& result) override;
  void breadcrumb(const ports::Input& input) override;
  void clear_breadcrumb() override;
  bool poisonous(const ports::Input& input) const override;

  std::size_t peeked = 0;  // inputs that the last peek gave

  void supervisor_died();
  void table_lost() { signals_.clear(); }
  std::vector<std::pair<int, std::uint32_t>> signals() const { return {signals_.begin(), signals_.end()}; }
  void post_request(Request request);
  void post_probe_result(ports::Input result);
  void post_keeper_signal(int number);
  std::function<void(const Request&, const Result<Accepted>&)> deliver = [](const Request&, const Result<Accepted>&) {};
  // Datagrams with this text kill the supervisor that handles them.
  std::string poison;

 private:
  struct Call {
    std::uint64_t token;
    Request request;
    bool consumed = false;
  };
  const Datagram* front(const ports::Input& input) const;

  Outside o_;
  KeeperPort& keeper_;
  Random random_;
  std::deque<Call> calls_;
  std::vector<ports::Input> results_;
  std::map<int, std::uint32_t> signals_, signals_consumed_;
  std::uint64_t next_token_ = 1'000'000'000;
  std::uint64_t rotation_ = 0;
  std::uint64_t crumb_ = 0, crumb_at_death_ = 0;
  unsigned crumb_deaths_ = 0;
};

class ProbesPort final : public ports::Probes {
 public:
  ProbesPort(Outside outside, InputsPort& inputs, std::uint64_t seed)
      : o_(outside), inputs_(inputs), random_(seed, "probes port"), scarce_(seed, "probe") {}
  void begin(const ports::ProbeTry& order) override;
  void cancel(SlotIndex slot) override;
  void supervisor_died() { ++epoch_; }

 private:
  Outside o_;
  InputsPort& inputs_;
  Random random_, scarce_;
  std::uint64_t epoch_ = 0;
};

class StorePort final : public ports::Store {
 public:
  StorePort(Outside outside, std::uint64_t seed)
      : o_(outside), random_(seed, "store port"), scarce_(seed, "store"), disk_(seed, "disk port") {}
  Status put_document(const Document& document) override;
  Status keep_document(const Document& document) override;
  void drop_document(std::uint64_t version) override;
  Status reserve(std::uint32_t slots) override;
  Result<std::vector<Document>> documents(const std::vector<std::uint64_t>& versions) override;
  void note_runs(const std::vector<ports::SlotNote>& changed, RunId next_run) override;
  void mark(SlotIndex slot, const std::vector<ports::Mark>& marks) override;
  bool finish(RunId next_run) override;
  Result<ports::JournalMark> continue_journal(std::optional<ports::JournalMark> mark) override;
  Result<std::uint64_t> append_events(const std::vector<EventRecord>& events) override;
  void events_committed(ports::JournalMark mark) override;
  const std::vector<EventRecord>& journal() const { return journal_; }

  // The list is written behind: a supervisor that dies takes what waits along.
  void supervisor_died();

  std::uint32_t full_for = 0;        // so many documents find no room
  bool no_more_slots = false;        // nor their services
  std::uint32_t no_events_for = 0;   // so many turns find no room for their events
  std::uint32_t short_for = 0;       // so many supervisors cannot read the documents
  std::uint32_t no_journal_for = 0;  // so many supervisors cannot see the journal
  bool only_the_copy = false;        // without a page, the disk alone says how far events had come

  // Readiness files: whose they are, by label, and which run they name. They stay when nobody is left to take them away.
  std::map<std::string, RunId> ready_files;
  std::map<SlotIndex, ports::RunNote> noted;
  const std::map<std::uint64_t, Document>& on_disk() const { return documents_; }
  const std::map<SlotIndex, ports::RunNote>& list_on_disk() const { return written_; }
  RunId next_run_on_disk() const { return written_next_; }

 private:
  int errno_of_disk();
  void write_list(std::uint64_t epoch);

  Outside o_;
  Random random_, scarce_, disk_;
  std::map<std::uint64_t, Document> documents_;
  std::map<SlotIndex, std::vector<ports::Mark>> marks_;  // that this supervisor has told of
  std::set<std::uint64_t> wanted_;  // by this supervisor; with its first list of runs all others are removed
  bool has_noted_ = false;
  std::map<SlotIndex, ports::RunNote> written_;
  RunId next_ = no_run, written_next_ = no_run;
  void tell_journal(EventId last);
  std::vector<EventRecord> journal_;  // outlives everybody, as files of DIR/state do
  std::uint32_t reserved_ = 0;        // room for so many slots
  std::size_t whole_ = 0;             // behind it is what there was no room to finish
  EventId told_ = no_event;
  MonoNs written_at_ = 0;
  bool waits_ = false;
  std::uint64_t epoch_ = 0;
};

// What a hearth finds that begins in this directory without slot table and page: documents, the list of runs, and
// whoever lives. By the rules of store/heritage.cc.
ports::Heritage read_heritage(const Kernel& kernel, const StorePort& store);

}  // namespace hearth::sim
