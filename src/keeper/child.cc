// Between clone and exec. This code runs in a process of its own but in the spawner's memory, while the spawner
// is suspended or dead. So:
//   - it never returns and touches no lock; system calls are made directly, as libc's setuid and the like talk
//     to the other threads of the process they think they are in
//   - all signals are blocked until the last moment, and none is handled or ignored: the spawner has it so
//   - once the user is changed, that user may stop or kill us: nobody waits for us but a spawner that can be
//     replaced
//   - the change of user clears the dumpable flag of the shared memory, which keeps that user from tracing us
//     here; the spawner sets it again after the exec
//   - oom_score_adj of a process that shares its memory is changed for all who share it, *except* while its
//     parent waits in vfork (tried on 6.18: with CLONE_VM|CLONE_VFORK the spawner's stays, with CLONE_VM alone
//     it changes). A spawner that was killed meanwhile has nothing left to be changed.

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "keeper/message.h"
#include "keeper/spawner.h"
#include "keeper/system.h"

namespace hearth::keeper {
namespace {

using wire::SpawnStage;

constexpr uint32_t targets_end = wire::plan_descriptors_max + 16;

char* argv_pointers[wire::plan_strings_max + 1];
char* env_pointers[wire::plan_strings_max + 1];

template <typename Record>
Record* table_at(const wire::PlanHeader& plan, wire::PlanTable table) {
  return reinterpret_cast<Record*>(reinterpret_cast<uintptr_t>(&plan) + table.offset);
}

char* text_at(const wire::PlanHeader& plan, uint32_t offset) {
  return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(&plan) + offset);
}

[[noreturn]] void fail(const ChildOrder& order, SpawnStage stage) {
  order.entry->fail_errno = errno;
  order.entry->fail_stage.store(static_cast<uint32_t>(stage), std::memory_order_release);
  wire::mark_changed(order.table->changed_for_supervisor, order.index);
  for (;;) syscall(SYS_exit_group, 127);
}

bool write_file(int directory, const char* path, const char* text) {
  const int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, text, strlen(text)) >= 0;
  const int error = errno;
  close(fd);
  errno = error;
  return done;
}

// All from `first` on but `kept`, which is among them, or -1.
bool close_from(int first, int kept) {
  const auto close_all = [](int from, unsigned to) {
    return syscall(SYS_close_range, static_cast<unsigned>(from), to, 0) == 0;
  };
  if (kept < 0) return close_all(first, ~0u);
  return (kept == first || close_all(first, static_cast<unsigned>(kept - 1))) && close_all(kept + 1, ~0u);
}

// Every source first goes above all targets, where it is in the way; then each to its place; then the rest is
// closed. Targets that are nobody's are closed, too: the service starts with what its plan names. The ruleset stays open
// above them until it is used.
bool place_descriptors(const ChildOrder& order, int& ruleset) {
  const wire::PlanHeader& plan = *order.plan;
  const auto* wanted = table_at<wire::PlanDescriptor>(plan, plan.descriptors);
  int source[targets_end];
  int end = 0;
  for (int& s : source) s = -1;
  for (uint32_t i = 0; i < plan.descriptors.count; ++i)
    if (wanted[i].target >= end) end = wanted[i].target + 1;
  for (uint32_t i = 0; i < plan.descriptors.count; ++i) {
    int fd = order.fds[wanted[i].index];
    if (fd < end && (fd = fcntl(fd, F_DUPFD_CLOEXEC, end)) < 0) return false;
    source[wanted[i].target] = fd;
  }
  if (plan.ruleset >= 0) {
    ruleset = order.fds[plan.ruleset];
    if (ruleset < end && (ruleset = fcntl(ruleset, F_DUPFD_CLOEXEC, end)) < 0) return false;
  }
  for (int target = 0; target < end; ++target) {
    if (source[target] >= 0 && dup2(source[target], target) < 0) return false;
    if (source[target] < 0) close(target);
  }
  return close_from(end, ruleset);
}

