// Whether a supervisor or logger whose program is on trial does anything.
//
// Model
// -----
// What hangs does not die. So whoever is started from a program that has another to go back to is listened to:
//
//   awaited   from its start on, and from each `ask` on: it must say `up` within 15 s
//   heard     it has said it; it is asked again a second later, until it has lived for 10 s
//   silent    it has not said it in time: it is killed, and its program given up (programs.cc)
//
// A supervisor says its first `up` by itself, after its first turn. A logger is asked at once, and each `ask` comes behind
// all outputs that it has to be told of. Both answer from the loop that does their work, when a turn of it is done.
//
// Then no clock runs: a keeper whose programs have proved themselves sleeps as ever.
//
// Time in which nobody could answer is nobody's silence: while we were away ourselves (held by SIGSTOP, or the machine), and
// while it is stopped by a signal or a tracer. What was said meanwhile counts before the clock does. But one that the kernel
// holds in a call, as a logger on a disk that hangs, looks like a program that does such a call for ever: it is given up.
// The one before will wait for that disk, too, and nothing is lost but the upgrade.

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

constexpr int64_t look_every = 1'000 * ms;  // more often than the end asks for: that is how an absence is known
constexpr int64_t asked_for = 10'000 * ms;  // after its start
constexpr int64_t asked_every = 1'000 * ms;

void listen_until(Keeper& k, uint32_t role, int64_t now) {
  Probation& probation = k.programs.probation[role];
  probation.until = now + k.options.up_within;
  probation.looked_at = now;
  probation.ask_at = 0;
}

void look_at(Keeper& k, uint32_t role, int64_t now) {
  Probation& probation = k.programs.probation[role];
  const int64_t passed = now - probation.looked_at;
  if (passed < look_every && probation.until > now) return;
  probation.looked_at = now;
  // Its time begins anew.
  if (passed > 2 * look_every || is_stopped(k.member[role].pid)) probation.until = now + k.options.up_within;
  if (probation.until > now) return;
  read_client(k, role, false);
  if (probation.until == 0 || probation.until > now) return;
  probation.until = 0;
  if (k.member[role].socket < 0) return;  // it has ended, or is killed for having closed it
  probation.silent = true;
  kill_member(k, role, SIGKILL);
}

}  // namespace

void await_member(Keeper& k, uint32_t role, int64_t now) {
  listen_until(k, role, now);
  k.programs.probation[role].ask = role == role_logger;
}

void member_heard(Keeper& k, uint32_t role) {
  Probation& probation = k.programs.probation[role];
  if (probation.until == 0) return;
  probation.until = 0;
  probation.ask = false;
  ask_again(k, role);
}

void ask_again(Keeper& k, uint32_t role) {
  const int64_t next = now_ns() + asked_every;
  k.programs.probation[role].ask_at = next - k.member[role].record->since_ns <= asked_for ? next : 0;
}

void probation_due(Keeper& k, int64_t now) {
  for (uint32_t role = 0; role < role_spawner; ++role) {
    Probation& probation = k.programs.probation[role];
    if (k.ending.phase != Ending::no) probation = {};
    if (probation.ask_at != 0 && probation.ask_at <= now) {
      listen_until(k, role, now);
      probation.ask = true;
    }
    if (probation.until != 0) look_at(k, role, now);
  }
}

int64_t probation_ends(const Keeper& k) {
  int64_t due = 0;
  for (const Probation& probation : k.programs.probation) {
    due = earlier(due, probation.ask_at);
    if (probation.until != 0) due = earlier(due, earlier(probation.until, probation.looked_at + look_every));
  }
  return due;
}

}  // namespace hearth::keeper
