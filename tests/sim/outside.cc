// Keeper, probes and store. Each call is a place to die before and after its effect.
#include "sim/outside.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace hearth::sim {
namespace {

constexpr SpanNs write_every = milliseconds(100);

// What the kernel says when it has no more of something.
int errno_of_scarcity(Random& random) {
  constexpr int all[] = {EMFILE, ENFILE, ENOMEM, EAGAIN};
  return all[random.below(std::size(all))];
}

}  // namespace

// ---- keeper -----------------------------------------------------------------------------------------

ports::EntryView KeeperPort::entry(EntryIndex entry) const {
  o_.crash.point("entry");
  return entry < Kernel::entries_max ? o_.kernel.entry(entry) : ports::EntryView();
}

void KeeperPort::take_changed(std::vector<EntryIndex>& entries) {
  o_.crash.point("take_changed");
  o_.kernel.take_changed(entries);
  o_.crash.point("take_changed done");
}

ports::SpawnAnswer KeeperPort::spawn(const ports::SpawnOrder& order) {
  using ports::SpawnOutcome;
  o_.crash.point("spawn");
  if (*o_.observer != nullptr) (*o_.observer)->spawn_called(order);
  const ports::EntryView& entry = o_.kernel.entry(order.entry);
  const bool full = random_.one_in(12), short_of = random_.one_in(20);
  if (entry.run != order.run) {
    if (entry.run != no_run || (full && o_.faults.handover)) return {SpawnOutcome::later, {}};
    const bool scarce = starved();
    if ((short_of && o_.faults.refusals) || refuse_next > 0 || scarce) {
      if (refuse_next > 0) --refuse_next;
      if (*o_.observer != nullptr) (*o_.observer)->spawn_refused(order);
      const int code = refuse_with != 0    ? refuse_with
                       : scarce            ? errno_of_scarcity(scarce_)
                       : random_.one_in(2) ? EMFILE
                                           : ENOSPC;
      o_.trace.note(o_.time.now.mono, "spawn of run %lu (%s) is refused: errno %d", order.run, order.label.c_str(),
                    code);
      return {SpawnOutcome::refused, errno_error("start", order.label, code)};
    }
    o_.trace.note(o_.time.now.mono, "entry %u is ordered for run %lu (%s)", order.entry, order.run,
                  order.label.c_str());
    o_.kernel.order_entry(order);
    stop_ranks[order.run] = order.stop_rank;
    o_.crash.point("spawn ordered");
  } else if (entry.pid != 0 || entry.claim != 0 || entry.fail_stage != 0) {
    return {SpawnOutcome::sent, {}};
  }
  if (!o_.kernel.plan_on_its_way(order.entry, order.run) && !o_.kernel.send_plan(order.entry, order.run))
    return {SpawnOutcome::later, {}};
  o_.crash.point("spawn done");
  return {SpawnOutcome::sent, {}};
}

Status KeeperPort::can_listen(const ListenSocket& socket, const ServiceSpec&) {
  o_.crash.point("can_listen");
  if (foreign_addresses.contains(socket.address))
    return failure(Remedy::conflict, "listen on", socket.address, "it is in use by another (PID 7)", "stop that");
  return {};
}

Status KeeperPort::can_start(const ServiceSpec& spec) {
  o_.crash.point("can_start");
  const CapabilitySet missing = spec.process->capabilities.value_or(0) & ~capabilities;
  if (missing == 0) return {};
  return failure(Remedy::no_access, "start", spec.name, "hearth itself has not " + capability_list(missing),
                 "take it out");
}

std::optional<Status> KeeperPort::can_find(const std::vector<ports::SpawnOrder>& orders) {
  o_.crash.point("can_find");
  const bool slow = random_.one_in(2);
  if (unanswered_looks > 0) return --unanswered_looks, std::nullopt;
  if (slow && o_.faults.handover) return std::nullopt;
  for (const ports::SpawnOrder& order : orders)
    if (missing_programs.contains(order.command->front()))
      return failure(Remedy::fix_input, "start", order.label, order.command->front() + " is not there", "correct it");
  return Status();
}

