#include "failures.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace hearth::kill_anywhere {
namespace {

using Fact = bool (*)(const CallFacts&);

bool always(const CallFacts&) {
  return true;
}
bool on_file(const CallFacts& call) {
  return call.object == Object::file;
}
bool may_block(const CallFacts& call) {
  return !call.nonblocking && call.object != Object::file && call.object != Object::none;
}
bool would_block(const CallFacts& call) {
  return call.nonblocking && (call.object == Object::pipe || call.object == Object::socket);
}
bool creates(const CallFacts& call) {
  return (call.args[2] & O_CREAT) != 0;
}
bool passes(const CallFacts& call) {
  return call.passes_descriptors;
}
bool adds(const CallFacts& call) {
  return call.args[1] == EPOLL_CTL_ADD;
}
bool duplicates(const CallFacts& call) {
  return call.args[1] == F_DUPFD || call.args[1] == F_DUPFD_CLOEXEC;
}
bool waits(const CallFacts& call) {
  const std::uint64_t options = call.kind == SYS_waitid ? call.args[3] : call.args[2];
  return (options & WNOHANG) == 0;
}
bool into_file(const CallFacts& call) {
  return call.second == Object::file;
}
// Beyond PIPE_BUF a pipe may take a part (pipe(7)), a file always (write(2), read(2)).
bool divides(const CallFacts& call) {
  return (call.object == Object::file && call.args[2] > 1) || (call.object == Object::pipe && call.args[2] > PIPE_BUF);
}
bool of_more_than_a_byte(const CallFacts& call) {
  return call.args[4] > 1;
}
bool locks(const CallFacts& call) {
  return (call.args[1] & 4U) == 0;  // LOCK_NB
}

struct Row {
  long kind;
  Fact when;
  std::vector<int> failures;
};

// From the ERRORS sections of the man pages (section 2), in the order of what is taken: descriptors, memory, processes,
// room on disk, time.
const std::vector<Row>& rows() {
  static const std::vector<int> no_descriptor = {EMFILE, ENFILE, ENOMEM};
  static const std::vector<int> no_room = {ENOSPC, EDQUOT, EIO, ENOMEM};
  static const std::vector<Row> table = {
      {SYS_openat, always, {EMFILE, ENFILE, ENOMEM, EIO}},
      {SYS_openat, creates, {ENOSPC, EDQUOT}},
      {SYS_open, always, {EMFILE, ENFILE, ENOMEM, EIO}},
      {SYS_openat2, always, {EMFILE, ENFILE, ENOMEM, EIO}},
      {SYS_socket, always, {EMFILE, ENFILE, ENOBUFS}},
      {SYS_socketpair, always, no_descriptor},
      // Not ECONNABORTED: with it the kernel takes the connection out of the queue, and none of a Unix socket knows it.
      {SYS_accept, always, {EMFILE, ENFILE, ENOMEM}},
      {SYS_accept4, always, {EMFILE, ENFILE, ENOMEM}},
      {SYS_pipe2, always, {EMFILE, ENFILE}},
      {SYS_eventfd2, always, no_descriptor},
      {SYS_epoll_create1, always, no_descriptor},
      {SYS_timerfd_create, always, no_descriptor},
      {SYS_signalfd4, always, no_descriptor},
      {SYS_memfd_create, always, no_descriptor},
      {SYS_pidfd_open, always, no_descriptor},
      {SYS_dup, always, {EMFILE}},
      {SYS_fcntl, duplicates, {EMFILE}},
      {SYS_mmap, always, {ENOMEM}},
      {SYS_mremap, always, {ENOMEM}},
      {SYS_mprotect, always, {ENOMEM}},
      {SYS_brk, always, {ENOMEM}},
      {SYS_clone, always, {EAGAIN, ENOMEM}},
      {SYS_clone3, always, {EAGAIN, ENOMEM}},
      {SYS_fork, always, {EAGAIN, ENOMEM}},
      {SYS_vfork, always, {EAGAIN, ENOMEM}},
      {SYS_execve, always, {ENOMEM, EIO, EMFILE, ENFILE}},
      {SYS_epoll_ctl, adds, {ENOMEM, ENOSPC}},
      {SYS_connect, would_block, {EAGAIN}},
      {SYS_connect, always, {ENOMEM}},
      {SYS_bind, always, {ENOMEM, ENOSPC, EDQUOT, EIO, EROFS}},
      {SYS_setsockopt, always, {ENOMEM}},
      {SYS_recvmsg, always, {ENOMEM}},
      {SYS_recvmsg, may_block, {EINTR}},
      {SYS_recvfrom, always, {ENOMEM}},
      {SYS_recvfrom, may_block, {EINTR}},
      {SYS_sendmsg, always, {ENOBUFS, ENOMEM}},
      {SYS_sendmsg, would_block, {EAGAIN}},
      {SYS_sendmsg, may_block, {EINTR}},
      {SYS_sendmsg, passes, {ETOOMANYREFS}},
      {SYS_sendto, always, {ENOBUFS, ENOMEM}},
      {SYS_sendto, would_block, {EAGAIN}},
      {SYS_read, on_file, {EIO}},
      {SYS_read, may_block, {EINTR}},
      {SYS_read, divides, {short_count}},
      {SYS_pread64, on_file, {EIO}},
      {SYS_pread64, divides, {short_count}},
      {SYS_write, on_file, {ENOSPC, EDQUOT, EIO}},
      {SYS_write, may_block, {EINTR}},
      {SYS_write, would_block, {EAGAIN}},
      {SYS_write, divides, {short_count}},
      {SYS_pwrite64, on_file, {ENOSPC, EDQUOT, EIO}},
      {SYS_pwrite64, divides, {short_count}},
      {SYS_writev, on_file, {ENOSPC, EDQUOT, EIO}},
      {SYS_splice, always, {ENOMEM}},
      {SYS_splice, into_file, {ENOSPC, EDQUOT, EIO}},
      {SYS_splice, of_more_than_a_byte, {short_count}},
      {SYS_tee, always, {ENOMEM}},
      {SYS_fallocate, always, {ENOSPC, EDQUOT, EIO, EINTR, EOPNOTSUPP}},
      {SYS_ftruncate, always, {EIO, EINTR, ENOSPC}},
      {SYS_fsync, always, {EIO, ENOSPC}},
      {SYS_fdatasync, always, {EIO, ENOSPC}},
      {SYS_sync_file_range, always, {EIO, ENOSPC, ENOMEM}},
      {SYS_close, on_file, {EIO, EINTR}},
      {SYS_unlink, always, {EIO, ENOMEM}},
      {SYS_unlinkat, always, {EIO, ENOMEM}},
      {SYS_rename, always, no_room},
      {SYS_renameat, always, no_room},
      {SYS_renameat2, always, no_room},
      {SYS_mkdir, always, no_room},
      {SYS_mkdirat, always, no_room},
      {SYS_mknodat, always, no_room},
      {SYS_symlinkat, always, no_room},
      {SYS_rmdir, always, {EBUSY, EIO}},
      {SYS_fchmod, always, {EIO}},
      {SYS_fchown, always, {EIO, EDQUOT}},
      {SYS_fchownat, always, {EIO, EDQUOT}},
      {SYS_newfstatat, always, {ENOMEM, EIO}},
      {SYS_statx, always, {ENOMEM, EIO}},
      {SYS_getdents64, always, {EIO, ENOMEM}},
      {SYS_readlink, always, {EIO, ENOMEM}},
      {SYS_readlinkat, always, {EIO, ENOMEM}},
      {SYS_getcwd, always, {ENOMEM}},
      {SYS_flock, locks, {EINTR}},
      {SYS_flock, always, {ENOLCK}},
      {SYS_epoll_wait, always, {EINTR}},
      {SYS_epoll_pwait, always, {EINTR}},
      {SYS_poll, always, {EINTR, ENOMEM}},
      {SYS_ppoll, always, {EINTR, ENOMEM}},
      {SYS_waitid, waits, {EINTR}},
      {SYS_wait4, waits, {EINTR}},
      {SYS_clock_nanosleep, always, {EINTR}},
      {SYS_getrandom, always, {EINTR}},
  };
  return table;
}

constexpr std::pair<int, const char*> names[] = {
    {short_count, "short"},
    {EAGAIN, "EAGAIN"},
    {EBUSY, "EBUSY"},
    {ECONNABORTED, "ECONNABORTED"},
    {EDQUOT, "EDQUOT"},
    {EINTR, "EINTR"},
    {EIO, "EIO"},
    {EMFILE, "EMFILE"},
    {ENFILE, "ENFILE"},
    {ENOBUFS, "ENOBUFS"},
    {ENOLCK, "ENOLCK"},
    {ENOMEM, "ENOMEM"},
    {ENOSPC, "ENOSPC"},
    {EOPNOTSUPP, "EOPNOTSUPP"},
    {ETOOMANYREFS, "ETOOMANYREFS"},
};

// Calls whose first argument is a descriptor that is used, and not the directory of a name.
bool has_descriptor(long kind) {
  static constexpr long of_descriptors[] = {
      SYS_read,    SYS_write,   SYS_pread64, SYS_pwrite64,  SYS_writev,    SYS_readv,      SYS_close,
      SYS_connect, SYS_recvmsg, SYS_sendmsg, SYS_recvfrom,  SYS_sendto,    SYS_splice,     SYS_tee,
      SYS_accept4, SYS_fcntl,   SYS_flock,   SYS_ftruncate, SYS_fallocate, SYS_setsockopt,
  };
  return std::ranges::find(of_descriptors, kind) != std::end(of_descriptors);
}

Object object_of(pid_t tid, std::uint64_t fd) {
  char buffer[256];
  const std::string path = "/proc/" + std::to_string(tid) + "/fd/" + std::to_string(static_cast<int>(fd));
  const ssize_t n = readlink(path.c_str(), buffer, sizeof buffer);
  if (n <= 0) return Object::none;
  const std::string_view target(buffer, static_cast<std::size_t>(n));
  if (target.starts_with("socket:")) return Object::socket;
  if (target.starts_with("pipe:")) return Object::pipe;
  if (target.starts_with("anon_inode:") || target.starts_with("/dev/")) return Object::other;
  struct stat status{};
  if (stat(path.c_str(), &status) < 0) return Object::none;
  return S_ISFIFO(status.st_mode) ? Object::pipe : S_ISREG(status.st_mode) ? Object::file : Object::other;
}

bool is_nonblocking(pid_t tid, std::uint64_t fd) {
  std::ifstream in("/proc/" + std::to_string(tid) + "/fdinfo/" + std::to_string(static_cast<int>(fd)));
  std::string word;
  while (in >> word) {
    if (word != "flags:") continue;
    in >> word;
    return (std::stoul(word, nullptr, 8) & O_NONBLOCK) != 0;
  }
  return false;
}

}  // namespace

