#include "os/messages.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/uio.h>

#include "base/check.h"

namespace hearth::os {
namespace {

constexpr std::size_t message_bytes_max =
    sizeof(wire::MessageHeader) + std::size_t{wire::records_per_message_max} * sizeof(wire::ParkRecord);

void take_descriptors(msghdr& header, Message& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      message.descriptors.emplace_back(fd);
    }
  }
}

// The first of `parts` is the message's header.
Sent send_parts(int socket, std::span<iovec> parts, std::span<const int> descriptors) {
  HEARTH_CHECK(descriptors.size() <= wire::descriptors_per_message_max,
               "a message holds a bounded number of descriptors");
  alignas(cmsghdr) char control[CMSG_SPACE(wire::descriptors_per_message_max * sizeof(int))];
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    std::memset(control, 0, header.msg_controllen);
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::yes;
    if (errno == EINTR) continue;
    // ETOOMANYREFS: our user has too many descriptors on their way; they arrive when the peer reads.
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS) return Sent::full;
    return Sent::lost;
  }
}

}  // namespace

Sent send_message(int socket, wire::MessageType type, const void* records, std::uint32_t count, std::size_t record_size,
                  std::span<const int> descriptors) {
  HEARTH_CHECK(count <= wire::records_per_message_max, "a message holds a bounded number of records");
  wire::MessageHeader head{type, count};
  iovec parts[] = {{&head, sizeof head}, {const_cast<void*>(records), count * record_size}};
  return send_parts(socket, std::span(parts, count == 0 ? 1 : 2), descriptors);
}

Sent send_short_plan(int socket, const wire::RunRecord& record, std::string_view plan,
                     std::span<const int> descriptors) {
  HEARTH_CHECK(plan.size() <= wire::short_plan_max, "a longer one goes as a memfd");
  wire::MessageHeader head{wire::MessageType::short_plan, 1};
  iovec parts[] = {{&head, sizeof head},
                   {const_cast<wire::RunRecord*>(&record), sizeof record},
                   {const_cast<char*>(plan.data()), plan.size()}};
  return send_parts(socket, parts, descriptors);
}

ssize_t receive_with_control(int socket, msghdr& header, std::span<char> control, int flags) {
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &header, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  return n;
}

Received receive_message(int socket, Message& message, int wait_ms) {
  message = Message{};
  if (wait_ms != 0) {
    pollfd waited{socket, POLLIN, 0};
    int ready = ::poll(&waited, 1, wait_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return Received::nothing;
  }
  alignas(wire::MessageHeader) unsigned char bytes[message_bytes_max];
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
  iovec part{bytes, sizeof bytes};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  const ssize_t n = receive_with_control(socket, header, control, 0);
  // A kernel that has no memory for it now has it later, and the message waits: only an end is an end.
  if (n < 0) return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? Received::nothing : Received::lost;
  if (n == 0) return Received::lost;
  take_descriptors(header, message);
  wire::MessageHeader head{};
  if (static_cast<std::size_t>(n) < sizeof head || (header.msg_flags & MSG_TRUNC) != 0) return Received::malformed;
  std::memcpy(&head, bytes, sizeof head);
  message.type = head.type;
  message.count = head.count;
  message.records.assign(bytes + sizeof head, bytes + n);
  return Received::message;
}

}  // namespace hearth::os
