// A service that does what the test tells it, and nothing by itself, so that nothing depends on time.
// tidy: a service under test, it may sleep
//
// It connects to the test's abstract SOCK_SEQPACKET socket (KA_SOCKET) and says
//     hello NAME PID RUN LISTEN_FDS LISTEN_FDNAMES CONTENT      CONTENT: of descriptor 3, "-" without one
// then it obeys one command a packet and answers each:
//     write N       N numbered lines to standard output          -> done
//     spill N       the same                                      -> nothing
//     notify TEXT   one datagram to NOTIFY_SOCKET                 -> done | failed ERRNO
//     fdstore NAME  a memfd with known content                    -> done
//     barrier       BARRIER=1, returns when it was handled        -> done
//     touch PATH                                                  -> done
//     pipe FD        the line that says ready on a pipe           -> done
//     serve PORT     answers HTTP at 127.0.0.1 from now on        -> done
//     open PATH      answers PING in a frame at a Unix socket     -> done
//     accept         one connection that waits at descriptor 3, which is answered "pong" -> done | failed ERRNO
//     hups           how many SIGHUP have come                    -> done N
//     exit CODE, abort                                            -> nothing
// SIGHUP is a reload: it is answered with RELOADING=1 and READY=1.
// With a path as its second argument it goes into the background first, and writes its PID there. As
//     NAME marks PATH    it makes that file first, and goes on as all do
//     NAME check PATH    it is a probe: 0 when the file is there
//     NAME hook PATH     it is a hook: its name is written behind what the file has
// it does that and ends.
// When the test's socket is gone, it waits for a signal.
//
// Lines: "NNNNNNNN rRUN LENGTH TEXT CHECKSUM". Numbers go on over the runs of the service: they are counted in a
// file (KA_COUNTERS/NAME), before and after each line, so that the test knows what must be in the log.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support/lines.h"
#include "support/notify.h"

namespace support = hearth::support;
using support::notify;
using support::variable;

namespace {

struct Service {
  std::string name;
  std::string run = variable("HEARTH_RUN");
  int control = -1;
  int hangups = -1;  // signalfd
  int door = -1;     // of `serve` and `open`
  bool answers_frames = false;
  int hups = 0;
  support::Counters* counters = nullptr;
  bool drops_a_line = false;  // planted, so that the test of the test has something to find
  bool leaves = false;        // the same
};

[[noreturn]] void wait_for_a_signal() {
  for (;;) pause();
}

void answer(const Service& service, const std::string& text) {
  if (send(service.control, text.data(), text.size(), MSG_NOSIGNAL) < 0) wait_for_a_signal();
}

void open_counters(Service& service) {
  service.counters = support::open_counters(variable("KA_COUNTERS") + "/" + service.name);
  if (service.counters == nullptr) _exit(90);
}

// Who is told to stop ends behind a line, and its count.
class NoStop {
 public:
  NoStop() {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, &before_);
  }
  ~NoStop() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  NoStop(const NoStop&) = delete;
  NoStop& operator=(const NoStop&) = delete;

 private:
  sigset_t before_;
};