CallFacts look_at_call(pid_t tid, long kind, const std::uint64_t* args) {
  CallFacts call;
  call.kind = kind;
  std::copy_n(args, call.args.size(), call.args.begin());
  if (!has_descriptor(kind)) return call;
  call.object = object_of(tid, args[0]);
  call.nonblocking = is_nonblocking(tid, args[0]);
  const std::size_t flags = kind == SYS_recvfrom || kind == SYS_sendto ? 3 : 2;
  const bool has_flags = flags == 3 || kind == SYS_sendmsg || kind == SYS_recvmsg;
  if (has_flags && (args[flags] & MSG_DONTWAIT) != 0) call.nonblocking = true;
  if (kind == SYS_splice) call.second = object_of(tid, args[2]);
  if (kind == SYS_sendmsg) {
    msghdr message{};
    iovec ours{&message, sizeof message};
    iovec theirs{reinterpret_cast<void*>(args[1]), sizeof message};
    const ssize_t n = process_vm_readv(tid, &ours, 1, &theirs, 1, 0);
    call.passes_descriptors = n == static_cast<ssize_t>(sizeof message) && message.msg_controllen > 0;
  }
  return call;
}

std::vector<int> failures_of(const CallFacts& call) {
  std::vector<int> out;
  for (const Row& row : rows())
    if (row.kind == call.kind && row.when(call)) out.insert(out.end(), row.failures.begin(), row.failures.end());
  return out;
}

std::string failure_name(int failure) {
  for (const auto& [number, name] : names)
    if (number == failure) return name;
  return "errno" + std::to_string(failure);
}

std::optional<int> failure_of(std::string_view name) {
  for (const auto& [number, known] : names)
    if (name == known) return number;
  return std::nullopt;
}

std::vector<Planned> fail_points(const Course& course) {
  std::vector<Planned> planned;
  std::map<std::pair<Phase, long>, std::uint64_t> of_kind;
  for (std::size_t i = 0; i < course.calls.size(); ++i) {
    const Call& call = course.calls[i];
    const std::uint64_t which = of_kind[{call.phase, call.kind}]++;
    for (const int failure : call.failures) {
      for (const std::uint32_t times : {1U, many_times}) {
        Planned one;
        one.point.ordinal = course.ordinal;
        one.point.phase = call.phase;
        one.point.kind = call.kind;
        one.point.call = which;
        one.point.failure = failure;
        one.point.times = times;
        one.at = i;
        one.role = course.role;
        one.call_number = call.kind;
        planned.push_back(one);
      }
    }
  }
  return planned;
}

}  // namespace hearth::kill_anywhere
