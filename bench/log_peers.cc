#include "log_peers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/check.h"

namespace hearth::bench {
namespace {

namespace fs = std::filesystem;

std::string block_of(std::size_t size) {
  std::string bytes(size, 'x');
  for (std::size_t i = 99; i < size; i += 100) bytes[i] = '\n';
  return bytes;
}

bool write_all(int to, std::size_t size, std::uint64_t total) {
  const std::string bytes = block_of(size);
  for (std::uint64_t done = 0; done < total; done += size) {
    if (write(to, bytes.data(), size) != static_cast<ssize_t>(size)) return false;
  }
  return true;
}

double cpu_in(const rusage& usage) {
  const auto ns = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

std::string in_path(const std::string& program) {
  const char* path = getenv("PATH");
  std::istringstream places(path != nullptr ? path : "");
  for (std::string place; std::getline(places, place, ':');) {
    const std::string full = place + "/" + program;
    if (access(full.c_str(), X_OK) == 0) return full;
  }
  return {};
}

[[noreturn]] void copy_loop(const std::string& path) {
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  std::vector<char> buffer(128u << 10);
  for (;;) {
    const ssize_t got = read(0, buffer.data(), buffer.size());
    if (got <= 0) _exit(got < 0);
    if (write(file, buffer.data(), static_cast<std::size_t>(got)) != got) _exit(1);
  }
}

[[noreturn]] void execute(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

// A reader that gets the pipe as its standard input and ends with it. `body` is its whole life after the fork.
template <typename Body>
Sample run_reader(const Load& load, const std::string& directory, Body body) {
  const std::string out = directory + "/peer";
  fs::create_directory(out);
  int ends[2];
  HEARTH_CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  widen(ends[0], load.pipe_bytes);
  const Clock::time_point begin = Clock::now();
  const pid_t reader = fork();
  if (reader == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[0], 0);
    close(ends[0]);
    close(ends[1]);
    body(out);
  }
  const pid_t writer = start_writer(ends[1], load);
  close(ends[0]);
  close(ends[1]);
  rusage usage{};
  int status = 0;
  wait4(reader, &status, 0, &usage);
  Sample sample{mb_per_s(load.total, begin), cpu_in(usage)};
  HEARTH_CHECK(status == 0, "the reader has read everything");
  waitpid(writer, nullptr, 0);
  sample.missing = load.lines() - std::min(load.lines(), count_lines(out));
  fs::remove_all(out);
  return sample;
}

Sample run_loop(const Load& load, const std::string& directory) {
  return run_reader(load, directory, [](const std::string& out) { copy_loop(out + "/file"); });
}

Sample run_cat(const Load& load, const std::string& directory) {
  return run_reader(load, directory, [](const std::string& out) {
    dup2(open((out + "/file").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
    execute({"cat"});
  });
}

Sample run_s6(const Load& load, const std::string& directory) {
  return run_reader(load, directory, [](const std::string& out) { execute({"s6-log", "n1000", "s10485760", out}); });
}

Sample run_s6_stamped(const Load& load, const std::string& directory) {
  return run_reader(load, directory,
                    [](const std::string& out) { execute({"s6-log", "n1000", "s10485760", "T", out}); });
}

std::uint64_t bytes_in(const std::string& directory) {
  std::uint64_t sum = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) sum += entry.file_size(ignored);
  return sum;
}

// supervisord makes its own pipe and starts the writer itself, which then waits for us.
Sample run_supervisord(const Load& load, const std::string& directory) {
  const std::string out = directory + "/peer";
  fs::create_directory(out);
  const std::string go = directory + "/go";
  HEARTH_CHECK(mkfifo(go.c_str(), 0600) == 0, "mkfifo");
  const std::string conf = directory + "/supervisord.conf";
  std::ofstream(conf) << "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=" << directory
                      << "/pid\nchildlogdir=" << directory
                      << "\n[program:writer]\ncommand=" << fs::read_symlink("/proc/self/exe").string() << " --write "
                      << load.write_bytes << " " << load.total << " " << go
                      << "\nautorestart=false\nstartsecs=0\nstdout_logfile=" << out
                      << "/out\nstdout_logfile_maxbytes=10485760\nstdout_logfile_backups=1000\n";
  const pid_t reader = fork();
  if (reader == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(null, 2);
    execute({"supervisord", "-n", "-c", conf});
  }
  const int start = open(go.c_str(), O_WRONLY | O_CLOEXEC);  // returns when the writer is there
  const double cpu_before = cpu_of(reader);
  const Clock::time_point begin = Clock::now();
  HEARTH_CHECK(write(start, "g", 1) == 1, "let the writer go");
  close(start);
  while (bytes_in(out) < load.total && Clock::now() - begin < std::chrono::seconds(120)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Sample sample{mb_per_s(load.total, begin), cpu_of(reader) - cpu_before};
  kill(reader, SIGTERM);
  waitpid(reader, nullptr, 0);
  sample.missing = load.lines() - std::min(load.lines(), count_lines(out));
  fs::remove_all(out);
  fs::remove(go);
  return sample;
}

}  // namespace

double mb_per_s(std::uint64_t bytes, Clock::time_point begin) {
  return static_cast<double>(bytes) / 1e6 / std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/schedstat");
  double ns = 0;
  stat >> ns;
  return ns;
}

void widen(int fd, int pipe_bytes) {
  if (pipe_bytes > 0 && fcntl(fd, F_SETPIPE_SZ, pipe_bytes) < 0) perror("widen the pipe");
}

std::uint64_t count_lines(const std::string& directory) {
  std::uint64_t lines = 0;
  std::vector<char> buffer(256u << 10);
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_symlink() || !entry.is_regular_file()) continue;
    const int file = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 0; (got = read(file, buffer.data(), buffer.size())) > 0;)
      lines += static_cast<std::uint64_t>(std::count(buffer.data(), buffer.data() + got, '\n'));
    close(file);
  }
  return lines;
}

pid_t start_writer(int pipe, const Load& load) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  _exit(write_all(pipe, load.write_bytes, load.total) ? 0 : 1);
}

int writer_main(const char* write_bytes, const char* total, const char* go) {
  const int start = open(go, O_RDONLY | O_CLOEXEC);
  char byte = 0;
  if (read(start, &byte, 1) != 1) return 1;
  return write_all(1, strtoull(write_bytes, nullptr, 10), strtoull(total, nullptr, 10)) ? 0 : 1;
}

bool Peer::installed() const {
  return program == nullptr || !in_path(program).empty();
}

const Peer bare_loop = {"bare loop", nullptr, run_loop};
const std::vector<Peer> raw_peers = {
    {"cat", "cat", run_cat}, {"s6-log", "s6-log", run_s6}, {"supervisord", "supervisord", run_supervisord}};
const std::vector<Peer> stamped_peers = {{"s6-log", "s6-log", run_s6_stamped}};

}  // namespace hearth::bench
