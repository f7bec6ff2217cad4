// How a keeper ends: told to by the supervisor, or all alone.

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

constexpr int64_t member_grace =
    2'000 * ms;  // supervisor to end; then logger to write what it has read
constexpr int64_t logger_grace = 3'000 * ms;
constexpr int64_t after_kill =
    1'000 * ms;  // what SIGKILL does not end hangs in the kernel: left behind
constexpr uint32_t stop_grace_least_ms = 500, stop_grace_most_ms = 3'600'000;

// Can be signalled and has not ended.
bool lives(Keeper& k, EntryIndex i) {
  const wire::RunEntry& entry = k.table->entry[i];
  if (entry.run.load(std::memory_order_acquire) == no_run || entry.pid.load() <= 0) return false;
  if (entry.phase.load(std::memory_order_acquire) == wire::EntryPhase::exited) return false;
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
                entry.stop_signal >= 1 && entry.stop_signal <= 64
                    ? static_cast<int>(entry.stop_signal)
                    : SIGTERM);
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
    if (entry.phase.load(std::memory_order_acquire) == wire::EntryPhase::exited) {
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
    if (!ending.rank_chosen) return finish(k, wire::FinishMode::all_stopped);
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

void end_members(Keeper& k, int64_t now) {
  EndingState& ending = k.ending;
  bool some = false;
  for (const MemberState& member : k.member) some = some || member.pid != 0;
  k.exit_now = !some || (ending.step == 2 && now >= ending.deadline);
  if (k.exit_now || now < ending.deadline) return;
  if (++ending.step == 1) {
    kill_member(k, role_supervisor, SIGKILL);
    kill_member(k, role_logger, SIGTERM);
    ending.deadline = now + logger_grace;
  } else {
    kill_member(k, role_logger, SIGKILL);
    ending.deadline = now + after_kill;
  }
}

}  // namespace

// The same for both modes: what runs is either nothing or to be left alone.
void finish(Keeper& k, wire::FinishMode mode) {
  if (mode != wire::FinishMode::all_stopped && mode != wire::FinishMode::leave_running) return;
  if (k.ending.phase == Ending::finishing) return;
  k.ending = {};
  k.ending.phase = Ending::finishing;
  k.ending.deadline = now_ns() + member_grace;
  // The logger ends by itself when it has written what its FIFOs hold.
  unwatch_and_close(k, k.member[role_supervisor].socket);
  unwatch_and_close(k, k.member[role_logger].socket);
  kill_member(k, role_supervisor, SIGTERM);
  for (uint32_t role = role_spawner; role < role_end; ++role) kill_member(k, role, SIGKILL);
}

void stop_alone(Keeper& k) {
  if (k.ending.phase != Ending::no) return;
  k.ending = {};
  k.ending.phase = Ending::stopping_runs;
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
