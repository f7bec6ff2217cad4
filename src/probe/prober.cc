#include "probe/prober.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "os/clock.h"

namespace hearth::probe {
namespace {

constexpr int events_at_once = 64;

std::string describe(const char* what, int code) {
  return std::string(what) + ": " + std::strerror(code);
}

}  // namespace

Result<std::unique_ptr<Prober>> Prober::create(std::function<void(ports::Input)> push) {
  std::unique_ptr<Prober> prober(new Prober);
  prober->push_ = std::move(push);
  prober->epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!prober->epoll_) return errno_failure("make", "an epoll for probes", errno);
  return prober;
}

void Prober::begin(SlotIndex slot, bool live, std::uint64_t attempt, const Probe& probe) {
  const bool http = probe.type == ProbeType::http;
  if (!http && probe.type != ProbeType::tcp) return;  // notify and exec probes are other rooms' business
  Result<HttpTarget> target = http ? parse_http_url(probe.url) : parse_tcp_address(probe.address);
  if (!target) return report(slot, live, attempt, false, target.error().text());
  auto made = std::make_unique<Try>(Try{.id = next_id_++,
                                        .slot = slot,
                                        .live = live,
                                        .attempt = attempt,
                                        .expect = probe.expect_status,
                                        .http = http,
                                        .deadline = after(os::read_mono(), probe.timeout),
                                        .target = std::move(*target)});
  Try& t = *made;
  tries_.push_back(std::move(made));
  const Outcome outcome = connect(t, t.target.address);
  if (outcome.over) finish(t.id, outcome);
}

void Prober::cancel(SlotIndex slot) {
  // Closing the socket takes it out of the epoll: nobody else holds it.
  std::erase_if(tries_, [&](const std::unique_ptr<Try>& t) { return t->slot == slot; });
}

Prober::Outcome Prober::connect(Try& t, const os::SocketAddress& address) {
  t.socket = os::Fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!t.socket) return {true, false, describe("no socket", errno)};
  t.state = State::connecting;
  if (::connect(t.socket.get(), address.get(), address.length) == 0) return connected(t);
  if (errno == EINPROGRESS) {
    watch(t, EPOLLOUT);
    return {};
  }
  return failed_to_connect(t, errno);
}

Prober::Outcome Prober::failed_to_connect(Try& t, int code) {
  if (t.target.fallback.length == 0) return {true, false, describe("cannot connect", code)};
  const os::SocketAddress fallback = t.target.fallback;
  t.target.fallback.length = 0;
  return connect(t, fallback);
}

Prober::Outcome Prober::connected(Try& t) {
  if (!t.http) return {true, true, {}};
  t.state = State::sending;
  return send(t);
}

Prober::Outcome Prober::send(Try& t) {
  while (t.sent < t.target.request.size()) {
    const ssize_t n = ::send(t.socket.get(), t.target.request.data() + t.sent, t.target.request.size() - t.sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      watch(t, EPOLLOUT);
      return {};
    }
    if (n < 0) return {true, false, describe("cannot send", errno)};
    t.sent += static_cast<std::size_t>(n);
  }
  t.state = State::receiving;
  watch(t, EPOLLIN);
  return {};
}

Prober::Outcome Prober::receive(Try& t, bool& progress) {
  char buffer[1024];
  progress = false;
  const ssize_t n = ::recv(t.socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (n < 0) return {true, false, describe("cannot receive", errno)};
  if (n == 0) return {true, false, "the server closed before it had answered"};
  progress = true;
  t.received.append(buffer, static_cast<std::size_t>(n));
  const int status = parse_status(t.received);
  if (status == 0 || (status < 0 && t.received.size() >= answer_max)) return {true, false, "the answer is not HTTP"};
  if (status < 0) return {};
  const bool good = status_is_good(status, t.expect);
  return {true, good, good ? "" : "status " + std::to_string(status)};
}

Prober::Outcome Prober::advance(Try& t) {
  if (t.state == State::connecting) {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(t.socket.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    return code == 0 ? connected(t) : failed_to_connect(t, code);
  }
  if (t.state == State::sending) return send(t);
  for (bool progress = true; progress;) {
    const Outcome outcome = receive(t, progress);
    if (outcome.over) return outcome;
  }
  return {};
}

void Prober::ready() {
  if (tries_.empty()) return;
  epoll_event events[events_at_once];
  const int count = ::epoll_wait(epoll_.get(), events, events_at_once, 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events[i].data.u64;
    auto at = std::find_if(tries_.begin(), tries_.end(), [&](const auto& t) { return t->id == id; });
    if (at == tries_.end()) continue;  // cancelled by a result of this round
    const Outcome outcome = advance(**at);
    if (outcome.over) finish(id, outcome);
  }
}

MonoNs Prober::next_deadline() const {
  MonoNs due = never;
  for (const auto& t : tries_) due = std::min(due, t->deadline);
  return due;
}

void Prober::advance_to(MonoNs now) {
  std::vector<std::uint64_t> late;
  for (const auto& t : tries_)
    if (t->deadline <= now) late.push_back(t->id);
  for (std::uint64_t id : late) finish(id, {true, false, "no answer in time"});
}

void Prober::watch(const Try& t, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = t.id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, t.socket.get(), &event) < 0 && errno == EEXIST)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, t.socket.get(), &event);
}

void Prober::finish(std::uint64_t id, const Outcome& outcome) {
  auto at = std::find_if(tries_.begin(), tries_.end(), [&](const auto& t) { return t->id == id; });
  if (at == tries_.end()) return;
  const std::unique_ptr<Try> ended = std::move(*at);
  tries_.erase(at);
  report(ended->slot, ended->live, ended->attempt, outcome.good, outcome.reason);
}

void Prober::report(SlotIndex slot, bool live, std::uint64_t attempt, bool good, const std::string& reason) {
  ports::Input input;
  input.kind = ports::InputKind::probe_result;
  input.slot = slot;
  input.live = live;
  input.attempt = attempt;
  input.good = good;
  input.data = reason;
  push_(std::move(input));
}

}  // namespace hearth::probe
