// Hostile datagrams on a notify socket. What is taken out of them is text and within bounds, a datagram means the same
// when it is said twice, and a service that hears it twice stands where it stood after the first time.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/toml_text.h"
#include "health/health.h"
#include "health/utf8.h"

namespace {

using namespace hearth;
using health::NotifyMessage;

void check_bounds(const NotifyMessage& message) {
  HEARTH_CHECK(valid_utf8(message.status) && valid_utf8(message.item), "what a service says of itself is text");
  HEARTH_CHECK(message.has_status || message.status.empty(), "no text without its name");
  HEARTH_CHECK(message.fdname.size() <= 103, "a name fits into a park record");
  HEARTH_CHECK(std::ranges::all_of(message.fdname, [](char c) { return c >= ' ' && c < 127 && c != ':'; }),
               "a name is printable");
  HEARTH_CHECK(message.error_number >= 0 && message.error_number <= 4095, "an errno is one of the kernel's");
  HEARTH_CHECK(message.main_pid >= 0, "a PID is positive");
  for (const std::int64_t number :
       {message.watchdog_usec, message.extend_timeout_usec, message.work_done, message.work_total})
    HEARTH_CHECK(number >= -1, "a number is there or not");
  HEARTH_CHECK(!(message.watchdog && message.watchdog_trigger), "one of two");
}

bool same(const NotifyMessage& a, const NotifyMessage& b) {
  const auto flags = [](const NotifyMessage& m) {
    return std::string{m.ready,      m.reloading, m.stopping, m.watchdog,       m.watchdog_trigger, m.barrier,
                       m.has_status, m.has_item,  m.fdstore,  m.fdstore_remove, m.fdpoll,           m.has_errno};
  };
  return flags(a) == flags(b) && a.status == b.status && a.item == b.item && a.fdname == b.fdname && a.work == b.work &&
         a.error_number == b.error_number && a.main_pid == b.main_pid && a.work_done == b.work_done &&
         a.work_total == b.work_total && a.watchdog_usec == b.watchdog_usec &&
         a.extend_timeout_usec == b.extend_timeout_usec;
}

void check_health(const NotifyMessage& message, bool watchdog) {
  ServiceSpec spec;
  spec.ready.edit().type = ProbeType::notify;
  spec.live.edit().type = ProbeType::tcp;
  if (watchdog) spec.watchdog = seconds(5);
  constexpr Now begin{seconds(1'000), seconds(1'700'000'000)};
  constexpr Now later{begin.mono + seconds(2), begin.wall + seconds(2)};
  Health health;
  health::watch(health, spec, begin);
  health::notify(health, spec, message, later);
  const Health once = health;
  const health::Verdict again = health::notify(health, spec, message, later);
  HEARTH_CHECK(health == once, "said twice it changes nothing");
  HEARTH_CHECK(!again.became_ready && !again.lost_ready && !again.unhealthy && !again.start_timeout, "nor is it news");
  HEARTH_CHECK(valid_utf8(std::string_view(health.status)) && valid_utf8(std::string_view(health.item)),
               "what is kept was cut between two characters");
  health::next_deadline(health);
  health::time_passed(health, spec, Now{std::numeric_limits<MonoNs>::max() / 2, later.wall});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const NotifyMessage message = health::parse_notify(text.data(), text.size());
  check_bounds(message);
  while (text.ends_with('\0')) text.remove_suffix(1);
  const std::string twice = std::string(text) + "\n" + std::string(text);
  HEARTH_CHECK(same(message, health::parse_notify(twice.data(), twice.size())), "twice is once");
  check_health(message, false);
  check_health(message, true);

  const std::string valid = health::valid_utf8(text);
  HEARTH_CHECK(valid_utf8(valid), "what is made valid is");
  HEARTH_CHECK(health::valid_utf8(valid) == valid, "and stays as it is");
  HEARTH_CHECK(valid_utf8(text) == (valid == text), "valid text comes back unchanged");
  const std::string_view cut = health::cut_utf8(valid, size % 17);
  HEARTH_CHECK(cut.size() <= size % 17 && valid_utf8(cut), "it is cut between two characters");
  return 0;
}
