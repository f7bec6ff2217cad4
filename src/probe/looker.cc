#include "probe/looker.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

#include "base/memory_words.h"
#include "os/at_work.h"
#include "os/clock.h"
#include "os/thread.h"

namespace hearth::probe {
namespace {

// Of address space. A search keeps a block of 64 KiB on it, and regexec(3) a few.
constexpr std::size_t stack_bytes = 512 * 1024;

// The kernel stamps files with a coarse clock, which is behind by up to a tick.
constexpr SpanNs stamp_slack = milliseconds(10);

WallNs to_ns(const timespec& at) {
  return at.tv_sec * ns_per_s + at.tv_nsec;
}

void look_at_file(const Look& order, Seen& seen) {
  struct stat st{};
  if (::stat(order.path.c_str(), &st) < 0) {
    seen.reason = errno == ENOENT ? order.path + " is not there" : order.path + ": " + std::strerror(errno);
    return;
  }
  seen.good = order.since == 0 || to_ns(st.st_ctim) >= order.since - stamp_slack;
  if (!seen.good) seen.reason = order.path + " was there before this run, and has not changed since";
}

void look_at_socket(const Look& order, Seen& seen) {
  seen.socket = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  seen.good = seen.socket && ::connect(seen.socket.get(), order.address.get(), order.address.length) == 0;
  if (seen.good) return;
  const int code = errno;
  seen.reason = code == ENOENT         ? order.address.path + " is not there"
                : code == ECONNREFUSED ? "nobody listens on " + order.address.path
                : code == EAGAIN       ? "too many wait for " + order.address.path + " to accept them"
                : code == EPROTOTYPE   ? order.address.path + " is no stream socket"
                                       : "cannot connect to " + order.address.path + ": " + std::strerror(code);
}

void look_at_memory(const Look& order, Seen& seen) {
  const Result<std::uint64_t> kib = order.measure(order.max_memory / 1024, order.asked);
  seen.refused = !kib;
  if (!kib) {
    seen.reason = kib.error().reason;
    return;
  }
  seen.good = *kib * 1024 <= order.max_memory;
  seen.used_kib = *kib;
  if (!seen.good) seen.reason = memory_words(*kib * 1024, order.max_memory);
}

}  // namespace

Seen look(Look&& order) {
  Seen seen;
  seen.id = order.id;
  switch (order.at) {
    case Look::At::file: look_at_file(order, seen); break;
    case Look::At::socket: look_at_socket(order, seen); break;
    case Look::At::log:
      search_log(order.log);
      seen.good = order.log.found;
      seen.reason = !order.log.problem.empty() ? order.log.problem
                    : seen.good                ? ""
                                               : "no line of its output matches " + order.log.pattern;
      seen.log = std::move(order.log);
      break;
    case Look::At::memory: look_at_memory(order, seen); break;
  }
  return seen;
}

struct Looker::Results {
  explicit Results(os::Fd fd) : wake(std::move(fd)) {}

  std::mutex mutex;
  std::vector<Seen> seen;
  const os::Fd wake;
};

struct Looker::Line {
  Line(std::shared_ptr<Results> to, std::function<Seen(Look&&)> work) : how(std::move(work)), results(std::move(to)) {}

  void run();

  std::mutex mutex;  // is taken before that of the results
  std::condition_variable changed;
  std::deque<Look> waiting;
  MonoNs at_work_since = 0;  // 0 = it is not
  bool over = false;         // left behind, or nobody is there any more
  const std::function<Seen(Look&&)> how;
  const std::shared_ptr<Results> results;
};

void Looker::Line::run() {
  ::prctl(PR_SET_NAME, "hearth-looker");
  std::unique_lock lock(mutex);
  while (!over) {
    if (waiting.empty()) {
      changed.wait(lock);
      continue;
    }
    Look order = std::move(waiting.front());
    waiting.pop_front();
    at_work_since = os::read_mono();
    lock.unlock();
    Seen one = [&] {
      const os::AtWork at_work;
      return how(std::move(order));
    }();
    lock.lock();
    at_work_since = 0;
    const std::lock_guard results_lock(results->mutex);
    results->seen.push_back(std::move(one));
    os::ring(results->wake.get());
  }
}

Result<std::unique_ptr<Looker>> Looker::create(std::function<Seen(Look&&)> how, SpanNs patience, StartThread start) {
  Result<os::Fd> wake = os::make_eventfd();
  if (!wake) return failure(wake.error());
  std::unique_ptr<Looker> looker(new Looker);
  looker->how_ = std::move(how);
  looker->patience_ = patience;
  looker->start_ = std::move(start);
  looker->results_ = std::make_shared<Results>(std::move(*wake));
  return looker;
}

int Looker::wake() const {
  return results_->wake.get();
}

Looker::~Looker() {
  if (!line_) return;
  const std::lock_guard lock(line_->mutex);
  line_->over = true;
  line_->changed.notify_all();
}

int Looker::start_detached(std::function<void()> body) {
  pthread_t thread{};
  const int error = os::start_thread(thread, std::move(body), stack_bytes);
  if (error == 0) ::pthread_detach(thread);
  return error;
}

int Looker::start_line(std::shared_ptr<Line>& line) const {
  auto made = std::make_shared<Line>(results_, how_);
  const int error = start_([made] { made->run(); });
  if (error == 0) line = std::move(made);
  return error;
}

bool Looker::hangs(MonoNs now) const {
  const std::lock_guard lock(line_->mutex);
  return line_->at_work_since != 0 && now - line_->at_work_since >= patience_;
}

std::string Looker::begin(Look order, MonoNs now) {
  if (!line_ || hangs(now)) {
    std::erase_if(left_behind_, [](const std::weak_ptr<Line>& line) { return line.expired(); });
    if (line_ && left_behind_.size() >= left_behind_max)
      return std::to_string(left_behind_max) + " other probes look at paths that do not answer";
    std::shared_ptr<Line> next;
    // Those that wait go on waiting behind the one that hangs: for its return, or for the thread of whoever comes next.
    if (const int error = start_line(next); error != 0)
      return std::string("no thread to look at paths: ") + std::strerror(error);
    leave_line_for(next);
  }
  const std::lock_guard lock(line_->mutex);
  line_->waiting.push_back(std::move(order));
  line_->changed.notify_all();
  return {};
}

// Those that waited go with it, and are late.
void Looker::leave_line_for(const std::shared_ptr<Line>& next) {
  const std::shared_ptr<Line> left = std::exchange(line_, next);
  if (!left) return;
  left_behind_.push_back(left);
  const std::scoped_lock lock(left->mutex, next->mutex);
  left->over = true;
  next->waiting.swap(left->waiting);
}

bool Looker::cancel(std::uint64_t id) {
  if (!line_) return false;
  const std::lock_guard lock(line_->mutex);
  return std::erase_if(line_->waiting, [&](const Look& each) { return each.id == id; }) != 0;
}

std::vector<Seen> Looker::take() {
  std::vector<Seen> seen;
  (void)os::drain(wake());
  const std::lock_guard lock(results_->mutex);
  seen.swap(results_->seen);
  return seen;
}

}  // namespace hearth::probe
