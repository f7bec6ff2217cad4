#include "integration/keeper/harness.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"

namespace hearth::test {
namespace {

using Clock = std::chrono::steady_clock;

int left_ms(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

Clock::time_point in(int within_ms) {
  return Clock::now() + std::chrono::milliseconds(within_ms);
}

bool readable(int fd, int within_ms) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, within_ms) == 1;
}

void refuse_clone3(int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program_of_filter = {sizeof code / sizeof code[0], code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program_of_filter);
}

Message receive_from(int socket, bool& ok) {
  Message message;
  static char bytes[65536];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)];
  iovec part = {bytes, sizeof bytes};
  msghdr m{};
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  m.msg_control = control;
  m.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  ok = got >= 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); ok && c != nullptr; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      message.fds.emplace_back(fd);
    }
  }
  if (got >= static_cast<ssize_t>(sizeof message.header)) {
    std::memcpy(&message.header, bytes, sizeof message.header);
    message.records.assign(bytes + sizeof message.header, static_cast<std::size_t>(got) - sizeof message.header);
  } else {
    ok = ok && got > 0;
    if (ok) message.records.assign(bytes, static_cast<std::size_t>(got));
  }
  return message;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}
int Fd::release() {
  return std::exchange(fd_, -1);
}
void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

std::optional<Message> Peer::receive(int within_ms) {
  if (!readable(socket.get(), within_ms)) return {};
  bool ok = false;
  Message message = receive_from(socket.get(), ok);
  if (!ok) return {};
  return message;
}

bool Peer::has_mail() const {
  return readable(socket.get(), 0);
}

