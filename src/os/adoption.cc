// KeeperClient: runs that an earlier hearth has left. Their names are opened again, and the keeper is given a pidfd of
// each. So are names whose descriptors an earlier supervisor held alone, as its keeper had no room for them. What cannot be
// done now, for want of descriptors or of room in the keeper's socket, waits (adoptions_): until then the run is neither
// watched nor taken for ended.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/instance.h"
#include "os/keeper_client.h"
#include "os/listeners.h"
#include "os/proc_stat.h"
#include "os/reserve.h"
#include "os/run_identity.h"

namespace hearth::os {
namespace {

using wire::ParkClass;

constexpr SpanNs patience = seconds(1);  // once: who comes after one that waited in vain does not wait
constexpr SpanNs try_again = milliseconds(5);
constexpr SpanNs open_again_most = milliseconds(100), open_seldom = seconds(5);
constexpr int first_passed = 3;  // SD_LISTEN_FDS_START

Result<Fd> reader_of(Result<Fifo> fifo) {
  if (!fifo) return failure(fifo.error());
  return std::move(fifo->reader);
}

bool has_fifo(int directory, RunId run) {
  struct stat st{};
  return ::fstatat(directory, fifo_name(run).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

const char* words_of(ParkClass type) {
  return type == ParkClass::output ? "its output is" : "its notifications are";
}

bool is_scarce(const Error& error) {
  return is_shortage(error.code) || error.code == ENOBUFS;
}

// One that the keeper frees says nothing any more from its claim on, and then has another run or none.
bool is_unwatched(const wire::RunEntry& entry, RunId run) {
  return wire::phase_of(entry) == wire::EntryPhase::none &&
         entry.claim.load(std::memory_order_acquire) != wire::claim_keeper &&
         entry.run.load(std::memory_order_acquire) == run;
}

// Seen to be. The number may be another child's since.
bool is_child_of_keeper(const wire::SlotTable& table, const wire::RunEntry& entry) {
  const std::uint64_t ticks = entry.start_ticks.load(std::memory_order_acquire);
  ProcStat stat;
  return read_stat(entry.pid.load(std::memory_order_acquire), stat) && stat.parent == table.keeper_pid.load() &&
         (ticks == 0 || stat.start_ticks == ticks);
}

}  // namespace

bool KeeperClient::adopt(const ports::SpawnOrder& order, std::int32_t pid, std::uint64_t ticks) {
  wire::RunEntry& entry = link_.table().entry[order.entry];
  const RunId held = entry.run.load(std::memory_order_acquire);
  if (held != no_run && held != order.run) return false;
  OpenedProcess process = open_process(pid, ticks);
  if (process.gone) return false;
  open_again(order, process.pidfd.get());
  entry.start_ticks.store(ticks, std::memory_order_relaxed);
  entry.exec_over.store(order.run, std::memory_order_relaxed);
  // What was noted or found of a service that goes into the background is taken for its main process: a leader that is to
  // leave one lives for an instant.
  if (held == no_run && order.spec->type == ServiceType::forking)
    entry.phase.store(wire::with_main(wire::EntryPhase::none), std::memory_order_relaxed);
  crash_point("before adoption");
  if (held == no_run) order_entry(order, pid);
  hand_to_keeper({order.entry, order.run}, std::move(process), adoptions_.empty() ? patience : 0);
  return true;
}

void KeeperClient::take_up(const ports::SpawnOrder& order) {
  if (order.entry == no_entry) {
    if (!has_fifo(directory(), order.run)) return;
    open_output_again(order);
    release_run(order.slot, order.run);
    return;
  }
  wire::RunEntry& entry = link_.table().entry[order.entry];
  // One that has no process yet is spawned as if nothing had been.
  if (entry.run.load(std::memory_order_acquire) != order.run || entry.pid.load() == 0) return;
  const bool exited = wire::phase_of(entry) == wire::EntryPhase::exited;
  OpenedProcess process = exited ? OpenedProcess{Fd(), true} : open_run(entry, order.run, order.label);
  if (process.gone) {
    open_output_again(order);  // its descendants may go on writing
    // A daemon that is still to be found may say who it is.
    if (exited && order.spec->type == ServiceType::forking && !wire::is_of_main(entry)) open_notify_again(order);
    if (!exited) link_.record_unseen_end(order.entry);
    return;
  }
  open_again(order, process.pidfd.get());
  // What it says is of the dead keeper: until ours has the run, nobody watches it, and a successor sees that.
  // After a handover that was broken off the keeper may have it, and see its end just now.
  wire::forget_watching(entry);
  crash_point("before adoption");
  hand_to_keeper({order.entry, order.run}, std::move(process), adoptions_.empty() ? patience : 0);
}

bool KeeperClient::is_lost(ParkClass type, std::uint64_t key, std::string_view name) const {
  return link_.parked().find(type, key, name) == nullptr;
}

std::string KeeperClient::keep_open(const ports::SpawnOrder& order, bool its_spec) {
  if (order.entry == no_entry) return "";
  const wire::RunEntry& entry = link_.table().entry[order.entry];
  if (entry.run.load(std::memory_order_acquire) != order.run || entry.pid.load() == 0) return "";
  if (is_lost(ParkClass::output, order.run) && has_fifo(directory(), order.run)) open_output_again(order);
  if (wire::phase_of(entry) == wire::EntryPhase::exited) return "";
  const std::vector<ListenSocket>& listen = order.spec->listen;
  if (its_spec && order.role == SlotRole::service &&
      std::any_of(listen.begin(), listen.end(),
                  [&](const ListenSocket& socket) { return is_lost(ParkClass::listen, order.slot, socket.name); }))
    recover_listeners(order, open_run(entry, order.run, order.label).pidfd.get());
  // Without a name these two cannot be opened again.
  if (its_spec && wants_terminal(order) && is_lost(ParkClass::probe, order.run, terminal_name))
    notes_.push_back(
        {0,
         order.label + ": its terminal (stdin = \"pty\") was held by a supervisor that died, as the keeper had no room "
                       "for it: what reads there finds an end. hearth restart gives it another one",
         order.label});
  const bool pipe = its_spec && needs_ready_pipe(order) && is_lost(ParkClass::probe, order.run);
  if (!order.notify || !is_lost(ParkClass::notify, order.run)) return pipe ? "readiness pipe" : "";
  open_notify_again(order);
  return pipe ? "notify socket and readiness pipe" : "notify socket";
}

// A predecessor may have died before the keeper could be told. What our keeper is the parent of, it finds itself. One
// that is gone, or cannot be looked at now, waits with the rest: whoever left it out would never hear of its end.
void KeeperClient::find_unadopted() {
  for (EntryIndex index = 0; index < wire::entries_end(link_.table()); ++index) {
    const wire::RunEntry& entry = link_.table().entry[index];
    const RunId run = entry.run.load(std::memory_order_acquire);
    const pid_t pid = entry.pid.load(std::memory_order_acquire);
    if (run == no_run || pid <= 0 || !is_unwatched(entry, run) || is_child_of_keeper(link_.table(), entry)) continue;
    if (std::any_of(adoptions_.begin(), adoptions_.end(), [&](const Adoption& one) { return one.entry == index; }))
      continue;
    adoptions_.push_back({index, run});
    link_.wake_in(try_again);
  }
}

void KeeperClient::offer_again() {
  link_.offer_again();
  find_unadopted();
}

void KeeperClient::open_output_again(const ports::SpawnOrder& order) {
  configure_log(order);
  Made made;
  if (const Status fifo = make_fifo(order, made); !fifo) not_opened(order, ParkClass::output, fifo.error());
  ToPark all = to_park(order, made);
  link_.keep(all.records, all.descriptors, patience);
}

void KeeperClient::open_again(const ports::SpawnOrder& order, int process) {
  open_output_again(order);
  open_notify_again(order);
  if (order.role == SlotRole::service) recover_listeners(order, process);
}

void KeeperClient::open_notify_again(const ports::SpawnOrder& order) {
  Made made;
  if (order.notify)
    if (const Status notify = make_notify(order, made); !notify) not_opened(order, ParkClass::notify, notify.error());
  ToPark all = to_park(order, made);
  link_.keep(all.records, all.descriptors, patience);
}

void KeeperClient::note_unopened(Unopened& one, const Error& error) {
  if (one.told == error.text()) return;
  one.told = error.text();
  const char* again = one.entry == no_entry ? "" : "; it is tried again, and what is written waits";
  notes_.push_back({0, one.label + ": " + words_of(one.type) + " not read: " + one.told + again, one.label});
}

// Whatever was wrong may pass, and until it has, a service that writes stands still sooner or later. A run without an entry is
// released at once, and its names go with it.
void KeeperClient::not_opened(const ports::SpawnOrder& order, ParkClass type, const Error& error) {
  Unopened one{order.entry, order.run, order.label, owner_of(*order.spec), type, {}, {}};
  if (!is_scarce(error) || order.entry == no_entry) note_unopened(one, error);
  if (order.entry != no_entry) open_later(std::move(one));
}

void KeeperClient::open_later(Unopened one) {
  const auto same = [&](const Unopened& other) { return other.run == one.run && other.type == one.type; };
  if (std::none_of(unopened_.begin(), unopened_.end(), same)) unopened_.push_back(std::move(one));
  open_wait_ = try_again;
  open_next_ = after(read_mono(), open_wait_);
  link_.wake_in(open_wait_);
}

// False: once more later. `room`: there are descriptors for it.
bool KeeperClient::open_now(Unopened& one, bool room) {
  if (link_.table().entry[one.entry].run.load(std::memory_order_acquire) != one.run) return true;
  return one.type == ParkClass::listen ? listen_now(one, room) : read_now(one, room);
}

bool KeeperClient::listen_now(Unopened& one, bool room) {
  const wire::RunEntry& entry = link_.table().entry[one.entry];
  if (wire::phase_of(entry) == wire::EntryPhase::exited) return true;
  const OpenedProcess process = room ? open_run(entry, one.run, one.label) : OpenedProcess();
  return process.gone || recover_listeners(one, process.pidfd.get(), 0);
}

bool KeeperClient::read_now(Unopened& one, bool room) {
  if (link_.parked().find(one.type, one.run) != nullptr) return true;
  if (!room) return false;
  const bool output = one.type == ParkClass::output;
  Result<Fd> opened = output ? reader_of(open_fifo(directory(), one.run, one.owner))
                             : bind_notify(directory(), options_.directory, one.run, one.owner);
  if (!opened) {
    if (!is_scarce(opened.error())) note_unopened(one, opened.error());
    return false;
  }
  const SlotIndex slot = output ? slot_of_output(one.entry) : one.entry / wire::entries_per_slot;
  const wire::ParkRecord record = park_record(one.type, slot, one.run);
  link_.keep({&record, 1}, {&*opened, 1}, 0);
  if (!one.told.empty()) notes_.push_back({0, one.label + ": " + words_of(one.type) + " read again", one.label});
  return true;
}

// Not the last ones: who asks what is the matter, and writes what has been decided, needs some, too.
constexpr std::size_t left_for_others = 4;

// Until then the service's output waits in its FIFO, and who notifies is refused, as while all of hearth is dead.
void KeeperClient::mind_unopened(MonoNs now) {
  if (unopened_.empty() || now < open_next_) return;
  std::vector<Unopened> waiting = std::exchange(unopened_, {});
  const Reserve others(left_for_others);
  for (Unopened& one : waiting)
    if (!open_now(one, others.full())) unopened_.push_back(std::move(one));
  const auto short_of =
      std::count_if(unopened_.begin(), unopened_.end(), [](const Unopened& one) { return one.told.empty(); });
  if (short_of == 0) unopened_told_ = false;
  if (short_of != 0 && !std::exchange(unopened_told_, true))
    notes_.push_back({0,
                      std::to_string(short_of) +
                          " pipes and sockets of runs cannot be opened, because descriptors are short: what is written "
                          "and notified there waits, and who waits for a service to accept is lost if that ends "
                          "meanwhile. Start hearth with a higher limit (ulimit -n), or stop something",
                      ""});
  if (unopened_.empty()) return;
  // What is wrong otherwise than by a shortage seldom passes by itself.
  open_wait_ = std::min(2 * open_wait_, short_of != 0 ? open_again_most : open_seldom);
  open_next_ = after(now, open_wait_);
  link_.wake_in(open_wait_);
}

void KeeperClient::recover_listeners(const ports::SpawnOrder& order, int process) {
  Unopened wanted{order.entry,       order.run,          order.label, owner_of(*order.spec),
                  ParkClass::listen, order.spec->listen, {}};
  if (!recover_listeners(wanted, process, patience)) open_later(std::move(wanted));
}

// Who else held them is dead. The service has them where they were passed, unless it has closed or moved them. False: not all
// could be looked for, and of those none is bound anew: who waits in the service's own would be left alone with it.
bool KeeperClient::recover_listeners(Unopened& wanted, int process, SpanNs wait) {
  const SlotIndex slot = wanted.entry / wire::entries_per_slot;
  int number = first_passed;
  bool all = true;
  for (const ListenSocket& socket : wanted.listen) {
    const int passed = number++;
    if (link_.parked().find(ParkClass::listen, slot, socket.name) != nullptr) continue;
    Result<Fd> found = listener_of(process, passed, socket.address);
    if (found && !*found) found = listen_on(socket, wanted.owner);
    if (found) {
      const wire::ParkRecord record = park_record(ParkClass::listen, slot, slot, socket.name);
      link_.keep({&record, 1}, {&*found, 1}, wait);
    } else if (is_scarce(found.error())) {
      all = false;
    } else {
      // Whoever has it is most likely the service: nobody must be told to end that.
      const bool taken = found.error().remedy == Remedy::conflict;
      const std::string why =
          taken ? "its listening socket " + socket.address +
                      " is held by the running service only: connections that wait in it are lost when it ends"
                : found.error().text();
      if (wanted.told.find(why) != std::string::npos) continue;
      wanted.told += why;
      notes_.push_back({0, wanted.label + ": " + why, wanted.label});
    }
  }
  return all;
}

// The process of a run whose start time has not been recorded (it began shortly before everybody's death, or descriptors
// were short) is told by what it shows of itself: its environment, unless it has written over that, its leaf, in whatever
// tree, or its mark. Until its exec is over, also by the keeper's program, of which it is a copy; but not of ours.
bool KeeperClient::is_process_of(pid_t pid, const RunIdentity& run) const {
  const auto says_so = [&] {
    RunMember member;
    return is_member_of(CgroupTree(), run, pid, member);
  };
  const pid_t keeper = link_.table().keeper_pid.load();
  const auto is_copy = [&] { return same_program(pid, keeper) && os::start_ticks(pid) <= os::start_ticks(keeper); };
  // Again, if its exec was over in between.
  return says_so() || is_copy() || says_so();
}

OpenedProcess KeeperClient::open_run(const wire::RunEntry& entry, RunId run, const std::string& label) {
  const pid_t pid = entry.pid.load();
  if (const std::uint64_t ticks = entry.start_ticks.load(); ticks != 0) {
    OpenedProcess process = open_process(pid, ticks);
    if (!process.pidfd || may_be_of_run(pid, run) || is_gone(process.pidfd.get())) return process;
    note_stranger({run, pid});
    return {Fd(), true};
  }
  OpenedProcess process = open_process(pid);
  if (!process.pidfd) return process;
  const bool fits = is_process_of(pid, {options_.directory, label, run, 0});
  // Only as long as it lives is what was seen under its PID its own.
  if (is_gone(process.pidfd.get())) return {Fd(), true};
  if (fits) return process;
  // Without the keeper to compare with, or a descriptor to look with, that says nothing.
  const pid_t keeper = link_.table().keeper_pid.load();
  return {Fd(), process_lives(keeper, os::start_ticks(keeper))};
}

void KeeperClient::note_stranger(const KeeperLink::Stranger& stranger) {
  notes_.push_back(
      {0,
       "the slot table says that run " + std::to_string(stranger.run) + " is PID " + std::to_string(stranger.pid) +
           " (" + command_of(stranger.pid) +
           "), which is none of ours: it is left alone, and how that run ended is not known. Only spawners "
           "write that there: look for who else runs as hearth's user",
       ""});
}

void KeeperClient::hand_to_keeper(const Adoption& adoption, OpenedProcess process, SpanNs wait) {
  wire::RunEntry& entry = link_.table().entry[adoption.entry];
  if (process.pidfd && entry.start_ticks.load() == 0) entry.start_ticks.store(os::start_ticks(entry.pid.load()));
  if (process.pidfd && link_.adopt({adoption.entry, 0, adoption.run}, process.pidfd.get(), wait)) return;
  adoptions_.push_back(adoption);
  link_.wake_in(try_again);
}

// A new keeper is given all runs, also these (KeeperLink::hand_over_to): then they have a phase.
void KeeperClient::mind_adoptions() {
  if (adoptions_.empty() || link_.lost() || link_.handing_over()) return;
  std::vector<Adoption> waiting = std::exchange(adoptions_, {});
  for (const Adoption& adoption : waiting) {
    const wire::RunEntry& entry = link_.table().entry[adoption.entry];
    if (!is_unwatched(entry, adoption.run) || is_child_of_keeper(link_.table(), entry)) continue;
    OpenedProcess process = open_run(entry, adoption.run, label_of(adoption.entry / wire::entries_per_slot));
    // The keeper may have recorded its true end meanwhile.
    if (process.gone && !is_unwatched(entry, adoption.run)) continue;
    if (process.gone) {
      link_.record_unseen_end(adoption.entry);
      link_.wake_in(1);
      continue;
    }
    hand_to_keeper(adoption, std::move(process), 0);
  }
}

}  // namespace hearth::os
