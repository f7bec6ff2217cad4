// Addresses of Unix sockets.
#pragma once

#include <string>
#include <sys/un.h>

#include "base/result.h"

namespace hearth::os {

// Of a socket with a name in the file system. fix_input: the path is longer than the kernel takes (107 bytes).
Result<sockaddr_un> unix_address(const std::string& path);

}  // namespace hearth::os
