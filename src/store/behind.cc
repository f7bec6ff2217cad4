#include "store/behind.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <sys/prctl.h>

#include "os/at_work.h"
#include "os/thread.h"

namespace hearth::store {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct Behind::Shared {
  Shared(const char* its_name, std::function<bool()> its_pass, BehindOptions chosen)
      : name(its_name), pass(std::move(its_pass)), options(chosen) {}

  void run();

  const char* const name;
  const std::function<bool()> pass;
  const BehindOptions options;
  std::mutex mutex;
  std::condition_variable changed;  // for the thread
  std::condition_variable passed;   // for who waits for it
  bool work = false;
  bool at_once = false;  // posted so since the last pass began
  bool at_work = false;
  bool stop = false;
  bool ended = false;
};

void Behind::Shared::run() {
  ::prctl(PR_SET_NAME, name);
  SpanNs retry = options.retry_first;
  std::unique_lock lock(mutex);
  while (!stop) {
    if (!work) {
      changed.wait(lock);
      continue;
    }
    work = at_once = false;
    at_work = true;
    lock.unlock();
    const bool done = [&] {
      const os::AtWork busy;
      return pass();
    }();
    lock.lock();
    at_work = false;
    if (!done) work = true;
    passed.notify_all();
    if (done) {
      retry = options.retry_first;
      continue;
    }
    const auto until = Clock::now() + std::chrono::nanoseconds(retry);
    while (!stop && !at_once && changed.wait_until(lock, until) != std::cv_status::timeout) {
    }
    retry = std::min(2 * retry, options.retry_most);
  }
  ended = true;
  passed.notify_all();
}

Behind::Behind(const char* name, std::function<bool()> pass, BehindOptions options)
    : shared_(std::make_shared<Shared>(name, std::move(pass), options)), options_(options) {}

Behind::~Behind() {
  if (!started_) return;
  bool ended = false;
  {
    std::unique_lock lock(shared_->mutex);
    shared_->stop = true;
    shared_->changed.notify_all();
    ended = shared_->passed.wait_until(lock, Clock::now() + std::chrono::nanoseconds(options_.join_patience),
                                       [this] { return shared_->ended; });
  }
  if (ended)
    ::pthread_join(thread_, nullptr);
  else
    ::pthread_detach(thread_);
}

bool Behind::ensure_thread() {
  if (started_ || !wanted_ || !options_.thread) return true;
  error_ = os::start_thread(thread_, [shared = shared_] { shared->run(); });
  started_ = error_ == 0;
  return started_;
}

void Behind::post(bool at_once) {
  wanted_ = true;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->work = true;
    shared_->at_once = shared_->at_once || at_once;
  }
  shared_->changed.notify_one();
  (void)ensure_thread();
}

bool Behind::settle(SpanNs patience) {
  std::unique_lock lock(shared_->mutex);
  return shared_->passed.wait_until(lock, Clock::now() + std::chrono::nanoseconds(patience),
                                    [this] { return !shared_->work && !shared_->at_work; });
}

bool Behind::pass() {
  const bool done = shared_->pass();
  const std::lock_guard lock(shared_->mutex);
  shared_->work = !done;
  return done;
}

}  // namespace hearth::store
