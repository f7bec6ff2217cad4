#include "os/unix_address.h"

#include <cstring>
#include <sys/socket.h>

namespace hearth::os {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return failure(Remedy::fix_input, "use", path, "its path is too long for a socket",
                   "choose a shorter directory with --dir");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace hearth::os
