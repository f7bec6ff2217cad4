#include "faults.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "support/notify.h"

namespace hearth::chaos {
namespace {

// Both of them killed within this time: nobody may have been there who could take over.
constexpr SpanNs kAtOnce = seconds(3);

// What a keeper could not hold, it is offered again within this time once it has room.
constexpr SpanNs kOfferedAgain = seconds(5);

std::uint64_t open_descriptors(pid_t pid) {
  std::error_code error;
  std::uint64_t count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    ++count;
  return count;
}

os::Fd connect_to(const std::string& path) {
  socklen_t length = 0;
  const sockaddr_un address = support::address_of(path, false, length);
  os::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) fd.reset();
  return fd;
}

}  // namespace

const std::vector<std::pair<const char*, Faults::Act>>& Faults::table() {
  static const std::vector<std::pair<const char*, Act>> all = {
      {"kill-supervisor", &Faults::kill_supervisor},
      {"kill-keeper", &Faults::kill_keeper},
      {"kill-spawner", &Faults::kill_spawner},
      {"kill-logger", &Faults::kill_logger},
      {"kill-several", &Faults::kill_several},
      {"kill-everything", &Faults::kill_everything},
      {"kill-service", &Faults::kill_service},
      {"kill-client", &Faults::kill_client},
      {"stop-supervisor", &Faults::stop_supervisor},
      {"stop-logger", &Faults::stop_logger},
      {"stop-all", &Faults::stop_all},
      {"few-descriptors", &Faults::few_descriptors},
      {"few-descriptors-keeper", &Faults::few_descriptors_keeper},
      {"few-descriptors-logger", &Faults::few_descriptors_logger},
      {"full-logs", &Faults::full_logs},
      {"full-state", &Faults::full_state},
      {"flood-control", &Faults::flood_control},
      {"flood-notify", &Faults::flood_notify},
  };
  return all;
}

std::vector<std::string> Faults::kinds() {
  std::vector<std::string> names;
  for (const auto& [name, act] : table()) names.emplace_back(name);
  return names;
}

Faults::Faults(World& world, const Options& options, Random& random)
    : world_(world), options_(options), random_(random), begun_(os::read_mono()) {
  for (const auto& entry : table()) {
    const std::string name = entry.first;
    if (!obstacle(name).empty()) continue;
    chosen_.push_back(entry);
    tallies_[name];
  }
}

std::string Faults::obstacle(const std::string& kind) const {
  if (options_.without.contains(kind) || (!options_.only.empty() && !options_.only.contains(kind))) return "not wanted";
  if (kind.starts_with("full-") && !world_.can_fill()) return "no tmpfs can be mounted here";
  return "";
}

void Faults::one() {
  if (chosen_.empty()) return;
  const auto& [name, act] = chosen_[below(random_, chosen_.size())];
  note(name);
  Tally& tally = tallies_[name];
  ++tally.tried;
  const std::uint64_t hit = (this->*act)();
  tally.hit += hit;
  if (hit == 0) trace_.back() += " (nobody there)";
}

void Faults::note(const std::string& what) {
  trace_.push_back(fmt::format("{:.3f} s {}", static_cast<double>(os::read_mono() - begun_) / 1e9, what));
}

std::deque<std::string> Faults::take_trace() {
  return std::exchange(trace_, {});
}

void Faults::tick() {
  const MonoNs now = os::read_mono();
  for (std::size_t i = 0; i < undos_.size();) {
    if (undos_[i].at > now) {
      ++i;
      continue;
    }
    const Undo undo = std::move(undos_[i]);
    undos_.erase(undos_.begin() + static_cast<std::ptrdiff_t>(i));
    note(undo.text);
    undo.act();
  }
}

void Faults::undo_all() {
  for (Undo& undo : undos_) undo.at = 0;
  tick();
  unread_since_ = 0;
  slow_readers_.clear();
}

void Faults::later(SpanNs at_most, const std::string& text, std::function<void()> act) {
  const SpanNs time = milliseconds(20) + static_cast<SpanNs>(below(random_, static_cast<std::uint64_t>(at_most)));
  undos_.push_back({after(os::read_mono(), time), std::move(act), text});
}