bool Peer::send_bytes(const std::string& bytes, const std::vector<int>& fds) {
  iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
  msghdr m{};
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)] = {};
  if (!fds.empty()) {
    m.msg_control = control;
    m.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
  }
  return sendmsg(socket.get(), &m, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool Peer::acknowledge() {
  return send<wire::RunRecord>(wire::MessageType::ack, {});
}

std::string program(const char* name) {
  return std::string(HEARTH_BIN_DIR) + "/" + name;
}

pid_t Instance::start_keeper(const std::vector<std::string>& more, const KeeperOptions& options) {
  const std::string member = program("hearth-test-member");
  std::vector<std::string> words = {program("hearth-keeper"), "--dir", dir,        "--logs", dir + "/logs",
                                    "--supervisor",           member,  "--logger", member};
  words.insert(words.end(), more.begin(), more.end());
  words.insert(words.end(), options.more.begin(), options.more.end());
  if (!options.up_within.empty()) words.insert(words.end(), {"--up-within", options.up_within});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    if (options.nofile) {
      const rlimit limit = {*options.nofile, *options.nofile};
      setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (options.refuse_clone3 != 0) refuse_clone3(options.refuse_clone3);
    if (options.scarce_epoll != nullptr) options.scarce_epoll->enter();
    dup2(open((dir + "/stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (options.scarce_epoll != nullptr) options.scarce_epoll->serve(pid);
  return pid;
}

Instance::Instance(const KeeperOptions& options) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a killed keeper leaves comes to us, and goes with us
  dir = std::filesystem::temp_directory_path().string() + "/hearth-test.XXXXXX";
  EXPECT_NE(mkdtemp(dir.data()), nullptr);
  control = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, (dir + "/control").c_str());
  EXPECT_EQ(bind(control.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(control.get(), 100), 0);
  keeper = start_keeper({}, options);
}

Instance::~Instance() {
  if (keeper > 0) kill(keeper, SIGKILL);
  // Its children become ours, one generation after the other.
  for (int round = 0; round < 1'000; ++round) {
    siginfo_t info{};
    std::ifstream children("/proc/thread-self/children");
    for (pid_t pid; children >> pid;) kill(pid, SIGKILL);
    if (waitid(P_ALL, 0, &info, WEXITED | __WALL) < 0) break;
  }
  if (table != nullptr) munmap(table, sizeof *table);
  std::filesystem::remove_all(dir);
}

std::optional<Peer> Instance::accept(int within_ms) {
  if (!readable(control.get(), within_ms)) return {};
  Fd connection(accept4(control.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ucred peer{};
  socklen_t size = sizeof peer;
  getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  if (!readable(connection.get(), within_ms)) return {};
  bool ok = false;
  Message message = receive_from(connection.get(), ok);
  if (!ok || message.fds.size() != 1) return {};
  Peer result;
  result.role = message.records[0];
  result.pid = peer.pid;
  result.socket = std::move(message.fds[0]);
  return result;
}

void Instance::accept_supervisor() {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].role != 's') continue;
    supervisor = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
  for (;;) {
    std::optional<Peer> peer = accept();
    ASSERT_TRUE(peer.has_value()) << "no supervisor was started";
    if (peer->role == 's') {
      supervisor = std::move(*peer);
      return;
    }
    waiting_.push_back(std::move(*peer));
  }
}

void Instance::accept_logger() {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].role != 'l') continue;
    logger = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
  for (;;) {
    std::optional<Peer> peer = accept();
    ASSERT_TRUE(peer.has_value()) << "no logger was started";
    if (peer->role == 'l') {
      logger = std::move(*peer);
      return;
    }
    waiting_.push_back(std::move(*peer));
  }
}

bool Instance::handle_message(int within_ms) {
  std::optional<Message> message = supervisor.receive(within_ms);
  if (!message) return false;
  if (message->header.type == wire::MessageType::hello) {
    hello_record = message->at<wire::HelloRecord>();
    hello = std::move(message->fds);
  } else if (message->header.type == wire::MessageType::spawner) {
    const auto record = message->at<wire::SpawnerRecord>();
    spawner_generation[record.index] = record.generation;
    spawner[record.index] = std::move(message->fds.at(0));
  } else if (message->header.type == wire::MessageType::parked) {
    for (std::size_t i = 0; i < message->fds.size(); ++i)
      parked.emplace_back(message->at<wire::ParkRecord>(i), std::move(message->fds[i]));
    supervisor.acknowledge();
  }
  return message->header.type != wire::MessageType::ready;
}

void Instance::take_over_from_keeper() {
  parked.clear();
  hello_record = {};
  while (handle_message()) {
  }
  ASSERT_EQ(hello_record.version, wire::message_version);
  ASSERT_EQ(hello.size(), static_cast<std::size_t>(wire::HelloDescriptor::count_));
  if (table == nullptr) {
    void* at = mmap(nullptr, sizeof(wire::SlotTable), PROT_READ | PROT_WRITE, MAP_SHARED, hello[0].get(), 0);
    ASSERT_NE(at, MAP_FAILED);
    table = static_cast<wire::SlotTable*>(at);
  }
  ASSERT_TRUE(wire::slot_table_valid(*table, sizeof *table));
  for (const Fd& s : spawner) ASSERT_GE(s.get(), 0);
}

void Instance::start_successor_of_keeper(std::uint32_t keeper_generation, const KeeperOptions& options) {
  // Who makes the pair is the supervisor to the keeper (SO_PEERCRED). It shares our descriptors, to give it us.
  auto [made_read, made_write] = make_pipe();
  const long stand_in = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (stand_in == 0) {
    int pair[2] = {-1, -1};
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    if (write(made_write.get(), pair, sizeof pair) < 0) _exit(1);
    pollfd end = {pair[0], POLLRDHUP, 0};
    while (poll(&end, 1, -1) < 0) {
    }
    _exit(0);
  }
  int ends[2] = {-1, -1};
  ASSERT_EQ(read(made_read.get(), ends, sizeof ends), static_cast<ssize_t>(sizeof ends));
  supervisor.pid = static_cast<pid_t>(stand_in);
  supervisor.socket = Fd(ends[0]);
  const int inherited = fcntl(ends[1], F_DUPFD, 100);
  close(ends[1]);
  for (Fd& s : spawner) s.reset();
  keeper = start_keeper({"--take-over", std::to_string(inherited)}, options);
  close(inherited);
  std::vector<int> all;
  for (const Fd& fd : hello) all.push_back(fd.get());
  ASSERT_TRUE(supervisor.send<wire::HelloRecord>(wire::MessageType::hello,
                                                 {{wire::message_version, keeper_generation, 0, 0}}, all));
  while (handle_message()) {
  }
  for (const Fd& s : spawner) ASSERT_GE(s.get(), 0);
}

void Instance::kill_supervisor() {
  kill(supervisor.pid, SIGKILL);
  supervisor.socket.reset();
}

void Instance::order(EntryIndex i, RunId run, std::uint32_t rank, std::uint32_t grace_ms) {
  wire::RunEntry& e = entry(i);
  ASSERT_EQ(e.run.load(), no_run);
  e.stop_signal = SIGTERM;
  e.stop_grace_ms = grace_ms;
  e.stop_rank = rank;
  e.flags = 0;
  e.run.store(run, std::memory_order_release);
}

bool Instance::send_plan(const Plan& plan, const std::vector<int>& fds, std::uint32_t spawner_index) {
  Fd memory = memfd_of(plan.bytes());
  std::vector<int> all = {memory.get()};
  all.insert(all.end(), fds.begin(), fds.end());
  Peer to;
  to.socket = Fd(dup(spawner[spawner_index].get()));
  return to.send<wire::RunRecord>(wire::MessageType::plan, {{plan.entry, 0, plan.run}}, all);
}

void Instance::spawn(const Plan& plan, const std::vector<int>& fds) {
  order(plan.entry, plan.run);
  ASSERT_TRUE(send_plan(plan, fds));
}

bool Instance::signal(EntryIndex i, RunId run, OpId op, int signal) {
  return supervisor.send<wire::SignalRecord>(wire::MessageType::signal, {{i, signal, run, op}});
}

bool Instance::reap(EntryIndex i, RunId run) {
  return supervisor.send<wire::RunRecord>(wire::MessageType::reap, {{i, 0, run}});
}

bool Instance::keeper_rests() {
  const auto processor_ns = [&] {
    std::ifstream file("/proc/" + std::to_string(keeper) + "/schedstat");
    std::uint64_t ns = 0;
    file >> ns;
    return ns;
  };
  return until([&] {
    const std::uint64_t before = processor_ns();
    pollfd nothing = {-1, 0, 0};
    poll(&nothing, 1, 200);
    // One that waits for a processor does not rest.
    return before != 0 && state_of(keeper) == 'S' && processor_ns() == before;
  });
}

bool Instance::until(const std::function<bool()>& holds, int within_ms) {
  const Clock::time_point end = in(within_ms);
  const int doorbell = hello.empty() ? -1 : hello[static_cast<std::size_t>(wire::HelloDescriptor::to_supervisor)].get();
  while (!holds()) {
    const int left = left_ms(end);
    if (left == 0) return false;
    pollfd p = {doorbell, POLLIN, 0};
    std::uint64_t count;
    if (poll(&p, 1, std::min(left, 20)) == 1 && read(doorbell, &count, sizeof count) < 0) continue;
  }
  return true;
}

std::string Instance::said() {
  std::ifstream file(dir + "/stderr");
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

Plan service_plan(EntryIndex entry, RunId run, const std::vector<std::string>& arguments) {
  Plan plan;
  plan.entry = entry;
  plan.run = run;
  plan.paths = {program("hearth-test-service")};
  plan.argv = {"service"};
  plan.argv.insert(plan.argv.end(), arguments.begin(), arguments.end());
  plan.env = {"HEARTH_RUN=" + std::to_string(run)};
  return plan;
}

Fd memfd_of(const std::string& bytes) {
  Fd fd(memfd_create("plan", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return fd;
}

std::optional<int> wait_child(pid_t pid, int within_ms) {
  Fd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  int status = 0;
  if (!readable(fd.get(), within_ms) || waitpid(pid, &status, __WALL) != pid) return {};
  return status;
}

std::string read_some(int fd, std::size_t bytes, int within_ms) {
  const Clock::time_point end = in(within_ms);
  std::string text;
  while (text.size() < bytes && readable(fd, left_ms(end))) {
    char part[65536];
    const ssize_t got = read(fd, part, std::min(sizeof part, bytes - text.size()));
    if (got <= 0) break;
    text.append(part, static_cast<std::size_t>(got));
  }
  return text;
}

char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t at = text.rfind(')');
  return at == std::string::npos ? '\0' : text[at + 2];
}

bool alive(pid_t pid) {
  const char state = state_of(pid);
  return state != '\0' && state != 'Z' && state != 'X';
}

wire::ParkRecord park_record(wire::ParkClass type, std::uint64_t key, const char* name) {
  wire::ParkRecord record{type, 0, key, 0, {}};
  std::strncpy(record.name, name, sizeof record.name - 1);
  return record;
}

std::pair<Fd, Fd> make_pipe() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace hearth::test
