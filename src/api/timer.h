// A timer that an idle program does not pay for. Asio's own go through one timerfd that, once it has been used, is armed
// for five minutes at most and then again, for ever (epoll_reactor::get_timeout): hearth would wake for nothing.
//
// One time at a time, on the thread of its io_context, which must outlive it. What was set is forgotten when the timer is
// destroyed.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace hearth::api {

class Timer {
 public:
  using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC

  explicit Timer(boost::asio::io_context& io);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // `passed` is called once, from the io_context, at `when` or soon after. Replaces what was set before. While no
  // descriptor can be had, one of Asio's timers does it.
  void set(Clock::time_point when, std::function<void()> passed);
  // Nothing is set any more.
  void clear();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace hearth::api