bool KeeperPort::signal(EntryIndex entry, RunId run, OpId op, int signal) {
  o_.crash.point("signal");
  if (*o_.observer != nullptr) (*o_.observer)->signal_called(entry, run, op, signal);
  const bool full = random_.one_in(10);
  if (takes_no_signal || (full && o_.faults.handover) || starved()) return false;
  o_.kernel.post_signal(entry, run, op, signal);
  o_.crash.point("signal done");
  return true;
}

ports::MainAnswer KeeperPort::follow(const ports::SpawnOrder& order, const ports::MainWish& wish) {
  using ports::MainFound;
  o_.crash.point("follow");
  const Process* leader = o_.kernel.process(order.run);
  const Process* daemon = leader == nullptr ? nullptr : leader->daemon.get();
  const bool full = random_.one_in(10);
  if (o_.kernel.entry(order.entry).main) return {MainFound::sent, {}};
  if (daemon == nullptr || !daemon->running()) return {MainFound::nobody, {}};
  const Script& script = daemon->script;
  const std::string& file = order.spec->around->pid_file;
  const bool written = script.pid_file_after != not_at_all && o_.time.now.mono >= daemon->born + script.pid_file_after;
  std::string missing;
  if (wish.told != 0) {
    if (wish.told != daemon->pid) missing = "MAINPID= names PID 1, which is no process of this run";
  } else if (!file.empty()) {
    if (!written) missing = file + " is not there";
    if (written && script.pid_file_lies) missing = file + " names PID 1, which is no process of this run";
  } else if (script.has_siblings) {
    missing = "2 processes are left; set pid_file to the file in which it writes its PID";
  }
  if (!missing.empty() && !wish.whoever) return {MainFound::no, missing};
  if ((full && o_.faults.handover) || starved()) return {MainFound::no, "the keeper cannot be told now"};
  o_.kernel.post_follow(order.entry, order.run, daemon->pid);
  o_.crash.point("follow done");
  return {MainFound::sent, {}};
}

bool KeeperPort::end_tree(EntryIndex entry, RunId run, const std::string&) {
  o_.crash.point("end_tree");
  if (*o_.observer != nullptr) (*o_.observer)->end_tree_called(entry, run);
  const bool survivors = random_.one_in(8);
  o_.kernel.end_tree(run);
  o_.crash.point("end_tree done");
  if ((survivors && o_.faults.handover) || starved()) return false;
  // Like the real one it looks again whenever it is asked, and finds the same.
  if (!survivor.empty()) to_tell_.insert(run);
  return true;
}

std::string KeeperPort::take_leftover(RunId run) {
  o_.crash.point("take_leftover");
  return to_tell_.erase(run) == 0 ? "" : survivor;
}

bool KeeperPort::adopt(const ports::SpawnOrder& order, std::int32_t pid, std::uint64_t) {
  o_.crash.point("adopt");
  const bool adopted = o_.kernel.adopt(order, pid);
  if (adopted) stop_ranks[order.run] = order.stop_rank;
  o_.crash.point("adopt done");
  return adopted;
}

void KeeperPort::take_up(const ports::SpawnOrder& order) {
  o_.crash.point("take_up");
  o_.kernel.take_up(order);
  o_.crash.point("take_up done");
}

std::string KeeperPort::keep_open(const ports::SpawnOrder& order, bool its_spec) {
  o_.crash.point("keep_open");
  (its_spec ? kept_open : kept_open_partly).insert(order.run);
  Process* process = o_.kernel.process(order.run);
  if (lost_with_supervisor.empty() || process == nullptr || !process->running()) return "";
  process->unheard = true;
  return lost_with_supervisor;
}

// As without cgroups, on a kernel that takes its time: a few passes, and each but the last says when to come again.
bool KeeperPort::sweep_tree(EntryIndex, RunId) {
  o_.crash.point("sweep_tree");
  if (!o_.faults.lateness || !sweeps_.one_in(3)) return true;
  o_.time.in(milliseconds(2), [this] { o_.kernel.wake(); });
  o_.crash.point("sweep_tree done");
  return false;
}

