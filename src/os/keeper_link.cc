#include "os/keeper_link.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

#include "os/clock.h"
#include "os/crash_point.h"

namespace hearth::os {
namespace {

using wire::MessageType;
using wire::ParkClass;

constexpr SpanNs retry_after = milliseconds(5);
constexpr SpanNs watch_again_after = milliseconds(10);
constexpr SpanNs unheard_for = milliseconds(50);  // a spawner that is replaced costs a fork

int to_ms(SpanNs span) {
  return static_cast<int>(std::min<SpanNs>(span / ns_per_ms, INT32_MAX));
}

// Best effort.
void send_much(int socket) {
  const int bytes = 256 * 1024;
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

Error keeper_gone(const char* doing) {
  return {Remedy::try_later, doing, "the keeper", "it went away", "start hearth again", 0};
}

// Files were replaced below a keeper that goes by their names. It lives, and so do its services.
Error of_another_version(std::uint32_t version) {
  return {Remedy::environment,
          "talk to",
          "the keeper",
          "its messages are of version " + std::to_string(version) + ", and ours of " +
              std::to_string(wire::message_version),
          "put the programs before back, and its services stay; or `kill -TERM " + std::to_string(::getppid()) +
              "`, which stops them, and start hearth again",
          0};
}

}  // namespace

KeeperLink::~KeeperLink() = default;

Result<std::unique_ptr<KeeperLink>> KeeperLink::connect(Fd socket, SpanNs timeout) {
  std::unique_ptr<KeeperLink> link(new KeeperLink);
  link->socket_ = std::move(socket);
  // It came over exec; a keeper that we start some day must not inherit it.
  ::fcntl(link->socket_.get(), F_SETFD, FD_CLOEXEC);
  if (Status made = link->open_epoll(); !made) return failure(made.error());
  send_much(link->socket_.get());  // what is parked in a large start shall not wait for the keeper's turn
  MonoNs end = never;
  for (;;) {
    Message message;
    switch (receive_message(link->socket_.get(), message, to_ms(std::max<SpanNs>(end - read_mono(), 0)))) {
      case Received::message:
        if (end == never) end = after(read_mono(), timeout);
        break;
      case Received::nothing:
        if (read_mono() < end) continue;
        return failure(Remedy::try_later, "take over from", "the keeper", "it has not sent everything in time");
      case Received::lost: return failure(keeper_gone("take over from"));
      case Received::malformed: continue;
    }
    Result<bool> ready = link->take(message);
    if (!ready) return failure(ready.error());
    if (!*ready) continue;
    if (!link->table_) return failure(Remedy::environment, "take over from", "the keeper", "it never said hello");
    return link;
  }
}

Status KeeperLink::open_epoll() {
  epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!epoll_ || !timer_) return errno_failure("make", "an epoll and a timer", errno);
  if (Status watched = watch_surely(timer_.get(), watch_tag(Watched::timer, 0)); !watched) return watched;
  return watch_surely(socket_.get(), watch_tag(Watched::keeper, 0));
}

Status KeeperLink::watch_surely(int fd, std::uint64_t tag) {
  watch(fd, EPOLLIN, tag);
  if (unwatched_.empty()) return {};
  return errno_failure("watch", "what the keeper tells", errno);
}

Result<bool> KeeperLink::take(Message& message) {
  switch (message.type) {
    case MessageType::hello:
      if (Status taken = take_hello(message); !taken) return failure(taken.error());
      return false;
    case MessageType::spawner: take_spawner(message); return false;
    case MessageType::parked:
      take_parked(message);
      // Without the ack the keeper sends no further window.
      while (send_message(socket_.get(), MessageType::ack, nullptr, 0, 0) == Sent::full && wait_for_room(1000)) {
      }
      return false;
    case MessageType::ready: return true;
    // Answered by a flush, which comes when the turn is done: a supervisor that hangs in it does not answer.
    case MessageType::ask: say_up(); return false;
    default: return false;
  }
}

Status KeeperLink::take_hello(Message& message) {
  constexpr std::size_t expected = static_cast<std::size_t>(wire::HelloDescriptor::count_);
  const wire::HelloRecord* record = message.record<wire::HelloRecord>(0);
  if (record != nullptr && record->version != wire::message_version)
    return failure(of_another_version(record->version));
  if (record == nullptr || message.descriptors.size() != expected)
    return failure(Remedy::environment, "talk to", "the keeper", "its hello is not one",
                   "install all parts of hearth from one version");
  hello_ = *record;
  for (std::size_t i = 0; i < expected; ++i) descriptors_[i] = std::move(message.descriptors[i]);
  auto table =
      Mapping<wire::SlotTable>::map(descriptor(wire::HelloDescriptor::slot_table), Access::write, "the slot table");
  auto decisions = Mapping<wire::DecisionPage>::map(descriptor(wire::HelloDescriptor::decision_page), Access::write,
                                                    "the decision page");
  auto logs = Mapping<wire::LogPage>::map(descriptor(wire::HelloDescriptor::log_page), Access::write, "the log page");
  if (!table) return failure(table.error());
  if (!decisions && decisions.error().remedy == Remedy::fix_input)
    return failure(Remedy::environment, "use", "the keeper's pages", "they are of another version",
                   "install all parts of hearth from one version");
  if (!decisions) return failure(decisions.error());
  if (!logs) return failure(logs.error());
  if (!wire::slot_table_valid(**table, sizeof(wire::SlotTable)) || !wire::log_page_valid(**logs, sizeof(wire::LogPage)))
    return failure(Remedy::environment, "use", "the keeper's pages", "they are of another version",
                   "install all parts of hearth from one version");
  table_ = std::move(*table);
  decisions_ = std::move(*decisions);
  logs_ = std::move(*logs);
  return watch_surely(descriptor(wire::HelloDescriptor::to_supervisor), watch_tag(Watched::doorbell, 0));
}

void KeeperLink::take_spawner(Message& message) {
  const wire::SpawnerRecord* record = message.record<wire::SpawnerRecord>(0);
  if (record == nullptr || record->index >= wire::spawner_count) return;
  SpawnerLine& line = spawners_[record->index];
  if (record->generation < line.generation) return;  // a message that was overtaken
  if (message.descriptors.size() != 1) {
    // We had no descriptor for it, and the keeper announces each but once: without another one, which it announces anew,
    // nothing would ever be started again. What the dead one's line held is free for that.
    line.socket.reset();
    line.generation = record->generation;
    unheard_.push_back(*record);
    unheard_until_ = after(read_mono(), unheard_for);
    return wake_in(unheard_for);
  }
  line.socket = std::move(message.descriptors[0]);
  send_much(line.socket.get());  // a window of plans with their environments
  line.generation = record->generation;
}

void KeeperLink::take_parked(Message& message) {
  for (std::uint32_t i = 0; i < message.count && i < message.descriptors.size(); ++i) {
    const wire::ParkRecord* record = message.record<wire::ParkRecord>(i);
    if (record == nullptr) return;
    watch_parked(record->type, *parked_.put(*record, std::move(message.descriptors[i])));
  }
}

void KeeperLink::watch_parked(ParkClass type, const Parked& parked) {
  if (type == ParkClass::notify && parked.slot != no_slot) {
    watch(parked.fd, EPOLLIN, watch_tag(Watched::notify, parked.key));
  } else if (type == ParkClass::probe && parked.name().empty()) {
    watch(parked.fd, EPOLLIN, watch_tag(Watched::ready_pipe, parked.key));
  } else if (type == ParkClass::store && parked.key <= no_slot) {
    // FDPOLL=1. Files that cannot be polled (memfd) are refused by epoll, and need not be watched.
    watch(parked.fd, EPOLLET, watch_tag(Watched::stored, static_cast<std::uint64_t>(parked.fd)));
  }
}

Sent KeeperLink::send_park(std::span<const wire::ParkRecord> records, std::span<const int> numbers) {
  // An earlier UNPARK of the same identity must not overtake this.
  if (!unparks_.empty() && !send_some(MessageType::unpark, unparks_)) return lost_ ? Sent::lost : Sent::full;
  return send_records(socket_.get(), MessageType::park, records, numbers);
}

template <typename Send>
Sent KeeperLink::send_patiently(SpanNs patience, Send send) {
  const MonoNs end = after(read_mono(), patience);
  Sent sent = send();
  while (sent == Sent::full && read_mono() < end) {
    // Room in the socket says nothing of descriptors in flight (ETOOMANYREFS): then this is a short pause.
    (void)wait_for_room(to_ms(end - read_mono()));
    ::poll(nullptr, 0, 1);
    sent = send();
  }
  if (sent == Sent::lost) lost_ = true;
  return sent;
}

bool KeeperLink::park(const wire::ParkRecord& record, Fd fd, SpanNs patience) {
  return park({&record, 1}, {&fd, 1}, patience);
}

bool KeeperLink::park(std::span<const wire::ParkRecord> records, std::span<Fd> descriptors, SpanNs patience) {
  if (records.empty()) return true;
  if (hand_over_) late_parks_.insert(late_parks_.end(), records.begin(), records.end());
  if (!lost_ && !hand_over_) {
    std::vector<int> numbers;
    for (const Fd& fd : descriptors) numbers.push_back(fd.get());
    if (send_patiently(patience, [&] { return send_park(records, numbers); }) == Sent::full) {
      wake_in(retry_after);
      return false;
    }
  }
  crash_point("park sent");
  hold(records, descriptors);
  return true;
}

void KeeperLink::keep(std::span<const wire::ParkRecord> records, std::span<Fd> descriptors, SpanNs patience) {
  if (park(records, descriptors, late_parks_.empty() ? patience : 0)) return;
  late_parks_.insert(late_parks_.end(), records.begin(), records.end());
  hold(records, descriptors);
}

void KeeperLink::offer_again() {
  if (lost_ || hand_over_) return;  // the next keeper is given everything
  for (const ParkClass type :
       {ParkClass::probe, ParkClass::spec, ParkClass::store, ParkClass::listen, ParkClass::notify,
        ParkClass::output})  // the last first: without a reader services stand still
    for (const Parked& parked : parked_.all(type)) late_parks_.push_back(park_record(type, parked));
}

void KeeperLink::hold(std::span<const wire::ParkRecord> records, std::span<Fd> descriptors) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const wire::ParkRecord& record = records[i];
    const std::string_view name(record.name);
    if (const Parked* old = parked_.find(record.type, record.key, name, record.file)) unwatch(old->fd);
    watch_parked(record.type, *parked_.put(record, std::move(descriptors[i])));
  }
}

