#include "cli/reset.h"

#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/left_behind.h"
#include "os/cgroup.h"
#include "os/clock.h"
#include "os/holders.h"
#include "os/own_file.h"
#include "os/proc_stat.h"
#include "os/run_identity.h"
#include "os/state_directory.h"
#include "os/sweep.h"

namespace hearth::cli {
namespace {

constexpr int rounds_max = 50;  // a keeper may start another supervisor, and that another keeper, while we look
constexpr int end_wait_ms = 2000, arrival_wait_ms = 20;
constexpr std::size_t list_bytes_max = 64u << 20;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::vector<std::string> entries_of(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

// The instance's lock, when nobody else has it or its file any more. It may be on its way in a socket, from a supervisor to a
// keeper that it has started in the place of a dead one: nobody has it open then, and yet it is taken, until that keeper
// has it, or is gone.
os::Fd end_hearth(const std::string& path, ResetReport& report) {
  bool seen = true;
  for (int round = 0; round < rounds_max; ++round) {
    const std::vector<os::Holder> holders = os::holders_of(path);
    seen = !holders.empty();
    if (!seen) {
      os::Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
      if (!lock) {
        report.trouble = errno_error("open", path, errno).text();
        return {};
      }
      if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
      lock.reset();
      ::poll(nullptr, 0, arrival_wait_ms);
      continue;
    }
    for (const os::Holder& holder : holders) (void)os::pidfd_signal(holder.pidfd.get(), SIGKILL);
    for (const os::Holder& holder : holders) {
      pollfd ended{holder.pidfd.get(), POLLIN, 0};
      if (::poll(&ended, 1, end_wait_ms) == 1) {
        report.hearth.push_back({holder.command, holder.pid});
        continue;
      }
      report.survivors.push_back(fmt::format("{} (PID {})", holder.command, holder.pid));
      report.trouble = "a process of hearth cannot be killed: it hangs in the kernel, or is another user's";
      return {};
    }
  }
  report.trouble = seen ? "hearth is started again and again, by a service manager perhaps: stop that first"
                        : "somebody has the instance's lock who cannot be seen: run it as root, or where hearth runs "
                          "if that is another PID namespace (a container)";
  return {};
}

// What runs of this instance, by label: the oldest process of each is where its sweep begins.
std::map<std::string, pid_t> find_services(const std::string& directory) {
  std::map<std::string, pid_t> found;
  for (const LeftRun& run : left_runs(directory)) found.emplace(run.label, static_cast<pid_t>(run.pid));
  for (const pid_t pid : os::list_processes()) {
    if (pid == ::getpid() || os::environment_of(pid, "HEARTH_INSTANCE") != directory) continue;
    const std::string label = os::environment_of(pid, "HEARTH_SLOT");
    if (!label.empty() && os::judged_by(pid) == pid) found.emplace(label, pid);
  }
  return found;
}

std::vector<os::Fd> open_outputs(const std::string& directory) {
  std::vector<os::Fd> ends;
  for (const std::string& name : entries_of(directory + "/o")) {
    os::Fd end(::open((directory + "/o/" + name).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    if (end) ends.push_back(std::move(end));
  }
  return ends;
}

void sweep(const std::string& directory, const std::string& label, pid_t leader, const std::vector<os::Fd>& outputs,
           ResetReport& report) {
  os::SweepTarget target;
  target.instance = directory;
  target.label = label;
  target.mark = os::sweep_mark(directory, label);
  target.leader = leader;
  target.leader_ticks = os::start_ticks(leader);
  for (const os::Fd& end : outputs) target.outputs.push_back(end.get());
  target.spare = {::getpid(), ::getppid()};
  os::Sweep its(std::move(target));
  while (its.step(os::read_mono()) == os::Sweep::State::again)
    if (its.pause() > 0) ::poll(nullptr, 0, static_cast<int>(its.pause() / ns_per_ms));
  report.services.push_back(label);
  report.processes += its.killed();
  for (const os::FoundProcess& process : its.survivors())
    report.survivors.push_back(fmt::format("{} (PID {})", process.command, process.pid));
}

void end_leaves(const std::string& directory, ResetReport& report) {
  const os::CgroupTree tree = os::CgroupTree::open(directory, os::CgroupTree::Missing::leave);
  for (const std::string& leaf : tree.leaves()) {
    const std::size_t dot = leaf.rfind('.');
    if (dot == leaf.npos) continue;
    const std::string label = leaf.substr(0, dot);
    const RunId run = std::strtoull(leaf.c_str() + dot + 1, nullptr, 10);
    const MonoNs end = after(os::read_mono(), seconds(2));
    while (tree.remove_leaf(label, run) == os::CgroupTree::Removed::busy && os::read_mono() < end) {
      report.processes += static_cast<int>(tree.processes(label, run).size());
      if (!tree.kill_leaf(label, run))
        for (const int pid : tree.processes(label, run)) ::kill(pid, SIGKILL);
      ::poll(nullptr, 0, 5);
    }
    for (const int pid : tree.processes(label, run))
      report.survivors.push_back(fmt::format("{} (PID {})", os::command_of(pid), pid));
  }
  if (tree.usable() && tree.leaves().empty()) tree.remove();
}

void remove_names(const std::string& directory, const char* below, ResetReport& report) {
  const std::string path = *below == '\0' ? directory : directory + "/" + below;
  for (const std::string& name : entries_of(path))
    if (::unlink((path + "/" + name).c_str()) == 0) ++report.files;
}

// The list of runs is replaced by an empty one that keeps the next number.
Status forget_runs(const std::string& directory) {
  const std::string path = directory + "/runs.json";
  const Result<std::string> text = os::read_own_file(path, list_bytes_max);
  if (!text) return text.error().remedy == Remedy::not_found ? Status{} : failure(text.error());
  const Result<std::string> empty = without_runs(*text);
  if (!empty) {  // nobody can read it: its numbers are lost already
    if (::unlink(path.c_str()) < 0) return errno_failure("remove", path, errno);
    return {};
  }
  const std::string made = path + ".new";
  const os::Fd file(::open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_failure("write", made, errno);
  if (const Status written = os::write_all(file.get(), *empty, made); !written) return written;
  if (::rename(made.c_str(), path.c_str()) < 0) return errno_failure("write", path, errno);
  return {};
}

void remove_files(const std::string& directory, ResetReport& report) {
  for (const char* socket : {"api.sock", "keeper.sock"})
    if (::unlink((directory + "/" + socket).c_str()) == 0) ++report.files;
  for (const char* below : {"n", "o", "spec"}) remove_names(directory, below, report);
  if (const os::Fd at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); at) {
    report.files += entries_of(directory + "/state").size();
    os::remove_state(at.get());
  }
  if (const Status forgotten = forget_runs(directory); !forgotten) report.trouble = forgotten.error().text();
}

}  // namespace

ResetReport reset_instance(const os::Instance& instance) {
  ResetReport report;
  const std::string& directory = instance.directory;
  struct stat st{};
  if (::stat(directory.c_str(), &st) < 0) return report;
  const os::Fd lock = end_hearth(directory + "/lock", report);
  if (!lock) return report;
  {
    const std::vector<os::Fd> outputs = open_outputs(directory);
    for (const auto& [label, leader] : find_services(directory)) sweep(directory, label, leader, outputs, report);
  }
  end_leaves(directory, report);
  for (const RunElsewhere& run : runs_elsewhere(directory))
    if (run.lives) report.survivors.push_back(run.label + " (in another PID namespace)");
  // Who survives stays findable: by the names it has open, and by the list.
  if (report.survivors.empty()) remove_files(directory, report);
  return report;
}

}  // namespace hearth::cli