bool Faults::kill(const Process& process) {
  const MonoNs now = os::read_mono();
  if (!world_.signal(process, SIGKILL)) return false;
  ++kills_;
  trace_.back() +=
      fmt::format(" {} {}", process.role == Role::none ? process.program : role_name(process.role), process.pid);
  note_death(process, now);
  return true;
}

void Faults::note_death(const Process& process, MonoNs now) {
  const auto stopped = stopped_.find(process.pid);
  if (process.role == Role::keeper)
    deaths_.of_keeper.push_back({process.pid, now, stopped == stopped_.end() ? now : stopped->second});
  if (process.role == Role::supervisor) supervisor_killed_ = now;
  if (process.role == Role::supervisor && now <= keeper_starved_)
    deaths_.of_parked.push_back({now - kOfferedAgain, after(now, kOfferedAgain)});
  const bool both = process.role == Role::keeper || process.role == Role::supervisor;
  const bool at_once = !deaths_.of_keeper.empty() && supervisor_killed_ != 0 &&
                       std::max(supervisor_killed_, deaths_.of_keeper.back().at) -
                               std::min(supervisor_killed_, deaths_.of_keeper.back().at) <
                           kAtOnce;
  if (both && at_once) ++deaths_.batches;
  if (both && at_once && !everything_died()) deaths_.of_all.push_back({unread_since_ != 0 ? unread_since_ : now});
}

void Faults::hearth_is_back() {
  if (everything_died()) deaths_.of_all.back().until = os::read_mono();
}

std::uint64_t Faults::kill_role(Role role) {
  const std::vector<Process> found = world_.members(role);
  return !found.empty() && kill(found[below(random_, found.size())]) ? 1 : 0;
}

std::uint64_t Faults::kill_keeper() {
  return kill_role(Role::keeper);
}
std::uint64_t Faults::kill_supervisor() {
  return kill_role(Role::supervisor);
}
std::uint64_t Faults::kill_spawner() {
  return kill_role(Role::spawner);
}
std::uint64_t Faults::kill_logger() {
  return kill_role(Role::logger);
}

std::uint64_t Faults::kill_several() {
  std::uint64_t hit = 0;
  for (const Process& process : world_.processes())
    if (process.role != Role::none && process.state != 'Z' && below(random_, 2) == 0) hit += kill(process) ? 1 : 0;
  return hit;
}

// The supervisor is stopped first, so that it does not replace whom it survives.
std::uint64_t Faults::kill_everything() {
  for (const Process& supervisor : world_.members(Role::supervisor)) world_.signal(supervisor, SIGSTOP);
  std::uint64_t hit = 0;
  for (int round = 0; round < 2; ++round)
    for (const Process& process : world_.processes())
      if (process.role != Role::none && process.state != 'Z') hit += kill(process) ? 1 : 0;
  return hit;
}

std::uint64_t Faults::kill_service() {
  std::vector<Process> services;
  for (const Process& process : world_.processes())
    if (process.program == "hearth-chaos-service" && process.state != 'Z') services.push_back(process);
  if (services.empty()) return 0;
  const Process& victim = services[below(random_, services.size())];
  if (!kill(victim)) return 0;
  killed_services_.push_back(victim.pid);
  return 1;
}

std::uint64_t Faults::kill_client() {
  for (Client& client : world_.clients()) {
    if (client.killed || !client.mutates) continue;
    client.killed = true;
    ++kills_;
    trace_.back() += " " + client.what;
    os::pidfd_signal(client.handle.get(), SIGKILL);
    return 1;
  }
  return 0;
}

void Faults::output_waits() {
  if (unread_since_ == 0) unread_since_ = os::read_mono();
}

std::uint64_t Faults::stop(const std::vector<Process>& processes) {
  std::uint64_t hit = 0;
  for (const Process& process : processes) {
    if (!world_.signal(process, SIGSTOP)) continue;
    ++hit;
    if (process.role == Role::logger) output_waits();
    stopped_.try_emplace(process.pid, os::read_mono());
    later(seconds(3), fmt::format("{} {} goes on", role_name(process.role), process.pid), [this, process] {
      stopped_.erase(process.pid);
      world_.signal(process, SIGCONT);
    });
  }
  return hit;
}

std::uint64_t Faults::stop_supervisor() {
  return stop(world_.members(Role::supervisor));
}
std::uint64_t Faults::stop_logger() {
  return stop(world_.members(Role::logger));
}
std::uint64_t Faults::stop_all() {
  std::vector<Process> all = world_.processes();
  std::erase_if(all, [](const Process& process) { return process.role == Role::none; });
  return stop(all);
}

