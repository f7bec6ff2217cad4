#include "cli/replace_file.h"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include "config/limits.h"
#include "os/fd.h"
#include "os/whole_file.h"

namespace hearth::cli {

Status replace_file(const std::string& path, std::string_view before, std::string_view text) {
  struct stat old{};
  if (::stat(path.c_str(), &old) < 0) return errno_failure("write", path, errno);
  if (::access(path.c_str(), W_OK) < 0) return errno_failure("write", path, errno);
  Result<os::WholeFile> file = os::WholeFile::create(path, 0600, os::OldFile::is_replaced);
  if (!file) return failure(file.error());
  if (::fchmod(file->descriptor(), old.st_mode & 07777) < 0) return errno_failure("write", path, errno);
  // Only root may give files away; somebody who may write the file but does not own it, owns it then.
  [[maybe_unused]] const int kept = ::fchown(file->descriptor(), old.st_uid, old.st_gid);
  if (const Status written = file->write(text); !written) return written;
  const Result<std::string> now = os::read_file(path, config::max_file_bytes);
  if (!now || *now != before)
    return failure(Remedy::conflict, "write", path, "somebody has changed it meanwhile", "try again");
  return file->put_in_place();
}

}  // namespace hearth::cli
