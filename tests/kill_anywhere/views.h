// What the test looks at: hearth's own status, and its decision page from outside.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hearth::kill_anywhere {

struct ServiceView {
  std::string state;
  bool ready = false;
  pid_t pid = 0;
  std::uint64_t run = 0;
  std::uint64_t restarts = 0;
  bool has_exit = false;
  std::optional<int> exit_code;  // empty with has_exit: by a signal, or nobody can tell
  std::optional<int> exit_signal;
  std::string status_text;
  std::string reason;
  std::string log_directory;
};

struct StatusView {
  pid_t supervisor = 0;
  std::uint64_t takeovers = 0;
  std::vector<std::string> notes;
  std::map<std::string, ServiceView> services;
  std::string text;  // as it came
};

// Empty when the text is not a status.
std::optional<StatusView> parse_status(const std::string& text);

// What the supervisor with that PID has committed.
struct PageView {
  std::map<std::uint64_t, std::int64_t> watchdog_at;  // by run: deadline, CLOCK_MONOTONIC; 0 = none
  std::uint64_t operations = 0;
  std::uint64_t doubled_keys = 0;  // keys that are there more than once
};
std::optional<PageView> read_page(pid_t supervisor);

}  // namespace hearth::kill_anywhere
