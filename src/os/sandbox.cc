#include "os/sandbox.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hearth::os {
namespace {

// <linux/landlock.h> of later kernels has more than that of Debian 12. The numbers are the same on all machines.
constexpr long create_ruleset = 444, add_rule = 445, restrict_self = 446;
constexpr std::uint32_t ask_for_version = 1;
constexpr int path_beneath = 1;

constexpr std::uint64_t execute = 1u << 0;
constexpr std::uint64_t write_file = 1u << 1;
constexpr std::uint64_t read_file_content = 1u << 2;
constexpr std::uint64_t read_directory = 1u << 3;
// Bits 4 to 12, but for 6 and 11: who makes a device (mknod(2), of root) has whatever is behind it.
constexpr std::uint64_t make_and_remove = 0x17b0;
constexpr std::uint64_t make_device = 1u << 6 | 1u << 11;  // of character and block devices: nobody may
constexpr std::uint64_t refer = 1u << 13;                  // version 2: link and rename from one directory to another
constexpr std::uint64_t truncate = 1u << 14;               // version 3
constexpr std::uint64_t reading = read_file_content | read_directory;
constexpr std::uint64_t writing = write_file | make_and_remove | refer | truncate;  // beneath what may be written
// What a rule of a file that is no directory may have.
constexpr std::uint64_t of_files = execute | write_file | read_file_content | truncate;

struct RulesetAttributes {
  std::uint64_t handled_access_fs;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};

std::uint64_t known_to(int version) {
  return version >= 3 ? truncate * 2 - 1 : version == 2 ? refer * 2 - 1 : refer - 1;
}

std::uint64_t handled_by(const Sandbox& box) {
  // Denied by every ruleset that does not allow it, whether or not it handles it. Version 1 does not know it, and denies it.
  std::uint64_t access = refer;
  if (box.limits_reading) access |= reading | execute;
  if (box.limits_executing) access |= execute;
  if (box.limits_writing) access |= writing | make_device;
  return access;
}

Status allow(int ruleset, int at, std::uint64_t access) {
  struct stat st{};
  if (::fstat(at, &st) == 0 && !S_ISDIR(st.st_mode)) access &= of_files;
  if (access == 0) return {};
  const PathBeneath rule{access, at};
  if (::syscall(add_rule, ruleset, path_beneath, &rule, 0) < 0) return errno_failure("allow", "a path", errno);
  return {};
}

class Rules {
 public:
  Rules(const Fd& ruleset, std::uint64_t handled, const std::string& subject)
      : ruleset_(ruleset), handled_(handled), subject_(subject) {}

  Status add(const char* key, const std::vector<std::string>& paths, std::uint64_t access,
             bool must_exist = true) const {
    for (const std::string& path : paths) {
      // What hearth has made is no link, or somebody else has put one there.
      const Fd at(::open(path.c_str(), O_PATH | O_CLOEXEC | (must_exist ? 0 : O_NOFOLLOW)));
      if (!at && !must_exist && (errno == ENOENT || errno == ENOTDIR)) continue;
      const int failed = at ? 0 : errno;
      if (failed == 0 && allow(ruleset_.get(), at.get(), access & handled_)) continue;
      Error error = errno_error("start", subject_, failed != 0 ? failed : errno);
      error.reason = std::string(key) + " has " + path + ": " + std::strerror(error.code);
      if (error.code == ENOENT) error.hint = "make it, or take it out of the list";
      return failure(std::move(error));
    }
    return {};
  }

