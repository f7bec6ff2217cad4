// An epoll without room (ENOMEM), for one process: its calls of epoll_ctl are decided here, by seccomp_unotify(2).
#pragma once

#include <atomic>
#include <sys/types.h>
#include <thread>

namespace hearth::test {

class ScarceEpoll {
 public:
  ScarceEpoll();
  // Ends when the last process under it has ended.
  ~ScarceEpoll();
  ScarceEpoll(const ScarceEpoll&) = delete;
  ScarceEpoll& operator=(const ScarceEpoll&) = delete;

  // In the child, before exec; waits until its parent serves it.
  void enter();
  // In the parent.
  void serve(pid_t child);

  // The next `count` pidfds that the child adds are refused.
  void refuse_pidfds(int count) { left_ = count; }
  int refused() const { return refused_; }

 private:
  void decide(int listener);
  int ends_[2];
  pid_t child_ = 0;
  std::atomic<int> left_{0};
  std::atomic<int> refused_{0};
  std::thread thread_;
};

}  // namespace hearth::test
