#include "cli/outlet.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hearth::cli {

Outlet::Outlet(int fd) : fd_(fd) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return;
  if (S_ISSOCK(st.st_mode)) kind_ = Kind::socket;
  if (!S_ISFIFO(st.st_mode) && ::isatty(fd) == 0) return;
  kind_ = Kind::pipe;
  own_.reset(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

ssize_t Outlet::write_some(std::string_view text) const {
  if (kind_ == Kind::socket) return ::send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (own_) return ::write(own_.get(), text.data(), text.size());
  if (kind_ == Kind::other) return ::write(fd_, text.data(), text.size());
  // It belongs to another user, or there is no /proc. pipe(7): one that is writable takes PIPE_BUF bytes, unless somebody
  // else is quicker.
  pollfd polled{fd_, POLLOUT, 0};
  if (::poll(&polled, 1, 0) != 1) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd_, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

bool Outlet::flush() {
  std::size_t written = 0;
  while (written < waiting_.size()) {
    const ssize_t n = write_some(std::string_view(waiting_).substr(written));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    written = n > 0 ? written + static_cast<std::size_t>(n) : waiting_.size();  // nobody is there, or the disk is full
  }
  waiting_.erase(0, written);
  return written > 0;
}

void Outlet::write(std::string_view text) {
  waiting_ += text;
  (void)flush();
}

}  // namespace hearth::cli
