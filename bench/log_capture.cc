// How fast output gets from a FIFO to files: the real logger (raw, 10 MiB rotation) beside the bare loop that
// reads the same FIFO and writes one file, as `cat > file` does. Rounds are interleaved. One JSON object a line.
//
//   bench-log_capture [--quick] [--json] [--rounds N] [--dir DIR]
//
// DIR is where the files go (default: the system's place for temporary files); make it a disk, not memory.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "integration/logger/keeper_stand_in.h"

namespace {

namespace fs = std::filesystem;
using hearth::logger::test::KeeperStandIn;
using Clock = std::chrono::steady_clock;

struct Case {
  const char* name;
  std::size_t write_bytes;
  std::uint64_t total;
  int pipe_bytes;  // of the FIFO; 0 = the default
  double budget;
  hearth::wire::LogFormat format = hearth::wire::LogFormat::raw;
};

struct Sample {
  double mb_per_s = 0;
  double cpu_ns = 0;  // of the reading process
};

std::string logger_program() {
  return (fs::read_symlink("/proc/self/exe").parent_path() / "hearth-logger").string();
}

// Writes `total` bytes as lines of 100 bytes, `size` at a time, and ends.
pid_t start_writer(int fifo, std::size_t size, std::uint64_t total) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::string bytes(size, 'x');
  for (std::size_t i = 99; i < size; i += 100) bytes[i] = '\n';
  for (std::uint64_t done = 0; done < total; done += size) {
    if (write(fifo, bytes.data(), size) != static_cast<ssize_t>(size)) _exit(1);
  }
  _exit(0);
}

double mb_per_s(std::uint64_t bytes, Clock::time_point begin) {
  return static_cast<double>(bytes) / 1e6 / std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_of(const rusage& usage) {
  auto ns = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
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

// The limit: read, write, nothing else.
Sample run_limit(const Case& c, const std::string& directory) {
  int ends[2];
  HEARTH_CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  widen(ends[0], c.pipe_bytes);
  std::string path = directory + "/limit";
  Clock::time_point begin = Clock::now();
  pid_t reader = fork();
  if (reader == 0) {
    close(ends[1]);
    int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    std::vector<char> buffer(128u << 10);
    for (;;) {
      ssize_t got = read(ends[0], buffer.data(), buffer.size());
      if (got <= 0) _exit(got < 0);
      if (write(file, buffer.data(), static_cast<std::size_t>(got)) != got) _exit(1);
    }
  }
  pid_t writer = start_writer(ends[1], c.write_bytes, c.total);
  close(ends[0]);
  close(ends[1]);
  rusage usage{};
  int status = 0;
  wait4(reader, &status, 0, &usage);
  Sample sample{mb_per_s(c.total, begin), cpu_of(usage)};
  HEARTH_CHECK(status == 0 && fs::file_size(path) >= c.total, "the limit loop wrote everything");
  waitpid(writer, nullptr, 0);
  fs::remove(path);
  return sample;
}

Sample run_logger(const Case& c, const std::string& directory) {
  fs::create_directory(directory + "/logs");
  KeeperStandIn keeper(logger_program(), directory + "/logs");
  keeper.widen_in_flight_pipe(c.pipe_bytes);
  keeper.configure(0, {.directory = "s", .format = c.format, .max_files = 100'000});
  hearth::os::Fd fifo = keeper.add_run(1, 0);
  widen(fifo.get(), c.pipe_bytes);
  keeper.start();
  HEARTH_CHECK(keeper.wait_acknowledged(), "the logger has started");
  double cpu_before = cpu_of(keeper.pid());
  Clock::time_point begin = Clock::now();
  pid_t writer = start_writer(fifo.get(), c.write_bytes, c.total);
  fifo.reset();
  bool done = keeper.wait_until([&] { return keeper.stream(0).eof_run.load() == 1; }, std::chrono::seconds(300));
  Sample sample{mb_per_s(c.total, begin), cpu_of(keeper.pid()) - cpu_before};
  HEARTH_CHECK(done && keeper.stream(0).written.load() >= c.total, "the logger wrote everything");
  waitpid(writer, nullptr, 0);
  HEARTH_CHECK(keeper.stop() == 0, "the logger has ended");
  fs::remove_all(directory + "/logs");
  return sample;
}

struct Spread {
  double median, least, most;
};
Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

void print_row(const std::string& name, const char* unit, const std::vector<double>& ours,
               const std::vector<double>& limit, const char* budget) {
  Spread a = spread_of(ours);
  Spread b = spread_of(limit);
  printf(
      "{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"limit\":%.1f,\"ratio\":%.2f,\"min\":%.1f,\"max\":%.1f,"
      "\"limit_min\":%.1f,\"limit_max\":%.1f,\"budget\":\"%s\",\"rounds\":%zu}\n",
      name.c_str(), a.median, unit, b.median, b.median > 0 ? a.median / b.median : 0, a.least, a.most, b.least, b.most,
      budget, ours.size());
  fflush(stdout);
}

void run_case(const Case& c, int rounds, const std::string& directory) {
  std::vector<double> ours, limit, our_cpu, limit_cpu;
  double lines = static_cast<double>(c.total) / 100;
  for (int round = 0; round < rounds; ++round) {
    // Who goes first changes, so that neither always inherits the other's dirty pages.
    Sample a, b;
    if (round % 2 == 0) {
      b = run_limit(c, directory);
      a = run_logger(c, directory);
    } else {
      a = run_logger(c, directory);
      b = run_limit(c, directory);
    }
    ours.push_back(a.mb_per_s);
    limit.push_back(b.mb_per_s);
    our_cpu.push_back(a.cpu_ns / lines);
    limit_cpu.push_back(b.cpu_ns / lines);
  }
  char budget[32] = "none";
  if (c.budget > 0) snprintf(budget, sizeof budget, ">= %.1f x limit", c.budget);
  print_row(std::string("log capture, ") + c.name, "MB/s", ours, limit, budget);
  print_row(std::string("log capture CPU per 100 B line, ") + c.name, "ns", our_cpu, limit_cpu, "none");
}

}  // namespace

int main(int argc, char** argv) {
  bool quick = false;
  int rounds = 9;
  fs::path base = fs::temp_directory_path();
  for (int i = 1; i < argc; ++i) {
    std::string option = argv[i];
    if (option == "--quick")
      quick = true;
    else if (option == "--rounds" && i + 1 < argc)
      rounds = std::max(1, atoi(argv[++i]));
    else if (option == "--dir" && i + 1 < argc)
      base = argv[++i];
    else if (option != "--json") {
      fprintf(stderr, "bench-log_capture [--quick] [--json] [--rounds N] [--dir DIR]\n");
      return 2;
    }
  }
  if (quick) rounds = std::min(rounds, 3);
  std::uint64_t scale = quick ? 1 : 4;
  std::string directory = (base / "hearth-bench-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    perror("bench-log_capture: make a directory for the files");
    return 1;
  }
  using hearth::wire::LogFormat;
  std::uint64_t large = scale * 128u * 1'048'576u;
  std::uint64_t small = scale * 32u * 1'048'500u;
  const Case cases[] = {
      {"64 KiB writes", 65'536, large, 0, 0.8},
      {"64 KiB writes, 1 MiB pipes", 65'536, large, 1 << 20, 0.9},
      {"100 B writes", 100, small, 0, 1.5},
      {"100 B writes, stamped", 100, small, 0, 0, LogFormat::stamped},
      {"100 B writes, json", 100, small, 0, 0, LogFormat::json},
  };
  for (const Case& c : cases) run_case(c, rounds, directory);
  fs::remove_all(directory);
}
