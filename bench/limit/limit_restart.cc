// limit_restart SVC KILLS [same|relay] [loop]: SIGKILL of a service to its successor's own time stamp, one bare parent.
// With `same` each run has a FIFO, made ahead, and a cgroup leaf; with `relay` besides three processes do the work, as
// hearth does it: one that is the parent, one that decides, one that starts. With `loop` the service exits by itself, and
// the figure is the time from one stamp to the next. See README.md.
#include <algorithm>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <vector>

#include "bare.h"

using namespace limit;

namespace {

[[gnu::noinline]] pid_t start(char** argv) {
  const pid_t pid = vfork();
  if (pid == 0) {
    execve(argv[0], argv, environ);
    _exit(127);
  }
  return pid;
}

// The two descriptors of a run, leaf first; without leaves the output twice.
struct Order {
  char byte = 'o';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  Order() {
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
};

pid_t order(int starter, int leaf, int output) {
  Order order;
  cmsghdr* header = CMSG_FIRSTHDR(&order.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int both[2] = {leaf >= 0 ? leaf : output, output};
  memcpy(CMSG_DATA(header), both, sizeof both);
  if (sendmsg(starter, &order.message, 0) != 1) give_up("sendmsg");
  return 0;  // known to its parent
}

// Starts children of its own parent.
[[noreturn]] void starter(int orders, char** argv, bool leaves) {
  for (;;) {
    Order order;
    if (recvmsg(orders, &order.message, MSG_CMSG_CLOEXEC) != 1) _exit(0);
    int both[2];
    memcpy(both, CMSG_DATA(CMSG_FIRSTHDR(&order.message)), sizeof both);
    start_into(argv, leaves ? both[0] : -1, both[1], CLONE_PARENT);
    close(both[0]);
    close(both[1]);
  }
}

// What each run has of its own in `same`, as in limit_scale.
class Belongings {
 public:
  // `starter`: a socket to whoever starts in our place; -1 = nobody does.
  explicit Belongings(bool wanted, int starter = -1)
      : parent_(wanted ? leaf_parent() : ""), wanted_(wanted), starter_(starter) {
    make_fifo();
  }

  pid_t start_next(char** argv) {
    if (!wanted_) return start(argv);
    int leaf = -1;
    if (!parent_.empty()) {
      if (mkdir(leaf_path(run_).c_str(), 0755) != 0) give_up("leaf");
      leaf = open(leaf_path(run_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    const pid_t pid = starter_ >= 0 ? order(starter_, leaf, write_end_) : start_into(argv, leaf, write_end_);
    close(write_end_);
    if (leaf >= 0) close(leaf);
    return pid;
  }
  // After the start of the next: nobody waits for that.
  void clear_last_and_prepare() {
    if (!wanted_) return;
    if (run_ > 0) clear(run_ - 1, last_read_end_);
    last_read_end_ = read_end_;
    ++run_;
    make_fifo();
  }
  void clear_all() {
    if (!wanted_) return;
    clear(run_ - 1, last_read_end_);
    close(read_end_);
    close(write_end_);
    unlink(fifo_path(run_).c_str());
    if (!parent_.empty()) rmdir(parent_.c_str());
  }

 private:
  std::string leaf_path(int run) const { return parent_ + "/" + std::to_string(run); }
  std::string fifo_path(int run) const {
    return "/dev/shm/limit-restart." + std::to_string(getpid()) + "." + std::to_string(run);
  }
  void make_fifo() {
    if (!wanted_) return;
    if (mkfifo(fifo_path(run_).c_str(), 0600) != 0) give_up("mkfifo");
    read_end_ = open(fifo_path(run_).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    write_end_ = open(fifo_path(run_).c_str(), O_RDWR | O_CLOEXEC);
  }
  void clear(int run, int read_end) {
    if (!parent_.empty() && rmdir(leaf_path(run).c_str()) != 0) give_up("rmdir");
    close(read_end);
    unlink(fifo_path(run).c_str());
  }

  std::string parent_;
  bool wanted_;
  int starter_;
  int run_ = 0;
  int read_end_ = -1, write_end_ = -1, last_read_end_ = -1;
};

void print(std::vector<double>& ms) {
  std::sort(ms.begin(), ms.end());
  const size_t n = ms.size();
  printf("{\"kills\":%zu,\"min_ms\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", n, ms[0], ms[n / 2],
         ms[n * 99 / 100], ms[n - 1]);
  fflush(stdout);
}

// The killer: a quiet pause of 10 to 20 ms before each kill, as a user's crash comes out of idleness.
[[noreturn]] void killer(int from, int kills, bool loop) {
  std::vector<double> ms;
  Stamp stamp;
  if (read(from, &stamp, sizeof stamp) != sizeof stamp) _exit(1);
  srand(1);
  for (int i = 0; i < kills; ++i) {
    int64_t since = stamp.ns;
    if (!loop) {
      poll(nullptr, 0, 10 + rand() % 10);
      since = now_ns();
      kill(stamp.pid, SIGKILL);
    }
    if (read(from, &stamp, sizeof stamp) != sizeof stamp) _exit(1);
    ms.push_back(static_cast<double>(stamp.ns - since) / 1e6);
  }
  print(ms);
  _exit(0);
}

// Decides, at each ring, that the next is to be started.
[[noreturn]] void decider(int rings, int starter, char** service) {
  Belongings belongings(true, starter);
  uint64_t count;
  while (read(rings, &count, sizeof count) == sizeof count && count < UINT32_MAX) {
    belongings.start_next(service);
    belongings.clear_last_and_prepare();
  }
  belongings.clear_all();
  _exit(0);
}

std::vector<pid_t> children_but(pid_t one) {
  std::vector<pid_t> pids;
  FILE* list = fopen("/proc/thread-self/children", "r");
  for (pid_t pid; list != nullptr && fscanf(list, "%d", &pid) == 1;)
    if (pid != one) pids.push_back(pid);
  if (list != nullptr) fclose(list);
  return pids;
}

// The parent of all three kinds: it sees the deaths.
void relay(char** service, pid_t measuring) {
  int orders[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, orders) != 0) give_up("socketpair");
  const int rings = eventfd(0, EFD_CLOEXEC);
  const std::string probe = leaf_parent();
  if (!probe.empty()) rmdir(probe.c_str());
  const pid_t starting = fork();
  if (starting == 0) starter(orders[1], service, !probe.empty());
  const pid_t deciding = fork();
  if (deciding == 0) decider(rings, orders[0], service);
  const auto ring = [&](uint64_t count) {
    if (write(rings, &count, sizeof count) < 0) give_up("ring");
  };
  ring(1);
  siginfo_t ended{};
  for (;;) {
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT) != 0) give_up("waitid");
    if (ended.si_pid == measuring) break;
    ring(1);
    waitid(P_PID, static_cast<id_t>(ended.si_pid), nullptr, WEXITED);
  }
  kill(starting, SIGKILL);
  waitpid(starting, nullptr, 0);
  // Whoever is left is the last service, and it goes before its leaf does.
  for (const pid_t pid : children_but(deciding)) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
  ring(UINT32_MAX);
  waitpid(deciding, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  bool loop = false;
  bool same = false;
  bool relayed = false;
  for (int i = 3; i < argc; ++i) {
    loop |= strcmp(argv[i], "loop") == 0;
    same |= strcmp(argv[i], "same") == 0;
    relayed |= strcmp(argv[i], "relay") == 0;
  }
  const std::string fifo = "/dev/shm/limit-restart." + std::to_string(getpid());
  mkfifo(fifo.c_str(), 0600);
  const int from = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  char id[] = "0", again[] = "loop";
  char* service[] = {argv[1], id, const_cast<char*>(fifo.c_str()), loop ? again : nullptr, nullptr};
  const pid_t measuring = fork();
  if (measuring == 0) killer(from, atoi(argv[2]), loop);
  if (relayed) {
    relay(service, measuring);
    unlink(fifo.c_str());
    return 0;
  }
  Belongings belongings(same);
  pid_t running = belongings.start_next(service);
  belongings.clear_last_and_prepare();
  for (;;) {
    const pid_t ended = waitpid(-1, nullptr, 0);
    if (ended == measuring) break;
    if (ended != running) continue;
    running = belongings.start_next(service);
    belongings.clear_last_and_prepare();
  }
  kill(running, SIGKILL);
  waitpid(running, nullptr, 0);
  belongings.clear_all();
  unlink(fifo.c_str());
}
