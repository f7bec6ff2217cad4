// sd_notify(3) and sd_pid_notify_with_fds(3), read as absolute statements.
#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "health/health.h"
#include "health/utf8.h"

namespace hearth::health {
namespace {

constexpr std::size_t fdname_max = 103;  // what fits into the keeper's park record with its NUL
constexpr std::string_view fdname_default = "stored";
constexpr std::int32_t errno_max = 4095;  // MAX_ERRNO of the kernel

// Decimal digits and nothing else; what does not fit is the greatest number, because "for ever" is a statement
// (systemd's USEC_INFINITY has 20 digits).
std::optional<std::int64_t> number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const int digit = c - '0';
    value = value > (most - digit) / 10 ? most : value * 10 + digit;
  }
  return value;
}

std::optional<std::int32_t> number_at_most(std::string_view text, std::int32_t most) {
  const auto value = number(text);
  if (!value || *value > most) return std::nullopt;
  return static_cast<std::int32_t>(*value);
}

std::string fdname(std::string_view name) {
  const auto allowed = [](unsigned char c) { return c >= ' ' && c < 127 && c != ':'; };
  if (name.size() > fdname_max || !std::ranges::all_of(name, allowed)) {
    return std::string(fdname_default);
  }
  return std::string(name);
}

using Take = void (*)(NotifyMessage&, std::string_view value);

struct Name {
  std::string_view name;
  Take take;
};

constexpr Name names[] = {
    {"READY", [](NotifyMessage& m, std::string_view v) { m.ready |= v == "1"; }},
    {"RELOADING", [](NotifyMessage& m, std::string_view v) { m.reloading |= v == "1"; }},
    {"STOPPING", [](NotifyMessage& m, std::string_view v) { m.stopping |= v == "1"; }},
    {"BARRIER", [](NotifyMessage& m, std::string_view v) { m.barrier |= v == "1"; }},
    {"FDSTORE", [](NotifyMessage& m, std::string_view v) { m.fdstore |= v == "1"; }},
    {"FDSTOREREMOVE", [](NotifyMessage& m, std::string_view v) { m.fdstore_remove |= v == "1"; }},
    {"WATCHDOG",
     [](NotifyMessage& m, std::string_view v) {
       if (v != "1" && v != "trigger") return;
       m.watchdog = v == "1";
       m.watchdog_trigger = !m.watchdog;
     }},
    {"STATUS",
     [](NotifyMessage& m, std::string_view v) {
       m.has_status = true;
       m.status = valid_utf8(v);
     }},
    {"ERRNO",
     [](NotifyMessage& m, std::string_view v) {
       const auto value = number_at_most(v, errno_max);
       if (!value) return;
       m.has_errno = true;
       m.error_number = *value;
     }},
    {"MAINPID",
     [](NotifyMessage& m, std::string_view v) {
       const auto value = number_at_most(v, std::numeric_limits<std::int32_t>::max());
       if (value && *value > 0) m.main_pid = *value;
     }},
    {"WATCHDOG_USEC",
     [](NotifyMessage& m, std::string_view v) {
       if (const auto value = number(v)) m.watchdog_usec = *value;
     }},
    {"EXTEND_TIMEOUT_USEC",
     [](NotifyMessage& m, std::string_view v) {
       if (const auto value = number(v)) m.extend_timeout_usec = *value;
     }},
    {"X_HEARTH_STATE",
     [](NotifyMessage& m, std::string_view v) {
       if (v == "busy" || v == "idle") m.work = v == "busy" ? Work::busy : Work::idle;
     }},
    {"X_HEARTH_ITEM",
     [](NotifyMessage& m, std::string_view v) {
       m.has_item = true;
       m.item = valid_utf8(v);
     }},
    {"X_HEARTH_DONE",
     [](NotifyMessage& m, std::string_view v) {
       if (const auto value = number(v)) m.work_done = *value;
     }},
    {"X_HEARTH_TOTAL",
     [](NotifyMessage& m, std::string_view v) {
       if (const auto value = number(v)) m.work_total = *value;
     }},
    {"FDPOLL",
     [](NotifyMessage& m, std::string_view v) {
       if (v == "0" || v == "1") m.fdpoll = v == "1";
     }},
    {"FDNAME", [](NotifyMessage& m, std::string_view v) { m.fdname = fdname(v); }},
};

void take_line(NotifyMessage& message, std::string_view line) {
  const std::size_t equals = line.find('=');
  // A NUL inside is no text: such a line says nothing.
  if (equals == std::string_view::npos || line.find('\0') != std::string_view::npos) return;
  const std::string_view name = line.substr(0, equals);
  const auto* known = std::ranges::find(names, name, &Name::name);
  if (known != std::end(names)) known->take(message, line.substr(equals + 1));
}

}  // namespace

NotifyMessage parse_notify(const char* data, std::size_t size) {
  NotifyMessage message;
  std::string_view rest(data, size);
  // C programs send their string with its NUL.
  while (rest.ends_with('\0')) rest.remove_suffix(1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    take_line(message, rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return message;
}

}  // namespace hearth::health