bool set_priority(const wire::PlanHeader& plan) {
  constexpr int of_process = 1;  // IOPRIO_WHO_PROCESS
  if (plan.io_priority != wire::plan_keep && syscall(SYS_ioprio_set, of_process, 0, plan.io_priority) < 0) return false;
  if (plan.cpus.count != 0 &&
      syscall(SYS_sched_setaffinity, 0, plan.cpus.count * sizeof(uint64_t), table_at<uint64_t>(plan, plan.cpus)) < 0)
    return false;
  if (plan.nice != wire::plan_keep && syscall(SYS_setpriority, PRIO_PROCESS, 0, plan.nice) < 0) return false;
  if (plan.oom_score_adj == wire::plan_keep) return true;
  char text[16] = "-";
  char* digits = plan.oom_score_adj < 0 ? text + 1 : text;
  const int64_t value = plan.oom_score_adj;
  *put_number(digits, static_cast<uint64_t>(value < 0 ? -value : value)) = 0;
  return write_file(AT_FDCWD, "/proc/self/oom_score_adj", text);
}

bool set_limits(const ChildOrder& order) {
  const wire::PlanHeader& plan = *order.plan;
  const auto* limits = table_at<wire::PlanLimit>(plan, plan.limits);
  bool names_nofile = false;
  for (uint32_t i = 0; i < plan.limits.count; ++i) {
    const uint64_t pair[2] = {limits[i].soft, limits[i].hard};
    if (syscall(SYS_prlimit64, 0, limits[i].resource, pair, nullptr) < 0) return false;
    names_nofile = names_nofile || limits[i].resource == RLIMIT_NOFILE;
  }
  // Ours was raised for ourselves; programs that close all they might have, or use select, would suffer.
  const uint64_t given[2] = {order.nofile.rlim_cur, order.nofile.rlim_max};
  if (!names_nofile) syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, given, nullptr);
  if (plan.umask != wire::plan_keep) umask(static_cast<mode_t>(plan.umask));
  return true;
}

bool set_groups(const wire::PlanHeader& plan) {
  if (plan.uid == wire::plan_keep_id && plan.gid == wire::plan_keep_id) return true;
  if (syscall(SYS_setgroups, plan.groups.count, table_at<uint32_t>(plan, plan.groups)) < 0) return false;
  return plan.gid == wire::plan_keep_id || syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) == 0;
}

bool holds(uint64_t set, uint32_t capability) {
  return (set >> capability & 1) != 0;
}

long control(int option, unsigned long value, unsigned long capability = 0) {
  return syscall(SYS_prctl, option, value, capability, 0UL, 0UL);
}

// While we are who the keeper is: it takes CAP_SETPCAP. What the set has not anyway takes nothing. The kernel says where
// its capabilities end.
bool lower_bound(const wire::PlanHeader& plan) {
  if ((plan.flags & wire::plan_bounds) == 0) return true;
  for (uint32_t capability = 0; capability < 64; ++capability) {
    if (holds(plan.bounding, capability)) continue;
    const long there = control(PR_CAPBSET_READ, capability);
    if (there < 0) return true;
    if (there > 0 && control(PR_CAPBSET_DROP, capability) < 0) return false;
  }
  return true;
}

// Else the change of user would empty the permitted set, of which the ambient one is made. The exec takes it back.
bool keep_permitted(const wire::PlanHeader& plan) {
  return plan.ambient == 0 || control(PR_SET_KEEPCAPS, 1) == 0;
}

// As whom the service runs, or the change of user would change them again. What becomes of them in an exec: root has the
// inheritable and the bounding set, others have the ambient one.
bool set_capabilities(const wire::PlanHeader& plan) {
  const bool given = (plan.flags & wire::plan_capabilities) != 0;
  if (given || (plan.flags & wire::plan_bounds) != 0) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capget, &header, words) < 0) return false;
    for (uint32_t i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
      const auto word_of = [i](uint64_t set) { return static_cast<uint32_t>(set >> 32 * i); };
      if (given)
        words[i] = {word_of(plan.capabilities), word_of(plan.capabilities), word_of(plan.ambient)};
      else
        words[i] = {words[i].effective & word_of(plan.bounding), words[i].permitted & word_of(plan.bounding),
                    words[i].inheritable & word_of(plan.bounding)};
    }
    if (syscall(SYS_capset, &header, words) < 0) return false;
    for (uint32_t capability = 0; capability < 64; ++capability)
      if (holds(plan.ambient, capability) && control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability) < 0)
        return false;
  }
  return (plan.flags & wire::plan_no_new_privs) == 0 || control(PR_SET_NO_NEW_PRIVS, 1) == 0;
}

// With the rights of the service. A FIFO without a writer must not hold us, so it is opened without waiting.
bool open_input(const wire::PlanHeader& plan) {
  const int fd = open(text_at(plan, plan.input), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  if (fcntl(fd, F_SETFL, 0) < 0) return false;
  // Where the plan has no descriptor 0 it is that already, and dup2 would leave it to be closed by the exec.
  return fd == 0 ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, 0) == 0;
}

