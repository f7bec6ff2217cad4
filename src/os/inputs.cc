#include "os/inputs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/keeper_client.h"
#include "os/messages.h"

namespace hearth::os {
namespace {

using ports::Input;
using ports::InputKind;
using wire::ParkClass;

struct SignalCounter {
  int number;
  std::atomic<std::uint32_t> wire::SlotTable::* count;
};
constexpr SignalCounter signal_counters[] = {
    {SIGTERM, &wire::SlotTable::signals_term}, {SIGINT, &wire::SlotTable::signals_int},
    {SIGHUP, &wire::SlotTable::signals_hup},   {SIGUSR1, &wire::SlotTable::signals_usr1},
    {SIGUSR2, &wire::SlotTable::signals_usr2}, {SIGQUIT, &wire::SlotTable::signals_quit},
};

struct Datagram {
  std::string data;
  std::vector<Fd> descriptors;
  std::int32_t sender = 0;
};

enum class Peek { datagram, nothing, scarce, too_long };

void take_control(msghdr& header, Datagram& datagram) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        datagram.descriptors.emplace_back(fd);
      }
    } else if (c->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(c), sizeof credentials);
      datagram.sender = credentials.pid;
    }
  }
}

Peek peek_datagram(int socket, Datagram& datagram) {
  char bytes[Inbox::datagram_max];
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
  iovec part{bytes, sizeof bytes};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  const ssize_t n = receive_with_control(socket, header, control, MSG_PEEK);
  if (n < 0) return errno == EAGAIN ? Peek::nothing : Peek::scarce;
  take_control(header, datagram);
  if ((header.msg_flags & MSG_TRUNC) != 0) return Peek::too_long;
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    // The buffer holds as many as can be sent, so what is cut was cut because descriptors ran out, or because a
    // security module refused one. Which it was is seen by trying.
    Fd one_more(::fcntl(socket, F_DUPFD_CLOEXEC, 3));
    if (!one_more) return Peek::scarce;
  }
  datagram.data.assign(bytes, static_cast<std::size_t>(n));
  return Peek::datagram;
}

