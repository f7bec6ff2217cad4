// The sockets of an instance that others connect to, 0600, for its owner and root: DIR/api.sock, the API, and
// DIR/keeper.sock, where a keeper that a service manager started offers itself (os/keeper_successor.h).
#pragma once

#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

inline constexpr const char* control_socket_name = "api.sock";
inline constexpr const char* keeper_socket_name = "keeper.sock";

// A listening socket, non-blocking: a stream for the API, SEQPACKET for keepers. A name that is there is replaced, because
// whoever calls this holds the instance's lock: it is a dead predecessor's. In one step, but where the disk is full: there
// the old one goes first. `directory` is the descriptor of `path`.
Result<Fd> bind_control_socket(int directory, const std::string& path);
Result<Fd> bind_keeper_socket(int directory, const std::string& path);

// Connected to DIR/NAME; `type` as in socket(2). Fails when nobody listens there.
Result<Fd> connect_socket(const std::string& path, const char* name, int type);

// Of bind(2): there is no inode left for a socket. Whoever has one to do without goes on, and tries again.
bool disk_is_full(int code);

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
};
// Who is at the other end; no_access for everybody but `owner` and root.
Result<Peer> check_peer(int socket, uid_t owner);

}  // namespace hearth::os
