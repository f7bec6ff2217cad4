// What a service may touch: its sandbox, as a ruleset of landlock(7) and a filter of seccomp(2).
//
// Model
// -----
// Three lists of paths, each about one kind of access. A list that is not there leaves its kind as it is; one that is there
// allows it for what it names, and for what is below, and nothing else. Landlock only takes away: file modes, users and
// capabilities decide as ever about what is left.
//
//   write_paths   writing, making, removing and moving files (into another directory from version 2 on, Linux 5.19: before,
//                 each of the three lists denies that everywhere); truncating from Landlock's third version on (Linux 6.2)
//   read_paths    reading files and directories, and executing them unless exec_paths is there. What write_paths names may
//                 be read as well, and not be executed
//   exec_paths    executing, and reading what is executed: a program's loader and a script's interpreter are executed, too
//
// Always allowed is what every program expects (/dev/null and its like), and what hearth has made for the service: its
// directories of runtime, state and cache, its credentials, its output. What is open already is not asked about: sockets of
// `listen`, stored descriptors, standard input. Nor are other ways to a file than its path: Unix sockets are connected to
// as ever, metadata (mode, owner, times) is changed as ever, and so is what ioctl(2) does to a device that may be opened.
//
// A sandbox holds from right before the exec on, for the service and for hooks, exec probes and `hearth exec` alike; what
// they start has it too, and no process can leave its own. It can have others do what it may not, whom it reaches by a socket:
// hearth itself refuses who is in a leaf of a run with a sandbox (peer_run.h), all others have to see to that. Both kernel interfaces demand no_new_privs, so it goes with it.
//
// Where the kernel cannot
// -----
// The service is started, and status says for as long as it is so what does not hold; or, with `required`, it is not
// started and its document is refused. Which of both is right, only who wrote the file knows: a sandbox is a second wall,
// and not everybody's first. (capabilities are different, see privileges.h: there root would be given what was taken.)
//
// Threads: the paths are users' and may hang, so make_ruleset() is called by a thread (preparation.h, decision 18).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/service_spec.h"
#include "os/fd.h"
#include "os/seccomp.h"

namespace hearth::os {

// What this machine has. Found by trying, once in the life of the process.
struct SandboxSupport {
  int landlock = 0;  // version of its interface; 0 = none
  bool seccomp = false;
};
const SandboxSupport& sandbox_support();

inline bool limits_files(const Sandbox& box) {
  return box.limits_reading || box.limits_writing || box.limits_executing;
}
inline bool is_sandboxed(const Sandbox& box) {
  return limits_files(box) || !box.deny_syscalls.empty();
}

// What of it does not hold with this support, in words; "" = nothing.
std::string sandbox_missing(const Sandbox& box, const SandboxSupport& support);
// Fails where something does not hold that is required. `subject`: of the error.
Status sandbox_refusal(const Sandbox& box, const SandboxSupport& support, const std::string& subject);

// Paths that hearth makes for the service. Those that are not there (of a hook before the first start) are left out.
struct OwnPaths {
  std::vector<std::string> written, read;
};
// Without Landlock, or when no kind of access is limited: no descriptor. A path of the sandbox that is not there is an
// error. Follows paths.
Result<Fd> make_ruleset(const Sandbox& box, const OwnPaths& own, const SandboxSupport& support,
                        const std::string& subject);
// Lets a file that is open be read and written, also by its path: a service opens /dev/stderr anew.
void allow_open_file(int ruleset, int file);

// For this thread, as keeper/child.cc does it in a run. no_new_privs is set before.
Status enter_sandbox(const Fd& ruleset, const SeccompFilter& filter);

}  // namespace hearth::os
