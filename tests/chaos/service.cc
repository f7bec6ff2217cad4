// A service of many characters:  hearth-chaos-service CHARACTER SLOT [MORE]
// tidy: a service under test, it may sleep
//
//   writer              numbered lines until TERM, which it answers with exit code 0
//   notifier            the same; says READY=1 first, and WATCHDOG=1 as it writes
//   teller              the same; a newline to descriptor 3 first
//   filer PATH          the same; makes the file first
//   forker PATH         the same, in the background, with its PID in the file
//   tree                the same, with a child in a session of its own and a grandchild in another
//   server COUNT        the same; tells each client on its sockets, from descriptor 3 on, its run
//   storer              the same; says which descriptors hearth has kept for it, leaves one of its own instead; READY=1
//   looper              some lines, then an exit code that is a function of its run
//   task CODE           some lines, then that exit code
//   before              a before_start hook: writes its record
//   probe               exit code 0
//
// What is true of it is in CHAOS_DIR, see truth.h.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

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
int listeners = 0;

void on_term(int) {
  asked_to_end = 1;
}

std::int64_t read_ns(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return at.tv_sec * 1'000'000'000LL + at.tv_nsec;
}

std::string now() {
  return std::to_string(read_ns(CLOCK_MONOTONIC));
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

// Field 22 of /proc/self/stat is in ticks of CLOCK_BOOTTIME.
std::int64_t born() {
  char bytes[1024] = {};
  const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, bytes, sizeof bytes - 1) <= 0) _exit(118);
  close(fd);
  std::istringstream fields(std::strrchr(bytes, ')') + 1);
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  std::int64_t ticks = 0;
  fields >> ticks;
  const std::int64_t asleep = read_ns(CLOCK_BOOTTIME) - read_ns(CLOCK_MONOTONIC);
  return ticks * (1'000'000'000 / sysconf(_SC_CLK_TCK)) - asleep;
}

// Kept until the very end of this process. The run that has it, where that is another one; else "".
std::string take_lock() {
  const int fd = open(chaos::lock_path(directory, slot).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) _exit(118);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    if (ftruncate(fd, 0) < 0 || write(fd, run.data(), run.size()) < 0) _exit(118);
    return "";
  }
  char other[32] = {};
  (void)!pread(fd, other, sizeof other - 1, 0);
  return other[0] == 0 ? "1" : other;
}

std::uint64_t inode_of(int fd) {
  struct stat file{};
  return fstat(fd, &file) == 0 ? file.st_ino : 0;
}

std::string inodes_of_listeners() {
  std::string inodes;
  for (int fd = 3; fd < 3 + listeners; ++fd) inodes += " " + std::to_string(inode_of(fd));
  return inodes;
}

void begin() {
  const std::string other = take_lock();
  counters = hearth::support::open_counters(chaos::lines_path(directory, slot, run));
  control = chaos::open_control(directory + "/control");
  if (counters == nullptr || control == nullptr) _exit(118);
  struct sigaction action{};
  action.sa_handler = on_term;
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGHUP, SIG_IGN);  // of a reload
  record("start " + run + " " + std::to_string(getpid()) + " " + now() + " " + std::to_string(born()) +
         inodes_of_listeners() + "\n");
  if (!other.empty()) record("overlap " + run + " " + other + "\n");
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
  const std::string answer = "run " + run + "\n";
  for (pollfd door{3, POLLIN, 0}; door.fd < 3 + listeners; ++door.fd)
    for (int client = -1; poll(&door, 1, 0) == 1 && (client = accept4(door.fd, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;
         close(client))
      (void)!send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
}

void record_stored(const char* what, std::uint64_t inode) {
  record(std::string(what) + " " + run + " " + std::to_string(inode) + " " + now() + "\n");
}

// Nobody may be there to be told; until somebody is, or we are to end. A full socket is waited for.
bool tell(const std::string& text, int fd = -1) {
  while (notify(text, fd) != 0) {
    if (asked_to_end != 0) return false;
    wait_us(20'000);
  }
  return true;
}

// Each has a name of its own, so that at no time nothing is stored: first our own, then away with what we were given.
void exchange_stored() {
  std::istringstream names(variable("LISTEN_FDNAMES"));
  std::vector<std::pair<std::string, std::uint64_t>> given;
  int fd = 3;
  for (std::string name; std::getline(names, name, ':'); ++fd) {
    char text[32] = {};
    (void)!pread(fd, text, sizeof text - 1, 0);
    given.emplace_back(name, inode_of(fd));
    record("got " + run + " " + std::to_string(given.back().second) + " " +
           std::to_string(std::strtoull(text, nullptr, 10)) + "\n");
    close(fd);
  }
  const int own = memfd_create("stored", MFD_CLOEXEC);
  if (own < 0 || write(own, run.data(), run.size()) < 0) _exit(118);
  record_stored("keeps", inode_of(own));
  if (!tell("FDSTORE=1\nFDNAME=of-" + run, own)) return;
  record_stored("kept", inode_of(own));
  close(own);
  for (const auto& [name, inode] : given) {
    record_stored("drops", inode);
    if (!tell("FDSTOREREMOVE=1\nFDNAME=" + name)) return;
    record_stored("dropped", inode);
  }
}

[[noreturn]] void write_until_told() {
  for (int fd = 3; fd < 3 + listeners; ++fd) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  for (int turn = 0; asked_to_end == 0; ++turn) {
    if (control->paused.load() == 0) write_line();
    serve_who_waits();
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
  if (character == "server") listeners = std::atoi(more);
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
  if (character == "storer") {
    exchange_stored();
    tell("READY=1");
  }
  if (character == "notifier") notify("READY=1\nSTATUS=run " + run, -1);
  if (character == "teller") {
    (void)!write(3, "\n", 1);
    close(3);
  }
  write_until_told();
}
