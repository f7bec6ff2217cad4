#include "real_keeper.h"

#include <cstring>
#include <dirent.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/proc_stat.h"
#include "places.h"

namespace hearth::test {
namespace {

constexpr SpanNs patience = seconds(30);

std::vector<pid_t> children_of_ours() {
  std::vector<pid_t> children;
  for (pid_t pid : os::list_processes()) {
    os::ProcStat stat;
    if (os::read_stat(pid, stat) && stat.parent == ::getpid()) children.push_back(pid);
  }
  return children;
}

}  // namespace

std::string bin(const std::string& name) {
  return std::string(HEARTH_BIN_DIR) + "/" + name;
}

RealKeeper::RealKeeper() {
  // What outlives the keeper comes to us, and is ended with the test.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGPIPE, SIG_IGN);
  ::chmod(directory.path().c_str(), 0755);
  document.version = 1;
  document.project = "shop";
  document.environment = {"PATH=/usr/bin:/bin"};
  ServiceSpec web;
  web.name = "web";
  web.command = {"/bin/sleep", "1000"};
  document.services = {web};
}

RealKeeper::~RealKeeper() {
  os::crash_hook = nullptr;
  if (link) {
    for (EntryIndex i = 0; i < 64; ++i) {
      const std::int32_t pid = link->table().entry[i].pid;
      if (link->table().entry[i].run != no_run && pid > 1) ::kill(-pid, SIGKILL);  // -1 would be everybody
    }
  }
  if (keeper > 0) ::kill(keeper, SIGKILL);
  for (std::vector<pid_t> left = children_of_ours(); !left.empty(); left = children_of_ours()) {
    for (pid_t pid : left) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  if (client && with_cgroups) {
    for (const std::string& leaf : client->cgroups().leaves()) {
      const std::size_t dot = leaf.rfind('.');
      (void)client->cgroups().remove_leaf(leaf.substr(0, dot), std::strtoull(leaf.c_str() + dot + 1, nullptr, 10));
    }
    client->cgroups().remove();
  }
}

void RealKeeper::start(bool cgroups) {
  with_cgroups = cgroups;
  instance = os::Instance{"i", directory / "i", directory / "i/logs"};
  Result<os::Fd> made = os::make_instance(instance, os::host_facts());
  ASSERT_TRUE(made) << made.error().text();
  const std::string lend = instance.directory + "/lend";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, lend.c_str());
  lending_ = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(0, ::bind(lending_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  ASSERT_EQ(0, ::listen(lending_.get(), 8));
  const os::SuccessorCommand command = successor_command();
  ::setenv("HEARTH_TEST_LEND", lend.c_str(), 1);
  keeper = ::fork();
  if (keeper == 0) {
    ::execl(command.keeper.c_str(), "hearth-keeper", "--dir", command.directory.c_str(), "--logs",
            command.log_directory.c_str(), "--supervisor", command.supervisor.c_str(), "--logger",
            command.logger.c_str(), nullptr);
    ::_exit(127);
  }
  connect();
}

os::SuccessorCommand RealKeeper::successor_command() const {
  return {bin("hearth-keeper"), bin("hearth-test-lender"), bin("hearth-logger"), instance.directory,
          instance.log_directory};
}

void RealKeeper::connect() {
  pollfd waited{lending_.get(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&waited, 1, 10'000)) << "no supervisor was started";
  os::Fd lender(::accept4(lending_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  iovec part{&supervisor, sizeof supervisor};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ASSERT_EQ(static_cast<ssize_t>(sizeof supervisor), ::recvmsg(lender.get(), &header, MSG_CMSG_CLOEXEC));
  int socket = -1;
  std::memcpy(&socket, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof socket);
  auto connected = os::KeeperLink::connect(os::Fd(socket), patience);
  ASSERT_TRUE(connected) << connected.error().text();
  link = std::move(*connected);
  client = std::make_unique<os::KeeperClient>(
      *link, with_cgroups ? os::CgroupTree::open(instance.directory) : os::CgroupTree(),
      os::ClientOptions{instance.directory, os::parse_nofile("1024:4096")});
  inbox = std::make_unique<os::Inbox>(*link, nullptr);
}

void RealKeeper::crash_supervisor() {
  inbox.reset();
  client.reset();
  link.reset();
  ::kill(supervisor, SIGKILL);
  connect();
}

std::size_t RealKeeper::parked_for_slots() const {
  std::size_t count = 0;
  for (wire::ParkClass type :
       {wire::ParkClass::output, wire::ParkClass::notify, wire::ParkClass::listen, wire::ParkClass::store})
    for (const os::Parked& parked : link->parked().all(type)) count += parked.slot != no_slot;
  return count;
}

bool RealKeeper::turn_until(const std::function<bool()>& done) {
  const MonoNs end = os::read_mono() + patience;
  std::vector<EntryIndex> changed;
  while (os::read_mono() < end) {
    client->take_changed(changed);
    inbox->peek(inputs);
    for (const ports::Input& input : inputs) {
      if (!consume) continue;
      inbox->consume(input);
      if (input.kind == ports::InputKind::notify) notified.push_back(input);
    }
    client->flush();
    if (done()) return true;
    pollfd waited{link->epoll(), POLLIN, 0};
    ::poll(&waited, 1, 20);
  }
  return false;
}

bool RealKeeper::turn_until_watched(EntryIndex entry) {
  return turn_until([&] { return client->entry(entry).watched; });
}

bool RealKeeper::turn_until_exited(EntryIndex entry) {
  return turn_until([&] { return client->entry(entry).exited; });
}

void RealKeeper::bury(const ports::SpawnOrder& order) {
  ASSERT_TRUE(turn_until_exited(order.entry));
  client->output_ended(order.slot, order.run);
  ASSERT_TRUE(turn_until([&] { return client->end_tree(order.entry, order.run, order.label); }));
  client->reap(order.entry, order.run);
  ASSERT_TRUE(turn_until([&] { return client->entry(order.entry).run == no_run; }));
  client->release_run(order.slot, order.run);
}

ports::SpawnOrder RealKeeper::order(SlotIndex slot, RunId run) {
  ports::SpawnOrder out;
  out.slot = slot;
  out.entry = slot * 2;
  out.run = run;
  out.label = "shop.web." + std::to_string(slot);
  out.document = &document;
  out.spec = &spec();
  out.command = &spec().command;
  out.notify = true;
  return out;
}

std::string RealKeeper::logged(SlotIndex slot) {
  std::string text;
  const std::string place = instance.log_directory + "/shop.web." + std::to_string(slot);
  DIR* dir = ::opendir(place.c_str());
  if (dir == nullptr) return text;
  while (dirent* entry = ::readdir(dir)) {
    // A link names the current file, and an index lies beside each.
    if (entry->d_type != DT_REG || !std::string_view(entry->d_name).ends_with(".log")) continue;
    std::ifstream file(place + "/" + entry->d_name);
    text.append(std::istreambuf_iterator<char>(file), {});
  }
  ::closedir(dir);
  return text;
}

std::vector<pid_t> RealKeeper::processes_of(RunId run) {
  std::vector<pid_t> found;
  for (pid_t pid : os::list_processes())
    if (os::environment_of(pid, "HEARTH_INSTANCE") == instance.directory &&
        os::environment_of(pid, "HEARTH_RUN") == std::to_string(run))
      found.push_back(pid);
  return found;
}

}  // namespace hearth::test
