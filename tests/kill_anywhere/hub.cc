#include "hub.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot to say so itself
}

#include <cstddef>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "os/clock.h"
#include "os/proc_stat.h"

namespace hearth::kill_anywhere {
namespace {

bool has_ended(int pidfd, int timeout_ms) {
  pollfd wait{pidfd, POLLIN, 0};
  return poll(&wait, 1, timeout_ms) == 1;
}

std::string name_of(const ServiceProcess& process) {
  return process.name + " (PID " + std::to_string(process.pid) + ", run " + std::to_string(process.run) + ")";
}

}  // namespace

bool ServiceProcess::alive() const {
  return handle && !has_ended(handle.get(), 0);
}

Hub::Hub() : listener_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un bound{};
  bound.sun_family = AF_UNIX;
  // The kernel chooses an abstract name that nobody has.
  socklen_t length = sizeof bound.sun_family;
  const bool ok =
      bind(listener_.get(), reinterpret_cast<sockaddr*>(&bound), length) == 0 && listen(listener_.get(), 64) == 0;
  length = sizeof bound;
  if (!ok || getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &length) < 0)
    throw std::runtime_error(std::string("cannot make the command socket: ") + std::strerror(errno));
  address_.assign(bound.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
}

void Hub::add_to(std::vector<pollfd>& polled) const {
  polled.push_back({listener_.get(), POLLIN, 0});
  for (const auto& process : processes_)
    if (process->control) polled.push_back({process->control.get(), POLLIN, 0});
}

void Hub::accept_all() {
  for (;;) {
    os::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    auto process = std::make_unique<ServiceProcess>();
    ucred peer{};
    socklen_t size = sizeof peer;
    getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    process->pid = peer.pid;
    process->handle.reset(pidfd_open(peer.pid, 0));
    process->start_ticks = os::start_ticks(peer.pid);
    process->control = std::move(fd);
    const std::lock_guard lock(mutex_);
    processes_.push_back(std::move(process));
  }
}

void Hub::greet(ServiceProcess& process, const std::string& text) {
  std::istringstream in(text);
  std::string hello;
  pid_t said = 0;
  std::string name;
  std::uint64_t run = 0;
  in >> hello >> name >> said >> run >> process.listen_fds >> process.listen_names >> process.content;
  for (const auto& other : processes_) {
    if (other.get() == &process || other->name != name) continue;
    if (other->alive())
      violations_.push_back("two processes of one slot live: " + name_of(*other) + " and PID " + std::to_string(said) +
                            ", run " + std::to_string(run));
    if (other->run >= run)
      violations_.push_back("run " + std::to_string(run) + " of " + name + " came after run " +
                            std::to_string(other->run));
  }
  const std::lock_guard lock(mutex_);
  process.run = run;
  process.name = name;
}

void Hub::read() {
  accept_all();
  for (const auto& process : processes_) {
    while (process->control) {
      char packet[512];
      const ssize_t n = recv(process->control.get(), packet, sizeof packet, MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
      if (n <= 0) {
        const std::lock_guard lock(mutex_);
        process->control.reset();
        process->ended_ticks = os::read_boot_ticks();
        break;
      }
      const std::string text(packet, static_cast<std::size_t>(n));
      if (process->name.empty())
        greet(*process, text);
      else
        process->answers.push_back(text);
    }
  }
}

std::vector<ServiceProcess*> Hub::all() const {
  std::vector<ServiceProcess*> found;
  for (const auto& process : processes_)
    if (!process->name.empty()) found.push_back(process.get());
  return found;
}

std::vector<ServiceProcess*> Hub::all(const std::string& name) const {
  std::vector<ServiceProcess*> found;
  for (const auto& process : processes_)
    if (process->name == name) found.push_back(process.get());
  return found;
}

ServiceProcess* Hub::newest(const std::string& name) const {
  const std::vector<ServiceProcess*> found = all(name);
  return found.empty() ? nullptr : found.back();
}

bool Hub::send(const std::string& name, const std::string& command) {
  const std::lock_guard lock(mutex_);
  ServiceProcess* process = newest(name);
  if (process == nullptr || !process->control) return false;
  if (::send(process->control.get(), command.data(), command.size(), MSG_NOSIGNAL) <= 0) return false;
  if (command.starts_with("write ") || command.starts_with("spill ")) lines_[name] += std::stoul(command.substr(6));
  if (command.starts_with("exit ")) process->told_exit = std::stoi(command.substr(5));
  return true;
}

std::uint64_t Hub::lines_of(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = lines_.find(name);
  return found == lines_.end() ? 0 : found->second;
}

std::uint64_t Hub::run_of(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const ServiceProcess* process = newest(name);
  return process == nullptr ? 0 : process->run;
}

std::optional<std::string> Hub::take_answer(const std::string& name) {
  ServiceProcess* process = newest(name);
  if (process == nullptr || process->answers.empty()) return std::nullopt;
  std::string answer = process->answers.front();
  process->answers.pop_front();
  return answer;
}

bool Hub::end_now(const std::string& name, int code) {
  os::Fd handle;
  {
    const std::lock_guard lock(mutex_);
    ServiceProcess* process = newest(name);
    if (process == nullptr || !process->control || !process->alive()) return false;
    const std::string command = "exit " + std::to_string(code);
    if (::send(process->control.get(), command.data(), command.size(), MSG_NOSIGNAL) <= 0) return false;
    process->told_exit = code;
    handle.reset(dup(process->handle.get()));
  }
  return has_ended(handle.get(), 5'000);
}

}  // namespace hearth::kill_anywhere