std::uint64_t Faults::few_descriptors() {
  return starve(Role::supervisor);
}
std::uint64_t Faults::few_descriptors_keeper() {
  return starve(Role::keeper);
}
std::uint64_t Faults::few_descriptors_logger() {
  return starve(Role::logger);
}

std::uint64_t Faults::starve(Role role) {
  const std::vector<Process> found = world_.members(role);
  // Twice at a time, what is put back last would be the low limit of the first.
  if (found.empty() || starving_.contains(found.front().pid)) return 0;
  const Process& process = found.front();
  rlimit before{};
  if (prlimit(process.pid, RLIMIT_NOFILE, nullptr, &before) < 0) return 0;
  const rlimit low{open_descriptors(process.pid) + below(random_, 6), before.rlim_max};
  if (prlimit(process.pid, RLIMIT_NOFILE, &low, nullptr) < 0) return 0;
  trace_.back() += fmt::format(" ({})", low.rlim_cur);
  starving_.insert(process.pid);
  if (role == Role::keeper) keeper_starved_ = INT64_MAX;
  if (role == Role::logger) output_waits();
  later(seconds(2), fmt::format("the {}'s descriptors are back", role_name(role)),
        [this, process, before] { feed(process, before); });
  return 1;
}

// Whom a keeper has started meanwhile has the low limit from it.
void Faults::feed(const Process& process, const rlimit& before) {
  starving_.erase(process.pid);
  if (process.role == Role::keeper) keeper_starved_ = after(os::read_mono(), kOfferedAgain);
  for (const Process& now : world_.processes()) {
    const bool child = process.role == Role::keeper && now.role != Role::none && !starving_.contains(now.pid);
    rlimit its{};
    if (now.pid != process.pid && !child) continue;
    if (prlimit(now.pid, RLIMIT_NOFILE, nullptr, &its) == 0 && its.rlim_cur < before.rlim_cur)
      prlimit(now.pid, RLIMIT_NOFILE, &before, nullptr);
  }
}

std::uint64_t Faults::full_logs() {
  if (!world_.fill(world_.logs())) return 0;
  output_waits();
  later(seconds(3), "room for logs", [this] { world_.make_room(world_.logs()); });
  return 1;
}

std::uint64_t Faults::full_state() {
  if (!world_.fill(world_.directory())) return 0;
  later(seconds(2), "room for state", [this] { world_.make_room(world_.directory()); });
  return 1;
}

// Garbage, half requests, requests whose answers nobody reads.
std::uint64_t Faults::flood_control() {
  std::uint64_t hit = 0;
  for (int i = 0; i < 40; ++i) {
    os::Fd fd = connect_to(world_.directory() + "/api.sock");
    if (!fd) continue;
    std::string bytes;
    switch (below(random_, 4)) {
      case 0:
        for (std::uint64_t n = below(random_, 4096); n > 0; --n) bytes += static_cast<char>(random_());
        break;
      case 1: bytes = "POST /v1/orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{\"verb\":"; break;
      case 2:
        for (int n = 0; n < 50; ++n) bytes += "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n";
        break;
      default: bytes = "GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n";
    }
    hit += send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0 ? 1 : 0;
    if (slow_readers_.size() < 60) slow_readers_.push_back(std::move(fd));
  }
  if (below(random_, 3) == 0) slow_readers_.clear();
  return hit;
}

// Each socket is one run's own, and takes only so many datagrams: what does not fit is not sent.
std::uint64_t Faults::flood_notify() {
  const os::Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::uint64_t hit = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(world_.directory() + "/n", error)) {
    for (int i = 0; i < 30; ++i) {
      std::string text = below(random_, 2) == 0 ? "STATUS=flood\nX_HEARTH_DONE=1" : "";
      while (text.empty() || below(random_, 64) != 0) text += static_cast<char>(1 + below(random_, 255));
      const int fd = below(random_, 8) == 0 ? null.get() : -1;
      if (support::send_datagram(entry.path().string(), "X" + text, fd, MSG_DONTWAIT) == 0) ++hit;
    }
  }
  return hit;
}

}  // namespace hearth::chaos
