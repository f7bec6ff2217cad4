#include "os/keeper_successor.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "os/control_socket.h"
#include "os/crash_point.h"

namespace hearth::os {
namespace {

// Only async-signal-safe calls: the supervisor may have threads in its libraries.
[[noreturn]] void become_keeper(char* const* arguments, int socket) {
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::fcntl(socket, F_SETFD, 0) == 0) ::execv(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

SpanNs successor_wait() {
  return ::getenv("INVOCATION_ID") != nullptr && ::getenv("NOTIFY_SOCKET") != nullptr ? seconds(5)
                                                                                      : 0;
}

Result<Fd> start_keeper(const SuccessorCommand& command) {
  if (::access(command.keeper.c_str(), X_OK) < 0)
    return errno_failure("start", command.keeper, errno);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return errno_failure("make", "a socket for the new keeper", errno);
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const std::string number = std::to_string(theirs.get());
  std::vector<std::string> texts = {command.keeper,
                                    "--dir",
                                    command.directory,
                                    "--logs",
                                    command.log_directory,
                                    "--supervisor",
                                    command.supervisor,
                                    "--logger",
                                    command.logger,
                                    "--take-over",
                                    number};
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  crash_point("before the keeper's fork");
  const pid_t middle = ::fork();
  if (middle < 0) return errno_failure("start", command.keeper, errno);
  if (middle == 0) {
    const pid_t keeper = ::fork();
    if (keeper == 0) become_keeper(arguments.data(), theirs.get());
    ::_exit(keeper < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(middle, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return failure(Remedy::try_later, "start", command.keeper, "no process can be made");
  return ours;
}

Offer offer_as_keeper(const std::string& directory, SpanNs patience) {
  Result<Fd> socket = connect_socket(directory, keeper_socket_name, SOCK_SEQPACKET);
  if (!socket) return {};
  pollfd waited{socket->get(), POLLIN, 0};
  if (::poll(&waited, 1, static_cast<int>(patience / ns_per_ms)) <= 0) return {{}, true};
  char byte;
  if (::recv(socket->get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) return {};
  ::fcntl(socket->get(), F_SETFD, 0);
  return {std::move(*socket), false};
}

Fd accept_keeper(int listener, uid_t owner) {
  Fd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket && !check_peer(socket.get(), owner)) socket.reset();
  return socket;
}

std::string program_beside(const std::string& name) {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return name;
  std::string path(self, static_cast<std::size_t>(n));
  return path.substr(0, path.rfind('/') + 1) + name;
}

}  // namespace hearth::os