bool KeeperPort::reap(EntryIndex entry, RunId run) {
  o_.crash.point("reap");
  if (*o_.observer != nullptr) (*o_.observer)->reap_called(entry, run);
  const bool busy = random_.one_in(10);
  if ((busy && o_.faults.handover) || starved()) return false;
  o_.kernel.post_reap(entry, run);
  o_.crash.point("reap done");
  return true;
}

void KeeperPort::release_run(SlotIndex slot, RunId run) {
  o_.crash.point("release_run");
  if (*o_.observer != nullptr) (*o_.observer)->release_run_called(slot, run);
  o_.kernel.release_run(slot, run);
  o_.crash.point("release_run done");
}

void KeeperPort::release_surroundings(const ports::SpawnOrder&) {
  o_.crash.point("release_surroundings");
}

void KeeperPort::release_slot(SlotIndex slot) {
  o_.crash.point("release_slot");
  if (*o_.observer != nullptr) (*o_.observer)->release_slot_called(slot);
  o_.kernel.release_slot(slot);
  fd_store.erase(slot);
  o_.crash.point("release_slot done");
}

std::uint64_t KeeperPort::start_ticks(EntryIndex entry, std::int32_t pid) {
  o_.crash.point("start_ticks");
  const ports::EntryView& view = o_.kernel.entry(entry);
  return view.pid == pid && !hides_start_times ? view.start_ticks : 0;
}

bool KeeperPort::output_drained(SlotIndex, RunId run) {
  o_.crash.point("output_drained");
  const Process* process = o_.kernel.process(run);
  return process == nullptr || process->output_ended || !process->running();
}

bool KeeperPort::left_behind(RunId run, const std::string&) const {
  const Process* process = o_.kernel.process(run);
  return process != nullptr && process->script.heir_after != not_at_all;
}

void KeeperPort::output_ended(SlotIndex, RunId run) {
  o_.crash.point("output_ended");
  o_.kernel.end_output(run);
  o_.crash.point("output_ended done");
}

void KeeperPort::respecify(const ports::SpawnOrder&) {
  o_.crash.point("respecify");
}

SpanNs KeeperPort::stuck_for(EntryIndex entry, MonoNs) const {
  return o_.kernel.stuck_for(entry);
}

void KeeperPort::finish(bool leave_running, bool with_failure) {
  o_.crash.point("finish");
  if (*o_.observer != nullptr) (*o_.observer)->finish_called(leave_running);
  finished = true;
  failed = with_failure;
  o_.trace.note(o_.time.now.mono, "the keeper may end");
  o_.crash.point("finish done");
}

// ---- probes -----------------------------------------------------------------------------------------

