#include "keeper/message.h"

namespace hearth::keeper {

using wire::MessageType;

uint32_t record_size(MessageType type) {
  switch (type) {
    case MessageType::hello: return sizeof(wire::HelloRecord);
    case MessageType::spawner:
    case MessageType::replace_spawner: return sizeof(wire::SpawnerRecord);
    case MessageType::parked:
    case MessageType::park:
    case MessageType::unpark: return sizeof(wire::ParkRecord);
    case MessageType::ready:
    case MessageType::up:
    case MessageType::ask:
    case MessageType::at_work:
    case MessageType::ack: return 0;
    case MessageType::signal: return sizeof(wire::SignalRecord);
    case MessageType::reap:
    case MessageType::adopt:
    case MessageType::plan:
    case MessageType::short_plan: return sizeof(wire::RunRecord);
    case MessageType::follow: return sizeof(wire::FollowRecord);
    case MessageType::program: return sizeof(wire::ProgramRecord);
    case MessageType::finish: return sizeof(wire::FinishRecord);
  }
  return UINT32_MAX;
}

void Received::drop() {
  for (uint32_t i = 0; i < descriptors; ++i)
    if (fds[i] >= 0) close(fds[i]);
  descriptors = 0;
}

void tell_ends(int socket) {
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

bool receive(int socket, Received& message, int flags) {
  message.drop();
  message.end = message.short_of_descriptors = false;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * descriptors_received_max) + CMSG_SPACE(sizeof(ucred))];
  iovec parts[] = {{&message.header, sizeof message.header}, {message.records, sizeof message.records}};
  msghdr m{};
  m.msg_iov = parts;
  m.msg_iovlen = 2;
  m.msg_control = control;
  m.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC);
    // ECONNRESET: the peer died with messages of ours unread. Reported once, *before* what it had sent to us,
    // which is still there to be read.
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0 || (got == 0 && m.msg_controllen == 0)) {
    // Without memory for it now the message waits. Who is taken for dead is killed.
    message.end = got == 0 || (errno != EAGAIN && errno != ENOMEM && errno != ENOBUFS);
    return false;
  }
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    message.descriptors = static_cast<uint32_t>((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(message.fds, CMSG_DATA(c), message.descriptors * sizeof(int));
  }
  message.short_of_descriptors = (m.msg_flags & MSG_CTRUNC) != 0;
  const uint64_t length = static_cast<uint64_t>(got);
  uint32_t size = UINT32_MAX;
  if (length >= sizeof message.header && (m.msg_flags & MSG_TRUNC) == 0) size = record_size(message.header.type);
  const uint64_t due = sizeof message.header + uint64_t{size} * message.header.count;
  const bool open_end = message.header.type == MessageType::short_plan;
  if (size == UINT32_MAX || message.header.count > wire::records_per_message_max || length < due ||
      (length > due && !open_end)) {
    message.drop();
    errno = EBADMSG;
    return false;
  }
  message.rest = static_cast<uint32_t>(length - due);
  return true;
}

int send_message(int socket, MessageType type, const void* records, uint32_t count, const int* fds,
                 uint32_t descriptors) {
  wire::MessageHeader header = {type, count};
  iovec parts[] = {{&header, sizeof header}, {const_cast<void*>(records), size_t{record_size(type)} * count}};
  msghdr m{};
  m.msg_iov = parts;
  m.msg_iovlen = parts[1].iov_len != 0 ? 2 : 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * wire::descriptors_per_message_max)];
  if (descriptors != 0) {
    memset(control, 0, sizeof(cmsghdr));
    m.msg_control = control;
    m.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * descriptors);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * descriptors);
  }
  ssize_t sent;
  do sent = sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

}  // namespace hearth::keeper
