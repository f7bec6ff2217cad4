#include "os/program_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace hearth::os {
namespace {

std::unexpected<Error> refused(const std::string& path, std::string reason, std::string hint) {
  return failure(Remedy::environment, "use the program", path, std::move(reason), std::move(hint));
}

template <typename T>
bool read_at(int fd, std::uint64_t at, T& into) {
  return ::pread(fd, &into, sizeof into, static_cast<off_t>(at)) == static_cast<ssize_t>(sizeof into);
}

// Never less than `begin`, whatever the header says.
std::uint64_t end_of(std::uint64_t begin, std::uint64_t length) {
  return length > UINT64_MAX - begin ? UINT64_MAX : begin + length;
}

// Where the file must reach at least. A header that cannot be read whole is itself what is missing.
std::uint64_t size_by_headers(int fd, const ElfW(Ehdr) & header) {
  std::uint64_t needed = end_of(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(ElfW(Phdr)));
  if (header.e_shoff != 0)
    needed = std::max(needed, end_of(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize));
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    if (!read_at(fd, end_of(header.e_phoff, i * sizeof segment), segment)) break;
    if (segment.p_type == PT_LOAD) needed = std::max(needed, end_of(segment.p_offset, segment.p_filesz));
  }
  return needed;
}

Status check_file(const std::string& path, const struct stat& st) {
  if (!S_ISREG(st.st_mode))
    return refused(path, "it is not a file", "name the directory in which hearth's programs are");
  if (st.st_uid != 0 && st.st_uid != ::geteuid())
    return refused(path, "it belongs to user " + std::to_string(st.st_uid),
                   "only root's or our own is run: `chown` it");
  // One's own group, as umask 002 leaves files that one has built.
  const bool group = (st.st_mode & S_IWGRP) != 0 && st.st_gid != ::getegid() && st.st_gid != 0;
  if (group || (st.st_mode & S_IWOTH) != 0) return refused(path, "others may write it", "`chmod go-w` it");
  if ((st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) return refused(path, "it is not executable", "`chmod a+x` it");
  return {};
}

}  // namespace

Status check_whole(const Fd& program, const std::string& path) {
  const Fd fd(::open(("/proc/self/fd/" + std::to_string(program.get())).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) < 0) return {};
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (size == 0) return refused(path, "it is empty", "copy or install it again");
  ElfW(Ehdr) header{};
  if (!read_at(fd.get(), 0, header.e_ident)) return {};
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && size < sizeof header)
    return refused(path, "it is cut: " + std::to_string(size) + " bytes", "copy or install it again");
  if (!read_at(fd.get(), 0, header)) return {};
  constexpr unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != own_class) return {};
  if (header.e_phentsize != sizeof(ElfW(Phdr))) return {};
  const std::uint64_t needed = size_by_headers(fd.get(), header);
  if (size >= needed) return {};
  return refused(path, "it is cut: " + std::to_string(size) + " bytes of " + std::to_string(needed),
                 "copy or install it again");
}

Result<Fd> open_program(const std::string& path) {
  Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return errno_failure("use the program", path, errno);
  struct stat st{};
  if (::fstat(fd.get(), &st) < 0) return errno_failure("use the program", path, errno);
  if (const Status good = check_file(path, st); !good) return failure(good.error());
  return fd;
}

Result<std::string> find_client(const std::string& directory) {
  constexpr std::string_view installed = "/libexec/hearth";
  std::vector<std::string> places = {directory + "/hearth"};
  if (directory.ends_with(installed))
    places.push_back(directory.substr(0, directory.size() - installed.size()) + "/bin/hearth");
  // Without a descriptor: it is asked once, and where descriptors are short just then the answer would stand.
  for (const std::string& path : places) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0) {
      if (errno == ENOENT) continue;
      return errno_failure("use the program", path, errno);
    }
    if (const Status good = check_file(path, st); !good) return failure(good.error());
    return path;
  }
  return errno_failure("use the program", places.front(), ENOENT);
}

Fd program_of(pid_t pid) {
  return Fd(::open(("/proc/" + std::to_string(pid) + "/exe").c_str(), O_PATH | O_CLOEXEC));
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

bool same_file(int a, int b) {
  struct statx of_a{}, of_b{};
  constexpr int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  return ::statx(a, "", flags, STATX_INO, &of_a) == 0 && ::statx(b, "", flags, STATX_INO, &of_b) == 0 &&
         of_a.stx_ino == of_b.stx_ino && of_a.stx_dev_major == of_b.stx_dev_major &&
         of_a.stx_dev_minor == of_b.stx_dev_minor;
}

}  // namespace hearth::os