// 0, or why not.
int write_lines(Service& service, long count) {
  for (long i = 0; i < count; ++i) {
    const NoStop no_stop;
    const std::uint64_t number = service.counters->begun.fetch_add(1);
    const std::string line = support::make_line(number, std::strtoull(service.run.c_str(), nullptr, 10));
    const bool dropped = service.drops_a_line && number == 3;
    for (std::size_t done = dropped ? line.size() : 0; done < line.size();) {
      const ssize_t n = write(STDOUT_FILENO, line.data() + done, line.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno;
      done += static_cast<std::size_t>(n);
    }
    service.counters->finished.fetch_add(1);
  }
  return 0;
}

void answer_error(const Service& service, int error) {
  answer(service, error == 0 ? "done" : "failed " + std::to_string(error));
}

void store_descriptor(const Service& service, const std::string& name) {
  const int fd = memfd_create("ka-store", MFD_CLOEXEC);
  const std::string content = support::stored_content(name);
  if (fd < 0 || write(fd, content.data(), content.size()) < 0) return answer_error(service, errno);
  answer_error(service, notify("FDSTORE=1\nFDNAME=" + name, fd));
  close(fd);
}

void pass_barrier(const Service& service) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return answer_error(service, errno);
  const int error = notify("BARRIER=1", ends[1]);
  close(ends[1]);
  pollfd wait{ends[0], 0, 0};  // POLLHUP comes when the last copy of the other end is closed
  const bool passed = error == 0 && poll(&wait, 1, 20'000) == 1;
  close(ends[0]);
  answer_error(service, error != 0 ? error : passed ? 0 : ETIMEDOUT);
}

int touch(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const int error = fd >= 0 && write(fd, "x", 1) == 1 ? 0 : errno;
  close(fd);
  return error;
}

// The test holds the same port, bound and not listening, so that nobody else gets it.
void serve(Service& service, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const int yes = 1;
  service.door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(service.door, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  const bool ok = bind(service.door, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                  listen(service.door, 64) == 0;
  answer_error(service, ok ? 0 : errno);
}

// At a path that nobody else has; a run before may have left its own there.
void open_door(Service& service, const std::string& path) {
  socklen_t length = 0;
  const sockaddr_un address = support::address_of(path, false, length);
  unlink(path.c_str());
  service.door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  service.answers_frames = true;
  const bool ok =
      bind(service.door, reinterpret_cast<const sockaddr*>(&address), length) == 0 && listen(service.door, 64) == 0;
  answer_error(service, ok ? 0 : errno);
}

// Whoever asks is not made to wait for more than one who says nothing.
void answer_a_caller(int door, bool in_frames) {
  const int caller = accept4(door, nullptr, nullptr, SOCK_CLOEXEC);
  const timeval patience{1, 0};
  setsockopt(caller, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char request[2048];
  static constexpr char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  // A length of four bytes, the greatest first, and an object (src/probe/frame.h).
  static constexpr char frame[] = "\0\0\0\x0f{\"status\":\"ok\"}";
  static_assert(sizeof frame - 1 == 4 + 15);
  if (recv(caller, request, sizeof request, 0) > 0)
    in_frames ? send(caller, frame, sizeof frame - 1, MSG_NOSIGNAL)
              : send(caller, reply, sizeof reply - 1, MSG_NOSIGNAL);
  close(caller);
}

void accept_who_waits(const Service& service) {
  pollfd wait{3, POLLIN, 0};
  const int caller = poll(&wait, 1, 0) == 1 ? accept4(3, nullptr, nullptr, SOCK_CLOEXEC) : -1;
  if (caller < 0) return answer_error(service, wait.revents == POLLIN ? errno : EAGAIN);
  answer_error(service, send(caller, "pong", 4, MSG_NOSIGNAL) == 4 ? 0 : errno);
  close(caller);
}

// Nobody hears it while all of hearth is dead: then it is said again.
void say_until_heard(const std::string& text) {
  while (notify(text) != 0) poll(nullptr, 0, 5);
}

void reload(Service& service) {
  signalfd_siginfo info;
  if (read(service.hangups, &info, sizeof info) != sizeof info) return;
  ++service.hups;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  say_until_heard("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1'000));
  say_until_heard("READY=1");
}

void obey(Service& service, const std::string& command) {
  const std::size_t space = command.find(' ');
  const std::string verb = command.substr(0, space);
  const std::string rest = space == command.npos ? "" : command.substr(space + 1);
  if (verb == "write") return answer_error(service, write_lines(service, std::atol(rest.c_str())));
  if (verb == "spill" && write_lines(service, std::atol(rest.c_str())) == 0) {
    if (service.leaves) _exit(77);
    return;
  }
  if (verb == "notify") return answer_error(service, notify(rest));
  if (verb == "fdstore") return store_descriptor(service, rest);
  if (verb == "barrier") return pass_barrier(service);
  if (verb == "touch") return answer_error(service, touch(rest));
  if (verb == "pipe") return answer_error(service, write(std::atoi(rest.c_str()), "\n", 1) == 1 ? 0 : errno);
  if (verb == "serve") return serve(service, std::atoi(rest.c_str()));
  if (verb == "open") return open_door(service, rest);
  if (verb == "accept") return accept_who_waits(service);
  if (verb == "hups") return answer(service, "done " + std::to_string(service.hups));
  if (verb == "exit") _exit(std::atoi(rest.c_str()));
  if (verb == "abort") abort();
  answer(service, "failed 0");
}

std::string greeting(const Service& service) {
  const std::string fds = variable("LISTEN_FDS");
  std::string content = "-";
  const bool for_us = variable("LISTEN_PID") == std::to_string(getpid());
  if (for_us && std::atoi(fds.c_str()) > 0) {
    char bytes[128];
    const ssize_t n = pread(3, bytes, sizeof bytes, 0);
    content = n <= 0 ? "?" : std::string(bytes, static_cast<std::size_t>(n));
  }
  const std::string names = variable("LISTEN_FDNAMES");
  return "hello " + service.name + " " + std::to_string(getpid()) + " " + (service.run.empty() ? "0" : service.run) +
         " " + (fds.empty() ? "0" : fds) + " " + (names.empty() ? "-" : names) + " " + content;
}

// The program that was started ends when its daemon has written its PID; that one goes on. In the leader's group, so
// that who ends the group ends it.
void go_into_the_background(const std::string& pid_file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) _exit(91);
  if (fork() != 0) {
    char byte = 0;
    close(ends[1]);
    _exit(read(ends[0], &byte, 1) == 1 ? 0 : 92);
  }
  const std::string number = std::to_string(getpid()) + "\n";
  const int fd = open(pid_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, number.data(), number.size()) < 0 || write(ends[1], "x", 1) != 1) _exit(93);
  close(fd);
  close(ends[0]);
  close(ends[1]);
}

int write_hook(const std::string& name, const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = name + "\n";
  return fd >= 0 && write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 94;
}

// What comes first: a command, a signal, or somebody at the door.
[[noreturn]] void live(Service& service) {
  for (;;) {
    pollfd polled[] = {{service.control, POLLIN, 0}, {service.hangups, POLLIN, 0}, {service.door, POLLIN, 0}};
    if (poll(polled, 3, -1) < 0) continue;
    if (polled[1].revents != 0) reload(service);
    if (polled[2].revents != 0) answer_a_caller(service.door, service.answers_frames);
    if (polled[0].revents == 0) continue;
    char packet[512];
    const ssize_t n = recv(service.control, packet, sizeof packet, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) wait_for_a_signal();
    obey(service, std::string(packet, static_cast<std::size_t>(n)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 3 ? argv[2] : "";
  if (mode == "check") return access(argv[3], F_OK) == 0 ? 0 : 1;
  if (mode == "hook") return write_hook(argv[1], argv[3]);
  if (mode == "marks" && touch(argv[3]) != 0) return 95;
  Service service;
  service.name = argc > 1 ? argv[1] : "?";
  service.drops_a_line = argc > 2 && std::string(argv[2]) == "drops-a-line";
  service.leaves = service.name == "u" && argc > 2 && std::string(argv[2]) == "leaves";
  if (argc > 2 && argv[2][0] == '/') go_into_the_background(argv[2]);
  open_counters(service);
  socklen_t length = 0;
  const sockaddr_un address = support::address_of(variable("KA_SOCKET"), true, length);
  service.control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  // The name of an abstract socket ends where the length says, without a NUL.
  if (connect(service.control, reinterpret_cast<const sockaddr*>(&address), length) < 0) wait_for_a_signal();
  sigset_t hangup;
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  sigprocmask(SIG_BLOCK, &hangup, nullptr);
  service.hangups = signalfd(-1, &hangup, SFD_CLOEXEC);
  answer(service, greeting(service));
  live(service);
}