// Last of all, so that nothing we do has to be allowed by it; what a ruleset and a filter hold is ours and not the
// spawner's, as credentials are of a task and not of its memory. Both ask for no_new_privs, which was set above.
bool enter_sandbox(const wire::PlanHeader& plan, int ruleset) {
  if (ruleset >= 0) {
    constexpr long restrict_self = 446;  // landlock_restrict_self, the same on all machines
    if (syscall(restrict_self, ruleset, 0) < 0) return false;
    close(ruleset);
  }
  if (plan.filter.count == 0) return true;
  const sock_fprog filter = {static_cast<unsigned short>(plan.filter.count), table_at<sock_filter>(plan, plan.filter)};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

void write_pid(const wire::PlanHeader& plan) {
  const uint32_t* fields = table_at<uint32_t>(plan, plan.pid_patches);
  const uint64_t pid = static_cast<uint64_t>(syscall(SYS_getpid));
  for (uint32_t i = 0; i < plan.pid_patches.count; ++i) *put_number(text_at(plan, fields[i]), pid) = 0;
}

// Nobody can tell whether it is there: the user may not enter its directory. What a filter denies counts as there.
bool is_hidden(const char* path) {
  struct stat st;
  return fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == EACCES;
}

// As execvp(3) goes through PATH, but that it tells a directory that the user may not enter (root's PATH, another user) as
// "Permission denied", and a typing error with it. Returns when nothing could be executed, with errno.
void execute(const wire::PlanHeader& plan) {
  const uint32_t* paths = table_at<uint32_t>(plan, plan.paths);
  const bool searched = strchr(argv_pointers[0], '/') == nullptr;
  int problem = ENOENT;
  bool denied = false;
  for (uint32_t i = 0; i < plan.paths.count; ++i) {
    const char* path = text_at(plan, paths[i]);
    syscall(SYS_execve, path, argv_pointers, env_pointers);
    if (errno == EACCES)
      denied = denied || !searched || !is_hidden(path);
    else if (errno == ENOENT || errno == ENOTDIR)
      problem = errno;
    else
      return;
  }
  errno = denied ? EACCES : problem;
}

}  // namespace

void prepare_child(const wire::PlanHeader& plan) {
  const auto fill = [&](char** pointers, wire::PlanTable table) {
    const uint32_t* offsets = table_at<uint32_t>(plan, table);
    for (uint32_t i = 0; i < table.count; ++i) pointers[i] = text_at(plan, offsets[i]);
    pointers[table.count] = nullptr;
  };
  fill(argv_pointers, plan.argv);
  fill(env_pointers, plan.env);
}

// Stages in the order of SpawnStage, but for the priority: what it needs to open might no longer be allowed
// under the service's limits. Directory, input and program are looked for with the capabilities of the service, too; the
// program alone within its sandbox.
int child_main(void* argument) {
  const ChildOrder& order = *static_cast<const ChildOrder*>(argument);
  const wire::PlanHeader& plan = *order.plan;
  if (order.enter_cgroup && !write_file(order.fds[plan.cgroup], "cgroup.procs", "0")) fail(order, SpawnStage::cgroup);
  if (syscall(SYS_setsid) < 0) fail(order, SpawnStage::session);
  int ruleset = -1;
  if (!place_descriptors(order, ruleset)) fail(order, SpawnStage::descriptor);
  if (!set_priority(plan)) fail(order, SpawnStage::priority);
  if (!set_limits(order)) fail(order, SpawnStage::limits);
  if (!lower_bound(plan) || !keep_permitted(plan)) fail(order, SpawnStage::privileges);
  if (!set_groups(plan)) fail(order, SpawnStage::groups);
  if (plan.uid != wire::plan_keep_id && syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) < 0)
    fail(order, SpawnStage::user);
  if (!set_capabilities(plan)) fail(order, SpawnStage::privileges);
  if (plan.cwd != 0 && chdir(text_at(plan, plan.cwd)) < 0) fail(order, SpawnStage::directory);
  if (plan.input != 0 && !open_input(plan)) fail(order, SpawnStage::input);
  write_pid(plan);
  const uint64_t none = 0;
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none) < 0) fail(order, SpawnStage::signals);
  if (!enter_sandbox(plan, ruleset)) fail(order, SpawnStage::sandbox);
  execute(plan);
  fail(order, SpawnStage::exec);
}

}  // namespace hearth::keeper