bool KeeperLink::keeper_has_room(std::size_t descriptors) const {
  if (parked_.size() + descriptors > wire::max_parked) return false;
  rlimit limit{};
  if (::prlimit(table().keeper_pid, RLIMIT_NOFILE, nullptr, &limit) < 0) return true;
  const std::size_t runs = parked_.all(ParkClass::output).size();
  return parked_.size() + runs + wire::keeper_reserved_descriptors + descriptors <= limit.rlim_cur;
}

void KeeperLink::unpark(ParkClass type, std::uint64_t key, std::string_view name, std::uint64_t file) {
  const Parked* found = parked_.find(type, key, name, file);
  // Of what the keeper parks itself we may never have been told.
  if (found == nullptr && type != ParkClass::program) return;
  unparks_.push_back(found != nullptr ? park_record(type, *found) : park_record(type, no_slot, key, name, file));
  if (found != nullptr) unwatch(found->fd);
  // `name` may point into what is dropped here.
  parked_.drop(type, key, std::string(name), file);
  if (unparks_.size() >= wire::records_per_message_max) send_some(MessageType::unpark, unparks_);
}

void KeeperLink::replace_spawner(std::uint32_t index, std::uint32_t generation) {
  replacements_.push_back({index, generation});
}

void KeeperLink::finish(wire::FinishMode mode, std::uint32_t exit_status) {
  finishes_.push_back({mode, exit_status});
}

