#include "integration/keeper/scarce_epoll.h"

#include <cerrno>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace hearth::test {
namespace {

std::string target_of(pid_t pid, std::uint64_t fd) {
  char text[64] = {};
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  return readlink(path.c_str(), text, sizeof text - 1) < 0 ? "" : text;
}

}  // namespace

ScarceEpoll::ScarceEpoll() {
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), 0);
}

ScarceEpoll::~ScarceEpoll() {
  if (thread_.joinable()) thread_.join();
  close(ends_[0]);
  close(ends_[1]);
}

void ScarceEpoll::enter() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof code / sizeof code[0], code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  const int number = static_cast<int>(listener);
  char go = 0;
  if (write(ends_[1], &number, sizeof number) < 0 || read(ends_[1], &go, 1) < 0) _exit(126);
}

void ScarceEpoll::serve(pid_t child) {
  child_ = child;
  int number = -1;
  ASSERT_EQ(read(ends_[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  const int listener = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, number, 0));
  close(pidfd);
  ASSERT_GE(listener, 0) << "no seccomp listener";
  thread_ = std::thread([this, listener] { decide(listener); });
  ASSERT_EQ(write(ends_[0], "g", 1), 1);
}

void ScarceEpoll::decide(int listener) {
  for (;;) {
    pollfd asked = {listener, POLLIN, 0};
    if (poll(&asked, 1, -1) < 0 && errno == EINTR) continue;
    if ((asked.revents & POLLIN) == 0) break;
    seccomp_notif call{};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) continue;
    seccomp_notif_resp answer{};
    answer.id = call.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    const bool adds_pidfd = static_cast<pid_t>(call.pid) == child_ && call.data.args[1] == EPOLL_CTL_ADD &&
                            target_of(child_, call.data.args[2]).find("pidfd") != std::string::npos;
    if (adds_pidfd && left_ > 0) {
      --left_;
      ++refused_;
      answer.flags = 0;
      answer.error = -ENOMEM;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  close(listener);
}

}  // namespace hearth::test
