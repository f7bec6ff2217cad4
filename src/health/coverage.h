// For tests and the simulator: what of the table in health.h has been met since start.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/slot_state.h"

namespace hearth::health {

enum class State : std::uint8_t { unwatched, forks, starting, ready, lost, ending };
enum class Happened : std::uint8_t {
  watched,
  adopted,
  main_found,
  unwatched,
  respecified,
  said_ready,  // by a datagram, as the next seven
  said_reloading,
  said_stopping,
  said_watchdog,
  said_trigger,
  said_watchdog_span,
  said_extend,
  said_newline,  // on a descriptor
  ready_good,    // the answer to a try
  ready_bad,
  live_good,
  live_bad,
  ready_refused,
  live_refused,
  start_over,  // clocks that have run out
  watchdog_over,
  ready_try_over,
  live_try_over,
  uptime_over,
};
inline constexpr std::size_t state_count = static_cast<std::size_t>(State::ending) + 1;
inline constexpr std::size_t happened_count = static_cast<std::size_t>(Happened::uptime_over) + 1;

State state_of(const Health& health);

// Where each has led (bit = State). What happens together (one datagram that says two things, two clocks in one step) is
// left out: it leads where the last of them does.
struct Coverage {
  std::uint8_t led_to[state_count][happened_count] = {};
};
Coverage& coverage();

}  // namespace hearth::health
