// A service of many kinds, told by its first argument. Statically linked, so that starting it is cheap.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

volatile sig_atomic_t got_term;
void on_term(int) {
  got_term = got_term + 1;
}

std::string slurp(const char* path) {
  std::string text(4096, '\0');
  const int fd = open(path, O_RDONLY);
  const ssize_t got = fd < 0 ? 0 : read(fd, text.data(), text.size());
  if (fd >= 0) close(fd);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

// All that a plan sets, one "name=value" a line, to descriptor 1.
void describe() {
  std::string fds;
  DIR* directory = opendir("/proc/self/fd");
  for (dirent* e = readdir(directory); e != nullptr; e = readdir(directory))
    if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(directory)) fds += std::string(e->d_name) + ",";
  closedir(directory);
  rlimit nofile, core;
  getrlimit(RLIMIT_NOFILE, &nofile);
  getrlimit(RLIMIT_CORE, &core);
  char cwd[4096] = "";
  if (getcwd(cwd, sizeof cwd) == nullptr) cwd[0] = 0;
  const mode_t mask = umask(0);
  printf("pid=%d\nppid=%d\nsid=%d\npgid=%d\nfds=%s\n", getpid(), getppid(), getsid(0), getpgid(0), fds.c_str());
  printf("nofile=%llu:%llu\ncore=%llu\n", static_cast<unsigned long long>(nofile.rlim_cur),
         static_cast<unsigned long long>(nofile.rlim_max), static_cast<unsigned long long>(core.rlim_cur));
  printf("cwd=%s\numask=%o\nnice=%d\nuid=%u\ngid=%u\ngroups=%d\n", cwd, mask, getpriority(PRIO_PROCESS, 0), getuid(),
         getgid(), getgroups(0, nullptr));
  printf("oom=%s", slurp("/proc/self/oom_score_adj").c_str());
  printf("ioprio=%ld\npolicy=%d\n", syscall(SYS_ioprio_get, 1, 0), sched_getscheduler(0));
  char input[4096] = "";
  if (readlink("/proc/self/fd/0", input, sizeof input - 1) < 0) input[0] = 0;
  printf("input=%s\n", input);
  printf("env_pid=%s\n", getenv("LISTEN_PID") != nullptr ? getenv("LISTEN_PID") : "");
  const std::string status = slurp("/proc/self/status");
  for (const char* field : {"SigBlk:", "SigIgn:", "SigCgt:", "Cpus_allowed_list:", "CapInh:", "CapPrm:", "CapEff:",
                            "CapBnd:", "CapAmb:", "NoNewPrivs:"}) {
    const size_t at = status.find(field);
    printf("%s\n", status.substr(at, status.find('\n', at) - at).c_str());
  }
  printf("%s", slurp("/proc/self/cgroup").c_str());
  fflush(stdout);
}

// Orphans, as a program makes them that daemonizes: `count` of them, `batch` at a time.
void orphans(int count, int batch) {
  for (int i = 0; i < count; i += batch) {
    for (int j = 0; j < batch && i + j < count; ++j) {
      const pid_t child = fork();
      if (child == 0) {
        if (fork() == 0) _exit(7);
        _exit(0);
      }
    }
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }
}

// What it does when it is given to a keeper as its next program is told by the name of its file.
int stand_in_for_a_keeper() {
  char path[4096] = "";
  if (readlink("/proc/self/exe", path, sizeof path - 1) < 0) return 1;
  const std::string name = path + std::string(path).rfind('/') + 1;
  if (name == "crashes") abort();
  while (name == "hangs") pause();
  return atoi(name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  const int number = argc > 2 ? atoi(argv[2]) : 0;
  if (kind == "--dir") return stand_in_for_a_keeper();
  if (kind == "exit") return number;
  if (kind == "describe") describe();
  if (kind == "orphans") orphans(number, 20);
  // Answers each TERM with a byte on descriptor 1.
  if (kind == "count-terms") {
    struct sigaction action = {};
    action.sa_handler = on_term;
    sigaction(SIGTERM, &action, nullptr);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &old);
    if (write(1, "r", 1) != 1) return 1;
    for (int told = 0;;) {
      for (; told < got_term; ++told)
        if (write(1, "t", 1) != 1) return 1;
      sigsuspend(&old);
    }
  }
  // A leader that ends while a child in its group stays; the child says so when it is there.
  if (kind == "leave-child") {
    if (fork() == 0) {
      if (write(1, "c", 1) != 1) return 1;
      for (;;) pause();
    }
    pollfd forever = {0, 0, 0};
    if (number == 0) poll(&forever, 0, -1);
    return number;
  }
  // A leader that ends and leaves a daemon, in a session of its own (1) or in its group; that says its PID.
  if (kind == "leave-daemon") {
    if (fork() != 0) return 0;
    if (number == 1) setsid();
    dprintf(1, "%d\n", getpid());
    for (;;) pause();
  }
  if (kind == "pause") {
    if (write(1, "r", 1) != 1) return 1;
    for (;;) pause();
  }
  return 0;
}
