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

Result<std::unique_ptr<Prober>> Prober::create(std::function<void(ports::Input)> push, OutputOf output_of,
                                               MeasureOf measure_of) {
  std::unique_ptr<Prober> prober(new Prober);
  prober->push_ = std::move(push);
  prober->output_of_ = std::move(output_of);
  prober->measure_of_ = std::move(measure_of);
  prober->epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!prober->epoll_) return errno_failure("make", "an epoll for probes", errno);
  if (const Status made = prober->make_looker(prober->looker_, Looker::hangs_after); !made)
    return failure(made.error());
  return prober;
}

Status Prober::make_looker(std::unique_ptr<Looker>& looker, SpanNs patience) {
  Result<std::unique_ptr<Looker>> made = Looker::create(probe::look, patience);
  if (!made) return failure(made.error());
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, (*made)->wake(), &event) < 0)
    return errno_failure("watch", "the results of looks", errno);
  looker = std::move(*made);
  return {};
}

void Prober::begin(const ports::ProbeTry& order) {
  auto made = std::make_unique<Try>();
  Try& t = *made;
  t.id = next_id_++;
  t.type = order.probe->type;
  t.slot = order.slot;
  t.live = order.live;
  t.attempt = order.attempt;
  t.run = order.run;
  t.expect = order.probe->expect_status;
  t.deadline.at = after(os::read_mono(), order.probe->timeout);
  t.deadline.span = order.probe->timeout;
  t.until = t.deadline;
  if (order.until != 0) t.until.at = order.until;
  t.max_memory = order.live && measure_of_ ? order.probe->max_memory : 0;
  if (t.max_memory != 0) t.measure = measure_of_(order);
  tries_.push_back(std::move(made));
  const Result<Outcome> outcome = start(t, order);
  if (!outcome)
    finish(t.id, {true, false, outcome.error().text()});
  else if (outcome->over)
    finish(t.id, *outcome);
}

Result<Prober::Outcome> Prober::start(Try& t, const ports::ProbeTry& order) {
  const Probe& probe = *order.probe;
  if (t.type == ProbeType::memory) return measure(t);
  if (t.type == ProbeType::file) {
    Look file;
    file.at = Look::At::file;
    file.path = probe.target;
    file.since = order.started;
    return look(t, std::move(file));
  }
  if (t.type == ProbeType::log) {
    Look log;
    log.at = Look::At::log;
    log.log = log_search(order);
    return look(t, std::move(log));
  }
  const std::string address = probe.target.empty() ? probe.address : "unix:" + probe.target;
  Result<HttpTarget> target = t.type == ProbeType::http ? parse_http_url(probe.url) : parse_tcp_address(address);
  if (!target) return failure(target.error());
  t.target = std::move(*target);
  if (t.type == ProbeType::frame) t.target.request = ping_frame();
  if (t.target.address.path.empty()) return connect(t, t.target.address);
  Look socket;
  socket.at = Look::At::socket;
  socket.address = t.target.address;
  return look(t, std::move(socket));
}

Prober::Outcome Prober::look(Try& t, Look order) {
  t.state = State::looking;
  order.id = t.id;
  Looker& by = t.measuring ? *measurer_ : *looker_;
  const std::string problem = by.begin(std::move(order), os::read_mono());
  if (problem.empty()) ++looks_;
  return {!problem.empty(), false, problem, t.measuring};
}

Prober::Outcome Prober::measure(Try& t) {
  t.measuring = true;
  t.socket.reset();
  if (!t.measure) return {true, false, "nobody is there to measure it", true};
  if (!measurer_)
    if (const Status made = make_looker(measurer_, measuring_max); !made)
      return {true, false, made.error().text(), true};
  const MonoNs now = os::read_mono();
  t.deadline.span = std::max<SpanNs>(t.until.at - now, 0) / 2;
  t.deadline.at = now + t.deadline.span;
  Look memory;
  memory.at = Look::At::memory;
  memory.measure = t.measure;
  memory.max_memory = t.max_memory;
  memory.asked = now;
  return look(t, std::move(memory));
}

void Prober::end_look(const Try& t) {
  if (t.state != State::looking) return;
  Looker* const by = t.measuring ? measurer_.get() : looker_.get();
  if (by != nullptr && by->cancel(t.id)) --looks_;
}

LogSearch Prober::log_search(const ports::ProbeTry& order) const {
  LogSearch search;
  if (!output_of_) return search;
  OutputState output = output_of_(order.slot);
  search.directory = std::move(output.directory);
  search.end = output.end;
  search.pattern = order.probe->target;
  if (order.log != nullptr) search.format = order.log->format;
  search.run = order.run;
  search.behind = output.written > order.output_from ? output.written - order.output_from : 0;
  for (const LogCursor& cursor : cursors_) {
    if (cursor.slot != order.slot || cursor.run != order.run) continue;
    search.at = cursor.at;
    search.begun = cursor.begun;
  }
  return search;
}

void Prober::take_seen() {
  std::vector<Seen> all = looker_->take();
  if (measurer_)
    for (Seen& one : measurer_->take()) all.push_back(std::move(one));
  for (Seen& one : all) {
    --looks_;
    auto at = std::find_if(tries_.begin(), tries_.end(), [&](const auto& t) { return t->id == one.id; });
    if (at == tries_.end()) continue;  // cancelled, or too late
    const Outcome outcome = seen(**at, one);
    if (outcome.over) finish(one.id, outcome);
  }
}

