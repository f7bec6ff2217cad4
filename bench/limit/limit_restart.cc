// limit_restart SVC KILLS [same] [loop]: SIGKILL of a service to its successor's own time stamp, one bare parent. With
// `same` each run has a FIFO, made ahead, and a cgroup leaf; with `loop` the service exits by itself, and the figure is
// the time from one stamp to the next. See README.md.
#include <algorithm>
#include <poll.h>
#include <string.h>
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

// What each run has of its own in `same`, as in limit_scale.
class Belongings {
 public:
  explicit Belongings(bool wanted) : parent_(wanted ? leaf_parent() : ""), wanted_(wanted) { make_fifo(); }

  pid_t start_next(char** argv) {
    if (!wanted_) return start(argv);
    int leaf = -1;
    if (!parent_.empty()) {
      if (mkdir(leaf_path(run_).c_str(), 0755) != 0) give_up("leaf");
      leaf = open(leaf_path(run_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    const pid_t pid = start_into(argv, leaf, write_end_);
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

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  bool loop = false;
  bool same = false;
  for (int i = 3; i < argc; ++i) {
    loop |= strcmp(argv[i], "loop") == 0;
    same |= strcmp(argv[i], "same") == 0;
  }
  const std::string fifo = "/dev/shm/limit-restart." + std::to_string(getpid());
  mkfifo(fifo.c_str(), 0600);
  const int from = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  char id[] = "0", again[] = "loop";
  char* service[] = {argv[1], id, const_cast<char*>(fifo.c_str()), loop ? again : nullptr, nullptr};
  const pid_t measuring = fork();
  if (measuring == 0) killer(from, atoi(argv[2]), loop);
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
