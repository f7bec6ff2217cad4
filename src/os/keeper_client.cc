#include "os/keeper_client.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/check.h"
#include "os/clock.h"
#include "os/crash_point.h"
#include "os/instance.h"
#include "os/proc_stat.h"
#include "os/run_identity.h"
#include "os/state_directory.h"

namespace hearth::os {

using wire::ParkClass;

namespace {
constexpr int sweep_rounds_max = 20;
constexpr SpanNs record_again = milliseconds(100);
}  // namespace

KeeperClient::KeeperClient(KeeperLink& link, CgroupTree cgroups, ClientOptions options)
    : link_(link),
      cgroups_(std::move(cgroups)),
      options_(std::move(options)),
      roots_(options_.roots ? *options_.roots : service_roots(options_.directory)),
      has_credentials_(::access(roots_.credentials.c_str(), F_OK) == 0) {
  find_spare();
  find_released();
  find_unadopted();
  find_unrecorded();
}

ports::EntryView KeeperClient::entry(EntryIndex index) const {
  const wire::RunEntry& entry = link_.table().entry[index];
  for (;;) {
    ports::EntryView view;
    view.run = entry.run.load(std::memory_order_acquire);
    if (view.run == no_run) return view;
    const wire::EntryPhase phase = entry.phase.load(std::memory_order_acquire);
    view.fail_stage = entry.fail_stage.load(std::memory_order_acquire);
    view.claim = entry.claim.load(std::memory_order_acquire);
    view.pid = entry.pid.load(std::memory_order_acquire);
    view.fail_errno = view.fail_stage != 0 ? entry.fail_errno : 0;
    view.watched = is_watched(wire::without_main(phase)) && !exec_hangs(index, view.run, view.pid);
    view.exited = wire::without_main(phase) == wire::EntryPhase::exited && !is_unassigned(view.run);
    view.main = wire::is_of_main(phase);
    if (view.exited) {
      view.exit_code = entry.wait_code;
      view.exit_status = entry.wait_status;
      view.exited_at = entry.exited_at_ns;
      view.use = {entry.max_rss_kib != 0, entry.cpu_user_us, entry.cpu_system_us, entry.max_rss_kib};
    }
    view.last_op = entry.last_op.load(std::memory_order_acquire);
    view.start_ticks = entry.start_ticks.load(std::memory_order_acquire);
    // Freed meanwhile: the fields were of nobody.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (entry.run.load(std::memory_order_acquire) == view.run) return view;
  }
}

void KeeperClient::take_changed(std::vector<EntryIndex>& entries) {
  entries.clear();
  leaves_seen_.reset();
  // The bell first: who rings after this wakes us again, who rang before has set its bit.
  drain(link_.descriptor(wire::HelloDescriptor::to_supervisor));
  for (std::uint32_t word = 0; word < wire::change_words; ++word) {
    std::atomic<std::uint64_t>& changed = link_.table().changed_for_supervisor[word];
    if (changed.load(std::memory_order_relaxed) == 0) continue;
    std::uint64_t bits = changed.exchange(0, std::memory_order_acquire);
    while (bits != 0) {
      entries.push_back(word * 64 + static_cast<EntryIndex>(__builtin_ctzll(bits)));
      bits &= bits - 1;
    }
  }
  for (EntryIndex entry : entries) note_if_hung(entry);
  link_.receive();
  prune_outstanding();
  mind_unrecorded();
  assign_spares();  // before the inputs are looked at: what was said before an end must be known with it
  entries.insert(entries.end(), ask_again_.begin(), ask_again_.end());
  ask_again_.clear();
}

bool KeeperClient::signal(EntryIndex index, RunId run, OpId op, int signal) {
  wire::RunEntry& entry = link_.table().entry[index];
  if (entry.run.load(std::memory_order_acquire) != run) return true;
  // Read by the keeper when it sends this one, and cleared then.
  entry.flags = (signal & to_leader_alone) != 0 ? entry.flags | wire::entry_flag_signal_leader_only
                                                : entry.flags & ~wire::entry_flag_signal_leader_only;
  link_.signal({index, signal & ~to_leader_alone, run, op});
  return true;
}

std::string KeeperClient::label_of(SlotIndex slot) const {
  const auto& label = link_.logs().stream[slot].directory;
  return std::string(label, ::strnlen(label, sizeof label));
}

SweepTarget KeeperClient::sweep_target(EntryIndex index) const {
  const wire::SlotTable& table = link_.table();
  const SlotIndex slot = index / wire::entries_per_slot;
  SweepTarget target;
  target.instance = options_.directory;
  target.label = label_of(slot);
  target.mark = sweep_mark(target.instance, target.label);
  target.leader = table.entry[index].pid.load(std::memory_order_acquire);
  target.leader_ticks = table.entry[index].start_ticks.load(std::memory_order_acquire);
  const RunId run = table.entry[index].run.load(std::memory_order_acquire);
  // Nobody is stopped for a number that a spawner wrote. What is left of the run is found without its leader.
  if (!may_be_of_run(target.leader, run)) target.leader = 0, target.leader_ticks = 0;
  // Those of earlier runs stay parked while somebody writes to them. A hook that runs may write here, too: it is not of
  // this run, nor is a later one in the slot's other entry.
  const auto of_another = [&](RunId its) {
    for (EntryIndex i = 0; i < wire::entries_end(table); ++i)
      if (table.entry[i].run.load() == its) return i / wire::entries_per_slot != slot || its > run;
    return false;
  };
  for (const Parked& output : link_.parked().all(ParkClass::output))
    if (output.slot == slot && !of_another(output.key)) target.outputs.push_back(output.fd);
  target.spare = {table.keeper_pid.load(), table.supervisor.pid.load(), table.logger.pid.load()};
  for (const wire::Member& spawner : table.spawner) target.spare.push_back(spawner.pid.load());
  return target;
}

bool KeeperClient::output_is_held(RunId run) const {
  const Parked* output = link_.parked().find(ParkClass::output, run);
  if (output == nullptr) return false;
  touch_as_writer(output->fd);
  pollfd polled{output->fd, 0, 0};
  return ::poll(&polled, 1, 0) == 0 || (polled.revents & POLLHUP) == 0;
}

bool KeeperClient::sweep_tree(EntryIndex index, RunId run) {
  const bool contained = cgroups_.usable() && !uncontained_.contains(run);
  if (contained || link_.table().entry[index].run.load(std::memory_order_acquire) != run) return true;
  const MonoNs now = read_mono();
  auto at = std::find_if(sweeps_.begin(), sweeps_.end(), [&](const Sweeping& s) { return s.run == run; });
  if (at == sweeps_.end()) at = sweeps_.insert(at, {run, std::make_unique<Sweep>(sweep_target(index)), 0, 0});
  Sweep& sweep = *at->sweep;
  if (now < at->next) {
    link_.wake_in(at->next - now);
    return false;
  }
  // A start in the slot's other entry does not wait for this.
  sweep.leave(no_run, 0);
  const EntryIndex first = index - index % wire::entries_per_slot;
  for (EntryIndex other = first; other < first + wire::entries_per_slot; ++other) {
    const wire::RunEntry& its = link_.table().entry[other];
    const RunId later = its.run.load(std::memory_order_acquire);
    if (later > run) sweep.leave(later, its.pid.load(std::memory_order_acquire));
  }
  const Sweep::State state = sweep.step(now);
  if (state == Sweep::State::again) {
    at->next = after(now, sweep.pause());
    link_.wake_in(std::max<SpanNs>(sweep.pause(), 1));
    return false;
  }
  const auto name = [&](const char* what, const std::vector<FoundProcess>& found) {
    for (const FoundProcess& process : found)
      notes_.push_back(
          {0,
           "run " + std::to_string(run) + ": " + process.command + " (PID " + std::to_string(process.pid) + ") " + what,
           sweep_target(index).label});
  };
  // The pipe knows better than a list of processes that is old when it is read: as long as it has a writer,
  // somebody has been overlooked.
  const bool overlooked = state == Sweep::State::done && sweep.suspects().empty() && output_is_held(run);
  if (overlooked && ++at->rounds < sweep_rounds_max) {
    at->sweep = std::make_unique<Sweep>(sweep_target(index));
    at->next = after(now, milliseconds(1));
    link_.wake_in(milliseconds(1));
    return false;
  }
  if (overlooked) leftovers_[run] = "somebody who holds its output and cannot be found";
  if (state == Sweep::State::incomplete) {
    std::string& leftover = leftovers_[run];
    for (const auto* left : {&sweep.survivors(), &sweep.unclear()})
      for (const FoundProcess& process : *left)
        leftover += (leftover.empty() ? "" : ", ") + process.command + " (PID " + std::to_string(process.pid) + ")" +
                    (left == &sweep.unclear() ? ", as nobody can tell whose it is" : "");
    if (sweep.is_blind())
      leftover +=
          std::string(leftover.empty() ? "" : ", ") + "what nobody could look for: descriptors or memory were short";
    name("could not be killed: the stop is incomplete", sweep.survivors());
    name("holds its output, and whose it is could not be told: it is left alone, and the stop is incomplete",
         sweep.unclear());
  }
  name("holds its output but belongs to another run: it is left alone", sweep.suspects());
  sweeps_.erase(at);
  return true;
}

std::string KeeperClient::take_leftover(RunId run) {
  auto node = leftovers_.extract(run);
  return node ? std::move(node.mapped()) : std::string();
}

bool KeeperClient::reap(EntryIndex index, RunId run) {
  const wire::RunEntry& entry = link_.table().entry[index];
  if (entry.run.load(std::memory_order_acquire) != run) return true;
  // With its entry goes what would tell a successor whose output it is.
  if (is_unassigned(run)) {
    prune_outstanding();
    assign_spares();
  }
  if (is_unassigned(run)) return false;
  if (entry.pid.load(std::memory_order_acquire) == 0) remove_leaf_of(run);
  link_.reap({index, 0, run});
  uncontained_.erase(run);
  return true;
}

void KeeperClient::release_run(SlotIndex, RunId run) {
  if (spare_.run == run) drop_spare();
  forget_preparation(run);
  for (const Released& released : released_)
    if (released.run == run) return;
  released_.push_back({run, 0, 0});
}

void KeeperClient::release_slot(SlotIndex slot) {
  // What runs of it have said and nobody has read must not reach the slot's next service, descriptors least of all.
  std::vector<RunId> unread;
  for (const Parked& notify : link_.parked().all(ParkClass::notify))
    if (notify.slot == slot) unread.push_back(notify.key);
  for (RunId run : unread) {
    link_.unpark(ParkClass::notify, run);
    remove_notify(directory(), run);
  }
  std::vector<std::pair<ParkClass, wire::ParkRecord>> found;
  for (auto [type, key] :
       {std::pair{ParkClass::listen, std::uint64_t{slot}}, std::pair{ParkClass::store, store_key(slot, true)},
        std::pair{ParkClass::store, store_key(slot, false)}}) {
    auto [first, last] = link_.parked().range(type, key);
    for (const Parked* parked = first; parked != last; ++parked) {
      if (type == ParkClass::listen) {
        sockaddr_un address{};
        socklen_t size = sizeof address;
        if (::getsockname(parked->fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
            address.sun_family == AF_UNIX && address.sun_path[0] == '/')
          ::unlink(address.sun_path);
      }
      found.emplace_back(type, park_record(type, *parked));
    }
  }
  for (const auto& [type, record] : found) link_.unpark(type, record.key, record.name, record.file);
  // Its service may go on in another slot, and what this one knows of the files is old then: the next one looks anew.
  link_.logs().stream[slot].file.store(0);
}

bool KeeperClient::is_alive(EntryIndex index) const {
  const wire::RunEntry& entry = link_.table().entry[index];
  const std::uint64_t ticks = entry.start_ticks.load(std::memory_order_acquire);
  return ticks == 0 || process_lives(entry.pid.load(std::memory_order_acquire), ticks);
}

std::uint64_t KeeperClient::start_ticks(EntryIndex index, std::int32_t pid) {
  errno = 0;
  const std::uint64_t ticks = os::start_ticks(pid);
  wire::RunEntry& entry = link_.table().entry[index];
  if (ticks == 0 && is_shortage(errno)) {
    unrecorded_.push_back({index, entry.run.load(std::memory_order_acquire)});
    link_.wake_in(record_again);
  }
  if (ticks != 0 && entry.pid.load(std::memory_order_acquire) == pid)
    entry.start_ticks.store(ticks, std::memory_order_release);
  // The logger names a file of the run by it.
  wire::LogPolicy& policy = link_.logs().policy[index / wire::entries_per_slot];
  if (policy.per_process != 0) {
    policy.pid.store(pid, std::memory_order_relaxed);
    policy.pid_run.store(entry.run.load(std::memory_order_relaxed), std::memory_order_release);
    link_.ring_logger();
  }
  return ticks;
}

// A predecessor may have died before it could read them.
void KeeperClient::find_unrecorded() {
  for (EntryIndex index = 0; index < wire::entries_end(link_.table()); ++index) {
    const wire::RunEntry& entry = link_.table().entry[index];
    const RunId run = entry.run.load(std::memory_order_acquire);
    if (run != no_run && is_watched(wire::phase_of(entry)) && entry.start_ticks.load() == 0)
      unrecorded_.push_back({index, run});
  }
}

// As long as they are not known, a successor of everybody has only what the process shows of itself to know it by.
void KeeperClient::mind_unrecorded() {
  for (const Adoption& one : std::exchange(unrecorded_, {})) {
    const wire::RunEntry& entry = link_.table().entry[one.entry];
    const bool lives = entry.run.load(std::memory_order_acquire) == one.run && is_watched(wire::phase_of(entry));
    if (lives && start_ticks(one.entry, entry.pid.load(std::memory_order_acquire)) != 0)
      ask_again_.push_back(one.entry);
  }
}

bool KeeperClient::output_drained(SlotIndex slot, RunId run) {
  const wire::LogStream& stream = link_.logs().stream[slot];
  // An output that is not kept any more was dropped because nothing was in it and nobody could write to it.
  return stream.directory[0] == 0 || stream.drained_run.load(std::memory_order_acquire) >= run ||
         link_.parked().find(ParkClass::output, run) == nullptr;
}

bool KeeperClient::output_closed(RunId run) const {
  const Parked* output = link_.parked().find(ParkClass::output, run);
  if (output == nullptr) return true;
  pollfd polled{output->fd, 0, 0};
  return ::poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP) != 0;
}

void KeeperClient::output_ended(SlotIndex slot, RunId run) {
  std::atomic<RunId>& ended = link_.logs().stream[slot].ended_run;
  if (ended.load(std::memory_order_relaxed) >= run) return;
  ended.store(run, std::memory_order_release);
  link_.ring_logger();
}

LogStatus KeeperClient::log_status(SlotIndex slot, const std::string& label) const {
  const wire::LogStream& stream = link_.logs().stream[slot];
  // The slot may have belonged to another service, until the first spawn says otherwise.
  if (label.compare(0, sizeof stream.directory - 1, stream.directory) != 0) return {};
  LogStatus out;
  out.written = stream.written.load(std::memory_order_relaxed);
  out.discarded = stream.discarded.load(std::memory_order_relaxed);
  out.gaps = stream.gaps.load(std::memory_order_relaxed);
  out.file = stream.file.load(std::memory_order_relaxed);
  const auto words = [](std::int32_t error) -> std::string {
    if (error == 0) return {};
    const char* known = ::strerrordesc_np(error);
    return known != nullptr ? known : "errno " + std::to_string(error);
  };
  out.waiting = words(stream.error.load(std::memory_order_acquire));
  out.dropped = link_.logs().policy[slot].sink_dropped.load(std::memory_order_acquire);
  const int refused = link_.logs().policy[slot].sink_error.load(std::memory_order_relaxed);
  // "Resource temporarily unavailable" says nothing to whoever reads it of a socket that is full.
  if (out.dropped > 0) out.dropped_reason = refused == EAGAIN ? "it is full, and nobody reads it" : words(refused);
  out.untidied = words(link_.logs().policy[slot].tidy_error.load(std::memory_order_acquire));
  return out;
}

void KeeperClient::finish(bool leave_running, bool failed) {
  drop_spare();
  last_run_ = no_run;
  if (!leave_running) {
    cgroups_.remove();
    for (const CgroupTree& tree : elsewhere_) tree.remove();
  }
  all_stopped_ = !leave_running;
  link_.finish(leave_running ? wire::FinishMode::leave_running : wire::FinishMode::all_stopped, failed ? 1 : 0);
}

void KeeperClient::remove_state() {
  if (!all_stopped_ || link_.table().origin == wire::StateOrigin::memory) return;
  os::remove_state(directory());
}

std::vector<Note> KeeperClient::take_notes() {
  for (const KeeperLink::Stranger& stranger : link_.take_strangers()) note_stranger(stranger);
  return std::exchange(notes_, {});
}

Owner KeeperClient::owner_of(const ServiceSpec& spec) const {
  if (::geteuid() != 0) return {};
  return {spec.process->uid, spec.process->gid};
}

}  // namespace hearth::os
