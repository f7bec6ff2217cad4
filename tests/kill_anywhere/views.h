// What the test looks at: hearth's own status, and its decision page from outside.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "os/fd.h"
#include "support/status_view.h"

namespace hearth::kill_anywhere {

using support::parse_status;
using support::ServiceView;
using support::StatusView;

// What the supervisor with that PID has committed.
struct PageView {
  std::map<std::uint64_t, std::int64_t> watchdog_at;  // by run: deadline, CLOCK_MONOTONIC; 0 = none
  std::uint64_t operations = 0;
  std::uint64_t doubled_keys = 0;  // keys that are there more than once
};
std::optional<PageView> read_page(pid_t supervisor);

// The file with that in its name that the process has open.
os::Fd open_file_of(pid_t pid, std::string_view name);
// Path of its program, "" for one that is dying or dead.
std::string path_of(pid_t pid);

}  // namespace hearth::kill_anywhere
