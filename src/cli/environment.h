// The caller's environment, for the services it starts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::cli {

// All NAME=VALUE lines of this process. Lines of another form are left out.
std::vector<std::string> own_environment();

// Without what belongs to the caller's own session, shell or supervisor and would be wrong or dangerous in a
// service that outlives it: HEARTH_*, LISTEN_*, NOTIFY_SOCKET, WATCHDOG_*, SSH_*, TMUX*, XDG_SESSION_*,
// INVOCATION_ID, JOURNAL_STREAM, _, OLDPWD, SHLVL. Sorted by name; of equal names the first counts, as for getenv(3).
std::vector<std::string> captured_environment(const std::vector<std::string>& lines);

}  // namespace hearth::cli
