// One message on a SOCK_SEQPACKET socket, received and sent. Used by keeper and spawner.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/keeper_messages.h"

namespace hearth::keeper {

inline constexpr uint32_t descriptors_received_max = 253;  // SCM_MAX_FD
inline constexpr uint32_t record_size_max = sizeof(wire::ParkRecord);

// Bytes of one record of a message type; UINT32_MAX for a type that does not exist.
uint32_t record_size(wire::MessageType type);

// Descriptors that nobody takes are closed with it.
struct Received {
  wire::MessageHeader header;
  unsigned char records[wire::records_per_message_max * record_size_max];
  int fds[descriptors_received_max];
  uint32_t descriptors = 0;
  uint32_t rest;              // bytes behind the records: the plan in a short_plan, else 0
  bool short_of_descriptors;  // some that were sent could not be had
  bool end;  // nothing was received and nothing more comes; without tell_ends() perhaps an empty message

  Received() = default;
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;
  ~Received() { drop(); }
  // Ownership goes to the caller.
  int take(uint32_t index) {
    const int fd = fds[index];
    fds[index] = -1;
    return fd;
  }
  void drop();
};

// An empty message reads like the end of a socket. With the sender's credentials asked for, each message brings
// those, and the end does not.
void tell_ends(int socket);

// True: `message` is well formed (length fits header). False with errno EAGAIN: nothing there now; EBADMSG: a
// message that is to be ignored; else `end`.
bool receive(int socket, Received& message, int flags = MSG_DONTWAIT);

// 0 or errno. `records` holds `count` records of the type. Never blocks.
int send_message(int socket, wire::MessageType type, const void* records, uint32_t count, const int* fds,
                 uint32_t descriptors);

// Decimal digits of `value`; returns the place after them.
inline char* put_number(char* at, uint64_t value) {
  char digits[20];
  int n = 0;
  do digits[n++] = static_cast<char>('0' + value % 10);
  while ((value /= 10) != 0);
  while (n > 0) *at++ = digits[--n];
  return at;
}

}  // namespace hearth::keeper
