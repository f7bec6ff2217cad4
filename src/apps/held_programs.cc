#include "apps/held_programs.h"

#include <algorithm>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include "os/proc_stat.h"
#include "os/program_file.h"

namespace hearth::apps {
namespace {

using wire::ParkClass;

constexpr SpanNs sound_after = milliseconds(wire::program_sound_after_ms);
constexpr SpanNs ask_again = seconds(1);

// A process that ends gives up its program before its sockets: while they are open the number is its own.
bool is_at_the_other_end(int socket) {
  pollfd end{socket, POLLRDHUP, 0};
  return ::poll(&end, 1, 0) == 0;
}

}  // namespace

void HeldPrograms::begin(const os::KeeperLink& link, const std::string& logger, MonoNs now) {
  if (const os::Parked* before = link.parked().find(ParkClass::program, wire::program_before_keeper)) {
    parked_before_ = before->fd;
    sound_at_ = after(now, sound_after);
  }
  logger_path_ = logger;
  look_beside(now);
}

MonoNs HeldPrograms::refresh(os::KeeperLink& link, MonoNs now) {
  if (!supervisor_) supervisor_ = os::program_of(::getpid());
  look_at_logger(link.table());
  look_beside(now);
  // What the table says while another keeper comes up may be of either.
  if (link.lost() || link.handing_over()) return ask_again_at_;
  look_at_keeper(link, now);
  return std::min(ask_again_at_, before() >= 0 ? sound_at_ : never);
}

void HeldPrograms::forget_before(os::KeeperLink& link) {
  before_.reset();
  parked_before_ = -1;
  link.unpark(ParkClass::program, wire::program_before_keeper);
}

void HeldPrograms::look_at_keeper(os::KeeperLink& link, MonoNs now) {
  const wire::SlotTable& table = link.table();
  if (before() >= 0 && now >= sound_at_ && is_at_the_other_end(link.socket())) forget_before(link);
  const std::uint32_t generation = table.keeper_generation, execs = table.keeper_execs;
  const std::uint8_t refusals = table.keeper_refusal.load().count;
  const std::int32_t pid = table.keeper_pid;
  const bool same_process = generation == keeper_generation_;
  // Also a refusal: it may be the end of an exec, of which we have seen the middle.
  if (pid <= 0 || (same_process && execs == keeper_execs_ && refusals == keeper_refusals_)) return;
  os::Fd program = os::program_of(pid);
  if (!program || !is_at_the_other_end(link.socket())) return;
  if (!same_process && keeper_generation_ != 0) {
    forget_before(link);
  } else if (same_process && execs != keeper_execs_ && keeper_ && !os::same_file(program.get(), keeper_.get())) {
    // One that is on trial itself is no way back.
    if (before() < 0) before_ = std::move(keeper_);
    sound_at_ = after(now, sound_after);
  }
  keeper_ = std::move(program);
  keeper_generation_ = generation;
  keeper_execs_ = execs;
  keeper_refusals_ = refusals;
}

void HeldPrograms::look_at_logger(const wire::SlotTable& table) {
  const std::uint32_t generation = table.logger.generation;
  const pid_t logger = table.logger.pid;
  if (generation == logger_generation_ || logger <= 0) return;
  // Before its exec it is a copy of the keeper, and has the program that this had then.
  os::ProcStat stat;
  if (!os::read_stat(logger, stat) || stat.only_forked) return;
  os::Fd program = os::program_of(logger);
  if (!program || !os::process_lives(logger, table.logger.start_ticks)) return;
  logger_ = std::move(program);
  logger_generation_ = generation;
}

void HeldPrograms::look_beside(MonoNs now) {
  if (ask_again_at_ == never) return;
  const auto answer = asked_ ? beside_.answer() : std::nullopt;
  // Refused for good, or opened. For want of a descriptor or of memory: again.
  if (answer && (**answer || (*answer)->error().remedy != Remedy::try_later)) {
    ask_again_at_ = never;
    return;
  }
  if (now < ask_again_at_) return;
  ask_again_at_ = after(now, ask_again);
  if (looks_beside()) return;
  asked_ = beside_.ask("hearth-programs",
                       [path = logger_path_] { return std::make_shared<Result<os::Fd>>(os::open_program(path)); }) == 0;
}

int HeldPrograms::logger() const {
  const auto beside = asked_ ? beside_.answer() : std::nullopt;
  return beside && **beside ? (***beside).get() : logger_.get();
}

}  // namespace hearth::apps
