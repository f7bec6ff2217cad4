#include "os/program_file.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hearth::os {
namespace {

std::unexpected<Error> refused(const std::string& path, std::string reason, std::string hint) {
  return failure(Remedy::environment, "use the program", path, std::move(reason), std::move(hint));
}

}  // namespace

Result<Fd> open_program(const std::string& path) {
  Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return errno_failure("use the program", path, errno);
  struct stat st{};
  if (::fstat(fd.get(), &st) < 0) return errno_failure("use the program", path, errno);
  if (!S_ISREG(st.st_mode))
    return refused(path, "it is not a file", "name the directory in which hearth's programs are");
  if (st.st_uid != 0 && st.st_uid != ::geteuid())
    return refused(path, "it belongs to user " + std::to_string(st.st_uid),
                   "only root's or our own is run: `chown` it");
  // One's own group, as umask 002 leaves files that one has built.
  const bool group = (st.st_mode & S_IWGRP) != 0 && st.st_gid != ::getegid() && st.st_gid != 0;
  if (group || (st.st_mode & S_IWOTH) != 0) return refused(path, "others may write it", "`chmod go-w` it");
  if ((st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) return refused(path, "it is not executable", "`chmod a+x` it");
  return fd;
}

std::string program_identity(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return {};
  const std::int64_t changed = std::int64_t{st.st_ctim.tv_sec} * 1'000'000'000 + st.st_ctim.tv_nsec;
  std::string text;
  for (const std::int64_t part : {static_cast<std::int64_t>(st.st_dev), static_cast<std::int64_t>(st.st_ino),
                                  static_cast<std::int64_t>(st.st_size), changed})
    text += (text.empty() ? "" : ":") + std::to_string(part);
  return text;
}

}  // namespace hearth::os
