#include "apps/next_keeper.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <utility>

namespace hearth::apps {
namespace {

constexpr SpanNs try_each = seconds(1);
constexpr SpanNs look_again = milliseconds(2);
constexpr SpanNs look_beside_within = seconds(1);
constexpr SpanNs hand_over_within = seconds(10);
constexpr std::size_t told_most = 8;

// Of a way: sixty bad moments, or five ends that may be the program's own doing.
constexpr int doubt_most = 60, of_a_moment = 1, of_an_end = 12;

constexpr int exit_usage = 64, exit_basics = 71;  // of a keeper

bool is_shortage(int error) {
  return error == ENOMEM || error == EAGAIN || error == EMFILE || error == ENFILE;
}

// "" = as it should be.
std::string words_of_unexpected(const os::SuccessorCommand& command, bool beside, bool plain) {
  if (!beside && !plain) return {};
  std::string text = "the keeper died, and ";
  text += beside ? "what it ran could not be started again: the next one is of " + command.keeper
                 : "the next one took no programs from us";
  if (plain) text += "; supervisor and logger are started from the files beside this supervisor from now on";
  return text + "; `hearth version` tells which version runs";
}

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
  judge();
  if (offered_.socket) {
    tried_ = "what the service manager started";
    unexpected_.clear();
    link_.hand_over_to(std::exchange(offered_, {}), hand_over_within);
    return now;
  }
  const os::SuccessorCommand next = command();
  tried_ = os::keeper_of(next);
  unexpected_ = words_of_unexpected(next, next.keeper_program < 0, plain_);
  Result<os::StartedKeeper> started = ways_.start(next);
  if (!started) {
    tell(started.error());
    return next_try_;
  }
  link_.hand_over_to(std::move(started->line), hand_over_within);
  try_ = Try{std::move(*started), after(now, hand_over_within), next.keeper_program >= 0};
  return now;
}

os::SuccessorCommand NextKeeper::command() const {
  os::SuccessorCommand command;
  command.keeper = os::program_beside("hearth-keeper");
  command.supervisor = os::program_beside("hearth-supervisor");
  command.logger = os::program_beside("hearth-logger");
  command.directory = options_.directory;
  command.log_directory = options_.log_directory;
  if (!beside_) command.keeper_program = programs_.keeper();
  if (plain_) return command;
  command.supervisor_program = programs_.supervisor();
  command.logger_program = programs_.logger();
  return command;
}

void NextKeeper::judge() {
  const std::optional<Try> last = std::exchange(try_, std::nullopt);
  if (!last || !last->failed) return;
  if (last->not_executed != 0) {
    if (!is_shortage(last->not_executed)) leave_way(true);
    return;
  }
  // Whoever hung was killed by us.
  const std::optional<int> status = last->hung ? std::nullopt : os::end_of(last->keeper).status;
  const bool killed = status && WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
  const int exit_code = status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  if (exit_code == exit_usage) return leave_way(plain_);
  doubt_ += killed || (last->held && exit_code == exit_basics) ? of_a_moment : of_an_end;
  if (doubt_ >= doubt_most) leave_way(plain_);
}

void NextKeeper::leave_way(bool for_the_other_program) {
  doubt_ = 0;
  plain_ = !for_the_other_program;
  if (for_the_other_program) beside_ = !beside_;
}

MonoNs NextKeeper::hand_over(MonoNs now) {
  const Result<bool> done = link_.continue_hand_over();
  if (!done) {
    has_failed(now, done.error());
    return next_try_;
  }
  if (!*done) return link_.hand_over_due();
  if (!unexpected_.empty()) ways_.note(std::exchange(unexpected_, {}));
  try_.reset();
  beside_ = plain_ = false;
  doubt_ = 0;
  lost_at_ = 0;
  next_try_ = 0;
  told_.clear();
  done_ = true;
  return now;
}

void NextKeeper::has_failed(MonoNs now, Error error) {
  error.subject += " (of " + tried_ + ")";
  if (try_) {
    try_->failed = true;
    try_->hung = now >= try_->until;
    try_->not_executed = os::end_of(try_->keeper).not_executed;
    if (try_->not_executed != 0) error = errno_error("start", tried_, try_->not_executed);
  }
  tell(error);
}

// Each second, perhaps: each is said once, so that they do not push out all other notes.
void NextKeeper::tell(const Error& error) {
  std::string text = "the keeper died, and no other could be started: " + error.text();
  if (std::find(told_.begin(), told_.end(), text) != told_.end()) return;
  if (told_.size() == told_most) told_.erase(told_.begin());
  told_.push_back(text);
  ways_.note(std::move(text));
}

}  // namespace hearth::apps
