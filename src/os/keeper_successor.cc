#include "os/keeper_successor.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "os/control_socket.h"
#include "os/crash_point.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

// From here to the end of the namespace runs in children of a fork: only async-signal-safe calls, as the supervisor has a
// second thread, the store's writer. fork(2) is none of them: it runs atfork handlers and takes malloc's locks.
pid_t fork_in_child() {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  return ::_Fork();
#else
  return ::fork();
#endif
}

[[noreturn]] void refuse(int refusal) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(refusal, &error, sizeof error);
  ::_exit(127);
}

[[noreturn]] void become_keeper(const SuccessorCommand& command, char* const* arguments, int socket, int refusal) {
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int kept : {socket, command.supervisor_program, command.logger_program})
    if (kept >= 0 && ::fcntl(kept, F_SETFD, 0) != 0) refuse(refusal);
  if (command.keeper_program >= 0)
    ::syscall(SYS_execveat, command.keeper_program, "", arguments, environ, AT_EMPTY_PATH);
  else
    ::execv(arguments[0], arguments);
  refuse(refusal);
}

// In the middle process: lives until the other end is closed.
[[noreturn]] void name_and_wait(int socket, pid_t keeper) {
  char end = 0;
  if (::write(socket, &keeper, sizeof keeper) > 0)
    while (::read(socket, &end, 1) < 0 && errno == EINTR) {
    }
  ::_exit(0);
}

}  // namespace

SpanNs successor_wait() {
  return ::getenv("INVOCATION_ID") != nullptr && ::getenv("NOTIFY_SOCKET") != nullptr ? seconds(5) : 0;
}

std::string keeper_of(const SuccessorCommand& command) {
  return command.keeper_program >= 0 ? "the program that the keeper ran" : command.keeper;
}

Result<StartedKeeper> start_keeper(const SuccessorCommand& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return errno_failure("make", "a socket for the new keeper", errno);
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return errno_failure("make", "a socket for the new keeper", errno);
  Fd told(ends[0]);
  Fd tells(ends[1]);
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return errno_failure("make", "a pipe for the new keeper", errno);
  Fd refusal(ends[0]);
  Fd refuses(ends[1]);
  const std::string number = std::to_string(theirs.get());
  std::vector<std::string> texts = {command.keeper_program >= 0 ? "hearth-keeper" : command.keeper,
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
  for (const auto& [option, program] : {std::pair{"--supervisor-program", command.supervisor_program},
                                        std::pair{"--logger-program", command.logger_program}})
    if (program >= 0) texts.insert(texts.end(), {option, std::to_string(program)});
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  crash_point("before the keeper's fork");
  const pid_t middle = ::fork();
  if (middle < 0) return errno_failure("start", keeper_of(command), errno);
  if (middle == 0) {
    ::close(told.get());
    const pid_t keeper = fork_in_child();
    if (keeper == 0) become_keeper(command, arguments.data(), theirs.get(), refuses.get());
    name_and_wait(tells.get(), keeper);
  }
  tells.reset();
  theirs.reset();
  pid_t keeper = -1;
  while (::read(told.get(), &keeper, sizeof keeper) < 0 && errno == EINTR) {
  }
  // Its parent, the middle process, is alive: the number is nobody else's.
  Fd process(keeper > 0 ? pidfd_open(keeper) : -1);
  const int error = errno;
  told.reset();
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (keeper < 0) return failure(Remedy::try_later, "start", keeper_of(command), "no process can be made");
  // Without hello it ends by itself.
  if (!process) return errno_failure("hold", "the new keeper", error);
  Fd same(::fcntl(process.get(), F_DUPFD_CLOEXEC, 0));
  return StartedKeeper{{std::move(ours), std::move(process)}, std::move(same), std::move(refusal)};
}

KeeperEnd end_of(const StartedKeeper& keeper) {
  KeeperEnd end;
  int error = 0;
  if (::read(keeper.refusal.get(), &error, sizeof error) == sizeof error) {
    end.not_executed = error;
    return end;
  }
  end.status = end_of_reaped(keeper.process.get());
  return end;
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

NewKeeper accept_keeper(int listener, uid_t owner) {
  Fd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!socket || !check_peer(socket.get(), owner) ||
      ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
    return {};
  Fd process(pidfd_open(peer.pid));
  // Still at the other end after the pidfd was made: the number is its own.
  pollfd end{socket.get(), POLLRDHUP, 0};
  if (!process || ::poll(&end, 1, 0) != 0) return {};
  return {std::move(socket), std::move(process)};
}

std::string program_beside(const std::string& name) {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return name;
  std::string path(self, static_cast<std::size_t>(n));
  return path.substr(0, path.rfind('/') + 1) + name;
}

}  // namespace hearth::os
