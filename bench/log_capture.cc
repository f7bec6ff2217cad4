// How fast output gets from a FIFO to files, and what that costs: the real logger (10 MiB rotation) beside the bare
// loop that reads the same pipe and writes one file, as `cat > file` does, and beside others who do the like. Rounds
// are interleaved, and whoever goes first changes. The CPU is that of the reading process alone.
//
//   bench-log_capture [--quick] [--json] [--rounds N] [--only WORD] [--no-peers] [--dir DIR]
//
// DIR is where all files go (default: the system's place for temporary files); make it a disk, not memory.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "integration/logger/keeper_stand_in.h"
#include "log_peers.h"

namespace {

namespace fs = std::filesystem;
using namespace hearth::bench;
using hearth::logger::test::KeeperStandIn;
using hearth::wire::LogFormat;

struct Case {
  const char* name;
  Load load;
  double speed_budget;  // of the limit's, at least; 0 = none
  bool cpu_budget;      // CPU per line at most that of s6-log
  LogFormat format = LogFormat::raw;
  std::vector<Peer> peers = {};
};

std::string logger_program() {
  return (fs::read_symlink("/proc/self/exe").parent_path() / "hearth-logger").string();
}

Sample run_logger(const Case& c, const std::string& directory) {
  const Load& load = c.load;
  fs::create_directory(directory + "/logs");
  KeeperStandIn keeper(logger_program(), directory + "/logs");
  keeper.widen_in_flight_pipe(1 << 20);  // as the keeper does
  keeper.configure(0, {.directory = "s", .format = c.format, .max_files = 100'000});
  hearth::os::Fd fifo = keeper.add_run(1, 0);
  widen(fifo.get(), load.pipe_bytes);
  keeper.start();
  HEARTH_CHECK(keeper.wait_acknowledged(), "the logger has started");
  const double cpu_before = cpu_of(keeper.pid());
  const Clock::time_point begin = Clock::now();
  const pid_t writer = start_writer(fifo.get(), load);
  fifo.reset();
  waitpid(writer, nullptr, 0);
  keeper.end_run(1, 0);
  const bool done = keeper.wait_drained(1, 0);
  Sample sample{mb_per_s(load.total, begin), cpu_of(keeper.pid()) - cpu_before};
  HEARTH_CHECK(done && keeper.stream(0).written.load() >= load.total, "the logger wrote everything");
  HEARTH_CHECK(keeper.stop() == 0, "the logger has ended");
  sample.missing = load.lines() - std::min(load.lines(), count_lines(directory + "/logs/s"));
  fs::remove_all(directory + "/logs");
  return sample;
}

using Values = std::vector<double>;
struct Measured {
  Values speed, cpu_per_line;
  double missing = 0;
};

struct Spread {
  double median, least, most;
};
Spread spread_of(Values values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

class Report {
 public:
  explicit Report(bool as_json) : json_(as_json) {
    if (!json_)
      printf("%-58s%10s %-5s%9s%9s%10s%7s  %s\n", "name", "value", "unit", "min", "max", "limit", "ratio", "budget");
  }

  // `budget`: of the ratio. At least that when positive, at most its absolute value when negative, 0 = none.
  void row(const std::string& name, const char* unit, const Values& values, const Values& limit, double budget) {
    const Spread a = spread_of(values);
    const Spread b = spread_of(limit);
    const double ratio = b.median > 0 ? a.median / b.median : 0;
    const bool ok = budget >= 0 ? ratio >= budget : ratio <= -budget;
    char text[32] = "";
    if (budget != 0) snprintf(text, sizeof text, "%s %.1f x", budget > 0 ? ">=" : "<=", std::abs(budget));
    if (json_) {
      printf(
          "{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"limit\":%.1f,\"ratio\":%.2f,\"min\":%.1f,\"max\":%.1f,"
          "\"limit_min\":%.1f,\"limit_max\":%.1f,\"budget\":\"%s\",\"ok\":%s,\"rounds\":%zu}\n",
          name.c_str(), a.median, unit, b.median, ratio, a.least, a.most, b.least, b.most, budget == 0 ? "none" : text,
          budget == 0 ? "null"
          : ok        ? "true"
                      : "false",
          values.size());
    } else {
      printf("%-58s%10.1f %-5s%9.1f%9.1f%10.1f%7.2f  %s%s\n", name.c_str(), a.median, unit, a.least, a.most, b.median,
             ratio, text,
             budget == 0 ? ""
             : ok        ? "  ok"
                         : "  MISSED");
    }
    fflush(stdout);
  }

  void lost(const std::string& name, double lines) {
    if (json_) {
      printf(
          "{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"lines\",\"limit\":0,\"ratio\":null,\"budget\":\"0\",\"ok\":%s}\n",
          name.c_str(), lines, lines == 0 ? "true" : "false");
    } else {
      printf("%-58s%10.0f %-5s%42s%s\n", name.c_str(), lines, "lines", "0", lines == 0 ? "  ok" : "  MISSED");
    }
    fflush(stdout);
  }

  void absent(const std::string& name) {
    if (json_) {
      printf(
          "{\"name\":\"%s\",\"value\":null,\"unit\":\"MB/s\",\"limit\":null,\"ratio\":null,\"note\":\"not "
          "installed\"}\n",
          name.c_str());
    } else {
      printf("%-58s not installed\n", name.c_str());
    }
  }

 private:
  bool json_;
};

void add(Measured& to, const Sample& sample, const Load& load) {
  to.speed.push_back(sample.mb_per_s);
  to.cpu_per_line.push_back(sample.cpu_ns / static_cast<double>(load.total / 100));
  to.missing += static_cast<double>(sample.missing);
}

void run_case(Report& report, const Case& c, int rounds, bool with_peers, const std::string& directory) {
  std::vector<Peer> others;
  for (const Peer& peer : c.peers)
    if (with_peers && peer.installed()) others.push_back(peer);
  Measured ours, limit;
  std::map<std::string, Measured> theirs;
  const std::size_t contestants = others.size() + 2;
  for (int round = 0; round < rounds; ++round) {
    // Nobody always inherits the same neighbour's dirty pages.
    for (std::size_t i = 0; i < contestants; ++i) {
      const std::size_t who = (i + static_cast<std::size_t>(round)) % contestants;
      if (who == 0) {
        add(limit, bare_loop.run(c.load, directory), c.load);
      } else if (who == 1) {
        add(ours, run_logger(c, directory), c.load);
      } else {
        add(theirs[others[who - 2].name], others[who - 2].run(c.load, directory), c.load);
      }
    }
  }
  const std::string name = std::string("log capture, ") + c.name;
  const std::string cpu = std::string("log capture CPU per line, ") + c.name;
  report.row(name, "MB/s", ours.speed, limit.speed, c.speed_budget);
  report.lost(std::string("log capture lost, ") + c.name, ours.missing);
  report.row(cpu, "ns", ours.cpu_per_line, limit.cpu_per_line, 0);
  if (theirs.contains("s6-log"))
    report.row(cpu + ", beside s6-log", "ns", ours.cpu_per_line, theirs["s6-log"].cpu_per_line,
               c.cpu_budget ? -1.0 : 0);
  for (const Peer& peer : c.peers) {
    if (!with_peers) break;
    if (!theirs.contains(peer.name)) {
      report.absent(name + ": " + peer.name);
      continue;
    }
    report.row(name + ": " + peer.name, "MB/s", theirs[peer.name].speed, limit.speed, 0);
    report.row(cpu + ": " + peer.name, "ns", theirs[peer.name].cpu_per_line, limit.cpu_per_line, 0);
  }
}

std::vector<Case> cases(std::uint64_t scale) {
  const std::uint64_t large = scale * 64u * 1'048'576u;
  const std::uint64_t small = scale * 16u * 1'048'500u;
  constexpr int wide = 1 << 20;
  return {
      {"64 KiB writes", {65'536, large}, 0.8, false, LogFormat::raw, raw_peers},
      {"64 KiB writes, 1 MiB pipes", {65'536, large, wide}, 0.9, false},
      {"64 KiB writes, stamped", {65'536, large}, 0, true, LogFormat::stamped, stamped_peers},
      {"64 KiB writes, json", {65'536, large}, 0, false, LogFormat::json},
      {"100 B writes", {100, small}, 1.5, true, LogFormat::raw, raw_peers},
      {"100 B writes, 1 MiB pipes", {100, small, wide}, 0.9, false},
      {"100 B writes, stamped", {100, small}, 0, true, LogFormat::stamped, stamped_peers},
      {"100 B writes, json", {100, small}, 0, false, LogFormat::json},
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--write") return writer_main(argv[2], argv[3], argv[4]);
  bool quick = false, as_json = false, with_peers = true;
  int rounds = 9;
  std::string only;
  fs::path base = fs::temp_directory_path();
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick")
      quick = true;
    else if (option == "--json")
      as_json = true;
    else if (option == "--no-peers")
      with_peers = false;
    else if (option == "--rounds" && i + 1 < argc)
      rounds = std::max(1, atoi(argv[++i]));
    else if (option == "--only" && i + 1 < argc)
      only = argv[++i];
    else if (option == "--dir" && i + 1 < argc)
      base = argv[++i];
    else {
      fprintf(stderr, "bench-log_capture [--quick] [--json] [--rounds N] [--only WORD] [--no-peers] [--dir DIR]\n");
      return 2;
    }
  }
  if (quick) rounds = std::min(rounds, 3);
  std::string directory = (base / "hearth-bench-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    perror("bench-log_capture: make a directory for the files");
    return 1;
  }
  Report report(as_json);
  for (const Case& c : cases(quick ? 1 : 4)) {
    if (only.empty() || std::string_view(c.name).find(only) != std::string_view::npos)
      run_case(report, c, rounds, with_peers, directory);
  }
  fs::remove_all(directory);
}
