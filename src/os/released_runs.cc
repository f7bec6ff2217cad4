// KeeperClient: spawners that are at work, and what runs leave behind. Both are looked after at the end of a turn.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unordered_map>

#include "os/clock.h"
#include "os/instance.h"
#include "os/keeper_client.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

using wire::ParkClass;

constexpr SpanNs first_look = milliseconds(2);
constexpr SpanNs longest_look = seconds(1);
constexpr int tries_per_turn = 16;

template <typename Visit>
void each_number(int directory, const char* name, Visit visit) {
  const int fd = ::openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR* dir = fd < 0 ? nullptr : ::fdopendir(fd);
  if (dir == nullptr) return;
  while (dirent* entry = ::readdir(dir)) {
    char* end = nullptr;
    const RunId run = std::strtoull(entry->d_name, &end, 10);
    if (run != no_run && *end == 0) visit(run);
  }
  ::closedir(dir);
}

// Also when nobody can tell, for want of descriptors.
bool somebody_writes(int directory, RunId run) {
  Fd reader(::openat(directory, fifo_name(run).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!reader) return is_shortage(errno);
  touch_as_writer(reader.get());
  return !fifo_complete(reader.get());
}

}  // namespace

void KeeperClient::flush() {
  const MonoNs now = read_mono();
  assign_spares();
  mind_released(now);
  if (!outstanding_.empty()) mind_spawners(now);
  mind_hung(now);
  mind_adoptions();
  mind_unopened(now);
  make_spare();
  if (!ask_again_.empty()) link_.wake_in(1);
  (void)link_.flush();
}

void KeeperClient::prune_outstanding() {
  std::erase_if(outstanding_, [&](const Outstanding& plan) {
    const wire::RunEntry& entry = link_.table().entry[plan.entry];
    if (entry.run.load(std::memory_order_acquire) != plan.run || entry.pid.load(std::memory_order_acquire) != 0 ||
        entry.fail_stage.load(std::memory_order_acquire) != 0)
      return true;
    // A plan that nobody has claimed is sent again only when its spawner has been reaped, which is when the
    // keeper announces another.
    for (std::uint32_t i = 0; i < wire::spawner_count; ++i)
      if (link_.spawner(i).generation == plan.generation) return false;
    if (entry.claim.load(std::memory_order_acquire) != 0) return false;
    ask_again_.push_back(plan.entry);
    return true;
  });
}

bool KeeperClient::is_outstanding(EntryIndex entry, RunId run) const {
  return std::any_of(outstanding_.begin(), outstanding_.end(),
                     [&](const Outstanding& plan) { return plan.entry == entry && plan.run == run; });
}

SpawnerLine* KeeperClient::spawner_at_work() {
  for (std::uint32_t i = 0; i < wire::spawner_count; ++i) {
    const std::uint32_t index = (at_work_ + i) % wire::spawner_count;
    SpawnerLine& line = link_.spawner(index);
    if (!line.socket || replaced_[index] == line.generation) continue;
    at_work_ = index;
    return &line;
  }
  return nullptr;
}

bool KeeperClient::spawner_stuck(std::uint32_t index, MonoNs now) const {
  const wire::SpawnerWork& work = link_.table().work[index];
  if (work.entry_plus_1.load(std::memory_order_acquire) != 0)
    return now - work.since_ns.load(std::memory_order_relaxed) > stuck_after;
  // Idle, yet it does not take its plans: stopped by somebody. It gets longer, as a busy machine looks the same.
  const std::uint32_t generation = link_.spawner(index).generation;
  return std::any_of(outstanding_.begin(), outstanding_.end(), [&](const Outstanding& plan) {
    return plan.generation == generation && now - plan.sent > 3 * stuck_after &&
           link_.table().entry[plan.entry].claim.load() == 0;
  });
}

void KeeperClient::mind_spawners(MonoNs now) {
  prune_outstanding();
  for (std::uint32_t i = 0; i < wire::spawner_count; ++i) {
    const SpawnerLine& line = link_.spawner(i);
    if (line.generation == 0 || replaced_[i] == line.generation || !spawner_stuck(i, now)) continue;
    give_up_spawner(i, now);
  }
  if (!outstanding_.empty()) link_.wake_in(stuck_after / 4);
}

