// The API's socket DIR/api.sock: 0600, for the instance's owner and root.
#pragma once

#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

inline constexpr const char* control_socket_name = "api.sock";

// A listening stream socket, non-blocking. A name that is there is replaced in one step, because whoever calls
// this holds the instance's lock: it is a dead predecessor's. `directory` is the descriptor of `path`.
Result<Fd> bind_control_socket(int directory, const std::string& path);

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
};
// Who is at the other end; no_access for everybody but `owner` and root.
Result<Peer> check_peer(int socket, uid_t owner);

}  // namespace hearth::os
