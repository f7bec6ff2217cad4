// Keys of other tools, and what hearth calls them: for those who bring a configuration along. Sources: the
// manuals of supervisord, systemd, pm2, Docker Compose, Kubernetes, circus, dinit and process-compose.
#pragma once

#include <string>
#include <string_view>

namespace hearth::config {

enum class Scope { file, project, service, probe, backoff, log, listen, dependency, limits, action, sandbox, cgroup };

// A remedy for an unknown key, or "". Compares without regard to case, dashes and underscores.
std::string_view foreign_advice(Scope scope, std::string_view key);

// In small letters, without dashes and underscores: "Stop-Signal", "stopSignal" and "stop_signal" are the same.
std::string plain_key(std::string_view key);

}  // namespace hearth::config
