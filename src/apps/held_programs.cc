#include "apps/held_programs.h"

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include "os/proc_stat.h"
#include "os/program_file.h"

namespace hearth::apps {
namespace {

constexpr SpanNs sound_after = seconds(10);  // as of supervisors and loggers (keeper/programs.cc)

// A process that ends gives up its program before its sockets: while they are open the number is its own.
bool is_at_the_other_end(int socket) {
  pollfd end{socket, POLLRDHUP, 0};
  return ::poll(&end, 1, 0) == 0;
}

bool is_same_file(const os::Fd& a, const os::Fd& b) {
  return a && b && os::program_identity(a.get()) == os::program_identity(b.get());
}

}  // namespace

void HeldPrograms::refresh(const wire::SlotTable& table, int keeper_socket, MonoNs now) {
  if (before_ && now >= sound_at_ && keeper_socket >= 0) before_.reset();
  if (!supervisor_) supervisor_ = os::program_of(::getpid());
  const std::int32_t keeper = table.keeper_pid;
  const std::uint32_t execs = table.keeper_execs;
  if (keeper_socket >= 0 && keeper > 0 && (keeper != keeper_pid_ || execs != keeper_execs_)) {
    os::Fd program = os::program_of(keeper);
    if (program && is_at_the_other_end(keeper_socket)) {
      if (keeper_ && !is_same_file(program, keeper_)) {
        before_ = std::move(keeper_);
        sound_at_ = after(now, sound_after);
      }
      keeper_ = std::move(program);
      keeper_pid_ = keeper;
      keeper_execs_ = execs;
    }
  }
  const std::uint32_t generation = table.logger.generation;
  const pid_t logger = table.logger.pid;
  if (generation != logger_generation_ && logger > 0) {
    os::Fd program = os::program_of(logger);
    // Before its exec it is a copy of the keeper, and has its program.
    if (program && !is_same_file(program, keeper_) && os::process_lives(logger, table.logger.start_ticks)) {
      logger_ = std::move(program);
      logger_generation_ = generation;
    }
  }
}

}  // namespace hearth::apps
