#include "apps/own_sockets.h"

#include <cerrno>
#include <unistd.h>
#include <utility>

#include "os/clock.h"
#include "os/control_socket.h"

namespace hearth::apps {
namespace {

constexpr SpanNs accept_pause = milliseconds(100);
constexpr SpanNs bind_pause = seconds(1);

// The disk's fault, which may pass.
bool may_pass(const Error& error) {
  return os::disk_is_full(error.code) || error.code == EROFS || error.code == EIO;
}

}  // namespace

Status OwnSockets::open(MonoNs now) {
  Status bound = bind();
  if (bound) return bound;
  if (!may_pass(bound.error())) return bound;
  cannot_bind(bound.error(), now);
  return {};
}

MonoNs OwnSockets::try_again(MonoNs now) {
  if (bind_from_ == never || now < bind_from_) return bind_from_;
  bind_from_ = never;
  if (const Status bound = bind(); !bound)
    cannot_bind(bound.error(), now);
  else
    ways_.drop_note(std::exchange(note_, {}));
  return bind_from_;
}

MonoNs OwnSockets::arm(MonoNs now) {
  if (!offers_watch_) return never;
  if (now < accept_from_) return accept_from_;
  offers_watch_->arm();
  return never;
}

void OwnSockets::remove() const {
  for (const char* name : {os::control_socket_name, os::keeper_socket_name}) ::unlinkat(directory_, name, 0);
}

// Those that are not bound yet. Of both, where the first fails: a keeper may come when no client can.
Status OwnSockets::bind() {
  Status bound = bind_api();
  if (Status offers = bind_offers(); bound && !offers) bound = std::move(offers);
  return bound;
}

Status OwnSockets::bind_api() {
  if (served_) return {};
  Result<os::Fd> listener = os::bind_control_socket(directory_, path_);
  if (!listener) return failure(listener.error());
  ways_.serve(std::move(*listener));
  served_ = true;
  return {};
}

Status OwnSockets::bind_offers() {
  if (offers_watch_) return {};
  Result<os::Fd> offers = os::bind_keeper_socket(directory_, path_);
  if (!offers) return failure(offers.error());
  auto watch = std::make_unique<Watch>(io_, offers->get(), [this] { take_offer(); });
  if (!watch->possible()) return errno_failure("watch", "the socket for the next keeper", errno);
  offers_ = std::move(*offers);
  offers_watch_ = std::move(watch);
  return {};
}

void OwnSockets::cannot_bind(const Error& error, MonoNs now) {
  bind_from_ = after(now, bind_pause);
  std::string note = error.text() + ": until the disk takes it (df -i, quota, mount), hearth is not found by it";
  if (note == note_) return;
  if (!note_.empty()) ways_.drop_note(note_);
  note_ = std::move(note);
  ways_.add_note(note_);
}

void OwnSockets::take_offer() {
  // Without a descriptor to spare it stays in the backlog, and the socket readable: trying at once would spin.
  os::NewKeeper candidate = os::accept_keeper(offers_.get(), ::geteuid());
  if (candidate.socket)
    ways_.offer(std::move(candidate));
  else
    accept_from_ = after(os::read_mono(), accept_pause);
}

}  // namespace hearth::apps
