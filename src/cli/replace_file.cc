#include "cli/replace_file.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/limits.h"
#include "os/fd.h"

namespace hearth::cli {
namespace {

Status write_whole(int fd, const struct stat& old, std::string_view text, const std::string& path) {
  if (::fchmod(fd, old.st_mode & 07777) < 0) return errno_failure("write", path, errno);
  // Only root may give files away; somebody who may write the file but does not own it, owns it then.
  [[maybe_unused]] const int kept = ::fchown(fd, old.st_uid, old.st_gid);
  if (const Status written = os::write_all(fd, text, path); !written) return written;
  if (::fsync(fd) < 0) return errno_failure("write", path, errno);
  return {};
}

}  // namespace

Status replace_file(const std::string& path, std::string_view before, std::string_view text) {
  struct stat old{};
  if (::stat(path.c_str(), &old) < 0) return errno_failure("write", path, errno);
  if (::access(path.c_str(), W_OK) < 0) return errno_failure("write", path, errno);
  std::string made = path + ".XXXXXX";
  const os::Fd file(::mkostemp(made.data(), O_CLOEXEC));
  if (!file) return errno_failure("make a file beside", path, errno);
  Status done = write_whole(file.get(), old, text, path);
  if (done) {
    const Result<std::string> now = os::read_file(path, config::max_file_bytes);
    if (!now || *now != before) {
      done = failure(Remedy::conflict, "write", path, "somebody has changed it meanwhile", "try again");
    } else if (::rename(made.c_str(), path.c_str()) < 0) {
      done = errno_failure("write", path, errno);
    }
  }
  if (!done) ::unlink(made.c_str());
  return done;
}

}  // namespace hearth::cli
