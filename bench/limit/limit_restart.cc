// limit_restart SVC KILLS [loop]: SIGKILL of a service to its successor's own time stamp, one bare parent. With
// `loop` the service exits by itself, and the figure is the time from one stamp to the next. See README.md.
#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace {

struct Stamp {
  int32_t id;
  int32_t pid;
  int64_t ns;
};

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

[[gnu::noinline]] pid_t start(char** argv) {
  const pid_t pid = vfork();
  if (pid == 0) {
    execve(argv[0], argv, environ);
    _exit(127);
  }
  return pid;
}

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
  const bool loop = argc > 3;
  const std::string fifo = "/dev/shm/limit-restart." + std::to_string(getpid());
  mkfifo(fifo.c_str(), 0600);
  const int from = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  char id[] = "0", again[] = "loop";
  char* service[] = {argv[1], id, const_cast<char*>(fifo.c_str()), loop ? again : nullptr, nullptr};
  const pid_t measuring = fork();
  if (measuring == 0) killer(from, atoi(argv[2]), loop);
  pid_t running = start(service);
  for (;;) {
    const pid_t ended = waitpid(-1, nullptr, 0);
    if (ended == measuring) break;
    if (ended == running) running = start(service);
  }
  kill(running, SIGKILL);
  waitpid(running, nullptr, 0);
  unlink(fifo.c_str());
}