void KeeperClient::give_up_spawner(std::uint32_t index, MonoNs now) {
  const wire::SpawnerWork& work = link_.table().work[index];
  if (const std::uint32_t plus_1 = work.entry_plus_1.load(); plus_1 != 0 && plus_1 <= wire::max_entries) {
    const wire::RunEntry& entry = link_.table().entry[plus_1 - 1];
    if (exec_hangs(plus_1 - 1, entry.run.load(), entry.pid.load()))
      hung_.push_back({plus_1 - 1, entry.run.load(), entry.pid.load(), std::min(work.since_ns.load(), now)});
  }
  replaced_[index] = link_.spawner(index).generation;
  link_.replace_spawner(index, replaced_[index]);
  at_work_ = (index + 1) % wire::spawner_count;
}

SpanNs KeeperClient::stuck_for(EntryIndex entry, MonoNs now) const {
  for (const wire::SpawnerWork& work : link_.table().work)
    if (work.entry_plus_1.load(std::memory_order_acquire) == entry + 1)
      return std::max<SpanNs>(now - work.since_ns.load(std::memory_order_relaxed), 1);
  for (const Hung& hung : hung_)
    if (hung.entry == entry && exec_hangs(entry, hung.run, hung.pid)) return std::max<SpanNs>(now - hung.since, 1);
  return 0;
}

// Until its exec is over the child is still the keeper's program.
bool KeeperClient::exec_hangs(EntryIndex index, RunId run, std::int32_t pid) const {
  const wire::RunEntry& entry = link_.table().entry[index];
  return entry.run.load(std::memory_order_acquire) == run && pid > 0 &&
         entry.exec_over.load(std::memory_order_acquire) < run && wire::phase_of(entry) != wire::EntryPhase::exited &&
         same_program(pid, link_.table().keeper_pid.load());
}

void KeeperClient::note_if_hung(EntryIndex index) {
  const wire::RunEntry& entry = link_.table().entry[index];
  const RunId run = entry.run.load(std::memory_order_acquire);
  const std::int32_t pid = entry.pid.load(std::memory_order_acquire);
  const bool known = std::any_of(hung_.begin(), hung_.end(), [&](const Hung& hung) { return hung.run == run; });
  if (run != no_run && !known && is_watched(wire::phase_of(entry)) && exec_hangs(index, run, pid))
    hung_.push_back({index, run, pid, read_mono()});
}

void KeeperClient::mind_hung(MonoNs now) {
  std::erase_if(hung_, [&](Hung& hung) {
    if (hung.next <= now) {
      if (!exec_hangs(hung.entry, hung.run, hung.pid)) {
        ask_again_.push_back(hung.entry);
        return true;
      }
      hung.wait = hung.wait == 0 ? first_look : std::min(hung.wait * 2, stuck_after / 4);
      hung.next = after(now, hung.wait);
    }
    link_.wake_in(hung.next - now);
    return false;
  });
}

void KeeperClient::keeper_replaced() {
  for (const Outstanding& plan : outstanding_) ask_again_.push_back(plan.entry);
  outstanding_.clear();
  busy_.clear();
  for (std::uint32_t& generation : replaced_) generation = 0;
  at_work_ = 0;
  if (!ask_again_.empty()) link_.wake_in(1);
}

// A successor finds what released runs had left, because no entry holds them any more.
void KeeperClient::find_released() {
  // By run, because the output of a hook is parked for its service's slot.
  std::unordered_map<RunId, EntryIndex> live;
  for (EntryIndex index = 0; index < wire::entries_end(link_.table()); ++index)
    if (const RunId run = link_.table().entry[index].run.load(); run != no_run) live[run] = index;
  for (ParkClass type : {ParkClass::output, ParkClass::notify}) {
    for (const Parked& parked : link_.parked().all(type)) {
      if (parked.slot == no_slot) continue;
      const auto its = live.find(parked.key);
      if (its == live.end())
        release_run(parked.slot, parked.key);
      else
        note_if_hung(its->second);
    }
  }
}

void KeeperClient::mind_released(MonoNs now) {
  std::vector<RunId>& closed = link_.closed_outputs();
  for (Released& released : released_)
    if (std::find(closed.begin(), closed.end(), released.run) != closed.end()) released.next = 0;
  closed.clear();
  // Of a thousand that end at once nobody waits for the remains; an end of everything is faster when they are left. But
  // one a turn goes, so that they cannot gather for ever.
  int tries_left = link_.has_news() ? 1 : tries_per_turn;
  std::erase_if(released_, [&](Released& released) {
    if (released.next > now) {
      if (released.next != never) link_.wake_in(released.next - now);
      return false;
    }
    if (tries_left == 0) {
      link_.wake_in(milliseconds(1));
      return false;
    }
    --tries_left;
    switch (try_drop(released.run)) {
      case Dropped::yes: return true;
      case Dropped::waits_for_writers:
        released.next = never;  // the epoll tells
        return false;
      case Dropped::waits_for_reader:
        released.wait = released.wait == 0 ? first_look : std::min(released.wait * 2, longest_look);
        released.next = after(now, released.wait);
        link_.wake_in(released.wait);
        return false;
    }
    return true;
  });
}

