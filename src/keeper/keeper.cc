#include "keeper/keeper.h"

#include <sys/signalfd.h>

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

void count_signal(Keeper& k, uint32_t signal) {
  if ((signal == SIGTERM || signal == SIGINT) && k.stop_wanted_at == 0) k.stop_wanted_at = now_ns();
  if (k.signals_held) {
    ++k.held_signal[signal];
    return;
  }
  wire::SlotTable& t = *k.table;
  switch (signal) {
    case SIGTERM: t.signals_term.fetch_add(1); break;
    case SIGINT: t.signals_int.fetch_add(1); break;
    case SIGHUP: t.signals_hup.fetch_add(1); break;
    case SIGUSR1: t.signals_usr1.fetch_add(1); break;
    case SIGUSR2: t.signals_usr2.fetch_add(1); break;
    case SIGQUIT: t.signals_quit.fetch_add(1); break;
    default: return;
  }
  k.ring_supervisor = true;
}

void read_signals(Keeper& k) {
  signalfd_siginfo info[16];
  for (;;) {
    const ssize_t got = read(k.signals, info, sizeof info);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    for (size_t i = 0; i < static_cast<size_t>(got) / sizeof info[0]; ++i) {
      if (info[i].ssi_signo != SIGCHLD) {
        count_signal(k, info[i].ssi_signo);
        continue;
      }
      reap_members(k);
      child_died(k, static_cast<pid_t>(info[i].ssi_pid));
      if (k.scan_children_at == 0) k.scan_children_at = now_ns() + retry_after;
    }
  }
}

void member_event(Keeper& k, uint32_t role, uint32_t events) {
  MemberState& member = k.member[role];
  if (member.socket < 0) return;
  if ((events & EPOLLOUT) != 0 && member.wants_room) {
    member.wants_room = false;
    watch_fd(k, member.socket, Source::member_socket, role, EPOLLIN, EPOLL_CTL_MOD);
  }
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) read_client(k, role, false);
}

void dispatch(Keeper& k, const epoll_event& event) {
  const uint32_t index = static_cast<uint32_t>(event.data.u64);
  switch (static_cast<Source>(event.data.u64 >> 32)) {
    case Source::signals: read_signals(k); break;
    case Source::doorbell: doorbell(k); break;
    case Source::member_socket: member_event(k, index, event.events); break;
    case Source::run: run_event(k, index, event.events); break;
    case Source::supervisor_pidfd:  // handed over to us, no child of ours
      if (k.supervisor_pidfd >= 0) member_gone(k, role_supervisor, wire::wait_code_unknown, 0);
      break;
    case Source::at_work: work_goes_on(k); break;
    case Source::old_logger: unwatch_and_close(k, k.old_logger); break;
  }
}

bool take_due(int64_t& at, int64_t now) {
  if (at == 0 || at > now) return false;
  at = 0;
  return true;
}

void handle_due(Keeper& k, int64_t now) {
  if (take_due(k.scan_children_at, now)) scan_children(k);
  if (take_due(k.retry_at, now)) doorbell(k);
  if (k.unknown_at != 0 && k.unknown_at <= now) unknown_due(k, now);
  if (take_due(k.kill_old_logger_at, now) && k.old_logger >= 0) pidfd_signal(k.old_logger, SIGKILL);
  probation_due(k, now);
  if (supervisor_fails(k, now)) stop_alone(k);
  start_members(k, now);
  exec_step(k, now);
  if (k.ending.phase != Ending::no) ending_step(k, now);
}

int wait_ms(const Keeper& k) {
  int64_t due = earlier(k.scan_children_at, earlier(k.retry_at, k.unknown_at));
  due = earlier(earlier(due, probation_ends(k)),
                earlier(k.kill_old_logger_at, earlier(members_due(k), k.ending.deadline)));
  due = earlier(due, exec_due(k));
  if (due == 0) return -1;
  const int64_t left = due - now_ns();
  return left <= 0 ? 0 : static_cast<int>((left + ms - 1) / ms);
}

bool is_of_run(const epoll_event& event) {
  return static_cast<Source>(event.data.u64 >> 32) == Source::run;
}

// Once for many: a thousand exits are a few wake-ups of the supervisor.
void ring_if_wanted(Keeper& k) {
  if (k.ring_supervisor) ring(descriptor(k, wire::HelloDescriptor::to_supervisor));
  k.ring_supervisor = false;
}

}  // namespace

void release_signals(Keeper& k) {
  k.signals_held = false;
  for (uint32_t signal = 1; signal < NSIG; ++signal)
    for (; k.held_signal[signal] > 0; --k.held_signal[signal]) count_signal(k, signal);
}

int keeper_main(int argc, char** argv) {
  static Keeper k;
  int status = 0;
  if (!start(k, argc, argv, status)) return status;
  while (!k.exit_now) {
    handle_due(k, now_ns());
    pump_clients(k);
    ring_if_wanted(k);
    if (k.exit_now) break;
    exec_if_tried(k);
    epoll_event events[64];
    const int count = epoll_wait(k.epoll, events, 64, wait_ms(k));
    // Whose run has ended wants to know at once: the rest of the turn does not stand before that.
    for (int i = 0; i < count; ++i)
      if (is_of_run(events[i])) dispatch(k, events[i]);
    ring_if_wanted(k);
    for (int i = 0; i < count; ++i)
      if (!is_of_run(events[i])) dispatch(k, events[i]);
  }
  give_up_lock(k);
  return k.exit_status;
}

}  // namespace hearth::keeper
