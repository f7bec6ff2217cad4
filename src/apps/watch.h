// Wakes an event loop when a descriptor is readable that nests others, an epoll for one. Level: it is armed again before
// each sleep. It lives as long as the loop, which calls its handler also after the descriptor is closed.
#pragma once

#include <cerrno>
#include <functional>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace hearth::apps {

class Watch {
 public:
  // Watches a copy of `fd`. When there is none, for want of a descriptor or of room in the loop's epoll, errno says why.
  Watch(boost::asio::io_context& io, int fd, std::function<void()> ready = {})
      : descriptor_(io), ready_(std::move(ready)) {
    const int copy = ::dup(fd);
    if (copy < 0) return;
    boost::system::error_code error;
    descriptor_.assign(copy, error);
    if (!error) return;
    ::close(copy);
    errno = error.value();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // One that is not is never armed: its wait would end at once, each time.
  bool possible() const { return descriptor_.is_open(); }
  bool armed() const { return armed_; }
  void arm() {
    if (armed_ || !possible()) return;
    armed_ = true;
    descriptor_.async_wait(descriptor_.wait_read, [this](const boost::system::error_code& error) {
      armed_ = error == boost::asio::error::operation_aborted;
      if (!error && ready_) ready_();
    });
  }

 private:
  boost::asio::posix::stream_descriptor descriptor_;
  std::function<void()> ready_;
  bool armed_ = false;
};

}  // namespace hearth::apps
