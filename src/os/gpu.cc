#include "os/gpu.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/split.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/instance.h"

namespace hearth::os {
namespace {

constexpr std::size_t answer_max = 1u << 20;

// What it writes, until it ends or `limit` is over: then it is killed, and there is no answer.
bool output_of(std::vector<std::string> command, SpanNs limit, std::string& out, int& error) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return error = errno, false;
  Fd reader(ends[0]), writer(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  writer.reset();
  if (error != 0) return false;
  const MonoNs end = after(read_mono(), limit);
  bool whole = false;
  while (out.size() < answer_max) {
    pollfd waited{reader.get(), POLLIN, 0};
    const MonoNs left = end - read_mono();
    if (left <= 0 || ::poll(&waited, 1, static_cast<int>(left / ns_per_ms) + 1) <= 0) break;
    char buffer[4096];
    const ssize_t got = ::read(reader.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      whole = got == 0;
      break;
    }
    out.append(buffer, static_cast<std::size_t>(got));
  }
  if (!whole) ::kill(pid, SIGKILL);
  int status = 0;
  pid_t ended = 0;
  // In the kernel for good, as where a driver hangs, it does not end by KILL either: then it is left.
  for (int looks = 0; (ended = ::waitpid(pid, &status, whole ? 0 : WNOHANG)) <= 0; ++looks) {
    if (ended < 0 && errno != EINTR) break;
    if (!whole && looks >= 100) return error = ETIMEDOUT, false;
    if (!whole) ::poll(nullptr, 0, 10);
  }
  if (!whole || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return error = whole ? EIO : ETIMEDOUT, false;
  return true;
}

GpuReport amd_memory() {
  GpuReport report;
  const std::string base = "/sys/class/drm";
  DIR* directory = ::opendir(base.c_str());
  if (directory == nullptr) return report;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string card = entry->d_name;
    if (!card.starts_with("card") || card.find('-') != card.npos) continue;
    const Result<std::string> used = read_file(base + "/" + card + "/device/mem_info_vram_used", 64);
    if (!used) continue;
    report.seen = true;
    report.uses.push_back({card, 0, std::strtoull(used->c_str(), nullptr, 10)});
  }
  ::closedir(directory);
  return report;
}

}  // namespace

std::vector<GpuUse> parse_compute_apps(const std::string& text) {
  std::vector<GpuUse> uses;
  std::string_view lines = text;
  while (const auto taken = take_line(lines)) {
    const std::string line(*taken);
    const std::size_t first = line.find(','), second = first == line.npos ? first : line.find(',', first + 1);
    if (second == line.npos) continue;
    char* end = nullptr;
    const long pid = std::strtol(line.c_str(), &end, 10);
    if (end == line.c_str() || pid <= 0) continue;
    const std::size_t name = line.find_first_not_of(' ', first + 1);
    GpuUse use;
    use.gpu = line.substr(name, second - name);
    use.pid = static_cast<int>(pid);
    use.bytes = std::strtoull(line.c_str() + second + 1, nullptr, 10) << 20;
    uses.push_back(std::move(use));
  }
  return uses;
}

GpuReport gpu_memory(SpanNs limit) {
  std::string text;
  int error = 0;
  if (output_of({"nvidia-smi", "--query-compute-apps=pid,gpu_uuid,used_memory", "--format=csv,noheader,nounits"}, limit,
                text, error))
    return {true, {}, parse_compute_apps(text)};
  if (error == ENOENT) return amd_memory();
  GpuReport report;
  report.seen = true;
  report.trouble = error == ETIMEDOUT ? "nvidia-smi does not answer: the driver hangs" : "nvidia-smi fails";
  return report;
}

}  // namespace hearth::os
