// Talking with supervisor and logger. Nothing is queued: what a client must still be told follows from its
// MemberState and from the table of parked descriptors, so a dead client costs nothing and a new one starts
// at the beginning.

#include "keeper/message.h"
#include "keeper/state.h"

namespace hearth::keeper {
namespace {

using wire::HelloDescriptor;
using wire::MessageType;

// More than this many descriptors in flight can exceed a limit (ETOOMANYREFS).
constexpr uint32_t windows_max = 2;
constexpr uint32_t window_records = wire::records_per_message_max;

struct Window {
  wire::ParkRecord record[window_records];
  int fds[window_records];
  uint32_t count = 0;
};

// True: sent. Else the client is gone on with when its socket has room, or in a while.
bool tell(Keeper& k, uint32_t role, MessageType type, const void* records, uint32_t count, const int* fds = nullptr,
          uint32_t descriptors = 0) {
  MemberState& client = k.member[role];
  const int error = send_message(client.socket, type, records, count, fds, descriptors);
  if (error == 0) return true;
  if (error == EAGAIN) {
    client.wants_room = true;
    watch_fd(k, client.socket, Source::member_socket, role, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  } else if (error != EPIPE && error != ECONNRESET) {
    k.retry_at = earlier(k.retry_at, now_ns() + retry_after);  // ETOOMANYREFS, ENOBUFS, ENOMEM
  }
  return false;
}

bool tell_hello(Keeper& k, uint32_t role) {
  MemberState& client = k.member[role];
  if (client.hello_sent) return true;
  wire::HelloRecord hello = {wire::message_version, k.table->keeper_generation.load(), client.record->generation.load(),
                             0};
  const int of_logger[] = {descriptor(k, HelloDescriptor::log_page),
                           descriptor(k, HelloDescriptor::log_buffer),
                           descriptor(k, HelloDescriptor::log_pipe_read),
                           descriptor(k, HelloDescriptor::log_pipe_write),
                           k.log_directory,
                           descriptor(k, HelloDescriptor::to_supervisor),
                           descriptor(k, HelloDescriptor::to_logger)};
  static_assert(sizeof of_logger / sizeof(int) == static_cast<uint32_t>(wire::LoggerDescriptor::count_));
  if (role == role_supervisor) {
    hello.parked = k.parked.count;
    client.hello_sent =
        tell(k, role, MessageType::hello, &hello, 1, k.fd, static_cast<uint32_t>(HelloDescriptor::count_));
  } else {
    client.hello_sent =
        tell(k, role, MessageType::hello, &hello, 1, of_logger, static_cast<uint32_t>(wire::LoggerDescriptor::count_));
  }
  return client.hello_sent;
}

bool tell_spawners(Keeper& k) {
  MemberState& client = k.member[role_supervisor];
  for (uint32_t i = 0; i < wire::spawner_count; ++i) {
    const MemberState& spawner = k.member[role_spawner + i];
    const uint32_t generation = spawner.record->generation.load();
    if (spawner.pid == 0 || client.announced[i] == generation) continue;
    const wire::SpawnerRecord record = {i, generation};
    if (!tell(k, role_supervisor, MessageType::spawner, &record, 1, &spawner.peer, 1)) return false;
    client.announced[i] = generation;
  }
  return true;
}

// What this supervisor has parked itself it has already.
void tell_parked(Keeper& k) {
  MemberState& client = k.member[role_supervisor];
  const uint32_t generation = client.record->generation.load();
  static Window window;
  while (client.unacked < windows_max) {
    uint32_t at = client.cursor;
    for (window.count = 0; window.count < window_records && at < k.parked.end; ++at) {
      const Parked& item = k.parked.item[at];
      if (!item.used || item.dropped || item.by == generation) continue;
      fill_record(k, item, window.record[window.count]);
      window.fds[window.count++] = item.fd;
    }
    if (window.count == 0) {
      client.ready_sent = tell(k, role_supervisor, MessageType::ready, nullptr, 0);
      return;
    }
    if (!tell(k, role_supervisor, MessageType::parked, window.record, window.count, window.fds, window.count)) return;
    client.cursor = at;
    ++client.unacked;
  }
}

bool has_ear(const MemberState& client) {
  return client.socket >= 0 && !client.wants_room && !client.goodbye_said;
}

// In order: a name that is dropped and parked again must arrive so. One message is all of one kind.
void tell_logger(Keeper& k) {
  MemberState& client = k.member[role_logger];
  static Window window;
  for (Parked* first = next_for_logger(k); first != nullptr; first = next_for_logger(k)) {
    const bool dropped = first->dropped;
    if (!dropped && client.unacked >= windows_max) return;
    // Linked through `next`, which stays as it is until told_logger.
    window.count = 0;
    for (Parked* item = first; item != nullptr && item->dropped == dropped && window.count < window_records;
         item = item->next != 0 ? &k.parked.item[item->next - 1] : nullptr) {
      fill_record(k, *item, window.record[window.count]);
      window.fds[window.count++] = item->fd;
    }
    if (!tell(k, role_logger, dropped ? MessageType::unpark : MessageType::parked, window.record, window.count,
              window.fds, dropped ? 0 : window.count))
      return;
    if (!dropped) ++client.unacked;
    for (uint32_t i = 0; i < window.count; ++i) told_logger(k);
  }
}

// It comes after all else that there is to be told: who has heard it has that, too.
void tell_ask(Keeper& k, uint32_t role) {
  bool& wanted = k.programs.probation[role].ask;
  if (wanted && has_ear(k.member[role]) && tell(k, role, MessageType::ask, nullptr, 0)) wanted = false;
}

// Only our direction is closed: unread acknowledgements in a socket that is closed would be an error at the other
// end (ECONNRESET), before the messages that are still on their way there.
void say_goodbye(Keeper& k, uint32_t role) {
  MemberState& client = k.member[role];
  if (client.socket < 0 || client.goodbye_said) return;
  client.goodbye_said = true;
  shutdown(client.socket, SHUT_WR);
}

template <typename Record>
Record record_at(const Received& message, uint32_t index) {
  Record record;
  memcpy(&record, message.records + index * sizeof record, sizeof record);
  return record;
}

void handle_park(Keeper& k, Received& message, uint32_t generation) {
  // With fewer descriptors than records, the first ones go together: the kernel drops from the end. But a
  // message that was sent so is not one of ours.
  if (message.descriptors > message.header.count) return;
  if (message.descriptors < message.header.count && !message.short_of_descriptors) return;
  for (uint32_t i = 0; i < message.header.count; ++i) {
    const int fd = i < message.descriptors ? message.take(i) : -1;
    park(k, record_at<wire::ParkRecord>(message, i), fd, generation);
  }
}

// None: those that have not been started are taken back.
void handle_programs(Keeper& k, Received& message) {
  constexpr uint32_t most = static_cast<uint32_t>(wire::ProgramRole::count_);
  const uint32_t count = message.header.count;
  k.ring_supervisor = true;  // it waits for the answer, which stands in the table
  if (count == 0) {
    take_back_programs(k);
    return take_back_exec(k);
  }
  const bool whole = count <= most && message.descriptors == count;
  // Without a descriptor, because we had no room for it, it is refused there, too.
  if (count == 1 && record_at<wire::ProgramRecord>(message, 0).role == wire::ProgramRole::keeper)
    return order_exec(k, whole ? message.take(0) : -1);
  wire::ProgramRecord record[most];
  int fd[most];
  for (uint32_t i = 0; whole && i < count; ++i) {
    record[i] = record_at<wire::ProgramRecord>(message, i);
    fd[i] = message.take(i);
  }
  const bool taken = whole && take_programs(k, record, fd, count);
  (taken ? k.table->upgrades : k.table->upgrades_refused).fetch_add(1);
}

void handle_supervisor(Keeper& k, Received& message) {
  const uint32_t count = message.header.count;
  const uint32_t generation = k.member[role_supervisor].record->generation.load();
  switch (message.header.type) {
    case MessageType::signal:
      for (uint32_t i = 0; i < count; ++i) signal_run(k, record_at<wire::SignalRecord>(message, i));
      break;
    case MessageType::reap:
      for (uint32_t i = 0; i < count; ++i) {
        const auto record = record_at<wire::RunRecord>(message, i);
        reap_run(k, record.entry, record.run);
      }
      break;
    case MessageType::park: handle_park(k, message, generation); break;
    case MessageType::unpark:
      for (uint32_t i = 0; i < count; ++i) unpark(k, record_at<wire::ParkRecord>(message, i));
      break;
    case MessageType::adopt:
      for (uint32_t i = 0; i < count && i < message.descriptors; ++i)
        adopt_run(k, record_at<wire::RunRecord>(message, i), message.take(i));
      // Nobody watches those until they are handed over once more.
      if (message.short_of_descriptors && message.descriptors < count) {
        k.table->parks_refused.fetch_add(count - message.descriptors);
        k.ring_supervisor = true;
      }
      break;
    case MessageType::follow:
      for (uint32_t i = 0; i < count && i < message.descriptors; ++i)
        follow_run(k, record_at<wire::FollowRecord>(message, i), message.take(i));
      break;
    case MessageType::replace_spawner:
      for (uint32_t i = 0; i < count; ++i) replace_spawner(k, record_at<wire::SpawnerRecord>(message, i));
      break;
    case MessageType::program: handle_programs(k, message); break;
    case MessageType::at_work:
      if (message.descriptors == 1) watch_work(k, message.take(0));
      break;
    case MessageType::finish:
      k.member[role_supervisor].finish_heard = true;
      if (count == 1) {
        k.exit_status = static_cast<int>(record_at<wire::FinishRecord>(message, 0).exit_status & 0xff);
        finish(k, record_at<wire::FinishRecord>(message, 0).mode);
      }
      break;
    default: break;
  }
}

}  // namespace

void client_started(Keeper& k, uint32_t role) {
  MemberState& client = k.member[role];
  client.hello_sent = client.ready_sent = client.wants_room = client.spoke = false;
  client.finish_heard = client.goodbye_said = false;
  client.unacked = client.cursor = 0;
  for (uint32_t& generation : client.announced) generation = 0;
  if (role == role_logger) queue_outputs(k);
}

void pump_clients(Keeper& k) {
  const MemberState& supervisor = k.member[role_supervisor];
  if (has_ear(supervisor) && tell_hello(k, role_supervisor) && tell_spawners(k) && !supervisor.ready_sent)
    tell_parked(k);
  if (supervisor.ready_sent) tell_ask(k, role_supervisor);
  const MemberState& logger = k.member[role_logger];
  if (has_ear(logger) && tell_hello(k, role_logger)) tell_logger(k);
  if (logger.hello_sent && next_for_logger(k) == nullptr) tell_ask(k, role_logger);
  if (k.ending.phase != Ending::finishing) return;
  if (supervisor.finish_heard) say_goodbye(k, role_supervisor);
  // It ends when it has moved what it knows of: first it must know all.
  if (logger.hello_sent && next_for_logger(k) == nullptr) say_goodbye(k, role_logger);
}

void read_client(Keeper& k, uint32_t role, bool to_the_end) {
  MemberState& client = k.member[role];
  static Received message;
  uint32_t without_memory = 0;
  // A living client has its turn like everybody else.
  for (uint32_t handled = 0; client.socket >= 0; ++handled) {
    if (!to_the_end && handled == 256) return;
    if (!receive(client.socket, message)) {
      if (message.end) break;
      if (errno == EBADMSG) continue;
      // What a dead one has said is there once only.
      if (to_the_end && (errno == ENOMEM || errno == ENOBUFS) && ++without_memory < 1'000) continue;
      return;
    }
    client.spoke = true;
    if (role == role_supervisor && now_ns() - client.record->since_ns >= silent_life)
      k.silent_deaths = 0, k.stop_wanted_at = 0;
    if (message.header.type == MessageType::ack) {
      if (client.unacked > 0) --client.unacked;
    } else if (message.header.type == MessageType::up) {
      if (role == role_supervisor) {
        k.exec.supervisor_up = client.record->generation.load();
        release_signals(k);
      }
      program_is_up(k, role);
    } else if (role == role_supervisor) {
      handle_supervisor(k, message);
    }
    message.drop();
  }
  if (to_the_end || client.socket < 0 || client.pid <= 0) return;
  // Alive, but it has closed its end: of no use to anybody. Unless it was told to end, and is on its way out: killed
  // there it would not count as done, and another would be started. One that hangs is given up later.
  unwatch_and_close(k, client.socket);
  client.spoke = false;  // whatever it said: it has failed
  const bool leaves = k.ending.phase == Ending::finishing && (client.goodbye_said || client.finish_heard);
  if (!leaves) kill_member(k, role, SIGKILL);
  if (role == role_supervisor) prepare_successor(k);
}

}  // namespace hearth::keeper
