// How soon one that has died has a successor: at once, but for the sixth death within ten seconds, which waits for 0.1 s,
// the next one for 0.2 s, up to 5 s. As the keeper does it with hearth's other processes.
#pragma once

#include <algorithm>
#include <array>

#include "base/time.h"

namespace hearth::cli {

class RespawnPace {
 public:
  // It has died: how long to wait.
  SpanNs after_death(MonoNs now) {
    MonoNs& oldest = died_[next_];
    const bool many = oldest != 0 && now - oldest < within;
    oldest = now;
    next_ = (next_ + 1) % died_.size();
    delay_ = !many ? 0 : delay_ == 0 ? delay_first : std::min(2 * delay_, delay_most);
    return delay_;
  }

 private:
  static constexpr SpanNs within = seconds(10), delay_first = milliseconds(100), delay_most = seconds(5);
  std::array<MonoNs, 5> died_{};  // a ring
  std::size_t next_ = 0;
  SpanNs delay_ = 0;
};

}  // namespace hearth::cli
