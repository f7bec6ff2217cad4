// Handing everything to a new keeper, a step at a time: see HandOver in keeper_link.h.
#include <algorithm>
#include <signal.h>
#include <sys/epoll.h>
#include <tuple>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/keeper_link.h"
#include "os/proc_stat.h"
#include "os/run_identity.h"

namespace hearth::os {
namespace {

using wire::MessageType;
using wire::ParkClass;

// Leaves room below the limit of descriptors in flight (about 1,250 at RLIMIT_NOFILE 1,024).
constexpr std::size_t window = 100;
constexpr SpanNs look_again = milliseconds(2);

std::tuple<std::uint64_t, std::string_view, std::uint64_t> place_of(const wire::ParkRecord& record) {
  return {record.key, std::string_view(record.name), record.file};
}

}  // namespace

void KeeperLink::hand_over_to(NewKeeper keeper, SpanNs timeout) {
  unwatch(socket_.get());
  socket_ = std::move(keeper.socket);
  lost_ = false;
  watch(socket_.get(), EPOLLIN, watch_tag(Watched::keeper, 0));
  for (SpawnerLine& line : spawners_) line = SpawnerLine{};
  // What was decided and not sent is decided again by the supervisor (keeper_replaced); what was to be unparked is
  // not handed over at all.
  signals_.clear();
  reaps_.clear();
  replacements_.clear();
  unparks_.clear();
  late_parks_.clear();
  hand_over_ = std::make_unique<HandOver>();
  hand_over_->keeper = std::move(keeper.process);
  hand_over_->deadline = after(read_mono(), timeout);
  // Before the new keeper reads the table: it is nobody's now.
  hand_over_->runs = live_runs(Runs::all);
}

Result<bool> KeeperLink::continue_hand_over() {
  receive();
  if (!lost_ && !hand_over_->handed) hand_over_->handed = hand_over_some();
  // "It has all" is said by its spawners: only what it has is known to them.
  if (!lost_ && hand_over_->handed && !hand_over_->confirmed && spawners_[0].socket) {
    hand_over_->confirmed = true;
    hello_.keeper_generation = table_->keeper_generation.load();
    // A spawner of the old keeper may have been in the middle of a clone when the runs were listed. All of them are
    // dead now: the new keeper starts its own only then.
    hand_over_->runs = live_runs(Runs::unseen);
  }
  if (lost_) {
    give_up_hand_over();
    return failure(Remedy::try_later, "hand over to", "the new keeper", "it went away");
  }
  if (hand_over_->confirmed && hand_over_runs()) {
    hand_over_.reset();
    show_work(work_timer_);
    return true;
  }
  if (read_mono() < hand_over_->deadline) return false;
  const char* late =
      hand_over_->handed ? "it has not started a spawner in time" : "it was not possible to hand it everything in time";
  give_up_hand_over();
  return failure(Remedy::try_later, "hand over to", "the new keeper", late);
}

MonoNs KeeperLink::hand_over_due() const {
  const bool sending = !hand_over_->handed || hand_over_->confirmed;
  return sending ? std::min(hand_over_->deadline, after(read_mono(), look_again)) : hand_over_->deadline;
}

// A keeper that has had our hello may come to itself at any time: it would start another supervisor as soon as it
// finds our end closed. So it is killed first; from then on it executes no instruction.
void KeeperLink::give_up_hand_over() {
  (void)pidfd_signal(hand_over_->keeper.get(), SIGKILL);
  unwatch(socket_.get());
  socket_.reset();
  hand_over_.reset();
  lost_ = true;
}

bool KeeperLink::hand_over_some() {
  if (!hand_over_->greeted) {
    const wire::HelloRecord record{wire::message_version, table_->keeper_generation.load() + 1, hello_.generation,
                                   static_cast<std::uint32_t>(parked_.size())};
    std::vector<int> numbers;
    for (const Fd& fd : descriptors_) numbers.push_back(fd.get());
    if (!sent_to_new_keeper(send_records<wire::HelloRecord>(socket_.get(), MessageType::hello, {&record, 1}, numbers)))
      return false;
    hand_over_->greeted = true;
    crash_point("keeper greeted");
  }
  if (!hand_over_runs()) return false;
  while (hand_over_->type <= static_cast<std::uint32_t>(ParkClass::probe)) {
    if (!hand_over_window()) return false;
  }
  return true;
}

bool KeeperLink::hand_over_runs() {
  for (std::vector<wire::RunRecord>& runs = hand_over_->runs; !runs.empty(); runs.pop_back()) {
    const wire::RunRecord& record = runs.back();
    const wire::RunEntry& entry = table_->entry[record.entry];
    const std::int32_t pid = entry.pid.load(std::memory_order_acquire);
    // Without a start time the run was so young that its PID cannot have been used again.
    const std::uint64_t ticks = entry.start_ticks.load(std::memory_order_acquire);
    const OpenedProcess process = ticks != 0 ? open_process(pid, ticks) : open_process(pid);
    if (process.gone) {
      // It ended after the keeper, and somebody else has reaped it.
      record_unseen_end(record.entry);
      continue;
    }
    const int pidfd = process.pidfd.get();
    if (pidfd >= 0 && !may_be_of_run(pid, record.run) && !is_gone(pidfd)) {
      strangers_.push_back({record.run, pid});
      record_unseen_end(record.entry);
      continue;
    }
    if (pidfd < 0 || !sent_to_new_keeper(
                         send_records<wire::RunRecord>(socket_.get(), MessageType::adopt, {&record, 1}, {&pidfd, 1})))
      return false;
  }
  return true;
}

// The next of one class, after the last identity that was sent: the table may change between two steps. What is
// parked meanwhile may lie before that place, and is sent once more (late_parks_).
bool KeeperLink::hand_over_window() {
  const auto type = static_cast<ParkClass>(hand_over_->type);
  const std::vector<Parked>& list = parked_.all(type);
  auto at = list.begin();
  if (hand_over_->last)
    at = std::upper_bound(list.begin(), list.end(), *hand_over_->last, [](const auto& place, const Parked& parked) {
      return place_of(place) < std::tuple(parked.key, parked.name(), parked.file);
    });
  std::vector<wire::ParkRecord> records;
  std::vector<int> numbers;
  for (; at != list.end() && records.size() < window; ++at) {
    records.push_back(park_record(type, *at));
    numbers.push_back(at->fd);
  }
  if (records.empty()) {
    ++hand_over_->type;
    hand_over_->last.reset();
    return true;
  }
  if (!sent_to_new_keeper(send_records<wire::ParkRecord>(socket_.get(), MessageType::park, records, numbers)))
    return false;
  hand_over_->last = records.back();
  return true;
}

bool KeeperLink::sent_to_new_keeper(Sent sent) {
  if (sent == Sent::lost) lost_ = true;
  return sent == Sent::yes;
}

// Parked while there was no keeper to tell: by identity, as it may have been replaced or dropped since. That one cannot be
// sent may be its own fault: a service has stored a socket, and nested others in it (ETOOMANYREFS). So the next one is
// tried, and it again after all others.
bool KeeperLink::send_late_parks() {
  int full = 0;
  while (!late_parks_.empty() && full < 2) {
    const wire::ParkRecord record = late_parks_.back();
    const Parked* parked = parked_.find(record.type, record.key, record.name, record.file);
    const Sent sent = parked == nullptr ? Sent::yes
                                        : send_records<wire::ParkRecord>(socket_.get(), MessageType::park, {&record, 1},
                                                                         {&parked->fd, 1});
    if (sent == Sent::lost) lost_ = true;
    if (lost_) return false;
    late_parks_.pop_back();
    full = sent == Sent::full ? full + 1 : 0;
    if (full > 0)
      late_parks_.insert(late_parks_.begin(), record);
    else
      late_wait_ = late_wait_first;
  }
  if (late_parks_.empty()) return true;
  wake_in(late_wait_);
  late_wait_ = std::min(2 * late_wait_, late_wait_most);
  return false;
}

std::vector<wire::RunRecord> KeeperLink::live_runs(Runs which) const {
  std::vector<wire::RunRecord> runs;
  for (EntryIndex index = 0; index < wire::entries_end(*table_); ++index) {
    const wire::RunEntry& entry = table_->entry[index];
    const RunId run = entry.run.load(std::memory_order_acquire);
    const wire::EntryPhase phase = wire::phase_of(entry);
    if (run == no_run || entry.pid.load(std::memory_order_acquire) <= 0 || phase == wire::EntryPhase::exited) continue;
    if (which == Runs::unseen && phase != wire::EntryPhase::none) continue;
    runs.push_back({index, 0, run});
  }
  return runs;
}

void KeeperLink::record_unseen_end(EntryIndex index) {
  wire::RunEntry& entry = table_->entry[index];
  // A child that could not become its program has left why, and ends with 127.
  const bool failed = entry.fail_stage.load(std::memory_order_acquire) != 0;
  entry.wait_code = failed ? CLD_EXITED : wire::wait_code_unknown;
  entry.wait_status = failed ? 127 : 0;
  entry.exited_at_ns = read_mono();
  wire::store_phase(entry, wire::EntryPhase::exited);
  wire::mark_changed(table_->changed_for_supervisor, index);
}

}  // namespace hearth::os
