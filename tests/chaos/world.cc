#include "world.h"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <random>
#include <set>
#include <signal.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/cgroup.h"
#include "os/clock.h"
#include "os/kernel_features.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"
#include "support/processes.h"

namespace hearth::chaos {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBallast = "/ballast";

// One that an upgrade tries is no member of hearth, and ends by itself.
bool is_on_trial(pid_t pid) {
  const std::string words = os::read_file("/proc/" + std::to_string(pid) + "/cmdline").value_or("");
  return words.find(std::string("\0--trial", 8)) != words.npos;
}

Role role_of(const std::string& program) {
  if (program == "hearth-keeper") return Role::keeper;  // or a spawner; the parent tells
  if (program == "hearth-supervisor") return Role::supervisor;
  if (program == "hearth-logger") return Role::logger;
  return Role::none;
}

bool parse_stat(pid_t pid, Process& process) {
  const std::string stat = os::read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
  const std::size_t paren = stat.rfind(')');
  if (paren == stat.npos || paren + 4 >= stat.size()) return false;
  process.pid = pid;
  process.state = stat[paren + 2];
  process.parent = std::atoi(stat.c_str() + paren + 4);
  std::error_code error;
  const std::string program = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).string();
  const std::size_t slash = std::min(program.rfind('/'), program.size());
  process.place = program.substr(0, slash);
  process.program = program.substr(std::min(slash + 1, program.size()));
  process.role = role_of(process.program);
  if (process.role != Role::none && is_on_trial(pid)) process.role = Role::none;
  return true;
}

// The processes of which it has pidfds.
std::vector<pid_t> pidfds_of(pid_t pid) {
  std::vector<pid_t> found;
  const std::string place = "/proc/" + std::to_string(pid);
  std::error_code error;
  for (auto it = fs::directory_iterator(place + "/fd", error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code its;
    if (fs::read_symlink(it->path(), its).string().find("pidfd") == std::string::npos) continue;
    const std::string info = os::read_file(place + "/fdinfo/" + it->path().filename().string()).value_or("");
    const std::size_t at = info.find("\nPid:");
    if (at != info.npos) found.push_back(std::atoi(info.c_str() + at + 5));
  }
  return found;
}

bool kernel_tells_exits() {
  for (const os::KernelFeature& feature : os::kernel_features())
    if (feature.name.starts_with("PIDFD_GET_INFO")) return feature.there;
  return false;
}

std::string content(int fd) {
  std::string text;
  char bytes[65536];
  for (;;) {
    const ssize_t n = pread(fd, bytes, sizeof bytes, static_cast<off_t>(text.size()));
    if (n <= 0) return text;
    text.append(bytes, static_cast<std::size_t>(n));
  }
}

// Files only: there are pipes and sockets among them.
void keep_files(const std::string& from, const std::string& to) {
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(from, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code its;
    if (!it->is_regular_file(its) || it->is_symlink(its)) continue;
    const fs::path place = to / fs::relative(it->path(), from, its);
    fs::create_directories(place.parent_path(), its);
    fs::copy_file(it->path(), place, its);
  }
}

}  // namespace

const char* role_name(Role role) {
  constexpr const char* names[] = {"none", "keeper", "supervisor", "spawner", "logger"};
  return names[static_cast<int>(role)];
}

World::World(const Options& options, support::World around) : options_(options), around_(around) {
  support::become_reaper();
  char place[] = "/tmp/hearth-chaos.XXXXXX";
  if (mkdtemp(place) == nullptr) throw std::runtime_error("cannot make a directory in /tmp");
  base_ = place;
  std::random_device random;
  host_ = "127." + std::to_string(1 + random() % 254) + "." + std::to_string(random() % 256) + "." +
          std::to_string(1 + random() % 254);
  adoptions_.kernel_tells = kernel_tells_exits();
  for (const char* part : {"/p", "/i", "/truth", "/locks", "/lines", "/followers"}) mkdir((base_ + part).c_str(), 0700);
  if (around_.can_mount) {
    can_fill_ = true;
    mount_small(directory(), "size=64m,mode=0711");
    mkdir(logs().c_str(), 0700);
    mount_small(logs(), "size=1g,mode=0700");
  }
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  reaped_at_ = os::read_mono();
}

World::~World() = default;

void World::mount_small(const std::string& path, const char* size) {
  can_fill_ = mount("none", path.c_str(), "tmpfs", 0, size) == 0 && can_fill_;
}

std::vector<Process> World::processes() const {
  std::map<pid_t, Process> all;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = proc == nullptr ? nullptr : readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    Process process;
    if (pid > 0 && parse_stat(pid, process)) all[pid] = process;
  }
  if (proc != nullptr) closedir(proc);
  std::vector<Process> below;
  for (auto& [pid, process] : all) {
    pid_t at = pid;
    for (int depth = 0; depth < 64 && at != getpid() && at > 0; ++depth) at = all.contains(at) ? all[at].parent : 0;
    if (at != getpid() || pid == getpid()) continue;
    const auto parent = all.find(process.parent);
    const bool of_keeper = parent != all.end() && parent->second.program == "hearth-keeper";
    if (process.role == Role::keeper && of_keeper) process.role = Role::spawner;
    below.push_back(process);
  }
  return below;
}

std::vector<Process> World::members(Role role) const {
  std::vector<Process> found;
  for (const Process& process : processes())
    if (process.role == role && process.state != 'Z') found.push_back(process);
  return found;
}

