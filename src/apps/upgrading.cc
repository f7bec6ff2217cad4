#include "apps/upgrading.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <utility>

#include "base/version.h"
#include "os/program_file.h"
#include "os/upgrade_words.h"
#include "wire/keeper_messages.h"

namespace hearth::apps {
namespace {

// The one that was tried, where the order says which that was.
Result<os::Fd> open_tried(const std::string& path, const std::string& file) {
  Result<os::Fd> opened = os::open_program(path);
  if (!opened || file.empty()) return opened;
  const std::string its = os::program_identity(opened->get());
  if (its.empty())
    return failure(Remedy::environment, "upgrade with", path, "its file system does not tell which file it is",
                   "is that well? then upgrade again");
  if (its != file)
    return failure(Remedy::conflict, "upgrade with", path, "it is another file by now than the one that was tried",
                   "upgrade again, which tries this one");
  return opened;
}

constexpr SpanNs look_again = milliseconds(2);
constexpr SpanNs look_at_socket = milliseconds(50);  // of a keeper that is stopped
constexpr SpanNs open_within = seconds(10);
constexpr SpanNs execute_within = seconds(10);  // the keeper gives the dry run 5 s
constexpr SpanNs take_within = seconds(10);     // it does so at once, unless it is stopped

// By its file: that its disk is asked for, which may hang.
bool runs_file(pid_t pid, const os::Fd& program) {
  const os::Fd running = os::program_of(pid);
  const std::string file = running ? os::program_identity(running.get()) : std::string();
  return !file.empty() && file == os::program_identity(program.get());
}

// By its name, which the kernel has: nothing is waited for. What cannot be looked at may be anything.
bool may_run(pid_t pid, const os::Fd& program) {
  const auto target = [](const std::string& link) {
    char path[PATH_MAX];
    const ssize_t n = ::readlink(link.c_str(), path, sizeof path);
    return std::string(path, n <= 0 ? 0 : static_cast<std::size_t>(n));
  };
  const std::string running = target("/proc/" + std::to_string(pid) + "/exe");
  const std::string wanted = target("/proc/self/fd/" + std::to_string(program.get()));
  return running.empty() || wanted.empty() || running == wanted;
}

Error refusal(Remedy remedy, std::string reason, const char* hint) {
  return {remedy, "upgrade", "hearth", std::move(reason), hint, 0};
}

Error refusal_of_silence(const char* besides) {
  return refusal(Remedy::try_later, std::string("its keeper gave no answer within 10 s, ") + besides,
                 "is it stopped? `hearth doctor` tells; nothing was changed");
}

}  // namespace

void Upgrading::tell_outcome() {
  const wire::SlotTable& table = link_.table();
  const std::string before = os::version_of(table);
  if (table.supervisor_returns != table.supervisor_returns_told)
    supervisor_.add_upgrade_note("the upgrade was taken back: " + os::return_words(table) + "; hearth " + version +
                                 " goes on");
  else if (!before.empty() && before != version)
    supervisor_.add_upgrade_note("hearth " + std::string(version) + " goes on in the place of hearth " + before);
}

void Upgrading::look_at_logger() {
  wire::SlotTable& table = link_.table();
  if (table.logger_returns == table.logger_returns_told) return;
  table.logger_returns_told = table.logger_returns.load();
  supervisor_.add_upgrade_note("the logger of the upgrade was taken back: " + os::logger_return_words(table));
}

void Upgrading::look_at_keeper(WallNs now) {
  const wire::SlotTable& table = link_.table();
  const std::uint32_t execs = table.keeper_execs;
  const wire::KeeperRefusal refusal = table.keeper_refusal.load();
  if (const auto seen = std::pair{execs, refusal.count}; std::exchange(keeper_seen_, seen) != seen)
    supervisor_.look_at_keeper({execs, refusal.count, os::keeper_refusal_words(refusal)}, now);
}

void Upgrading::came_up() {
  if (up_) return;
  up_ = true;
  wire::SlotTable& table = link_.table();
  std::strncpy(table.supervisor_version, version, sizeof table.supervisor_version - 1);
  table.supervisor_returns_told = table.supervisor_returns.load();
  link_.say_up();
  (void)link_.flush();
}

void Upgrading::submit(ports::Input order) {
  // What is settled already, and what would be refused anyhow, does not reach the keeper.
  const Request& request = order.request;
  if (supervisor_.settled(request.key)) return ways_.decide(std::move(order));
  if (const std::optional<Error> refused = supervisor_.refusal_of(request)) return ways_.refuse(order, *refused);
  orders_.push_back(std::move(order));
}

void Upgrading::decided(const ports::Input& order) {
  if (stage_ == Stage::deciding && orders_.front().token == order.token) decided_ = true;
}

MonoNs Upgrading::step(MonoNs now) {
  if (supervisor_.take_upgrade_wish() && stage_ == Stage::deciding) {
    stage_ = Stage::leaving;
    orders_.pop_front();
  }
  // Whatever that keeper was told, the next one knows nothing of it.
  if (link_.lost() || link_.handing_over()) {
    if (keeper_given_) keeper_died();
    told_ = Told::no;
    take_until_ = after(now, take_within);  // of the next one, which is given them again
    take_back_ = false;
    owed_answer_.reset();
    if (stage_ != Stage::deciding) return never;
  }
  if (stage_ == Stage::deciding && decided_) {
    // Refused. Or accepted without a wish: the same order has come twice.
    take_back_ = told_ == Told::taken;
    drop();
  }
  if (take_back_ && !link_.take_back_programs()) return wait_to_take_back(now);
  take_back_ = false;
  take_back_until_ = never;
  switch (stage_) {
    case Stage::none: return orders_.empty() ? never : open_next(now);
    case Stage::opening: return look_at_opening(now);
    case Stage::executing: return execute(now);
    case Stage::telling:
    case Stage::leaving: return tell(now);
    case Stage::deciding: return never;
  }
  return never;
}

// It is stopped, and its socket full: so the next order can be given to it no more than this one could be taken back.
MonoNs Upgrading::wait_to_take_back(MonoNs now) {
  if (orders_.empty()) take_back_until_ = never;
  if (!orders_.empty() && take_back_until_ == never) take_back_until_ = after(now, take_within);
  if (now < take_back_until_) return after(now, look_at_socket);
  take_back_until_ = never;
  refuse(refusal_of_silence("nor one to an upgrade before this"));
  return now;
}

std::shared_ptr<Upgrading::Programs> Upgrading::open_all(const Request& request, pid_t keeper) {
  auto programs = std::make_shared<Programs>();
  const auto open = [&](const std::string& path, const std::string& file, os::Fd& place) {
    if (path.empty() || programs->error) return;
    Result<os::Fd> opened = open_tried(path, file);
    if (opened)
      place = std::move(*opened);
    else
      programs->error = opened.error();
  };
  open(request.supervisor_program, request.supervisor_file, programs->supervisor);
  open(request.logger_program, request.logger_file, programs->logger);
  open(request.keeper_program, request.keeper_file, programs->keeper);
  programs->keeper_is_it = programs->keeper && runs_file(keeper, programs->keeper);
  return programs;
}

MonoNs Upgrading::open_next(MonoNs now) {
  const Request& request = orders_.front().request;
  if (link_.table().keeper_messages != wire::message_version) {
    refuse(refusal(Remedy::conflict, "its keeper is of a version that takes no upgrades",
                   "start hearth again when its services may stop"));
    return now;
  }
  // A thread that was given up is left behind until its disk answers: one at a time.
  if (!given_up_.expired()) {
    refuse(refusal(Remedy::try_later, "the programs of an upgrade before it are still being opened: their disk hangs",
                   "order it again when the file system on which they are answers"));
    return now;
  }
  const int error = opening_.ask(
      "hearth-programs", [request, keeper = link_.table().keeper_pid.load()] { return open_all(request, keeper); });
  if (error != 0) {
    refuse(Error{Remedy::try_later, "start a thread for", "an upgrade", std::strerror(error), "order it again", error});
    return now;
  }
  stage_ = Stage::opening;
  opening_since_ = now;
  return after(now, look_again);
}

MonoNs Upgrading::look_at_opening(MonoNs now) {
  const std::optional<std::shared_ptr<Programs>> opened = opening_.answer();
  if (const SpanNs passed = now - opening_since_; !opened && passed < open_within)
    return after(now, std::max(look_again, passed / 8));
  if (!opened) {
    given_up_ = opening_.trace();
    refuse(refusal(Remedy::environment, "its programs could not be opened within 10 s",
                   "does the file system answer on which they are?"));
    return now;
  }
  if ((*opened)->error) {
    refuse(*(*opened)->error);
    return now;
  }
  programs_ = *opened;
  if (!programs_->keeper || programs_->keeper_is_it) return go_on_after_keeper(now);
  stage_ = Stage::executing;
  return execute(now);
}

// Until the table says what the keeper has made of its program; it rings then.
MonoNs Upgrading::execute(MonoNs now) {
  const wire::SlotTable& table = link_.table();
  const std::string& path = orders_.front().request.keeper_program;
  if (told_ == Told::no) {
    // Nothing has been done yet: what would be refused by now is, before the keeper is touched.
    if (std::optional<Error> refused = supervisor_.refusal_of(orders_.front().request)) {
      refuse(std::move(*refused));
      return now;
    }
    execs_before_ = table.keeper_execs;
    keeper_refused_before_ = table.keeper_refusal.load().count;
    if (!link_.give_keeper(programs_->keeper.get())) return link_.lost() ? never : after(now, look_again);
    told_ = Told::sent;
    keeper_given_ = true;
    execute_until_ = after(now, execute_within);
  }
  if (table.keeper_execs != execs_before_) {
    keeper_executed_ = may_run(table.keeper_pid, programs_->keeper);
    if (keeper_executed_) return go_on_after_keeper(now);
    execs_before_ = table.keeper_execs;  // of another order, which our predecessor had
  }
  const wire::KeeperRefusal refusal = table.keeper_refusal.load();
  const bool of_ours = refusal.given_by == 0 || refusal.given_by == wire::giver_of(table.supervisor.generation);
  if (!of_ours) keeper_refused_before_ = refusal.count;
  const bool refused = refusal.count != keeper_refused_before_;
  if (!refused && now < execute_until_) return execute_until_;
  if (!refused) return give_up_keeper(now);
  const bool for_now =
      refusal.cause == wire::KeeperRefusalCause::not_now || refusal.cause == wire::KeeperRefusalCause::no_memory;
  take_back_ = true;
  refuse({for_now ? Remedy::try_later : Remedy::environment, "upgrade with", path, os::keeper_refusal_words(refusal),
          "hearth goes on with the programs that it had, and nothing was changed", 0});
  return now;
}

// It is stopped, or starved, and has yet to read what it was given; or it is that program by now, and hangs.
MonoNs Upgrading::give_up_keeper(MonoNs now) {
  take_back_ = true;
  if (may_run(link_.table().keeper_pid, programs_->keeper))
    refuse(of_silent_keeper());
  else
    refuse({Remedy::try_later, "upgrade with", orders_.front().request.keeper_program,
            "the keeper gave no answer within 10 s, and is told to forget it",
            "is the keeper stopped? hearth goes on with the programs that it had, and nothing was changed", 0});
  return now;
}

// Whom it starts in its place is not said: it may be one of that same program (held_programs.h).
Error Upgrading::of_silent_keeper() const {
  const std::string keeper = std::to_string(link_.table().keeper_pid);
  return {Remedy::environment,
          "upgrade with",
          orders_.front().request.keeper_program,
          "the keeper (PID " + keeper + ") has executed it, and has given no answer within 10 s",
          "is it stopped? `hearth doctor` tells; when it starts and stops nothing though it is not, `kill -KILL " +
              keeper + "` has hearth start another; supervisor and logger were not replaced",
          0};
}

// It is what it shall be.
MonoNs Upgrading::go_on_after_keeper(MonoNs now) {
  told_ = Told::no;
  take_until_ = after(now, take_within);
  if (programs_->supervisor) {
    stage_ = Stage::telling;
    return tell(now);
  }
  decide();
  return now;
}

// While its program was tried, or after it was executed and before the other programs are given: who knows of what.
void Upgrading::keeper_died() {
  keeper_given_ = false;
  if (stage_ != Stage::executing && stage_ != Stage::telling) return;
  const bool executed = std::exchange(keeper_executed_, false);  // the next one is of the program before
  refuse({Remedy::environment, "upgrade with", orders_.front().request.keeper_program,
          executed ? "the keeper died soon after it had executed it" : "the keeper died before it went on as that",
          "another keeper is started in its place, and no service is touched; `hearth status` tells what that cost",
          0});
}

void Upgrading::decide() {
  stage_ = Stage::deciding;
  decided_ = false;
  ways_.decide(orders_.front());
}

// Until the table says what the keeper has made of it; it rings then.
MonoNs Upgrading::tell(MonoNs now) {
  const wire::SlotTable& table = link_.table();
  const bool in_time = stage_ == Stage::leaving || now < take_until_;
  if (told_ == Told::no) {
    if (!in_time) return give_up_telling(now);
    if (owed_answer_ && *owed_answer_ != answers()) return take_until_;
    owed_answer_.reset();
    taken_before_ = table.upgrades;
    refused_before_ = table.upgrades_refused;
    if (!link_.give_programs(programs_->supervisor.get(), programs_->logger.get()))
      return link_.lost() ? never : after(now, look_again);
    told_ = Told::sent;
  }
  if (told_ == Told::sent && table.upgrades != taken_before_) told_ = Told::taken;
  if (told_ == Told::sent && table.upgrades_refused != refused_before_) {
    if (stage_ == Stage::leaving) {
      supervisor_.add_upgrade_note("the upgrade was not made: the new keeper could not take its programs");
      drop();
    } else {
      refuse(refusal(Remedy::try_later,
                     "its keeper could not take the programs; it has no descriptors left, or is ending",
                     "order it again"));
    }
    return now;
  }
  if (told_ == Told::taken) {
    if (stage_ == Stage::telling) decide();
    return now;
  }
  if (stage_ == Stage::leaving) return never;
  return in_time ? take_until_ : give_up_telling(now);
}

MonoNs Upgrading::give_up_telling(MonoNs now) {
  const bool sent = told_ == Told::sent;
  if (sent) owed_answer_ = taken_before_ + refused_before_ + 1;
  take_back_ = sent;
  if (std::exchange(keeper_executed_, false))
    refuse(of_silent_keeper());
  else
    refuse(refusal_of_silence(sent ? "and is told to forget the programs" : "nor one to an upgrade before this"));
  return now;
}

std::uint32_t Upgrading::answers() const {
  return link_.table().upgrades + link_.table().upgrades_refused;
}

void Upgrading::refuse(Error error) {
  if (keeper_executed_) error.hint += "; its keeper goes on as the new program already";
  ways_.refuse(orders_.front(), std::move(error));
  drop();
}

// The order in hand has come to its end without ours.
void Upgrading::drop() {
  if (stage_ != Stage::leaving && !orders_.empty()) orders_.pop_front();
  stage_ = Stage::none;
  told_ = Told::no;
  programs_.reset();
  decided_ = false;
  keeper_given_ = keeper_executed_ = false;
}

}  // namespace hearth::apps