template <typename Record>
bool KeeperLink::send_some(MessageType type, std::vector<Record>& records) {
  std::size_t done = 0;
  while (done < records.size()) {
    std::size_t count = std::min<std::size_t>(records.size() - done, wire::records_per_message_max);
    Sent sent = send_records<Record>(socket_.get(), type, std::span<const Record>(records.data() + done, count));
    if (sent == Sent::lost) lost_ = true;
    if (sent != Sent::yes) break;
    done += count;
  }
  const bool all = done == records.size();
  if (all && records.capacity() > 256)
    std::vector<Record>().swap(records);
  else
    records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(done));
  if (!all && !lost_) wake_in(retry_after);
  return all;
}

void KeeperLink::ask_for_spawners() {
  if (unheard_.empty()) return;
  if (const SpanNs left = unheard_until_ - read_mono(); left > 0) return wake_in(left);
  for (const wire::SpawnerRecord& record : std::exchange(unheard_, {}))
    replace_spawner(record.index, record.generation);
}

bool KeeperLink::flush() {
  ask_for_spawners();
  if (std::exchange(logger_wanted_, false)) ring(descriptor(wire::HelloDescriptor::to_logger));
  // Before hello and the runs that are to be adopted nothing else may come.
  if (lost_ || (hand_over_ && !hand_over_->handed)) return false;
  // Signals of this turn may be for runs that are reaped in this turn.
  if (!send_up() || !send_work() || !send_some(MessageType::signal, signals_)) return false;
  crash_point("signals sent");
  if (!send_some(MessageType::reap, reaps_)) return false;
  crash_point("reaps sent");
  if (!send_some(MessageType::unpark, unparks_) || !send_some(MessageType::replace_spawner, replacements_))
    return false;
  const bool parked = send_late_parks();
  // An end waits for output only, which the logger is to read before it.
  const bool may_end = std::none_of(late_parks_.begin(), late_parks_.end(),
                                    [](const wire::ParkRecord& late) { return late.type == ParkClass::output; });
  return may_end && send_some(MessageType::finish, finishes_) && parked;
}

bool KeeperLink::wait_for_room(int timeout_ms) {
  pollfd waited{socket_.get(), POLLOUT, 0};
  return ::poll(&waited, 1, timeout_ms) > 0 && (waited.revents & (POLLHUP | POLLERR)) == 0;
}

