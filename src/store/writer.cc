#include "store/writer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <signal.h>
#include <sys/prctl.h>

namespace hearth::store {
namespace {

// Of address space; a pass touches 24 KiB or so. Sanitizers need more.
constexpr std::size_t stack_bytes = 256 * 1024;

using Clock = std::chrono::steady_clock;

}  // namespace

struct Writer::Shared {
  Shared(Mirror::Place place, WriterOptions chosen) : mirror(std::move(place)), options(chosen) {}

  void run();
  bool settled() const { return !work && !at_work && mirror.settled(); }

  Mirror mirror;
  const WriterOptions options;
  std::mutex mutex;
  std::condition_variable changed;  // for the thread
  std::condition_variable passed;   // for who waits for it
  bool work = false;
  bool at_once = false;
  bool at_work = false;
  bool stop = false;
  bool ended = false;
};

void Writer::Shared::run() {
  ::prctl(PR_SET_NAME, "hearth-writer");
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
    const bool good = mirror.pass();
    lock.lock();
    at_work = false;
    passed.notify_all();
    if (good) {
      retry = options.retry_first;
      continue;
    }
    work = true;
    const auto until = Clock::now() + std::chrono::nanoseconds(retry);
    while (!stop && !at_once && changed.wait_until(lock, until) != std::cv_status::timeout) {
    }
    retry = std::min(2 * retry, options.retry_most);
  }
  ended = true;
  passed.notify_all();
}

Writer::Writer(Mirror::Place place, WriterOptions options)
    : shared_(std::make_shared<Shared>(std::move(place), options)), options_(options) {}

Writer::~Writer() {
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

Mirror& Writer::mirror() {
  return shared_->mirror;
}

const Mirror& Writer::mirror() const {
  return shared_->mirror;
}

void* Writer::main(void* shared) {
  const std::unique_ptr<std::shared_ptr<Shared>> own(static_cast<std::shared_ptr<Shared>*>(shared));
  (*own)->run();
  return nullptr;
}

bool Writer::ensure_thread() {
  if (started_ || !wanted_ || !options_.thread) return true;
  pthread_attr_t attributes;
  if (error_ = ::pthread_attr_init(&attributes); error_ != 0) return false;
  (void)::pthread_attr_setstacksize(&attributes, stack_bytes);
  // The keeper hears signals; what is sent to this process is for the other thread.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto own = std::make_unique<std::shared_ptr<Shared>>(shared_);
  error_ = ::pthread_create(&thread_, &attributes, &Writer::main, own.get());
  if (error_ == 0) (void)own.release();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  started_ = error_ == 0;
  return started_;
}

void Writer::post(bool now) {
  wanted_ = true;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->work = true;
    shared_->at_once = shared_->at_once || now;
  }
  shared_->changed.notify_one();
  (void)ensure_thread();
}

bool Writer::settle(SpanNs patience) {
  std::unique_lock lock(shared_->mutex);
  return shared_->passed.wait_until(lock, Clock::now() + std::chrono::nanoseconds(patience),
                                    [this] { return shared_->settled(); });
}

}  // namespace hearth::store
