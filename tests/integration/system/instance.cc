#include "instance.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "os/cgroup.h"
#include "os/clock.h"
#include "os/instance.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"
#include "places.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr uid_t ordinary = 65534;

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> list;
  std::error_code error;
  for (const fs::directory_entry& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    const Result<std::string> text = os::read_file(task.path().string() + "/children");
    if (!text) continue;
    std::size_t at = 0;
    while (at < text->size()) {
      list.push_back(std::atoi(text->c_str() + at));
      at = text->find(' ', at);
      if (at == std::string::npos) break;
      ++at;
    }
  }
  std::erase(list, 0);
  return list;
}

std::string content(int fd) {
  std::string text;
  char bytes[65536];
  for (;;) {
    const ssize_t n = ::pread(fd, bytes, sizeof bytes, static_cast<off_t>(text.size()));
    if (n <= 0) return text;
    text.append(bytes, static_cast<std::size_t>(n));
  }
}

void replace(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

std::string text_of(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::uint64_t number_of(const json::object& object, const char* name, std::uint64_t otherwise = 0) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<std::uint64_t>() : otherwise;
}

ServiceView service_of(const json::object& object) {
  ServiceView view;
  view.there = true;
  view.state = text_of(object, "state");
  view.reason = text_of(object, "reason");
  view.reason_text = text_of(object, "reason_text");
  view.containment = text_of(object, "containment");
  view.status = text_of(object, "status");
  view.leftover = text_of(object, "leftover");
  view.log_directory = text_of(object, "log_directory");
  view.ready = object.at("ready").as_bool();
  view.pid = static_cast<pid_t>(number_of(object, "pid"));
  view.run = number_of(object, "run");
  view.restarts = number_of(object, "restarts");
  if (const json::value* exit = object.if_contains("exit"); exit != nullptr && exit->is_object()) {
    view.exit_code = static_cast<int>(number_of(exit->get_object(), "code", std::uint64_t(-1)));
    view.exit_signal = static_cast<int>(number_of(exit->get_object(), "signal", std::uint64_t(-1)));
    view.exit_errno = static_cast<int>(number_of(exit->get_object(), "errno", std::uint64_t(-1)));
  }
  return view;
}

// Makes every v2 hierarchy that we see read-only, for us and our descendants alone.
bool hide_cgroups() {
  const Result<std::string> mounts = os::read_file("/proc/self/mountinfo");
  if (!mounts || ::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    return false;
  const os::CgroupPlace place = os::parse_cgroup_place(*mounts, "0::/\n");
  return place.mount.empty() ||
         ::mount(nullptr, place.mount.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

}  // namespace

const char* as_name(As as) {
  switch (as) {
    case As::caller: return "caller";
    case As::root_without_cgroups: return "root_without_cgroups";
    case As::user: return "user";
  }
  return "?";
}

std::string InstanceView::notes_text() const {
  std::string text;
  for (const std::string& note : notes) text += note + "\n";
  return text;
}

Command::~Command() {
  if (pid_ <= 0 || !pidfd_) return;  // waited for, or moved from
  os::pidfd_signal(pidfd_.get(), SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Command::ended() const {
  pollfd polled{pidfd_.get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1;
}

void Command::signal(int number) const {
  os::pidfd_signal(pidfd_.get(), number);
}
std::string Command::out() const {
  return content(out_.get());
}

std::string Command::err() const {
  return content(err_.get());
}

Output Command::wait(int timeout_ms) {
  Output output;
  pollfd polled{pidfd_.get(), POLLIN, 0};
  if (::poll(&polled, 1, timeout_ms) == 1) {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    output.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  output.out = content(out_.get());
  output.err = content(err_.get());
  return output;
}

Machine::Machine(As as) : as_(as), bin_(HEARTH_BIN_DIR) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  char place[] = "/tmp/hearth-system.XXXXXX";
  base = ::mkdtemp(place) != nullptr ? place : "";
  EXPECT_FALSE(base.empty());
  ::chmod(base.c_str(), 0755);
  work = base + "/p";
  directory = work + "/i";
  ::mkdir(work.c_str(), 0755);
  stage = std::make_unique<Stage>(base + "/stage");
  if (as_ != As::user) return;
  (void)!::chown(work.c_str(), ordinary, ordinary);
  use_programs_that_the_user_may_read();
}

void Machine::use_programs_that_the_user_may_read() {
  for (fs::path path = bin_; path != path.root_path(); path = path.parent_path()) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0 && (st.st_mode & S_IXOTH) != 0) continue;
    return use_copies_of_programs();  // the build is in somebody's home
  }
}

void Machine::use_copies_of_programs() {
  ::mkdir((base + "/bin").c_str(), 0755);
  std::error_code error;
  for (const char* program :
       {"hearth", "hearth-keeper", "hearth-supervisor", "hearth-logger", "hearth-test-puppet", "hearth-test-tree"})
    fs::copy_file(bin(program), base + "/bin/" + program, error);
  bin_ = base + "/bin";
}

std::string Machine::obstacle() const {
  if (as_ == As::caller) return "";
  if (::geteuid() != 0) return "only root can become somebody else";
  if (as_ == As::user) return "";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(hide_cgroups() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0 ? "" : "no mount namespace can be made here";
}

bool Machine::root() const {
  return ::geteuid() == 0 && as_ != As::user;
}

Machine::~Machine() {
  if (exists(directory + "/api.sock")) (void)hearth({"shutdown", "--timeout", "20s"});
  // Whatever it was: its parents are dead or die now, and then it is ours.
  const MonoNs deadline = after(os::read_mono(), seconds(10));
  while (os::read_mono() < deadline) {
    reap();
    const std::vector<pid_t> rest = children_of(::getpid());
    if (rest.empty()) break;
    for (const pid_t pid : rest) ::kill(pid, SIGKILL);  // our own children, not waited for: nobody else's number
    ::poll(nullptr, 0, 1);
  }
  const os::CgroupTree cgroups = os::CgroupTree::open(directory, os::CgroupTree::Missing::leave);
  for (const std::string& leaf : cgroups.leaves()) ::rmdir((cgroups.path() + "/" + leaf).c_str());
  cgroups.remove();
  const os::Fd opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened) os::remove_state_directory(opened.get());
  std::error_code error;
  if (!HasFailure() || std::getenv("KEEP") == nullptr) fs::remove_all(base, error);
}

void Machine::kill_everything() {
  const InstanceView view = status();
  std::vector<pid_t> all = {view.keeper, view.supervisor};
  for (const char* program : {"hearth-logger", "hearth-spawner"})
    for (const pid_t pid : members(program)) all.push_back(pid);
  std::vector<os::Fd> ends;
  for (const pid_t pid : all) ends.emplace_back(os::pidfd_open(pid));
  os::pidfd_signal(ends[1].get(), SIGSTOP);
  for (const os::Fd& end : ends) os::pidfd_signal(end.get(), SIGKILL);
  for (const os::Fd& end : ends) {
    pollfd polled{end.get(), POLLIN, 0};
    EXPECT_EQ(1, ::poll(&polled, 1, patience_ms));
  }
  reap();
}

void Machine::reap() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void Machine::become() const {
  if (as_ == As::root_without_cgroups && !hide_cgroups()) ::_exit(96);
  if (as_ == As::user && (::setgroups(0, nullptr) < 0 || ::setresgid(ordinary, ordinary, ordinary) < 0 ||
                          ::setresuid(ordinary, ordinary, ordinary) < 0))
    ::_exit(97);
  if (as_ == As::user) ::unsetenv("HOME");
}

Command Machine::execute(const std::vector<std::string>& words, const std::function<void()>& prepare) {
  Command command;
  command.out_ = os::Fd(::memfd_create("out", MFD_CLOEXEC));
  command.err_ = os::Fd(::memfd_create("err", MFD_CLOEXEC));
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  command.pid_ = ::fork();
  if (command.pid_ == 0) {
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(command.out_.get(), 1);
    ::dup2(command.err_.get(), 2);
    if (::chdir(work.c_str()) < 0) ::_exit(98);
    ::unsetenv("NOTIFY_SOCKET");
    if (prepare) prepare();
    become();
    ::execv(pointers[0], pointers.data());
    ::_exit(99);
  }
  command.pidfd_ = os::Fd(os::pidfd_open(command.pid_));
  return command;
}

Command Machine::begin(const std::vector<std::string>& words) {
  std::vector<std::string> all = {bin("hearth"), "--dir", directory};
  all.insert(all.end(), words.begin(), words.end());
  return execute(all);
}

Output Machine::hearth(const std::vector<std::string>& words, int timeout_ms) {
  Output output = begin(words).wait(timeout_ms);
  EXPECT_NE(-1, output.code) << "it does not end: hearth " << words[0] << "\n" << output.all();
  return output;
}

void Machine::project(std::string text) {
  replace(text, "@STAGE@", stage->path());
  replace(text, "@PUPPET@", bin("hearth-test-puppet"));
  replace(text, "@TREE@", bin("hearth-test-tree"));
  replace(text, "@BASE@", base);
  write_file(work + "/hearth.toml", text);
}

std::string Machine::puppet(const std::string& label) const {
  return "command = [\"" + bin("hearth-test-puppet") + "\", \"" + stage->path() + "\", \"" + label + "\"]\n";
}

Output Machine::up(const std::vector<std::string>& more) {
  std::vector<std::string> words = {"up"};
  words.insert(words.end(), more.begin(), more.end());
  return hearth(words);
}

InstanceView Machine::status() {
  InstanceView view;
  const Output output = hearth({"status", "--json"});
  json::error_code error;
  const json::value value = json::parse(output.out, error);
  if (error || !value.is_object() || !value.get_object().contains("services")) return view;
  const json::object& object = value.get_object();
  view.answered = true;
  view.supervisor = static_cast<pid_t>(number_of(object.at("supervisor").as_object(), "pid"));
  view.takeovers = number_of(object.at("supervisor").as_object(), "takeovers");
  view.keeper = static_cast<pid_t>(number_of(object.at("keeper").as_object(), "pid"));
  for (const json::value& note : object.at("notes").as_array()) view.notes.emplace_back(note.as_string());
  for (const json::value& service : object.at("services").as_array())
    view.services[text_of(service.as_object(), "name")] = service_of(service.as_object());
  return view;
}

ServiceView Machine::service(const std::string& name) {
  return status().services[name];
}

bool Machine::until(const std::function<bool()>& holds, int timeout_ms) {
  const MonoNs deadline = after(os::read_mono(), milliseconds(timeout_ms));
  while (!holds()) {
    if (os::read_mono() > deadline) return false;
    ::poll(nullptr, 0, 3);
  }
  return true;
}

void Machine::pass_time(int ms) {
  const os::Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  itimerspec spec{};
  spec.it_value.tv_sec = ms / 1000;
  spec.it_value.tv_nsec = ms % 1000 * 1'000'000L;
  ::timerfd_settime(timer.get(), 0, &spec, nullptr);
  pollfd polled{timer.get(), POLLIN, 0};
  ::poll(&polled, 1, -1);
}

void Machine::stop_process(pid_t pid) {
  ASSERT_GT(pid, 1) << "that would be this test and all of its group";
  ASSERT_EQ(0, ::kill(pid, SIGSTOP));
  ASSERT_TRUE(until([&] {
    os::ProcStat stat;
    return os::read_stat(pid, stat) && stat.state == 'T';
  }));
}

bool Machine::until_state(const std::string& name, const std::string& state) {
  ServiceView last;
  const bool came = until([&] {
    last = service(name);
    return last.state == state;
  });
  if (!came) ADD_FAILURE() << name << " is " << last.state << " (" << last.reason_text << "), not " << state;
  return came;
}

std::vector<pid_t> Machine::members(const std::string& program) {
  std::vector<pid_t> found;
  const InstanceView view = status();
  if (program == "hearth-keeper") return {view.keeper};
  if (program == "hearth-supervisor") return {view.supervisor};
  for (const pid_t pid : children_of(view.keeper)) {
    std::error_code error;
    const std::string exe = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).filename().string();
    const bool spawner = program == "hearth-spawner" && exe == "hearth-keeper";
    if (exe == program || spawner) found.push_back(pid);
  }
  return found;
}

void Machine::kill_members(const std::string& program, int signal) {
  std::vector<pid_t> found;
  EXPECT_TRUE(until([&] {
    found = members(program);
    return !found.empty();
  })) << program;
  // Their parents reap them only after they have died, and they have no other reason to.
  for (const pid_t pid : found) ::kill(pid, signal);
}

std::string Machine::logged(const std::string& name) {
  for (const auto& entry : fs::directory_iterator(directory + "/logs"))
    if (entry.path().filename().string().find("." + name + ".") != std::string::npos) return read_logs(entry.path());
  return "";
}

void Machine::expect_clean_shutdown() {
  const pid_t keeper = status().keeper;
  const os::Fd pidfd(os::pidfd_open(keeper));
  const Output output = hearth({"shutdown"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_NE(std::string::npos, output.out.find("Shutdown complete")) << output.all();
  pollfd polled{pidfd.get(), POLLIN, 0};
  EXPECT_TRUE(!pidfd || ::poll(&polled, 1, patience_ms) == 1) << "the keeper is still there";
  EXPECT_TRUE(until([&] {
    reap();
    return children_of(::getpid()).empty();
  })) << "processes are left: "
      << [&] {
           std::string text;
           for (const pid_t pid : children_of(::getpid())) text += os::command_of(pid) + "; ";
           return text;
         }();
  for (const char* name : {"o", "n"}) EXPECT_TRUE(fs::is_empty(directory + "/" + name)) << name;
  EXPECT_FALSE(exists(directory + "/api.sock"));
  EXPECT_FALSE(exists(directory + "/keeper.sock"));
  const os::CgroupTree cgroups = os::CgroupTree::open(directory, os::CgroupTree::Missing::leave);
  EXPECT_FALSE(cgroups.usable()) << cgroups.path();
}

std::string read_logs(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (entry.path().extension() == ".log") names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  std::string all;
  for (const std::string& name : names) all += os::read_file(name, 1u << 30).value_or("");
  return all;
}

bool exists(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}

BoundPort bind_port() {
  BoundPort port{os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(0, ::bind(port.socket.get(), reinterpret_cast<sockaddr*>(&address), size));
  EXPECT_EQ(0, ::getsockname(port.socket.get(), reinterpret_cast<sockaddr*>(&address), &size));
  port.number = ntohs(address.sin_port);
  return port;
}

void write_file(const std::string& path, const std::string& text, mode_t mode) {
  const os::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  EXPECT_TRUE(fd && os::write_all(fd.get(), text, path)) << path;
  ::fchmod(fd.get(), mode);
}

}  // namespace hearth::test
