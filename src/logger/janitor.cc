#include "logger/janitor.h"

#include <algorithm>
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "logger/log_files.h"
#include "logger/report.h"
#include "logger/tidy.h"

namespace hearth::logger {
namespace {

constexpr int io_class_idle = 3 << 13;  // ioprio_set(2)
constexpr int first_other = 3;

// What goes on in the child, in a copy of the logger's memory and with nothing of its descriptors.
[[noreturn]] void be_child(pid_t logger, int directory, const TidyOrder& order, const char* name) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != logger) _exit(0);
  setpriority(PRIO_PROCESS, 0, 19);
  syscall(SYS_ioprio_set, 1, 0, io_class_idle);
  if (directory != first_other) dup2(directory, first_other);
  close_range(first_other + 1, ~0u, 0);
  System system;
  int error = tidy(system, first_other, order);
  if (error != 0) {
    std::string what = std::string("cannot compress or remove old files of ") + name;
    report(what.c_str(), error);
  }
  _exit(error == 0 ? 0 : std::clamp(error, 1, 255));
}

}  // namespace

Janitor::~Janitor() {
  if (child_ < 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

void Janitor::ask(SlotIndex slot) {
  if (std::ranges::find(asked_, slot) == asked_.end()) asked_.push_back(slot);
  begin();
}

void Janitor::begin() {
  while (child_ < 0 && !asked_.empty()) {
    SlotIndex slot = asked_.front();
    asked_.pop_front();
    start_child(slot);
  }
}

bool Janitor::start_child(SlotIndex slot) {
  const wire::LogStream& s = page_.stream[slot];
  const wire::LogPolicy& policy = page_.policy[slot];
  TidyOrder order{.current = s.file.load(std::memory_order_acquire),
                  .compress = policy.compress != 0,
                  .keep = std::max<uint64_t>(1, s.max_files),
                  .max_total = policy.max_total,
                  .reserve = s.max_size,
                  .uid = s.uid,
                  .gid = s.gid};
  if (order.current == 0) return false;
  int64_t opened = open_directory(system_, log_directory_, s);
  if (opened < 0) return false;
  os::Fd directory(static_cast<int>(opened));
  pid_t logger = getpid();
  pid_t child = fork();
  if (child == 0) be_child(logger, directory.get(), order, s.directory);
  if (child < 0) return false;  // asked again at the next change of file
  child_ = child;
  slot_ = slot;
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = token_}};
  if (pidfd_ && epoll_ctl(epoll_, EPOLL_CTL_ADD, pidfd_.get(), &event) == 0) return true;
  child_ended();  // nobody would tell: waited for here, rather than not at all
  return true;
}

void Janitor::child_ended() {
  int status = 0;
  if (child_ >= 0 && waitpid(child_, &status, 0) == child_) {
    int error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    page_.policy[slot_].tidy_error.store(error, std::memory_order_release);
  }
  child_ = -1;
  pidfd_.reset();
  begin();
}

}  // namespace hearth::logger
