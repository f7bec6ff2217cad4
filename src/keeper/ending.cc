// How a keeper ends: told to by the supervisor, or all alone.

#include <poll.h>

#include "keeper/message.h"
#include "keeper/state.h"

namespace hearth::keeper {
namespace {

constexpr int64_t members_grace_s = 10;     // for the last documents and the last lines
constexpr int64_t after_kill = 1'000 * ms;  // what SIGKILL does not end hangs in the kernel: left behind
constexpr uint32_t stop_grace_least_ms = 500, stop_grace_most_ms = 3'600'000;

// Can be signalled and has not ended.
bool lives(Keeper& k, EntryIndex i) {
  const wire::RunEntry& entry = k.table->entry[i];
  if (entry.run.load(std::memory_order_acquire) == no_run || entry.pid.load() <= 0) return false;
  if (wire::phase_of(entry) == wire::EntryPhase::exited) return false;
  return watch_run(k, i) || k.run[i].pidfd_plus_1 != 0;
}

void begin_rank(Keeper& k, int64_t now) {
  EndingState& ending = k.ending;
  int64_t rank = -1;
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    const int64_t its = k.table->entry[i].stop_rank;
    if (its > rank && its < ending.rank && lives(k, i)) rank = its;
  }
  ending.rank = rank;
  ending.killed = false;
  ending.rank_chosen = rank >= 0;
  uint32_t grace_ms = stop_grace_least_ms;
  for (EntryIndex i = 0; i < end; ++i) {
    const wire::RunEntry& entry = k.table->entry[i];
    if (entry.stop_rank != rank || !lives(k, i)) continue;
    if (entry.stop_grace_ms > grace_ms) grace_ms = entry.stop_grace_ms;
    send_signal(k, i,
                entry.stop_signal >= 1 && entry.stop_signal <= 64 ? static_cast<int>(entry.stop_signal) : SIGTERM);
  }
  if (grace_ms > stop_grace_most_ms) grace_ms = stop_grace_most_ms;
  ending.deadline = now + grace_ms * ms;
}

// Whoever has ended takes the rest of its group along, and gives its entry back.
bool rank_lives(Keeper& k, bool kill_all) {
  bool some = false;
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    wire::RunEntry& entry = k.table->entry[i];
    const RunId run = entry.run.load(std::memory_order_acquire);
    if (run == no_run) continue;
    if (wire::phase_of(entry) == wire::EntryPhase::exited) {
      send_signal(k, i, SIGKILL);
      reap_run(k, i, run);
    } else if (entry.stop_rank == k.ending.rank && lives(k, i)) {
      if (kill_all) send_signal(k, i, SIGKILL);
      some = true;
    }
  }
  return some;
}

void stop_runs(Keeper& k, int64_t now) {
  EndingState& ending = k.ending;
  for (;;) {
    if (!ending.rank_chosen) begin_rank(k, now);
    if (!ending.rank_chosen) {
      rank_lives(k, true);  // nobody; but who ended before anybody was stopped may have left a group
      return finish(k, wire::FinishMode::all_stopped);
    }
    const bool due = now >= ending.deadline;
    if (rank_lives(k, due && !ending.killed)) {
      if (!due) return;
      if (!ending.killed) {
        ending.killed = true;
        ending.deadline = now + after_kill;
        return;
      }
    }
    ending.rank_chosen = false;
  }
}

// Standard error may be a pipe that nobody empties.
void say_given_up(const char* member, const char* consequence) {
  pollfd out = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) return;
  char text[512];
  char* at = stpcpy(stpcpy(text, "hearth-keeper: the "), member);
  at = put_number(stpcpy(at, " has not ended within "), uint64_t{members_grace_s});
  at = stpcpy(stpcpy(at, " s and is given up; "), consequence);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, static_cast<size_t>(at - text));
}

void give_up_members(Keeper& k, int64_t now) {
  k.ending.out_of_time = true;
  k.ending.deadline = now + after_kill;
  if (!k.member[role_logger].done)
    say_given_up("logger",
                 "output of services that it had not written is lost; look for a hung disk under "
                 "the log directory\n");
  if (!k.ending.alone && !k.member[role_supervisor].done)
    say_given_up("supervisor",
                 "the next hearth may remember services that were taken down; look for a hung disk "
                 "under the instance directory\n");
  kill_member(k, role_supervisor, SIGKILL);
  kill_member(k, role_logger, SIGKILL);
}

void end_members(Keeper& k, int64_t now) {
  EndingState& ending = k.ending;
  bool some = false;
  for (uint32_t role = 0; role < role_end; ++role) some = some || k.member[role].pid != 0 || member_wanted(k, role);
  const bool due = now >= ending.deadline;
  k.exit_now = !some || (ending.out_of_time && due);
  if (!k.exit_now && due) give_up_members(k, now);
}

}  // namespace

// The same for both modes: what runs is either nothing or to be left alone.
void finish(Keeper& k, wire::FinishMode mode) {
  if (mode != wire::FinishMode::all_stopped && mode != wire::FinishMode::leave_running) return;
  if (k.ending.phase == Ending::finishing) return;
  const bool alone = k.ending.phase == Ending::stopping_runs;
  k.ending = {};
  k.ending.phase = Ending::finishing;
  k.ending.alone = alone;
  k.ending.deadline = now_ns() + members_grace_s * 1'000 * ms;
  for (uint32_t role = role_spawner; role < role_end; ++role) kill_member(k, role, SIGKILL);
}

void stop_alone(Keeper& k) {
  if (k.ending.phase != Ending::no) return;
  k.ending = {};
  k.ending.phase = Ending::stopping_runs;
  k.ending.alone = true;
  k.ending.rank = int64_t{UINT32_MAX} + 1;
  kill_member(k, role_supervisor, SIGKILL);
  for (uint32_t role = role_spawner; role < role_end; ++role) kill_member(k, role, SIGKILL);
}

void ending_step(Keeper& k, int64_t now) {
  if (k.ending.phase == Ending::stopping_runs) {
    // A run must not begin behind our back: first the spawners are gone.
    for (uint32_t role = role_spawner; role < role_end; ++role)
      if (k.member[role].pid != 0) return;
    stop_runs(k, now);
  }
  if (k.ending.phase == Ending::finishing) end_members(k, now);
}

}  // namespace hearth::keeper
