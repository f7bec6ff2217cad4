#include "os/own_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "os/fd.h"

namespace hearth::os {

Result<std::string> read_own_file(const std::string& path, std::size_t most) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) < 0) return errno_failure("read", path, errno);
  if (S_ISDIR(st.st_mode)) return errno_failure("read", path, EISDIR);
  if (!S_ISREG(st.st_mode)) return failure(Remedy::fix_input, "read", path, "it is no regular file", "remove it");
  return read_all(fd.get(), most, path);
}

std::optional<bool> is_plain_file(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return std::nullopt;
  return S_ISREG(st.st_mode) && st.st_nlink == 1;
}

}  // namespace hearth::os
