#include "apps/upgrading.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "apps/upgrade_words.h"
#include "base/version.h"
#include "os/program_file.h"
#include "wire/keeper_messages.h"

namespace hearth::apps {
namespace {

// The one that was tried, where the order says which that was.
Result<os::Fd> open_tried(const std::string& path, const std::string& file) {
  Result<os::Fd> opened = os::open_program(path);
  if (opened && !file.empty() && os::program_identity(opened->get()) != file)
    return failure(Remedy::conflict, "upgrade with", path, "it is another file by now than the one that was tried",
                   "upgrade again, which tries this one");
  return opened;
}

constexpr SpanNs look_again = milliseconds(2);
constexpr SpanNs open_within = seconds(10);

Error refusal(Remedy remedy, const char* reason, const char* hint) {
  return {remedy, "upgrade", "hearth", reason, hint, 0};
}

}  // namespace

void Upgrading::tell_outcome() {
  const wire::SlotTable& table = link_.table();
  const std::string before = version_of(table);
  if (table.supervisor_returns != table.supervisor_returns_told)
    supervisor_.add_upgrade_note("the upgrade was taken back: " + return_words(table) + "; hearth " + version +
                                 " goes on");
  else if (!before.empty() && before != version)
    supervisor_.add_upgrade_note("hearth " + std::string(version) + " goes on in the place of hearth " + before);
}

void Upgrading::look_at_logger() {
  wire::SlotTable& table = link_.table();
  if (table.logger_returns == table.logger_returns_told) return;
  table.logger_returns_told = table.logger_returns.load();
  supervisor_.add_upgrade_note("the logger of the upgrade was taken back: " + logger_return_words(table));
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
  if (link_.lost() || link_.handing_over())
    return ways_.refuse(order, refusal(Remedy::try_later, "its keeper cannot be told just now", "order it again"));
  if (link_.table().keeper_messages != wire::message_version)
    return ways_.refuse(order, refusal(Remedy::conflict, "its keeper is of a version that takes no upgrades",
                                       "start hearth again when its services may stop"));
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
    told_ = Told::no;
    take_back_ = false;
    if (stage_ != Stage::deciding) return never;
  }
  if (stage_ == Stage::deciding && decided_) {
    // Refused. Or accepted without a wish: the same order has come twice.
    take_back_ = told_ == Told::taken;
    drop();
  }
  if (take_back_ && !link_.take_back_programs()) return after(now, look_again);
  take_back_ = false;
  switch (stage_) {
    case Stage::none: return orders_.empty() ? never : open_next(now);
    case Stage::opening: return look_at_opening(now);
    case Stage::telling:
    case Stage::leaving: return tell(now);
    case Stage::deciding: return never;
  }
  return never;
}

MonoNs Upgrading::open_next(MonoNs now) {
  const Request& request = orders_.front().request;
  // A thread that was given up is left behind until its disk answers: one at a time.
  if (!given_up_.expired()) {
    refuse(refusal(Remedy::try_later, "the programs of an upgrade before it are still being opened: their disk hangs",
                   "order it again when the file system on which they are answers"));
    return now;
  }
  const int error = opening_.ask("hearth-programs",
                                 [supervisor = request.supervisor_program, supervisor_file = request.supervisor_file,
                                  logger = request.logger_program, logger_file = request.logger_file] {
                                   auto programs = std::make_shared<Programs>();
                                   Result<os::Fd> first = open_tried(supervisor, supervisor_file);
                                   Result<os::Fd> second = open_tried(logger, logger_file);
                                   if (!first || !second) {
                                     programs->error = !first ? first.error() : second.error();
                                   } else {
                                     programs->supervisor = std::move(*first);
                                     programs->logger = std::move(*second);
                                   }
                                   return programs;
                                 });
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
  stage_ = Stage::telling;
  return tell(now);
}

// Until the table says what the keeper has made of it; it rings then.
MonoNs Upgrading::tell(MonoNs now) {
  const wire::SlotTable& table = link_.table();
  if (told_ == Told::no) {
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
  if (told_ != Told::taken) return never;
  if (stage_ == Stage::telling) {
    stage_ = Stage::deciding;
    decided_ = false;
    ways_.decide(orders_.front());
  }
  return now;
}

void Upgrading::refuse(Error error) {
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
}

}  // namespace hearth::apps
