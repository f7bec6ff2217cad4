// Hostile messages on the sockets between keeper, supervisor, spawners and logger, with descriptors. The first byte says
// how many come along; the rest is the message. Both readers (the keeper's own and that of os/) agree about it, lose no
// descriptor, keep none, and hear the next message.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "fuzz/bytes.h"
#include "keeper/message.h"
#include "os/messages.h"

namespace {

using namespace hearth;

// Open for the whole run, before anything is counted.
int null_device() {
  static const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  return null;
}

struct Line {
  Line() {
    HEARTH_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, end) == 0,
                 "a pair of sockets");
    // A message may be larger than what a socket takes by default.
    const int bytes = 1 << 20;
    (void)::setsockopt(end[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    keeper::tell_ends(end[1]);
    null_device();
  }
  int end[2];
};

bool send_raw(int socket, std::string_view bytes, std::uint32_t descriptors) {
  const int null = null_device();
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {};
  if (descriptors != 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
    for (std::uint32_t i = 0; i < descriptors; ++i) std::memcpy(CMSG_DATA(c) + i * sizeof(int), &null, sizeof(int));
  }
  return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

// The least number that is free: the same before and after when nothing was kept open.
int free_descriptor() {
  const int fd = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  ::close(fd);
  return fd;
}

bool keeper_takes(int socket, std::string_view bytes, std::uint32_t descriptors, keeper::Received& message) {
  if (!keeper::receive(socket, message)) {
    HEARTH_CHECK(!message.end && errno == EBADMSG, "a message that is none does not end the line");
    HEARTH_CHECK(message.descriptors == 0, "and leaves no descriptor");
    return false;
  }
  const std::uint64_t records = std::uint64_t{keeper::record_size(message.header.type)} * message.header.count;
  HEARTH_CHECK(sizeof message.header + records + message.rest == bytes.size(), "the length fits the header");
  HEARTH_CHECK(message.descriptors == descriptors && !message.short_of_descriptors, "all descriptors came");
  HEARTH_CHECK(std::memcmp(message.records, bytes.data() + sizeof message.header, records + message.rest) == 0,
               "as sent");
  return true;
}

template <typename Record>
void read_all(const os::Message& message) {
  for (std::uint32_t i = 0; i < message.count && i < 200; ++i)
    if (const Record* record = message.record<Record>(i)) {
      Record copy;
      std::memcpy(static_cast<void*>(&copy), record, sizeof copy);
    } else {
      break;
    }
}

void check_next(Line& line) {
  const wire::SignalRecord signal{.entry = 3, .signal = 15, .run = 77, .op = 9};
  HEARTH_CHECK(keeper::send_message(line.end[0], wire::MessageType::signal, &signal, 1, nullptr, 0) == 0, "it is sent");
  keeper::Received next;
  HEARTH_CHECK(keeper::receive(line.end[1], next) && next.header.count == 1, "the next message is heard");
  HEARTH_CHECK(std::memcmp(next.records, &signal, sizeof signal) == 0, "as it was sent");
  HEARTH_CHECK(!keeper::receive(line.end[1], next) && errno == EAGAIN && !next.end, "and nothing is left");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Line line;
  fuzz::Bytes bytes(data, size);
  const std::uint32_t descriptors = bytes.byte() % 16;
  const std::string_view sent = bytes.rest();
  const int before = free_descriptor();
  bool taken = false;
  wire::MessageHeader header{};
  {
    keeper::Received message;
    if (!send_raw(line.end[0], sent, descriptors)) return 0;
    taken = keeper_takes(line.end[1], sent, descriptors, message);
    header = message.header;
  }
  HEARTH_CHECK(free_descriptor() == before, "the keeper's reader keeps no descriptor");
  if (!sent.empty()) {
    os::Message message;
    HEARTH_CHECK(send_raw(line.end[0], sent, descriptors), "it is sent again");
    const os::Received got = os::receive_message(line.end[1], message, 0);
    if (taken) {
      HEARTH_CHECK(got == os::Received::message && message.type == header.type && message.count == header.count,
                   "both readers agree");
      HEARTH_CHECK(message.descriptors.size() == descriptors, "all descriptors came");
    }
    if (got == os::Received::message) {
      HEARTH_CHECK(message.records.size() + sizeof header == sent.size(), "as much as was sent");
      read_all<wire::ParkRecord>(message);
      read_all<wire::SpawnerRecord>(message);
      read_all<wire::HelloRecord>(message);
    }
  }
  HEARTH_CHECK(free_descriptor() == before, "the reader of os/ keeps no descriptor");
  check_next(line);
  return 0;
}
