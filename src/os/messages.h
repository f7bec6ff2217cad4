// One message of wire/keeper_messages.h over a SOCK_SEQPACKET socket, with its descriptors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include "os/fd.h"
#include "wire/keeper_messages.h"

namespace hearth::os {

struct Message {
  wire::MessageType type{};
  std::uint32_t count = 0;
  std::vector<unsigned char> records;
  std::vector<Fd> descriptors;

  // Record `index`, or null when the message is too short for it.
  template <typename Record>
  const Record* record(std::uint32_t index) const {
    if (index >= count || (std::size_t{index} + 1) * sizeof(Record) > records.size()) return nullptr;
    return reinterpret_cast<const Record*>(records.data()) + index;
  }
};

enum class Sent { yes, full, lost };

// `full`: nothing was sent, try later (also when too many descriptors are in flight). `lost`: the peer is gone.
// Never blocks.
Sent send_message(int socket, wire::MessageType type, const void* records, std::uint32_t count, std::size_t record_size,
                  std::span<const int> descriptors = {});
template <typename Record>
Sent send_records(int socket, wire::MessageType type, std::span<const Record> records,
                  std::span<const int> descriptors = {}) {
  return send_message(socket, type, records.data(), static_cast<std::uint32_t>(records.size()), sizeof(Record),
                      descriptors);
}

// A plan that is short enough travels in its message: one system call instead of six for a memfd.
Sent send_short_plan(int socket, const wire::RunRecord& record, std::string_view plan,
                     std::span<const int> descriptors);

enum class Received { message, nothing, lost, malformed };

// Takes one message. `wait_ms`: 0 = do not wait, -1 = for ever. `malformed`: it was dropped.
Received receive_message(int socket, Message& message, int wait_ms);

// recvmsg(2) into `header`, with `control` for what comes beside the bytes. Never blocks, begins again after a signal;
// received descriptors are close-on-exec. `flags`: MSG_PEEK or 0.
ssize_t receive_with_control(int socket, msghdr& header, std::span<char> control, int flags);

}  // namespace hearth::os
