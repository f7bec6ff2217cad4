// A service of many characters:  hearth-chaos-service CHARACTER SLOT [MORE]
// tidy: a service under test, it may sleep
//
//   writer              numbered lines until TERM, which it answers with exit code 0
//   notifier            the same; says READY=1 first, and WATCHDOG=1 as it writes
//   teller              the same; a newline to descriptor 3 first
//   filer PATH          the same; makes the file first
//   forker PATH         the same, in the background, with its PID in the file
//   tree                the same, with a child in a session of its own and a grandchild in another
//   server              the same; tells each client on the socket at descriptor 3 its run
//   looper              some lines, then an exit code that is a function of its run
//   task CODE           some lines, then that exit code
//   before              a before_start hook: writes its record
//   probe               exit code 0
//
// What is true of it is in CHAOS_DIR, see truth.h.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/lines.h"
#include "support/notify.h"
#include "truth.h"

namespace {

using hearth::support::notify;
using hearth::support::variable;
namespace chaos = hearth::chaos;

volatile sig_atomic_t asked_to_end = 0;

const std::string directory = variable("CHAOS_DIR");
const std::string run = variable("HEARTH_RUN");
std::string character;
std::string slot;
hearth::support::Counters* counters = nullptr;
chaos::Control* control = nullptr;
std::uint64_t lines_written = 0;

void on_term(int) {
  asked_to_end = 1;
}

std::string now() {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  return std::to_string(at.tv_sec * 1'000'000'000LL + at.tv_nsec);
}

void record(const std::string& text) {
  const int fd = open(chaos::truth_path(directory, slot).c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(119);
  close(fd);
}

[[noreturn]] void end(int code) {
  record("exit " + run + " " + std::to_string(code) + " " + now() + "\n");
  _exit(code);
}

void begin() {
  counters = hearth::support::open_counters(chaos::lines_path(directory, slot, run));
  control = chaos::open_control(directory + "/control");
  if (counters == nullptr || control == nullptr) _exit(118);
  struct sigaction action{};
  action.sa_handler = on_term;
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGHUP, SIG_IGN);  // of a reload
  struct stat socket{};
  const bool serves = character == "server" && fstat(3, &socket) == 0;
  record("start " + run + " " + std::to_string(getpid()) + " " + now() + " " +
         std::to_string(serves ? socket.st_ino : 0) + "\n");
}

// A line that has been begun is finished, also when it is asked to end meanwhile.
void write_line() {
  const std::uint64_t number = counters->begun.fetch_add(1);
  const std::string line = hearth::support::make_line(number, std::strtoull(run.c_str(), nullptr, 10));
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = write(STDOUT_FILENO, line.data() + done, line.size() - done);
    if (n < 0 && errno != EINTR) end(117);
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  counters->finished.fetch_add(1);
  ++lines_written;
}

void wait_us(long us) {
  const timespec gap{us / 1'000'000, us % 1'000'000 * 1'000};
  nanosleep(&gap, nullptr);
}

void serve_who_waits() {
  for (int client = -1; (client = accept4(3, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; close(client)) {
    const std::string answer = "run " + run + "\n";
    (void)!send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

[[noreturn]] void write_until_told() {
  if (character == "server") fcntl(3, F_SETFL, fcntl(3, F_GETFL) | O_NONBLOCK);
  for (int turn = 0; asked_to_end == 0; ++turn) {
    if (control->paused.load() == 0) write_line();
    if (character == "server") serve_who_waits();
    if (character == "notifier" && turn % 8 == 0) notify("WATCHDOG=1", -1);
    wait_us(control->paused.load() != 0 ? 20'000 : control->gap_us.load());
  }
  end(0);
}

[[noreturn]] void write_some_and_end(int code, int lines, long us) {
  for (int i = 0; i < lines; ++i) write_line();
  wait_us(us);
  end(code);
}

void make_file(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) _exit(116);
  close(fd);
}

void go_into_the_background(const char* pid_file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) _exit(115);
  if (fork() != 0) {
    char byte = 0;
    close(ends[1]);
    _exit(read(ends[0], &byte, 1) == 1 ? 0 : 114);
  }
  begin();
  make_file(pid_file, std::to_string(getpid()) + "\n");
  (void)!write(ends[1], "x", 1);
  close(ends[0]);
  close(ends[1]);
}

[[noreturn]] void wait_for_a_signal() {
  for (;;) pause();
}

void grow_a_tree() {
  if (fork() != 0) return;
  setsid();
  if (fork() == 0) setsid();
  signal(SIGTERM, SIG_IGN);
  wait_for_a_signal();
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 64;
  character = arguments[1];
  slot = arguments[2];
  if (slot.ends_with(".0")) slot.resize(slot.size() - 2);  // as status calls it
  const char* more = count > 3 ? arguments[3] : "";
  if (character == "probe") return 0;
  if (character == "before") {
    record("before\n");
    return 0;
  }
  if (character == "forker") {
    go_into_the_background(more);
    write_until_told();
  }
  if (character == "tree") grow_a_tree();
  begin();
  const long number = std::atol(run.c_str());
  if (character == "looper")
    write_some_and_end(1 + static_cast<int>(number % 100), static_cast<int>(number % 5), number % 7 * 40'000);
  if (character == "task") write_some_and_end(std::atoi(more), 5, 20'000);
  if (character == "filer") make_file(more, run);
  if (character == "notifier") notify("READY=1\nSTATUS=run " + run, -1);
  if (character == "teller") {
    (void)!write(3, "\n", 1);
    close(3);
  }
  write_until_told();
}
