#include "cli/log_show.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr std::size_t buffer_most = 256u << 10;
constexpr SpanNs moment = milliseconds(100);
constexpr SpanNs last_words_most = seconds(1);
// Of somebody who hurries: for a reader who takes nothing, and for one who takes little.
constexpr SpanNs stuck_most = seconds(1), hurry_most = seconds(5);

}  // namespace

LogShow::LogShow()
    : out_(STDOUT_FILENO),
      err_(STDERR_FILENO),
      news_(::epoll_create1(EPOLL_CLOEXEC)),
      again_(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)) {}

bool LogShow::has_room() const {
  return out_.waiting() < buffer_most;
}

// Nothing is watched that there is nothing to do about: a broken pipe is always news.
void LogShow::watch(int fd, std::uint32_t events, std::uint32_t& watched) {
  if (events == watched || fd < 0 || !news_) return;
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  // An ordinary file cannot be watched, and always has room.
  if (::epoll_ctl(news_.get(), events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, fd, &event) == 0) watched = events;
}

void LogShow::watch_all() {
  constexpr std::uint32_t in = EPOLLIN, out = EPOLLOUT;
  watch(tail_.descriptor(), has_room() ? in : 0, tail_events_);
  watch(out_.descriptor(), out_.waiting() > 0 ? out : 0, out_events_);
  watch(err_.descriptor(), err_.waiting() > 0 ? out : 0, err_events_);
  watch(again_.get(), tail_.more() && has_room() ? in : 0, again_events_);
}

void LogShow::follow(const std::vector<SlotNews>& slots) {
  tail_.follow(slots);
  (void)go_on();
}

void LogShow::say(std::string_view text) {
  err_.write(text);
  watch_all();
}

bool LogShow::go_on() {
  bool moved = out_.flush();
  moved = err_.flush() || moved;
  if (has_room()) {
    const std::string text = tail_.take();
    moved = moved || !text.empty();
    out_.write(text);
  }
  watch_all();
  return moved;
}

std::size_t LogShow::finish(InterruptWatch& watch, bool hurries) {
  const MonoNs begun = os::read_mono();
  MonoNs moved_at = begun;
  MonoNs hurried_at = begun;
  for (bool cut = false;;) {
    const bool moved = go_on();
    const MonoNs now = os::read_mono();
    if (moved) moved_at = now;
    if (watch.came() && !hurries) {
      hurries = true;
      hurried_at = now;
    }
    const bool late = is_done() && now - begun >= last_words_most;
    if (hurries && !is_done() && (now - moved_at >= stuck_most || now - hurried_at >= hurry_most)) break;
    pollfd polled[2] = {{news_.get(), POLLIN, 0}, {watch.fd(), POLLIN, 0}};
    if (!late && ::poll(polled, 2, static_cast<int>(moment / ns_per_ms)) != 0) continue;
    // Nothing has come for a moment.
    if (!is_done()) continue;
    if (std::exchange(cut, true)) break;
    out_.write(tail_.finish());
  }
  std::size_t lost = out_.waiting();
  while (tail_.more()) lost += tail_.take().size();
  return lost + tail_.finish().size();
}

}  // namespace hearth::cli
