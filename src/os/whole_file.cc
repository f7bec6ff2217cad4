#include "os/whole_file.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "os/crash_point.h"

namespace hearth::os {
namespace {

constexpr int tries_max = 100;  // names that others have taken

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// As mkstemp(3) names it, but with the mode that a new file gets here.
std::string name_beside(const std::string& path) {
  constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, 0) < 0) number = static_cast<std::uint32_t>(::getpid());
  std::string name = path + ".";
  for (int i = 0; i < 6; ++i, number >>= 5) name += letters[number & 31];
  return name;
}

}  // namespace

Result<WholeFile> WholeFile::create(std::string path, mode_t mode, OldFile old) {
  WholeFile file(std::move(path), old);
  if (old == OldFile::stays)
    file.fd_.reset(::open(directory_of(file.path_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode));
  for (int i = 0; !file.fd_ && i < tries_max; ++i) {
    const std::string beside = name_beside(file.path_);
    file.fd_.reset(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (file.fd_) file.beside_ = beside;
    if (!file.fd_ && errno != EEXIST) break;
  }
  if (!file.fd_) return errno_failure("write", file.path_, errno);
  crash_point("whole file made");
  return file;
}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      beside_(std::exchange(other.beside_, {})),
      old_(other.old_) {}

WholeFile::~WholeFile() {
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

Status WholeFile::write(std::string_view text) {
  const std::size_t half = text.size() / 2;
  if (const Status written = write_all(fd_.get(), text.substr(0, half), path_); !written) return written;
  crash_point("whole file half written");
  if (const Status written = write_all(fd_.get(), text.substr(half), path_); !written) return written;
  crash_point("whole file written");
  if (::fsync(fd_.get()) < 0) return errno_failure("write", path_, errno);
  crash_point("whole file synced");
  return {};
}

Status WholeFile::put_in_place() {
  bool done = false;
  if (old_ == OldFile::is_replaced) {
    done = ::rename(beside_.c_str(), path_.c_str()) == 0;
  } else if (!beside_.empty()) {
    done = rename_unless_there(AT_FDCWD, beside_.c_str(), path_.c_str());
  } else {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    done = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0;
  }
  if (!done && errno == EEXIST)
    return failure(Remedy::conflict, "write", path_, "it is there already", "choose another name, or move it away");
  if (!done) return errno_failure("write", path_, errno);
  beside_.clear();
  crash_point("whole file in place");
  return {};
}

Status write_whole(const std::string& path, std::string_view text, mode_t mode, OldFile old) {
  Result<WholeFile> file = WholeFile::create(path, mode, old);
  if (!file) return failure(file.error());
  if (const Status written = file->write(text); !written) return written;
  return file->put_in_place();
}

bool rename_unless_there(int directory, const char* from, const char* to) {
  if (::renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
  if (::linkat(directory, from, directory, to, 0) < 0) return false;
  crash_point("whole file has both names");
  ::unlinkat(directory, from, 0);
  return true;
}

}  // namespace hearth::os
