// The answer of `hearth status --json`, as far as tests look at it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hearth::support {

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
  bool want_up = false;
  std::uint64_t replicas = 0;
  std::uint64_t exit_run = 0;  // whose exit that is
  std::string reason_text;
  std::string leftover;
  std::string containment;
  std::uint64_t discarded = 0;  // bytes of output that hearth says it has thrown away
};

struct StatusView {
  pid_t supervisor = 0;
  pid_t keeper = 0;
  std::uint64_t takeovers = 0;
  std::uint64_t upgrades = 0;
  std::uint64_t returns = 0;  // upgrades that were taken back
  std::vector<std::string> notes;
  std::map<std::string, ServiceView> services;  // by name; of replicas "web" is the first, "web.1" the next
  std::string text;                             // as it came
};

// Empty when the text is not a status.
std::optional<StatusView> parse_status(const std::string& text);

}  // namespace hearth::support
