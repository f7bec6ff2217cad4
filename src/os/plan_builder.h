// What a service is started with, as bytes for a spawner (wire/spawn_plan.h).
//
// Descriptors of the message, after the plan itself: 0 /dev/null, 1 the run's FIFO (read-write), then those of
// `passed` in order, then the readiness pipe, the leaf and the ruleset when there are. In the child: 0 = /dev/null, 1 and 2 = FIFO,
// 3 .. = passed, and the pipe where the service wants it.
//
// Environment, later wins: the document's captured one, the service's own, then ours: HEARTH_RUN, HEARTH_SLOT,
// HEARTH_INSTANCE, NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID
// (sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)). Where we have no value for one of ours it is removed:
// a stale one would make the service talk to somebody else.
//
// LD_LIBRARY_PATH and LD_PRELOAD begin with what the service asks for; what else is in them follows. Variables of the
// directories that systemd makes for a service (systemd.exec(5)) are of whoever called `up`, and go.
//
// A command without a slash is looked for in PATH of the environment so made, as execvp(3) does.
// `{fd:NAME}` in an argument becomes the number of the passed descriptor of that name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/privileges.h"
#include "ports/keeper.h"

namespace hearth::os {

// RLIMIT_NOFILE as it was before hearth raised its own.
struct NofileLimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};
// From HEARTH_NOFILE=SOFT:HARD; nullopt when it is absent or no such text.
std::optional<NofileLimit> parse_nofile(const char* text);

struct PlanContext {
  std::string instance_directory;
  std::string notify_path;                               // "" = no notify socket
  std::vector<std::string> passed;                       // names of descriptors from 3 on, listening sockets first
  std::vector<std::pair<std::string, std::string>> own;  // variables that hearth makes for the service
  int ready_descriptor = -1;                  // the number of the readiness pipe in the child; -1 = there is none
  bool leaf = false;                          // a leaf descriptor follows
  bool ruleset = false;                       // one of Landlock follows, the last
  std::optional<NofileLimit> nofile;          // for services that say nothing themselves
  std::optional<Privileges> privileges = {};  // of who starts it; absent: ours
  std::uint64_t mark = 0;                     // for RLIMIT_LOCKS, by which a sweep knows its own; 0 = none
};

inline constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// RLIMIT_* of "nofile" and the like.
std::optional<std::uint32_t> resource_of(std::string_view name);

// Where the program of this order may be, in the order in which it is tried; relative ones are below its cwd. Nothing: that
// cannot be said before its start. Of the order only command, document and spec count.
std::vector<std::string> program_paths(const ports::SpawnOrder& order);

// Fails (fix_input) when the command names an unknown descriptor or limit, or the plan would be too large; as
// plan_privileges() does when it cannot have the capabilities that it is to have.
Result<std::string> build_plan(const ports::SpawnOrder& order, const PlanContext& context);

}  // namespace hearth::os