void discard_datagram(int socket) {
  char byte = 0;
  while (::recv(socket, &byte, 1, MSG_DONTWAIT) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::uint64_t breadcrumb_of(const Input& input) {
  const std::uint64_t source[] = {static_cast<std::uint64_t>(input.kind),   input.run,  input.slot, input.attempt,
                                  static_cast<std::uint64_t>(input.number), input.count};
  std::uint64_t hash = hash_bytes({reinterpret_cast<const char*>(source), sizeof source});
  hash = hash_bytes(input.data, hash);
  if (input.kind == InputKind::request)
    hash = hash_bytes({reinterpret_cast<const char*>(input.request.key.data()), input.request.key.size()}, hash);
  return hash == 0 ? 1 : hash;
}

Inbox::Inbox(KeeperLink& link, Answer answer, NotifySenders senders)
    : link_(link), answer_(std::move(answer)), senders_(senders) {
  wire::SlotTable& table = link_.table();
  // Taken before it is counted: killed in between we forget a death, which is better than counting one twice and
  // throwing an innocent input away.
  std::uint64_t found = table.breadcrumb.exchange(0);
  // No input does that to us, and whoever does it would make us throw away what a service said.
  const wire::Member& self = table.supervisor;
  if (self.last_wait_code == CLD_KILLED && self.last_wait_status == SIGKILL) found = 0;
  const bool again = found != 0 && found == table.breadcrumb_at_death.load();
  table.breadcrumb_deaths.store(found == 0 ? 0 : again ? table.breadcrumb_deaths.load() + 1 : 1);
  table.breadcrumb_at_death.store(found);
  if (table.breadcrumb_deaths.load() >= 2) poison_ = found;
}

void Inbox::push(Input input) {
  pushed_.push_back(std::move(input));
}

void Inbox::peek(std::vector<Input>& inputs) {
  inputs.clear();
  peek_signals(inputs);
  if (look_again_at_ != 0 && read_mono() >= look_again_at_) look_again();
  const std::uint64_t look_ticks = read_boot_ticks();
  std::vector<RunId> waiting = left_alone_;
  epoll_event events[inputs_max];
  const int ready = ::epoll_wait(link_.epoll(), events, static_cast<int>(inputs_max), 0);
  for (int i = 0; i < ready; ++i) {
    const std::uint64_t id = tag_id(events[i].data.u64);
    switch (tag_kind(events[i].data.u64)) {
      case Watched::timer: link_.timer_fired(); break;
      case Watched::notify:
        waiting.push_back(id);
        peek_notify(id, inputs);
        break;
      case Watched::ready_pipe: peek_ready(id, inputs); break;
      case Watched::output: link_.closed_outputs().push_back(id); break;
      case Watched::stored: drop_ended(static_cast<int>(id)); break;
      case Watched::doorbell: break;  // take_changed() drains it
      case Watched::keeper: link_.receive(); break;
    }
  }
  if (link_.lost() && !lost_told_) {
    Input lost;
    lost.kind = InputKind::keeper_lost;
    inputs.push_back(std::move(lost));
  }
  if (!link_.lost()) lost_told_ = false;
  while (!pushed_.empty() && inputs.size() < inputs_max) {
    inputs.push_back(std::move(pushed_.front()));
    pushed_.pop_front();
  }
  if (!pushed_.empty()) link_.wake_in(1);
  // A full list, or none, leaves unsaid which sockets were empty.
  if (ready >= 0 && ready < static_cast<int>(inputs_max)) senders_.looked(look_ticks, waiting);
}

void Inbox::peek_signals(std::vector<Input>& inputs) {
  for (std::size_t i = 0; i < std::size(signal_counters); ++i) {
    const std::uint32_t count = (link_.table().*signal_counters[i].count).load(std::memory_order_acquire);
    if (count == handled_[i]) continue;
    Input input;
    input.kind = InputKind::keeper_signal;
    input.number = signal_counters[i].number;
    input.count = count;
    inputs.push_back(std::move(input));
  }
}

void Inbox::peek_notify(RunId run, std::vector<Input>& inputs) {
  const Parked* parked = link_.parked().find(ParkClass::notify, run);
  if (parked == nullptr) return;
  Datagram datagram;
  switch (peek_datagram(parked->fd, datagram)) {
    case Peek::nothing: return;
    case Peek::scarce: leave_alone(parked->fd, run); return;
    case Peek::too_long: discard_datagram(parked->fd); return;
    case Peek::datagram: break;
  }
  if (refuse_stranger(*parked, run, datagram.sender)) return;
  Input input;
  input.kind = InputKind::notify;
  input.run = run;
  input.slot = parked->slot;
  input.data = std::move(datagram.data);
  input.descriptors = static_cast<std::uint32_t>(datagram.descriptors.size());
  input.sender_pid = datagram.sender;
  input.token = next_token_++;
  peeked_.push_back({input.token, std::move(datagram.descriptors), false});
  inputs.push_back(std::move(input));
}

bool Inbox::refuse_stranger(const Parked& parked, RunId run, std::int32_t sender) {
  std::int32_t leader = 0;
  for (std::uint32_t i = 0; i < wire::entries_per_slot && parked.slot < wire::max_slots; ++i) {
    const wire::RunEntry& entry = link_.table().entry[parked.slot * wire::entries_per_slot + i];
    if (entry.run.load(std::memory_order_acquire) == run) leader = entry.pid.load(std::memory_order_acquire);
  }
  const NotifySenders::Stranger stranger = senders_.look(parked.fd, sender, leader, run);
  if (stranger.who.empty()) return false;
  discard_datagram(parked.fd);
  std::erase_if(refused_, [&](const auto& one) {
    return one.first != run && link_.parked().find(ParkClass::notify, one.first) == nullptr;
  });
  std::uint64_t told = 1;
  const std::uint64_t count = ++refused_[run];
  while (told < count) told *= 10;
  if (told == count)
    notes_.push_back({0,
                      stranger.label + ": a notification is refused, because it comes from " + stranger.who +
                          (count > 1 ? " (" + std::to_string(count) + " by now)" : std::string()),
                      stranger.label});
  return true;
}

bool Inbox::have_scratch() {
  int ends[2];
  if (!scratch_read_ && ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    scratch_read_ = Fd(ends[0]);
    scratch_write_ = Fd(ends[1]);
  }
  return static_cast<bool>(scratch_read_);
}

void Inbox::peek_ready(RunId run, std::vector<Input>& inputs) {
  const Parked* parked = link_.parked().find(ParkClass::probe, run);
  if (parked == nullptr) return;
  char bytes[4096];
  const auto has_line = [&](ssize_t n) { return n > 0 && std::memchr(bytes, '\n', static_cast<std::size_t>(n)); };
  const ssize_t copied = have_scratch() ? ::tee(parked->fd, scratch_write_.get(), sizeof bytes, SPLICE_F_NONBLOCK) : -1;
  if (copied < 0 && errno == EAGAIN) return;
  bool said = copied > 0 && has_line(::read(scratch_read_.get(), bytes, sizeof bytes));
  // Without a newline it is nothing. Where descriptors are short it is taken at once: a death just then would lose it.
  if (!said) said = has_line(::read(parked->fd, bytes, copied > 0 ? static_cast<std::size_t>(copied) : sizeof bytes));
  if (!said) return;
  Input input;
  input.kind = InputKind::ready_line;
  input.run = run;
  input.slot = parked->slot;
  input.token = next_token_++;
  inputs.push_back(std::move(input));
}

// Readable and not read, a socket would keep the epoll awake: it is taken out until the next look.
void Inbox::leave_alone(int fd, RunId run) {
  link_.unwatch(fd);
  left_alone_.push_back(run);
  look_again_at_ = after(read_mono(), scarce_wait);
  link_.wake_in(scarce_wait);
}

void Inbox::look_again() {
  look_again_at_ = 0;
  for (RunId run : left_alone_)
    if (const Parked* parked = link_.parked().find(ParkClass::notify, run))
      link_.watch(parked->fd, EPOLLIN, watch_tag(Watched::notify, run));
  left_alone_.clear();
}

// FDPOLL: a stored connection whose peer has gone is of no use to anybody.
void Inbox::drop_ended(int fd) {
  for (const Parked& parked : link_.parked().all(ParkClass::store)) {
    if (parked.fd != fd) continue;
    const wire::ParkRecord record = park_record(ParkClass::store, parked);
    link_.unpark(ParkClass::store, record.key, record.name, record.file);
    return;
  }
}

Inbox::Peeked* Inbox::peeked(std::uint64_t token) {
  for (Peeked& peeked : peeked_)
    if (peeked.token == token) return &peeked;
  return nullptr;
}

void Inbox::store_descriptors(const Input& input, const std::string& said, std::uint32_t most, bool poll) {
  Peeked* peeked = this->peeked(input.token);
  if (peeked == nullptr) return;
  const std::string name = stored_name(said);
  for (Fd& fd : peeked->descriptors) {
    if (!fd) continue;
    const std::uint64_t file = file_identity(fd.get());
    std::size_t stored = 0;
    bool known = false;
    for (bool each : {true, false}) {
      auto [first, last] = link_.parked().range(ParkClass::store, store_key(input.slot, each));
      stored += static_cast<std::size_t>(last - first);
      known |= std::any_of(first, last, [&](const Parked& p) { return p.file == file && p.name() == name; });
    }
    if (known || stored >= most) continue;
    Result<Fd> copy = duplicate(fd.get());
    if (!copy || !link_.park(park_record(ParkClass::store, input.slot, store_key(input.slot, poll), name, file),
                             std::move(*copy))) {
      peeked->hold = true;
      return;
    }
    crash_point("descriptor stored");
  }
}

void Inbox::remove_descriptors(SlotIndex slot, const std::string& said) {
  const std::string name = stored_name(said);
  std::vector<wire::ParkRecord> found;
  for (bool poll : {true, false}) {
    auto [first, last] = link_.parked().range(ParkClass::store, store_key(slot, poll));
    for (const Parked* parked = first; parked != last; ++parked)
      if (parked->name() == name) found.push_back(park_record(ParkClass::store, *parked));
  }
  for (const wire::ParkRecord& record : found) link_.unpark(ParkClass::store, record.key, record.name, record.file);
}

void Inbox::consume(const Input& input) {
  if (input.kind == InputKind::keeper_lost) lost_told_ = true;
  if (input.kind == InputKind::keeper_signal) {
    for (std::size_t i = 0; i < std::size(signal_counters); ++i)
      if (signal_counters[i].number == input.number) handled_[i] = input.count;
  }
  if (input.kind == InputKind::ready_line) {
    crash_point("before consume");
    link_.unpark(ParkClass::probe, input.run);
  }
  if (input.kind != InputKind::notify) return;
  Peeked* peeked = this->peeked(input.token);
  if (peeked == nullptr) return;
  const bool hold = peeked->hold;
  // Closed before the datagram goes: BARRIER=1 is answered when the last copy is closed, and the queue holds one.
  peeked_.erase(peeked_.begin() + (peeked - peeked_.data()));
  const Parked* parked = link_.parked().find(ParkClass::notify, input.run);
  if (parked == nullptr) return;
  crash_point("before consume");
  if (hold)
    leave_alone(parked->fd, input.run);
  else
    discard_datagram(parked->fd);
}

void Inbox::answer(const Input& input, const Result<Accepted>& result) {
  if (answer_) answer_(input, result);
}

void Inbox::breadcrumb(const Input& input) {
  link_.table().breadcrumb.store(breadcrumb_of(input), std::memory_order_release);
}

void Inbox::clear_breadcrumb() {
  link_.table().breadcrumb.store(0, std::memory_order_release);
}

bool Inbox::poisonous(const Input& input) const {
  return poison_ != 0 && breadcrumb_of(input) == poison_;
}

}  // namespace hearth::os
