// A call that fails: the kernel is kept from it at its entry (the number becomes -1), or lets it do the half, and the
// result is another one at its exit. What follows happens at full speed; the target stays attached, so that its end is
// seen.
//
// Unlike a kill, which needs no more than the place where the process stands, a failure is wanted of all threads: the
// supervisor's files are written by one of their own. So all threads of the target are followed, and their calls
// counted together.
#include <algorithm>
#include <cerrno>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "failures.h"
#include "os/clock.h"
#include "tracer.h"

namespace hearth::kill_anywhere {
namespace {

// A close that fails has closed (close(2)).
bool is_done_all_the_same(long kind) {
  return kind == SYS_close;
}

unsigned long long& length_of(user_regs_struct& registers) {
  return registers.orig_rax == SYS_splice ? registers.r8 : registers.rdx;
}

// At work, and not on its way there: each member but a spawner has a loop around an epoll.
bool is_at_work(long kind, bool spawner) {
  return kind == SYS_epoll_wait || kind == SYS_epoll_pwait || (spawner && kind == SYS_recvmsg);
}

}  // namespace

void Tracer::on_call_of_failures(pid_t pid, Tracee& tracee) {
  __ptrace_syscall_info info{};
  ptrace(static_cast<__ptrace_request>(PTRACE_GET_SYSCALL_INFO), pid, sizeof info, &info);
  const Point& point = options_.point;
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    enter_call(pid, tracee, static_cast<std::int64_t>(info.entry.nr),
               reinterpret_cast<const std::uint64_t*>(info.entry.args));
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee.call != SIZE_MAX) {
    report_.calls[tracee.call].returned = true;
    if (tracee.failing) end_failure(pid, tracee);
  }
  // All that were to fail have, or their step is over.
  const bool over = failed_ != 0 && !tracee.failing &&
                    (failed_ >= point.times || phase_.load() != point.phase || os::read_mono() > fail_until_);
  if (over && !over_) {
    over_ = true;
    if (options_.after_kill) options_.after_kill();
  }
  resume(pid, tracee, 0);
}

void Tracer::enter_call(pid_t pid, Tracee& tracee, std::int64_t kind, const std::uint64_t* args) {
  const Point& point = options_.point;
  tracee.call = report_.calls.size();
  report_.calls.push_back({static_cast<long>(kind), phase_.load(), false, {}});
  Call& call = report_.calls.back();
  if (options_.learn_failures) call.failures = failures_of(look_at_call(pid, call.kind, args));
  if (calls_.is_open())
    calls_ << pid << ' ' << call_name(call.kind) << ' ' << static_cast<std::int64_t>(args[0]) << '\n';
  if (options_.attack && counts(call) && ++counted_ > point.call && failed_ < point.times &&
      (failed_ == 0 || os::read_mono() <= fail_until_)) {
    // Of that number or, where it cannot fail so this time, the next that can.
    const std::vector<int> possible = failures_of(look_at_call(pid, call.kind, args));
    if (std::ranges::find(possible, point.failure) != possible.end()) begin_failure(pid, tracee);
  }
  waited_ = waited_ || is_at_work(call.kind, point.ordinal >= 3);
}

// Since the last exec it has not come to its loop.
bool Tracer::is_executing() const {
  for (auto call = report_.calls.rbegin(); call != report_.calls.rend(); ++call) {
    if (is_at_work(call->kind, false)) return false;
    if (call->kind == SYS_execve || call->kind == SYS_execveat) return true;
  }
  return false;
}

void Tracer::begin_failure(pid_t pid, Tracee& tracee) {
  if (failed_++ == 0) {
    report_.had_waited = waited_;
    report_.role = role_of(pid);
    report_.failure = options_.point.failure;
    report_.executing = is_executing();
    report_.call_number = report_.calls[tracee.call].kind;
    const std::size_t from = report_.calls.size() > 9 ? report_.calls.size() - 9 : 0;
    for (std::size_t i = from; i + 1 < report_.calls.size(); ++i)
      report_.trail += call_name(report_.calls[i].kind) + " ";
    reached_ = true;
    report_.reached = true;
    if (options_.before_kill) options_.before_kill();
    fail_until_ = after(os::read_mono(), seconds(1));  // not before: that waits for an exit
  }
  report_.failed = failed_;
  tracee.failing = true;
  user_regs_struct registers{};
  ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
  if (options_.point.failure == short_count) {
    tracee.length = length_of(registers);
    length_of(registers) = tracee.length / 2;
  } else if (registers.orig_rax == SYS_brk) {
    // It tells of a failure by answering with the end that there is, which is what it says to 0.
    tracee.length = registers.rdi;
    registers.rdi = 0;
  } else if (!is_done_all_the_same(static_cast<long>(registers.orig_rax))) {
    registers.orig_rax = ~0ULL;
  }
  ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
}

void Tracer::end_failure(pid_t pid, Tracee& tracee) {
  tracee.failing = false;
  user_regs_struct registers{};
  ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
  // Registers other than the result are the caller's own, and come back as they were.
  if (options_.point.failure == short_count)
    length_of(registers) = tracee.length;
  else if (registers.orig_rax == SYS_brk)
    registers.rdi = tracee.length;
  else
    registers.rax = static_cast<unsigned long long>(-static_cast<long long>(options_.point.failure));
  ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
}

}  // namespace hearth::kill_anywhere
