#include "cli/standstill.h"

#include <sys/timerfd.h>
#include <utility>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/silent_hearth.h"
#include "os/clock.h"
#include "os/proc_stat.h"

namespace hearth::cli {
namespace {

// A supervisor that has not answered by then stands still, or the machine does.
constexpr SpanNs answer_within = seconds(3);

}  // namespace

Standstill::Standstill(const Context& context, Client& client, InterruptWatch& watch, Tell tell, SpanNs pace)
    : context_(context),
      client_(client),
      watch_(watch),
      tell_(std::move(tell)),
      timer_(pace == never ? -1 : ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  const timespec span{pace / ns_per_s, static_cast<long>(pace % ns_per_s)};
  const itimerspec each{span, span};
  if (timer_ && ::timerfd_settime(timer_.get(), 0, &each, nullptr) < 0) timer_.reset();
  client_.attend(timer_.get(), [this] { look_when_due(); });
}

void Standstill::look_when_due() {
  if (!timer_ || os::drain(timer_.get()) == 0) return;
  const std::string words = what_stands();
  if (words.empty()) return;
  const itimerspec off{};
  (void)::timerfd_settime(timer_.get(), 0, &off, nullptr);
  tell_(words);
}

std::string Standstill::what_stands() {
  if (is_of_hearth(context_.instance.directory, keeper_) && is_of_hearth(context_.instance.directory, supervisor_))
    return of_known();
  keeper_ = supervisor_ = 0;
  Client asking(context_.socket_path(), &watch_);
  const auto answer = asking.ask({.target = "/v1/instance"}, after(os::read_mono(), answer_within));
  if (!answer) {
    if (answer.error().trouble != Trouble::timeout) return {};  // replaced at this moment, or it has ended
    const Silence silence = silence_of(context_);
    return fmt::format("the supervisor does not answer{}; {}", silence.who.empty() ? "" : ": " + silence.who,
                       silence.hint);
  }
  const Result<InstanceNews> instance = instance_news(*answer);
  if (!instance) return {};
  keeper_ = static_cast<pid_t>(instance->keeper_pid);
  supervisor_ = static_cast<pid_t>(instance->supervisor_pid);
  return is_of_hearth(context_.instance.directory, keeper_) ? of_known() : std::string();
}

std::string Standstill::of_known() const {
  os::ProcStat stat;
  if (os::read_stat(keeper_, stat) && stat.stopped())
    return fmt::format("its keeper (PID {0}) is stopped, and nothing starts or ends until `kill -CONT {0}`", keeper_);
  if (os::read_stat(supervisor_, stat) && stat.stopped())
    return fmt::format("its supervisor (PID {0}) is stopped, and nobody answers until `kill -CONT {0}`", supervisor_);
  return {};
}

}  // namespace hearth::cli