Prober::Outcome Prober::seen(Try& t, Seen& one) {
  if (t.measuring) return {true, one.good, one.reason, one.refused, one.used_kib};
  if (t.type == ProbeType::log) {
    std::erase_if(cursors_, [&](const LogCursor& cursor) { return cursor.slot == t.slot; });
    if (!one.good) cursors_.push_back({t.slot, t.run, one.log.at, std::move(one.log.begun)});
  }
  if (!one.socket || !one.good) return {true, one.good, one.reason};
  t.socket = std::move(one.socket);
  return connected(t);
}

void Prober::cancel(SlotIndex slot) {
  // Closing the socket takes it out of the epoll: nobody else holds it.
  std::erase_if(tries_, [&](const std::unique_ptr<Try>& t) {
    if (t->slot != slot) return false;
    end_look(*t);
    return true;
  });
  std::erase_if(cursors_, [&](const LogCursor& cursor) { return cursor.slot == slot; });
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
  if (t.target.request.empty()) return {true, true, {}};
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
  char buffer[4096];
  progress = false;
  const ssize_t n = ::recv(t.socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (n < 0) return {true, false, describe("cannot receive", errno)};
  if (n == 0) return {true, false, "the server closed before it had answered"};
  progress = true;
  const std::string_view bytes(buffer, static_cast<std::size_t>(n));
  t.taken += bytes.size();
  const Outcome outcome = t.type == ProbeType::http ? judge_status(t, bytes) : judge_frame(t, bytes);
  if (!outcome.over && t.taken >= answer_max) return {true, false, "it talks without an answer"};
  return outcome;
}

Prober::Outcome Prober::judge_status(Try& t, std::string_view bytes) {
  t.received.append(bytes);
  const int status = parse_status(t.received);
  if (status == 0 || (status < 0 && t.received.size() >= status_line_max))
    return {true, false, "the answer is not HTTP"};
  if (status < 0) return {};
  const bool good = status_is_good(status, t.expect);
  return {true, good, good ? "" : "status " + std::to_string(status)};
}

Prober::Outcome Prober::judge_frame(Try& t, std::string_view bytes) {
  switch (t.frames.take(bytes)) {
    case FrameReader::Found::nothing: return {};
    case FrameReader::Found::good: return {true, true, {}};
    case FrameReader::Found::bad: return {true, false, t.frames.reason()};
  }
  return {};
}

Prober::Outcome Prober::advance(Try& t) {
  if (t.state == State::connecting) {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(t.socket.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    return code == 0 ? connected(t) : failed_to_connect(t, code);
  }
  if (t.state == State::sending) return send(t);
  // The epoll is level-triggered: what is left is for the next time.
  const std::size_t until = t.taken + turn_max;
  for (bool progress = true; progress && t.taken < until;) {
    const Outcome outcome = receive(t, progress);
    if (outcome.over) return outcome;
  }
  return {};
}

void Prober::ready() {
  if (tries_.empty() && looks_ == 0) return;
  epoll_event events[events_at_once];
  const int count = ::epoll_wait(epoll_.get(), events, events_at_once, 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events[i].data.u64;
    if (id == 0) {
      take_seen();
      continue;
    }
    auto at = std::find_if(tries_.begin(), tries_.end(), [&](const auto& t) { return t->id == id; });
    if (at == tries_.end()) continue;  // cancelled by a result of this round
    const Outcome outcome = advance(**at);
    if (outcome.over) finish(id, outcome);
  }
}

MonoNs Prober::next_deadline() const {
  MonoNs due = never;
  for (const auto& t : tries_) due = std::min(due, t->deadline.at);
  return due;
}

void Prober::forgive_absence(MonoNs from, MonoNs now) {
  for (const auto& t : tries_) {
    t->deadline.renew_if_missed(from, now);
    t->until.renew_if_missed(from, now);
  }
}

void Prober::advance_to(MonoNs now) {
  std::vector<std::uint64_t> late;
  for (const auto& t : tries_)
    if (t->deadline.at <= now) late.push_back(t->id);
  for (std::uint64_t id : late) {
    const auto at = std::find_if(tries_.begin(), tries_.end(), [&](const auto& t) { return t->id == id; });
    const bool measuring = at != tries_.end() && (*at)->measuring;
    finish(id, {true, false,
                measuring ? "its memory could not be added up in time, and a longer timeout of live gives more"
                          : "no answer in time",
                measuring});
  }
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
  Outcome last = outcome;
  if (outcome.good && (*at)->max_memory != 0 && !(*at)->measuring) {
    last = measure(**at);
    if (!last.over) return;
  }
  const std::unique_ptr<Try> ended = std::move(*at);
  tries_.erase(at);
  end_look(*ended);
  report(*ended, last);
}

void Prober::report(const Try& t, const Outcome& outcome) {
  ports::Input input;
  input.kind = ports::InputKind::probe_result;
  input.slot = t.slot;
  input.live = t.live;
  input.attempt = t.attempt;
  // Measured is who has answered well.
  input.good = outcome.good || (outcome.refused && t.measuring && t.type != ProbeType::memory);
  input.refused = outcome.refused;
  input.memory = t.measuring && !outcome.good && !outcome.refused;
  input.used_kib = outcome.used_kib;
  input.data = outcome.reason;
  push_(std::move(input));
}

}  // namespace hearth::probe
