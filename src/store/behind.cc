#include "store/behind.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <signal.h>
#include <sys/prctl.h>

namespace hearth::store {
namespace {

// Of address space. Sanitizers need more than the work does.
constexpr std::size_t stack_bytes = 256 * 1024;

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
  bool fresh = false;  // posted since the last pass began
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
    work = fresh = false;
    at_work = true;
    lock.unlock();
    const bool done = pass();
    lock.lock();
    at_work = false;
    if (!done) work = true;
    passed.notify_all();
    if (done) {
      retry = options.retry_first;
      continue;
    }
    // What failed waits; what is new does not, since it may be on another disk.
    const auto until = Clock::now() + std::chrono::nanoseconds(retry);
    while (!stop && !fresh && changed.wait_until(lock, until) != std::cv_status::timeout) {
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

void* Behind::main(void* shared) {
  const std::unique_ptr<std::shared_ptr<Shared>> own(static_cast<std::shared_ptr<Shared>*>(shared));
  (*own)->run();
  return nullptr;
}

void Behind::ensure_thread() {
  if (started_ || !options_.thread) return;
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return;
  (void)::pthread_attr_setstacksize(&attributes, stack_bytes);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto own = std::make_unique<std::shared_ptr<Shared>>(shared_);
  started_ = ::pthread_create(&thread_, &attributes, &Behind::main, own.get()) == 0;
  if (started_) (void)own.release();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
}

void Behind::post() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->work = shared_->fresh = true;
  }
  shared_->changed.notify_one();
  ensure_thread();
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