 private:
  const Fd& ruleset_;
  std::uint64_t handled_;
  const std::string& subject_;
};

Status add_all(const Sandbox& box, const OwnPaths& own, const Rules& rules) {
  static const std::vector<std::string> read_and_written = {"/dev/null", "/dev/zero", "/dev/full", "/dev/tty"};
  static const std::vector<std::string> random = {"/dev/random", "/dev/urandom"};
  static const std::vector<std::string> everything = {"/"};
  const std::uint64_t run = box.limits_executing ? 0 : execute;
  if (!box.limits_writing)
    if (const Status moving = rules.add("", everything, refer); !moving) return moving;
  if (const Status done = rules.add("sandbox.write_paths", box.write_paths, writing | reading); !done) return done;
  if (const Status done = rules.add("sandbox.read_paths", box.read_paths, reading | run); !done) return done;
  if (const Status done = rules.add("sandbox.exec_paths", box.exec_paths, reading | execute); !done) return done;
  if (const Status done = rules.add("it", own.written, writing | reading, false); !done) return done;
  if (const Status done = rules.add("it", own.read, reading, false); !done) return done;
  if (const Status done = rules.add("", read_and_written, write_file | truncate | reading, false); !done) return done;
  return rules.add("", random, reading, false);
}

}  // namespace

const SandboxSupport& sandbox_support() {
  static const SandboxSupport support = [] {
    SandboxSupport found;
    const long version = ::syscall(create_ruleset, nullptr, 0, ask_for_version);
    found.landlock = version > 0 ? static_cast<int>(version) : 0;
    const std::uint32_t action = SECCOMP_RET_ERRNO;
    found.seccomp = can_make_filters() && ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
    return found;
  }();
  return support;
}

std::string sandbox_missing(const Sandbox& box, const SandboxSupport& support) {
  std::string text;
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (limits_files(box) && support.landlock == 0) {
    std::string keys;
    for (const auto& [limits, key] : {std::pair(box.limits_reading, "read_paths"),
                                      {box.limits_writing, "write_paths"},
                                      {box.limits_executing, "exec_paths"}})
      if (limits) keys += std::string(keys.empty() ? "" : ", ") + key;
    add("its sandbox is open: " + keys +
        " cannot be held, because Landlock is not there (Linux 5.13, and \"landlock\" among its security modules)");
  } else if (limits_files(box)) {
    // The first version denies it in every ruleset, and none can allow it: EXDEV.
    if (support.landlock < 2)
      add("in its sandbox files cannot be moved from one directory to another before Linux 5.19, wherever they are");
    if (box.limits_writing && support.landlock < 3)
      add("files beyond its write_paths can be truncated: Landlock sees that from Linux 6.2 on");
  }
  if (!box.deny_syscalls.empty() && !support.seccomp)
    add("its deny_syscalls are not denied, because seccomp filters are not there");
  return text;
}

Status sandbox_refusal(const Sandbox& box, const SandboxSupport& support, const std::string& subject) {
  if (!box.required) return {};
  std::string missing = sandbox_missing(box, support);
  if (missing.empty()) return {};
  return failure(Error{Remedy::environment, "start", subject, std::move(missing),
                       "its sandbox is required: without sandbox.required = true it is started, and status says so",
                       ENOSYS});
}

Result<Fd> make_ruleset(const Sandbox& box, const OwnPaths& own, const SandboxSupport& support,
                        const std::string& subject) {
  if (support.landlock == 0 || !limits_files(box)) return Fd();
  const std::uint64_t handled = handled_by(box) & known_to(support.landlock);
  const RulesetAttributes attributes{handled};
  Fd ruleset(static_cast<int>(::syscall(create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return errno_failure("make the sandbox of", subject, errno);
  if (const Status added = add_all(box, own, Rules(ruleset, handled, subject)); !added) return failure(added.error());
  return ruleset;
}

void allow_open_file(int ruleset, int file) {
  // Which of these the ruleset handles is not known here, and it refuses others: each by itself.
  for (const std::uint64_t access : {read_file_content, write_file, truncate}) {
    const PathBeneath rule{access, file};
    (void)::syscall(add_rule, ruleset, path_beneath, &rule, 0);
  }
}

Status enter_sandbox(const Fd& ruleset, const SeccompFilter& filter) {
  if (ruleset && ::syscall(restrict_self, ruleset.get(), 0) < 0) return errno_failure("enter", "its sandbox", errno);
  if (filter.empty()) return {};
  // The kernel copies it, and does not change it.
  auto* const first = reinterpret_cast<sock_filter*>(const_cast<std::uint64_t*>(filter.data()));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), first};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
    return errno_failure("deny", "system calls", errno);
  return {};
}

}  // namespace hearth::os
