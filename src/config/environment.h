// The caller's environment: what `${NAME}` and `~` look at, and what is handed on to the services.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hearth::config {

class Environment {
 public:
  Environment() = default;
  // Of NAME=VALUE lines, as environ(7) has them; lines of another form are left out, the first of equals counts.
  explicit Environment(std::span<const std::string> lines);

  // Null when it is not set. Valid as long as the environment.
  const std::string* find(std::string_view name) const;

  // Names with their values, in the order of the names.
  std::vector<std::pair<std::string, std::string>> beginning_with(std::string_view prefix) const;

  // This environment with other variables over it, for `${NAME}`.
  void set(std::string name, std::string value) { variables_.insert_or_assign(std::move(name), std::move(value)); }

  // What services get: NAME=VALUE, sorted, without what belongs to the caller's own session, shell or
  // supervisor and would be wrong in a service that outlives it (HEARTH_*, LISTEN_*, NOTIFY_SOCKET, WATCHDOG_*, SSH_*,
  // TMUX*, XDG_SESSION_*, INVOCATION_ID, JOURNAL_STREAM, PWD, OLDPWD, SHLVL, _).
  std::vector<std::string> captured() const;

 private:
  std::map<std::string, std::string, std::less<>> variables_;
};

// What `${...}` can name: a letter or '_', then letters, digits and '_'.
bool plain_variable(std::string_view name);

// Replaces ${NAME} and ${NAME:-DEFAULT}. The default counts when NAME is not set or empty, and is taken as it is
// up to the first '}'. "$${" is a literal "${"; any other '$' stands for itself, so that shell commands may say $1
// and $$. On failure: reason "it uses ${X}, and X is not set", hint, and nothing else of Error.
Result<std::string> expand_variables(std::string_view text, const Environment& env);

// "~" and "~/x" by HOME; other text is returned as it is. Fails for "~user" and when HOME is not set.
Result<std::string> expand_home(std::string_view text, const Environment& env);

}  // namespace hearth::config
