// Whether hearth can go on, for a command that waits for it: a keeper that is stopped (SIGSTOP) starts and ends nothing, a
// supervisor that is answers nobody, and both only look as if the service took long.
//
// It looks two seconds after it began and every two seconds from then on, at what /proc says of two processes. Who keeper
// and supervisor are is asked once; and each time where they cannot be seen, as from another PID namespace. What is to be
// said is said once: who it is, and what to do.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>

#include "base/time.h"
#include "cli/client.h"
#include "cli/context.h"
#include "os/fd.h"

namespace hearth::cli {

class InterruptWatch;

class Standstill {
 public:
  using Tell = std::function<void(const std::string&)>;
  static constexpr SpanNs usual_pace = seconds(2);

  // All three must outlive it. `client` looks after it while it waits for answers. `pace` never: it does nothing.
  Standstill(const Context& context, Client& client, InterruptWatch& watch, Tell tell, SpanNs pace = usual_pace);
  ~Standstill() { client_.attend(-1, {}); }
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;

  // For who waits for something else meanwhile: readable when it is time to look; -1 = never (again).
  int descriptor() const { return timer_.get(); }
  void look_when_due();

 private:
  std::string what_stands();
  std::string of_known() const;

  const Context& context_;
  Client& client_;
  InterruptWatch& watch_;
  Tell tell_;
  os::Fd timer_;
  pid_t keeper_ = 0, supervisor_ = 0;  // 0: not known, or not to be seen
};

}  // namespace hearth::cli