bool World::signal(const Process& process, int signal) const {
  const os::Fd handle(os::pidfd_open(process.pid));
  Process now;
  if (!handle || !parse_stat(process.pid, now) || now.program != process.program) return false;
  return os::pidfd_signal(handle.get(), signal) == 0;
}

Client& World::run(const std::vector<std::string>& words, SpanNs deadline,
                   std::function<void(int, const std::string&)> then, const std::string& to) {
  Client client;
  for (const std::string& word : words) client.what += (client.what.empty() ? "" : " ") + word;
  client.output.reset(to.empty() ? memfd_create("output", MFD_CLOEXEC)
                                 : open(to.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  client.begun = os::read_mono();
  client.deadline = after(client.begun, deadline);
  client.then = std::move(then);
  std::vector<std::string> all = {options_.programs + "/hearth", "--dir", directory()};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  for (std::string& word : all) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  client.pid = fork();
  if (client.pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    setsid();  // Ctrl-C is for the tool
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(client.output.get(), 1);
    dup2(client.output.get(), 2);
    if (chdir(project().c_str()) == 0) execv(pointers[0], pointers.data());
    _exit(99);
  }
  client.handle = os::Fd(os::pidfd_open(client.pid));
  clients_.push_back(std::move(client));
  return clients_.back();
}

bool World::is_client(pid_t pid) const {
  return std::any_of(clients_.begin(), clients_.end(), [&](const Client& client) { return client.pid == pid; });
}

void World::pump(SpanNs time) {
  pollfd wait{signals_.get(), POLLIN, 0};
  poll(&wait, 1, static_cast<int>(time / ns_per_ms));
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) > 0)
    if (info.ssi_signo != SIGCHLD) interrupted_ = true;
  const std::vector<support::Ended> all = support::reap();
  const MonoNs now = os::read_mono();
  const MonoNs before = std::exchange(reaped_at_, now);
  for (const support::Ended& ended : all) {
    const auto it =
        std::find_if(clients_.begin(), clients_.end(), [&](const Client& client) { return client.pid == ended.pid; });
    if (it == clients_.end()) {
      adoptions_.reaped.insert({ended.pid, {before, now, WIFSIGNALED(ended.status)}});
      continue;
    }
    const int code = WIFEXITED(ended.status) ? WEXITSTATUS(ended.status) : 128 + WTERMSIG(ended.status);
    const Client client = std::move(*it);
    clients_.erase(it);
    if (client.then) client.then(client.killed ? -1 : code, content(client.output.get()));
  }
}

std::set<pid_t> World::look_at_keepers() {
  std::set<pid_t> watched;
  for (const Process& keeper : members(Role::keeper))
    for (const pid_t pid : pidfds_of(keeper.pid)) {
      watched.insert(pid);
      const auto [first, last] = adoptions_.held.equal_range(pid);
      if (std::none_of(first, last, [&](const auto& held) { return held.second.keeper == keeper.pid; }))
        adoptions_.held.insert({pid, {keeper.pid, os::read_mono()}});
    }
  return watched;
}

int World::ask(const std::vector<std::string>& words, std::string* output, SpanNs deadline) {
  int code = -1;
  bool ended = false;
  Client& client = run(words, deadline, [&](int its_code, const std::string& its_output) {
    ended = true;
    code = its_code;
    if (output != nullptr) *output = its_output;
  });
  while (!ended) {
    if (!client.killed && os::read_mono() > client.deadline) {
      client.killed = true;
      os::pidfd_signal(client.handle.get(), SIGKILL);
    }
    pump(milliseconds(50));
  }
  return code;
}

std::optional<support::StatusView> World::status() {
  std::string text;
  ask({"status", "--json"}, &text, seconds(20));
  // What the client says of its troubles stands in there, too.
  const std::size_t begin = text.find("{\"");
  return begin == text.npos ? std::nullopt : support::parse_status(text.substr(begin, text.rfind('}') + 1 - begin));
}

bool World::fill(const std::string& directory) {
  if (!can_fill_) return false;
  const os::Fd fd(open((directory + kBallast).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::string block(1 << 20, 'b');
  const auto write_all_of = [&](std::size_t size) {
    while (fd && write(fd.get(), block.data(), size) > 0) {
    }
  };
  write_all_of(block.size());
  write_all_of(4096);
  return static_cast<bool>(fd);
}

void World::make_room(const std::string& directory) {
  unlink((directory + kBallast).c_str());
}

void World::end(bool keep) {
  for (Client& client : clients_) client.then = nullptr;
  support::kill_all_below();
  const os::CgroupTree cgroups = os::CgroupTree::open(directory(), os::CgroupTree::Missing::leave);
  for (const std::string& leaf : cgroups.leaves()) rmdir((cgroups.path() + "/" + leaf).c_str());
  cgroups.remove();
  const os::Fd opened(open(directory().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened) os::remove_state_directory(opened.get());
  std::error_code error;
  // What is on a tmpfs goes with our namespace: it is copied out of it where it shall be kept.
  if (keep && can_fill_) keep_files(directory(), base_ + "/kept");
  if (can_fill_) {
    umount2(logs().c_str(), MNT_DETACH);
    umount2(directory().c_str(), MNT_DETACH);
  }
  if (!keep) fs::remove_all(base_, error);
}

}  // namespace hearth::chaos
