// What follows the end of a run: how soon it is tried again, how often, and what is nobody's failure.
#include <algorithm>
#include <cerrno>
#include <cmath>

#include "sim/checker.h"
#include "wire/slot_table.h"

namespace hearth::sim {
namespace {

bool is_up(Phase phase) {
  return phase == Phase::starting || phase == Phase::running || phase == Phase::stopping;
}

}  // namespace

void Checker::check_policy(SlotIndex slot, const SlotState& before, const SlotState& now) {
  const ServiceSpec* spec = spec_of(now);
  if (now.role != SlotRole::service || spec == nullptr) return;
  const bool same = before.used && before.order == now.order && before.document == now.document &&
                    view_.head.last_order == orders_before_;
  if (!same || now.life.phase == Phase::failed) tries_.erase(slot);
  if (!same) return;
  check_backoff(before, now, *spec);
  check_crash_limit(slot, before, now, *spec);
}

// By the row of failures, which is one longer now; a success under `always` ends the row.
void Checker::check_backoff(const SlotState& before, const SlotState& now, const ServiceSpec& spec) const {
  if (now.life.phase != Phase::backoff || !is_up(before.life.phase)) return;
  const std::uint32_t failures = now.life.failures;
  if (failures != 0 && failures != before.life.failures + 1)
    fail(name_of(now) + " has failed " + std::to_string(failures) + " times in a row, and before it was " +
         std::to_string(before.life.failures));
  const double grown = static_cast<double>(spec.backoff.initial) *
                       std::pow(spec.backoff.factor, static_cast<double>(std::max(failures, 1u) - 1));
  const double usual = std::min(grown, static_cast<double>(spec.backoff.max));
  const double off = std::abs(static_cast<double>(now.life.retry.span) - usual);
  if (off > usual * spec.backoff.jitter + 2)
    fail(name_of(now) + " is tried again after " + std::to_string(now.life.retry.span) + " ns, and failure " +
         std::to_string(failures) + " in a row asks for " + std::to_string(static_cast<SpanNs>(usual)));
}

// A window begins with the first try after the end of the one before, so that two of them meet in as long a time as one.
void Checker::check_crash_limit(SlotIndex slot, const SlotState& before, const SlotState& now,
                                const ServiceSpec& spec) {
  const CrashLimit& limit = spec.crash_limit;
  const bool ended = now.last_exit.run != before.last_exit.run && now.last_exit.run != no_run;
  const bool again = now.life.phase == Phase::backoff || now.life.phase == Phase::starting;
  const bool ordered = before.life.phase == Phase::stopping && !before.life.restart_counts;
  const bool by_itself = ended && again && !ordered && is_up(before.life.phase) && now.life.reason != Reason::refused &&
                         now.life.reason != Reason::dependency_restarted;
  if (limit.max_restarts == 0 || !by_itself) return;
  std::vector<MonoNs>& tries = tries_[slot];
  tries.push_back(m_.time.now.mono);
  std::erase_if(tries, [&](MonoNs at) { return at + limit.window <= m_.time.now.mono; });
  if (tries.size() > 2 * std::size_t{limit.max_restarts})
    fail(name_of(now) + " is tried again " + std::to_string(tries.size()) + " times within its window, and " +
         std::to_string(limit.max_restarts) + " are allowed");
}

// Its run has ended without a process.
void Checker::check_no_room(const SlotState& now, EntryIndex entry) const {
  const ports::EntryView& view = m_.kernel.entry(entry);
  const bool at_clone = view.fail_stage == static_cast<std::uint32_t>(wire::SpawnStage::clone);
  if (!at_clone || (view.fail_errno != EAGAIN && view.fail_errno != ENOMEM)) return;
  const bool given_up = now.life.phase == Phase::failed && now.life.reason != Reason::dependency_failed;
  if (now.role == SlotRole::service && given_up)
    fail(name_of(now) + " is given up, because the kernel had no room for one more process");
}

// Of one that has none any more, some may be left (docs/internals/not-yet.md).
void Checker::check_ready_file(const SlotState& state) const {
  const ServiceSpec* spec = spec_of(state);
  if (spec == nullptr || spec->around->ready_file.empty()) return;
  const auto document = m_.store_port.on_disk().find(state.document);
  const auto file =
      m_.store_port.ready_files.find(document->second.project + "." + spec->name + "." + std::to_string(state.replica));
  const bool there = file != m_.store_port.ready_files.end();
  const bool up = state.life.run_live && !state.run_wanted && state.run().pid != 0;
  const bool said = spec->ready->type == ProbeType::none ? state.life.phase == Phase::running : state.health.ready;
  const bool ready = up && said && state.life.phase != Phase::stopping;
  if (there && !ready) fail(name_of(state) + " is not ready, and its readiness file is there");
  if (ready && !there) fail(name_of(state) + " is ready, and its readiness file is not there");
  if (there && file->second != state.run().run)
    fail(name_of(state) + ": its readiness file names run " + std::to_string(file->second));
}

}  // namespace hearth::sim