KeeperClient::Dropped KeeperClient::try_drop(RunId run) {
  link_.unpark(ParkClass::probe, run);
  link_.unpark(ParkClass::probe, run, terminal_name);
  if (is_unassigned(run)) return Dropped::waits_for_reader;  // the logger has not heard of it
  Dropped result = Dropped::yes;
  const Parked* notify = link_.parked().find(ParkClass::notify, run);
  if (notify != nullptr && bytes_waiting(notify->fd) != 0) {
    result = Dropped::waits_for_reader;
  } else {
    if (notify != nullptr) link_.unpark(ParkClass::notify, run);
    remove_notify(directory(), run);  // also of one that was made and never parked
  }
  if (const Parked* output = link_.parked().find(ParkClass::output, run)) {
    pollfd polled{output->fd, 0, 0};
    if (::poll(&polled, 1, 0) == 0) {
      touch_as_writer(output->fd);
      (void)::poll(&polled, 1, 0);
    }
    if ((polled.revents & POLLHUP) == 0) {
      if (result != Dropped::yes) return result;
      // Only EPOLLHUP, which is always reported, and once: bytes are the logger's. Not before: the end of a run is
      // learnt from its leader, and a pipe that closes just before would wake us for nothing.
      link_.watch(output->fd, EPOLLET, watch_tag(Watched::output, run));
      return Dropped::waits_for_writers;
    }
    if (bytes_waiting(output->fd) != 0) return Dropped::waits_for_reader;
    link_.unpark(ParkClass::output, run);
  }
  remove_fifo(directory(), run);
  return result;
}

// All of them, as some may be of nobody: what a predecessor had made ahead.
void KeeperClient::remove_names() {
  if (!all_stopped_) return;
  each_number(directory(), "o", [&](RunId run) { remove_fifo(directory(), run); });
  each_number(directory(), "n", [&](RunId run) { remove_notify(directory(), run); });
  remove_stale_credentials(roots_, [](RunId) { return false; });
}

void KeeperClient::remove_stale_names() {
  const auto is_held = [&](RunId run) {
    const wire::RunEntry* const entries = link_.table().entry;
    return std::any_of(entries, entries + wire::entries_end(link_.table()),
                       [&](const wire::RunEntry& entry) { return entry.run.load() == run; });
  };
  // What an entry holds may be still to be opened (mind_unopened).
  const auto known = [&](ParkClass type, RunId run) {
    return link_.parked().find(type, run) != nullptr || is_held(run);
  };
  std::vector<RunId> fifos;
  std::vector<RunId> sockets;
  each_number(directory(), "o", [&](RunId run) {
    if (!known(ParkClass::output, run) && !somebody_writes(directory(), run)) fifos.push_back(run);
  });
  each_number(directory(), "n", [&](RunId run) {
    if (!known(ParkClass::notify, run)) sockets.push_back(run);
  });
  remove_stale_credentials(roots_, is_held);
  for (RunId run : fifos) remove_fifo(directory(), run);
  for (RunId run : sockets) remove_notify(directory(), run);
  // Leaves of runs that ended while nobody lived. What is still in one is not ours to judge: it is named.
  for (const std::string& leaf : cgroups_.leaves()) {
    const std::size_t dot = leaf.rfind('.');
    const RunId run = dot == std::string::npos ? no_run : std::strtoull(leaf.c_str() + dot + 1, nullptr, 10);
    bool live = run == no_run;
    for (const wire::RunEntry& entry : link_.table().entry) live |= entry.run.load() == run;
    if (live || cgroups_.remove_leaf(leaf.substr(0, dot), run) != CgroupTree::Removed::busy) continue;
    std::string left;
    for (int pid : cgroups_.processes(leaf.substr(0, dot), run))
      left += (left.empty() ? "" : ", ") + command_of(pid) + " (PID " + std::to_string(pid) + ")";
    notes_.push_back(
        {0, "left of run " + std::to_string(run) + ", which ended while hearth was dead, and left alone: " + left,
         leaf.substr(0, dot)});
  }
}

}  // namespace hearth::os
