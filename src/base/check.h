// HEARTH_CHECK(condition, "what must hold"): for bugs, never for what the world may do. Always on: a
// supervisor that goes on with a broken invariant may kill the wrong process; one that dies is restarted by
// the keeper and nothing is lost.
#pragma once

namespace hearth {
[[noreturn]] void check_failed(const char* condition, const char* what, const char* file, int line) noexcept;
}  // namespace hearth

#define HEARTH_CHECK(condition, what)                                                 \
  do {                                                                                \
    if (!(condition)) ::hearth::check_failed(#condition, (what), __FILE__, __LINE__); \
  } while (false)