void ProbesPort::begin(const ports::ProbeTry& order) {
  o_.crash.point("probe begin");
  const bool hangs = random_.one_in(30) && o_.faults.misbehaviour;
  SpanNs takes = random_.between(100'000, milliseconds(20));
  o_.crash.point("probe begin done");
  const bool memory = order.probe->type == ProbeType::memory;
  if (hangs && !memory && !o_.kernel.shortage.resources) return;
  // A look at memory says in half of the time that is left that it could not be made.
  const SpanNs patience = std::max<SpanNs>(order.until - o_.time.now.mono, 0) / 2;
  const Process* asked = o_.kernel.live_process_of(order.slot);
  const bool unseen = asked != nullptr && asked->script.memory_unseen;
  const bool scarce = o_.kernel.shortage.resources && !scarce_.one_in(3);  // no socket to ask with
  const bool refused = scarce || (memory && (hangs || unseen || takes > patience));
  if (refused) takes = scarce ? 0 : patience;
  o_.time.in(takes,
             [this, slot = order.slot, live = order.live, attempt = order.attempt, epoch = epoch_, memory, refused] {
               if (epoch != epoch_) return;
               const Process* process = o_.kernel.live_process_of(slot);
               ports::Input result;
               result.kind = ports::InputKind::probe_result;
               result.slot = slot;
               result.live = live;
               result.attempt = attempt;
               result.refused = refused;
               result.good = !refused && process != nullptr && process->answers(live, o_.time.now.mono);
               result.memory = memory && !refused && !result.good;
               if (refused) result.data = memory ? "its memory could not be added up in time" : "there is no socket";
               if (refused && *o_.observer != nullptr && !live) (*o_.observer)->probe_refused(slot);
               if (result.memory) result.used_kib = 4'404'019;
               if (result.memory) result.data = "it used 4.2 GiB of memory, and max_memory is 4 GiB";
               if (*o_.observer != nullptr && process != nullptr && !refused)
                 (*o_.observer)->probe_answered(slot, process->run, live, result.good);
               inputs_.post_probe_result(std::move(result));
             });
}

void ProbesPort::cancel(SlotIndex) {
  o_.crash.point("probe cancel");
  // The result may come all the same; here it always does.
}

// ---- store ------------------------------------------------------------------------------------------

Status StorePort::put_document(const Document& document) {
  o_.crash.point("put_document");
  const bool full = random_.one_in(10);
  if (o_.kernel.shortage.disk && !disk_.one_in(4)) return errno_failure("store", document.project, errno_of_disk());
  if (o_.kernel.shortage.resources && !scarce_.one_in(4))
    return errno_failure("store", document.project, errno_of_scarcity(scarce_));
  if (full_for > 0 || (full && o_.faults.refusals)) {
    if (full_for > 0) --full_for;
    return errno_failure("store", document.project, ENOSPC);
  }
  documents_[document.version] = document;
  wanted_.insert(document.version);
  o_.crash.point("put_document done");
  return {};
}

Status StorePort::keep_document(const Document& document) {
  Status kept = put_document(document);
  wanted_.insert(document.version);
  return kept;
}

Status StorePort::reserve(std::uint32_t slots) {
  o_.crash.point("reserve");
  if (no_more_slots) return errno_failure("make room in", "the slot table", ENOSPC);
  if (slots <= reserved_) return {};  // what is there is not given back
  if (o_.kernel.shortage.resources && scarce_.one_in(2)) return errno_failure("make room in", "the slot table", ENOMEM);
  reserved_ = slots;
  o_.crash.point("reserve done");
  return {};
}

void StorePort::drop_document(std::uint64_t version) {
  o_.crash.point("drop_document");
  documents_.erase(version);
  wanted_.erase(version);
  o_.crash.point("drop_document done");
}

Result<std::vector<Document>> StorePort::documents(const std::vector<std::uint64_t>& versions) {
  o_.crash.point("documents");
  if (short_for > 0) {
    --short_for;
    return errno_failure("read", "a document", EMFILE);
  }
  if (o_.kernel.shortage.resources && scarce_.one_in(2))
    return errno_failure("read", "a document", errno_of_scarcity(scarce_));
  std::vector<Document> all;
  for (const std::uint64_t version : versions)
    if (const auto found = documents_.find(version); found != documents_.end()) all.push_back(found->second);
  std::erase_if(documents_, [&](const auto& each) {
    return std::find(versions.begin(), versions.end(), each.first) == versions.end();
  });
  wanted_.insert(versions.begin(), versions.end());
  o_.crash.point("documents done");
  return all;
}

void StorePort::note_runs(const std::vector<ports::SlotNote>& changed, RunId next_run) {
  o_.crash.point("note_runs");
  if (!std::exchange(has_noted_, true))
    std::erase_if(documents_, [this](const auto& each) { return !wanted_.contains(each.first); });
  for (const ports::SlotNote& each : changed) noted[each.slot] = each.note;
  next_ = next_run;
  if (!std::exchange(waits_, true))
    o_.time.at(written_at_ == 0 ? o_.time.now.mono : after(written_at_, write_every),
               [this, epoch = epoch_] { write_list(epoch); });
  o_.crash.point("note_runs done");
}

// Another file, renamed in the place of the old one: what cannot be written leaves that as it is, and is tried again.
void StorePort::write_list(std::uint64_t epoch) {
  if (epoch != epoch_) return;
  if (o_.kernel.shortage.disk) return o_.time.in(write_every, [this, epoch] { write_list(epoch); });
  waits_ = false;
  written_ = noted;
  written_next_ = next_;
  written_at_ = o_.time.now.mono;
}

int StorePort::errno_of_disk() {
  constexpr int all[] = {ENOSPC, EDQUOT, EIO};
  return all[disk_.below(std::size(all))];
}

void StorePort::mark(SlotIndex slot, const std::vector<ports::Mark>& marks) {
  o_.crash.point("mark");
  for (const ports::Mark& old : marks_[slot]) ready_files.erase(old.label);
  marks_[slot] = marks;
  for (const ports::Mark& mark : marks) {
    if (mark.kind != ports::Mark::Kind::ready) continue;
    ready_files.erase(mark.label);
    if (mark.there) ready_files[mark.label] = mark.run;
  }
  o_.crash.point("mark done");
}

bool StorePort::finish(RunId) {
  o_.crash.point("store finish");
  noted.clear();
  o_.crash.point("store finish done");
  // Now and then the disk takes its time.
  return !o_.faults.refusals || !random_.one_in(3);
}

// Told once, when they are committed; who died before he could tell has a successor that does.
void StorePort::tell_journal(EventId last) {
  std::vector<EventRecord> fresh;
  for (std::size_t i = 0; i < std::min(whole_, journal_.size()); ++i)
    if (journal_[i].id > told_ && journal_[i].id <= last) fresh.push_back(journal_[i]);
  told_ = std::max(told_, last);
  if (*o_.observer != nullptr && !fresh.empty()) (*o_.observer)->journal_grew(fresh);
}

Result<ports::JournalMark> StorePort::continue_journal(std::optional<ports::JournalMark> mark) {
  o_.crash.point("continue_journal");
  const bool refused = no_journal_for > 0 && no_journal_for-- > 0;
  if (refused || (o_.kernel.shortage.resources && scarce_.one_in(4)))
    return errno_failure("read", "state", errno_of_scarcity(scarce_));
  const EventId found = journal_.empty() ? no_event : journal_.back().id;
  if (mark) journal_.resize(std::min<std::size_t>(mark->end, journal_.size()));
  whole_ = journal_.size();
  const EventId last = mark ? mark->last : found;
  tell_journal(last);
  if (!mark && *o_.observer != nullptr) (*o_.observer)->journal_begins_anew();
  o_.crash.point("continue_journal done");
  return ports::JournalMark{last, journal_.size(), !mark && found != no_event && (only_the_copy || disk_.one_in(2))};
}

Result<std::uint64_t> StorePort::append_events(const std::vector<EventRecord>& events) {
  o_.crash.point("append_events");
  if (no_events_for > 0) {
    --no_events_for;
    return errno_failure("write", "events-1", ENOSPC);
  }
  // Written where the last whole one ends, over what of another was begun and not finished.
  journal_.resize(std::min(whole_, journal_.size()));
  if (o_.kernel.shortage.disk && !disk_.one_in(4)) {
    const auto half = static_cast<std::ptrdiff_t>(disk_.below(events.size()));
    journal_.insert(journal_.end(), events.begin(), events.begin() + half);
    o_.crash.point("append_events half done");
    return errno_failure("write", "events-1", errno_of_disk());
  }
  journal_.insert(journal_.end(), events.begin(), events.end());
  whole_ = journal_.size();
  o_.crash.point("append_events done");
  return journal_.size();
}

void StorePort::events_committed(ports::JournalMark mark) {
  o_.crash.point("events_committed");
  tell_journal(mark.last);
}

// A new store has noted nothing; what is on disk stays until it writes.
void StorePort::supervisor_died() {
  ++epoch_;
  waits_ = has_noted_ = false;
  written_at_ = 0;
  noted.clear();
  wanted_.clear();
  marks_.clear();
}

}  // namespace hearth::sim
