#include "cli/first_process.h"

#include <cerrno>
#include <new>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/outlet.h"
#include "cli/respawn_pace.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr SpanNs short_life = seconds(10);
constexpr int short_lives_most = 5;

sigset_t signals_of_interest() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGCHLD}) ::sigaddset(&set, number);
  return set;
}

// To give it away, or to take it back, from a group that is not the terminal's.
void give_terminal(pid_t group) {
  sigset_t output, before;
  ::sigemptyset(&output);
  ::sigaddset(&output, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &output, &before);
  ::tcsetpgrp(STDIN_FILENO, group);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

// TERM and INT stay blocked: one that comes before it looks waits for it (interrupt.h).
void prepare_child(bool has_terminal) {
  ::signal(SIGTSTP, SIG_IGN);  // nobody could continue it: a shell is not above us
  ::signal(SIGQUIT, [](int) { ::kill(::getpid(), SIGTERM); });
  sigset_t unblocked;
  ::sigemptyset(&unblocked);
  ::sigaddset(&unblocked, SIGQUIT);
  ::sigaddset(&unblocked, SIGCHLD);
  ::sigprocmask(SIG_UNBLOCK, &unblocked, nullptr);
  // Ctrl-C at a terminal goes to all of a group. It shall come from the terminal or from PID 1, and not twice, which
  // would be to insist.
  if (has_terminal && ::setpgid(0, 0) == 0) give_terminal(::getpid());
}

// As much as stderr takes at once.
void say(const std::string& text) {
  Outlet(STDERR_FILENO).write(text);
}

bool ends(int number) {
  return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

// Until `child` has ended: its wait status. Whatever else ends is reaped.
int wait_for(pid_t child, const sigset_t& set, bool& told_to_end) {
  for (;;) {
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0)
      if (ended == child) return status;
    if (ended < 0 && errno == ECHILD) return W_EXITCODE(exit_code::failed, 0);  // how it ended, nobody knows
    siginfo_t info{};
    if (!ends(::sigwaitinfo(&set, &info))) continue;
    told_to_end = true;
    ::kill(child, SIGTERM);
    ::kill(child, SIGCONT);  // stopped by somebody, it would not hear
  }
}

// Before the next child: for so long, or until told to end, which is true. Whatever ends is reaped.
bool told_in_pause(SpanNs span, const sigset_t& set) {
  const MonoNs until = after(os::read_mono(), span);
  for (MonoNs now = os::read_mono(); now < until; now = os::read_mono()) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const timespec left{(until - now) / ns_per_s, (until - now) % ns_per_s};
    siginfo_t info{};
    if (ends(::sigtimedwait(&set, &info, &left))) return true;
  }
  return false;
}

}  // namespace

std::optional<int> FirstProcess::live() {
  if (::getpid() != 1) return std::nullopt;
  void* shared = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    say("hearth: as the first process of a container it needs memory that it can share, and there is none\n");
    return exit_code::failed;
  }
  auto* state = new (shared) Shared;
  const sigset_t set = signals_of_interest();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGCHLD, SIG_DFL);  // ignored, as after a script's trap '' CHLD, children would reap themselves
  const bool has_terminal = ::isatty(STDIN_FILENO) != 0 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
  bool told_to_end = false;
  RespawnPace pace;
  for (int short_lives = 0;;) {
    const MonoNs made = os::read_mono();
    const pid_t child = ::fork();
    if (child == 0) {
      prepare_child(has_terminal);
      shared_ = state;
      return std::nullopt;
    }
    if (child < 0) {
      say(fmt::format("hearth: cannot fork as the first process of a container: error {}\n", errno));
      return exit_code::failed;
    }
    if (told_to_end && state->code.load() < 0) ::kill(child, SIGTERM);  // its predecessor had not come to act on it
    const int status = wait_for(child, set, told_to_end);
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const MonoNs now = os::read_mono();
    const bool crashed = WTERMSIG(status) != SIGKILL && now - made < short_life;
    short_lives = crashed ? short_lives + 1 : 0;
    if (short_lives == short_lives_most) return 128 + WTERMSIG(status);
    const SpanNs rest = pace.after_death(now);
    say(fmt::format("hearth: whoever watched the services was killed by signal {}; another one goes on{}\n",
                    WTERMSIG(status), rest == 0 ? "" : fmt::format(", in {:.1f} s", double(rest) / double(ns_per_s))));
    // Ctrl-C is heard while the dead child's successor is not there yet.
    if (has_terminal) give_terminal(::getpgrp());
    if (!told_in_pause(rest, set)) continue;
    told_to_end = true;
    if (state->code.load() >= 0) state->insisted.store(true);  // they are being stopped already
  }
}

}  // namespace hearth::cli
