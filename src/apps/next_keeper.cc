#include "apps/next_keeper.h"

#include <algorithm>
#include <utility>

namespace hearth::apps {
namespace {

constexpr SpanNs try_each = seconds(1);
constexpr SpanNs look_again = milliseconds(2);
constexpr SpanNs look_beside_within = seconds(1);
constexpr std::size_t told_most = 8;

}  // namespace

void NextKeeper::offer(os::NewKeeper candidate) {
  link_.receive();
  if (link_.lost()) offered_ = std::move(candidate);
}

MonoNs NextKeeper::start(MonoNs now) {
  if (lost_at_ == 0) lost_at_ = now;
  if (!offered_.socket) {
    const MonoNs begin_at = std::max(after(lost_at_, os::successor_wait()), next_try_);
    if (now < begin_at) return begin_at;
    // Just begun: which logger belongs to us is known in a moment, unless its disk hangs.
    if (programs_.looks_beside() && now < after(lost_at_, look_beside_within)) return after(now, look_again);
  }
  next_try_ = after(now, try_each);
  Result<os::NewKeeper> keeper = std::exchange(offered_, {});
  tried_ = "what the service manager started";
  if (!keeper->socket) {
    const os::SuccessorCommand next = command();
    tried_ = os::keeper_of(next);
    keeper = os::start_keeper(next);
    // Of what is held only a shortage is told so early, which says nothing of the program.
    if (keeper || next.keeper_program < 0) ++tries_;
  }
  if (keeper) {
    link_.hand_over_to(std::move(*keeper));
    return now;
  }
  tell(keeper.error());
  return next_try_;
}

os::SuccessorCommand NextKeeper::command() const {
  const bool by_path = tries_ % 4 >= 2, plain = tries_ % 2 == 1;
  os::SuccessorCommand command;
  command.keeper = os::program_beside("hearth-keeper");
  command.supervisor = os::program_beside("hearth-supervisor");
  command.logger = os::program_beside("hearth-logger");
  command.directory = options_.directory;
  command.log_directory = options_.log_directory;
  if (!by_path) command.keeper_program = programs_.keeper();
  if (plain) return command;
  command.supervisor_program = programs_.supervisor();
  command.logger_program = programs_.logger();
  return command;
}

MonoNs NextKeeper::hand_over(MonoNs now) {
  const Result<bool> done = link_.continue_hand_over();
  if (!done) {
    Error error = done.error();
    error.subject += " (of " + tried_ + ")";
    tell(error);
    return next_try_;
  }
  if (!*done) return link_.hand_over_due();
  lost_at_ = 0;
  next_try_ = 0;
  tries_ = 0;
  told_.clear();
  done_ = true;
  return now;
}

// Each second, perhaps: each is said once, so that they do not push out all other notes.
void NextKeeper::tell(const Error& error) {
  std::string text = "the keeper died, and no other could be started: " + error.text();
  if (std::find(told_.begin(), told_.end(), text) != told_.end()) return;
  if (told_.size() == told_most) told_.erase(told_.begin());
  told_.push_back(text);
  note_(std::move(text));
}

}  // namespace hearth::apps
