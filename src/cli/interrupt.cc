#include "cli/interrupt.h"

#include <signal.h>
#include <sys/signalfd.h>

namespace hearth::cli {
namespace {

sigset_t interrupts() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  return set;
}

bool held = false;

}  // namespace

HeldInterrupts::HeldInterrupts() {
  const sigset_t set = interrupts();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  held = true;
}

HeldInterrupts::~HeldInterrupts() {
  held = false;
  const sigset_t set = interrupts();
  constexpr timespec at_once{};
  while (::sigtimedwait(&set, nullptr, &at_once) > 0) {
  }
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

InterruptWatch::InterruptWatch() {
  const sigset_t set = interrupts();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

InterruptWatch::~InterruptWatch() {
  if (held) return;
  came();  // one that is still pending was for the wait that is over
  const sigset_t set = interrupts();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

bool InterruptWatch::came() {
  signalfd_siginfo info;
  bool now = false;
  while (fd_ && ::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) now = true;
  if (now && !came_) {
    came_ = true;
    if (held) return true;
    const sigset_t set = interrupts();
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  }
  return came_;
}

}  // namespace hearth::cli
