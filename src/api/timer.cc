#include "api/timer.h"

#include <cstdint>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/time.h"

namespace hearth::api {

using boost::system::error_code;

// Shared with handlers that Asio still holds when the timer is gone; they hold it weakly.
struct Timer::State : std::enable_shared_from_this<Timer::State> {
  explicit State(boost::asio::io_context& io) : descriptor(io), substitute(io) {}

  bool open() {
    if (descriptor.is_open()) return true;
    const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) return false;
    error_code error;
    descriptor.assign(fd, error);  // epoll may be out of memory
    if (error) ::close(fd);
    return !error;
  }

  // `at`: 0 disarms.
  void arm(MonoNs at) {
    if (at == armed_for || !descriptor.is_open()) return;
    armed_for = at;
    itimerspec time{};
    time.it_value = {at / ns_per_s, at % ns_per_s};
    ::timerfd_settime(descriptor.native_handle(), TFD_TIMER_ABSTIME, &time, nullptr);
  }

  void wait() {
    if (std::exchange(waiting, true)) return;
    descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [weak = weak_from_this()](const error_code& error) {
                            const auto self = weak.lock();
                            if (!self) return;
                            self->waiting = false;
                            if (!error) self->look();
                          });
  }

  void look() {
    std::uint64_t times = 0;
    if (::read(descriptor.native_handle(), &times, sizeof times) != sizeof times) return wait();  // it was set anew
    armed_for = 0;
    call();
  }

  void call() {
    if (const auto now = std::exchange(passed, nullptr)) now();
  }

  boost::asio::posix::stream_descriptor descriptor;
  boost::asio::steady_timer substitute;
  std::function<void()> passed;
  MonoNs armed_for = 0;
  bool waiting = false;
};

Timer::Timer(boost::asio::io_context& io) : state_(std::make_shared<State>(io)) {}

Timer::~Timer() {
  clear();
}

void Timer::set(Clock::time_point when, std::function<void()> passed) {
  state_->passed = std::move(passed);
  if (state_->open()) {
    const MonoNs at = std::chrono::nanoseconds(when.time_since_epoch()).count();
    state_->arm(at > 0 ? at : 1);
    return state_->wait();
  }
  state_->substitute.expires_at(when);
  state_->substitute.async_wait([weak = state_->weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (self && !error) self->call();
  });
}

void Timer::clear() {
  state_->passed = nullptr;
  state_->arm(0);
  state_->substitute.cancel();
}

}  // namespace hearth::api
