#include "integration/logger/keeper_stand_in.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/check.h"
#include "os/messages.h"

namespace hearth::logger::test {
namespace {

namespace fs = std::filesystem;

int milliseconds_left(std::chrono::steady_clock::time_point until) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

}  // namespace

KeeperStandIn::KeeperStandIn(std::string program, std::string logs)
    : program_(std::move(program)), logs_(std::move(logs)) {
  page_fd_ = std::move(*os::make_memfd("log-page", sizeof(wire::LogPage)));
  buffer_fd_ = std::move(*os::make_memfd("log-buffer", wire::log_buffer_bytes));
  page_ = std::move(*os::Mapping<wire::LogPage>::map(page_fd_.get(), os::Access::write, "log page"));
  wire::log_page_init(*page_);
  int ends[2];
  HEARTH_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
  pipe_read_.reset(ends[0]);
  pipe_write_.reset(ends[1]);
  log_directory_.reset(open(logs_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  HEARTH_CHECK(log_directory_.get() >= 0, "log directory");
  to_supervisor_ = std::move(*os::make_eventfd());
  to_logger_ = std::move(*os::make_eventfd());
}

KeeperStandIn::~KeeperStandIn() {
  if (pid_ > 0) kill_now();
}

void KeeperStandIn::configure(SlotIndex slot, const StreamSpec& spec) {
  wire::LogStream& s = page_->stream[slot];
  snprintf(s.directory, sizeof s.directory, "%s", spec.directory.c_str());
  s.format = spec.format;
  s.max_size = spec.max_size;
  s.max_files = spec.max_files;
  s.full_wait_ns = spec.full_wait_ns;
  s.uid = s.gid = UINT32_MAX;
}

os::Fd KeeperStandIn::add_run(RunId run, SlotIndex slot) {
  std::string path = logs_ + "/fifo-" + std::to_string(run);
  HEARTH_CHECK(mkfifo(path.c_str(), 0600) == 0, "mkfifo");
  os::Fd reader(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  os::Fd writer(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  HEARTH_CHECK(reader.get() >= 0 && writer.get() >= 0, "open fifo");
  unlink(path.c_str());
  parked_.push_back({run, slot, std::move(reader)});
  if (pid_ > 0) hand_over(parked_.back());
  return writer;
}

void KeeperStandIn::unpark(RunId run) {
  wire::ParkRecord record{};
  record.type = wire::ParkClass::output;
  record.key = run;
  os::send_message(socket_.get(), wire::MessageType::unpark, &record, 1, sizeof record);
  std::erase_if(parked_, [run](const Parked& parked) { return parked.run == run; });
}

void KeeperStandIn::end_run(RunId run, SlotIndex slot) {
  page_->stream[slot].ended_run.store(run);
  os::ring(to_logger_.get());
}

void KeeperStandIn::hand_over(const Parked& parked) {
  wire::ParkRecord record{};
  record.type = wire::ParkClass::output;
  record.slot = parked.slot;
  record.key = parked.run;
  int fd = parked.fifo.get();
  os::send_message(socket_.get(), wire::MessageType::parked, &record, 1, sizeof record, {&fd, 1});
  ++unacknowledged_;
}

void KeeperStandIn::widen_in_flight_pipe(int bytes) {
  if (bytes > 0) HEARTH_CHECK(fcntl(pipe_write_.get(), F_SETPIPE_SZ, bytes) >= bytes, "F_SETPIPE_SZ");
}

void KeeperStandIn::start() {
  int ends[2];
  HEARTH_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  socket_.reset(ends[0]);
  os::Fd theirs(ends[1]);
  const int least = 1;  // the kernel makes it what it needs for one
  if (narrow_) setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
  unacknowledged_ = 0;
  pid_ = fork();
  HEARTH_CHECK(pid_ >= 0, "fork");
  if (pid_ == 0) {
    if (theirs.get() == wire::member_socket_fd) {
      fcntl(wire::member_socket_fd, F_SETFD, 0);
    } else {
      dup2(theirs.get(), wire::member_socket_fd);
    }
    execl(program_.c_str(), "hearth-logger", "--dir", ".", "--logs", logs_.c_str(), nullptr);
    _exit(127);
  }
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  wire::HelloRecord hello{wire::message_version, 1, 1, static_cast<std::uint32_t>(parked_.size())};
  int fds[] = {page_fd_.get(),       buffer_fd_.get(),     pipe_read_.get(), pipe_write_.get(),
               log_directory_.get(), to_supervisor_.get(), to_logger_.get()};
  os::send_message(socket_.get(), wire::MessageType::hello, &hello, 1, sizeof hello, fds);
  for (const Parked& parked : parked_) hand_over(parked);
}

void KeeperStandIn::kill_now() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int KeeperStandIn::stop() {
  socket_.reset();
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (poll(&ended, 1, 20'000) != 1) return -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

KeeperStandIn::Process KeeperStandIn::leave_running() {
  return {std::move(socket_), std::exchange(pid_, -1)};
}

void KeeperStandIn::Process::end() {
  socket.reset();
  waitpid(pid, nullptr, 0);
}

bool KeeperStandIn::acknowledged_within(std::chrono::milliseconds time) {
  pollfd readable{socket_.get(), POLLIN, 0};
  return poll(&readable, 1, static_cast<int>(time.count())) == 1;
}

bool KeeperStandIn::wait_until(const std::function<bool()>& holds, std::chrono::seconds deadline) {
  auto until = std::chrono::steady_clock::now() + deadline;
  while (!holds()) {
    pollfd fds[2] = {{to_supervisor_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
    int left = milliseconds_left(until);
    if (left == 0 || poll(fds, 2, left) <= 0 || fds[1].revents != 0) return holds();
    os::drain(to_supervisor_.get());
  }
  return true;
}

bool KeeperStandIn::wait_drained(RunId run, SlotIndex slot) {
  return wait_until([&] { return page_->stream[slot].drained_run.load() == run; });
}

bool KeeperStandIn::wait_acknowledged() {
  for (; unacknowledged_ > 0; --unacknowledged_) {
    os::Message message;
    if (os::receive_message(socket_.get(), message, 20'000) != os::Received::message) return false;
    if (message.type != wire::MessageType::ack) return false;
  }
  return true;
}

bool KeeperStandIn::answers() {
  ask();
  return hears_answer();
}

void KeeperStandIn::ask() {
  os::send_message(socket_.get(), wire::MessageType::ask, nullptr, 0, 0);
}

bool KeeperStandIn::hears_answer() {
  os::Message message;
  return os::receive_message(socket_.get(), message, 20'000) == os::Received::message &&
         message.type == wire::MessageType::up;
}

int wait_for_exit(pid_t pid) {
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string read_log(const std::string& directory) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".log") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    all.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return all;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (fs::temp_directory_path() / "hearth-logger-XXXXXX").string();
  HEARTH_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  path_ = pattern;
}
TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace hearth::logger::test
