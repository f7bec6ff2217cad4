// Inside: what the cells of the table have in common. lifecycle.cc has the table, stopping.cc how a run is ended,
// policy.cc what follows when it has ended. Nothing here calls step() again: what a transition leads to at once (a
// restart without delay) is part of the same function.
#pragma once

#include "lifecycle/lifecycle.h"

namespace hearth::lifecycle {

inline constexpr int kill_signal = 9;

struct Step {
  Lifecycle& life;
  const ServiceSpec& spec;
  const Event& event;
  Now now;
  Effects effects{};
};

// ---- lifecycle.cc
void enter(Step& s, Phase phase, Reason reason);
// A run, or what comes before it: a hook, or the dependencies.
void go_up(Step& s, bool dependencies_met, Reason reason);
// False: it has none of that name.
bool begin_hook(Step& s, Hook hook);
Reason reason_of_order(const Event& event);

// ---- stopping.cc
void begin_stop(Step& s, bool restart, bool counts, bool hold, Reason reason);
// Of a start that has no run yet.
void stop_preparing(Step& s, bool restart, Reason reason);
void stop_again(Step& s);
void release(Step& s);
void ended_while_stopping(Step& s);
void hook_ended_while_stopping(Step& s);
void has_pid_to_stop(Step& s);
void check_grace(Step& s);
// Nothing of a run is left to be remembered.
void forget_run(Lifecycle& life);

// ---- policy.cc
void forget_failures(Lifecycle& life);
void after_success(Step& s);
void after_failure(Step& s, Reason cause);
// Something of ours was missing for the start.
void after_refusal(Step& s);
// Of a restart with a dependency: when the next one may be.
void damp(Step& s);

}  // namespace hearth::lifecycle