bool KeeperLink::adopt(const wire::RunRecord& record, int pidfd, SpanNs patience) {
  if (lost_ || hand_over_) return false;
  return send_patiently(patience, [&] {
           return send_records<wire::RunRecord>(socket_.get(), MessageType::adopt, {&record, 1}, {&pidfd, 1});
         }) == Sent::yes;
}

bool KeeperLink::follow(const wire::FollowRecord& record, int pidfd) {
  if (lost_ || hand_over_) return false;
  const Sent sent = send_records<wire::FollowRecord>(socket_.get(), MessageType::follow, {&record, 1}, {&pidfd, 1});
  if (sent == Sent::lost) lost_ = true;
  return sent == Sent::yes;
}

bool KeeperLink::give_programs(int supervisor, int logger) {
  // That the one that runs is up comes first: else the keeper takes it for unproven and drops it.
  if (lost_ || hand_over_ || !send_up()) return false;
  const wire::ProgramRecord records[] = {{wire::ProgramRole::supervisor, 0}, {wire::ProgramRole::logger, 0}};
  const int descriptors[] = {supervisor, logger};
  const Sent sent = send_records<wire::ProgramRecord>(socket_.get(), MessageType::program, records, descriptors);
  if (sent == Sent::lost) lost_ = true;
  if (sent == Sent::yes) crash_point("programs sent");
  return sent == Sent::yes;
}

bool KeeperLink::give_keeper(int program) {
  if (lost_ || hand_over_) return false;
  const wire::ProgramRecord record{wire::ProgramRole::keeper, 0};
  const Sent sent = send_records<wire::ProgramRecord>(socket_.get(), MessageType::program, {&record, 1}, {&program, 1});
  if (sent == Sent::lost) lost_ = true;
  return sent == Sent::yes;
}

bool KeeperLink::take_back_programs() {
  if (lost_ || hand_over_) return false;
  const Sent sent = send_message(socket_.get(), MessageType::program, nullptr, 0, 0);
  if (sent == Sent::lost) lost_ = true;
  return sent == Sent::yes;
}

bool KeeperLink::send_up() {
  if (!up_wanted_) return true;
  const Sent sent = send_message(socket_.get(), MessageType::up, nullptr, 0, 0);
  if (sent == Sent::lost) lost_ = true;
  if (sent == Sent::full) wake_in(retry_after);
  up_wanted_ = sent != Sent::yes;
  return !up_wanted_;
}

// At once: a thread may be held by what it does first.
void KeeperLink::show_work(int timer) {
  work_timer_ = timer;
  work_untold_ = timer >= 0;
  (void)send_work();
}

bool KeeperLink::send_work() {
  if (!work_untold_ || lost_ || hand_over_) return true;
  const Sent sent = send_message(socket_.get(), MessageType::at_work, nullptr, 0, 0, {&work_timer_, 1});
  if (sent == Sent::lost) lost_ = true;
  if (sent == Sent::full) wake_in(retry_after);
  work_untold_ = sent != Sent::yes;
  return !work_untold_;
}

void KeeperLink::receive() {
  for (;;) {
    Message message;
    switch (receive_message(socket_.get(), message, 0)) {
      case Received::message:
        // A second hello would be another keeper's; hand_over_to() is the way to one.
        if (message.type != MessageType::hello) (void)take(message);
        break;
      case Received::malformed: break;
      case Received::nothing: return;
      case Received::lost:
        // Level-triggered, an end that stays would wake us for ever.
        unwatch(socket_.get());
        lost_ = true;
        return;
    }
  }
}

void KeeperLink::watch(int fd, std::uint32_t events, std::uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  std::erase_if(unwatched_, [fd](const Unwatched& one) { return one.fd == fd; });
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return;
  if (errno == EEXIST) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  } else if (errno == ENOMEM || errno == ENOSPC) {
    unwatched_.push_back({fd, events, tag});
    wake_in(watch_again_after);
    errno = ENOMEM;
  }
}

void KeeperLink::unwatch(int fd) {
  std::erase_if(unwatched_, [fd](const Unwatched& one) { return one.fd == fd; });
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void KeeperLink::wake_in(SpanNs span) {
  const MonoNs at = after(read_mono(), std::max<SpanNs>(span, 1));
  if (timer_at_ != 0 && timer_at_ <= at) return;
  timer_at_ = at;
  itimerspec spec{};
  spec.it_value.tv_sec = at / ns_per_s;
  spec.it_value.tv_nsec = at % ns_per_s;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void KeeperLink::timer_fired() {
  drain(timer_.get());
  timer_at_ = 0;
  for (const Unwatched& one : std::exchange(unwatched_, {})) watch(one.fd, one.events, one.tag);
}

}  // namespace hearth::os
