// Who has TCP ports, asked of a thread: the descriptors and environments of all processes are looked at, which takes
// milliseconds, and longer where a process is held in the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "os/aside.h"
#include "os/left_behind.h"
#include "os/port_owner.h"

namespace hearth::os {

struct PortHolder {
  PortOwner owner;
  // Of which run it is, by the environment that it was started with: a descendant has the same. Empty: of none.
  std::string instance, slot;
  RunId run = no_run;
};
// In the calling thread. In their order.
std::vector<PortHolder> find_port_holders(const std::vector<std::uint16_t>& ports);

class PortLooks {
 public:
  static constexpr SpanNs patience = milliseconds(5);
  static constexpr SpanNs hangs_after = seconds(2);
  static constexpr std::size_t at_once_max = 16;
  using Holders = std::vector<PortHolder>;
  using How = std::function<Holders(const std::vector<std::uint16_t>&)>;

  // `how` finds them; another one in tests.
  explicit PortLooks(How how = find_port_holders) : how_(std::move(how)) {}

  // Of all ports that the start of this run finds in use, because of each alone the answer would be old when the next one
  // comes. Waits for `patience` at most, when it is asked for the first time. Nothing: it is not known yet, ask again. Each
  // answer is given once: then it is looked anew. What has not answered for hangs_after is left behind, and is an error, at
  // once for each run of the same service until it has come back (left_behind.h); so is a thread that cannot be begun, and
  // one for which there is no room for so long.
  std::optional<Result<Holders>> of(RunId run, const std::string& label, const std::vector<std::uint16_t>& ports,
                                    MonoNs now);
  // The run has started, or nobody wants it any more.
  void forget(RunId run) {
    asked_.erase(run);
    unasked_.erase(run);
  }

 private:
  struct Asked {
    std::vector<std::uint16_t> ports;
    Aside<Holders> aside;
    MonoNs since = 0;
  };

  How how_;
  std::map<RunId, Asked> asked_;
  std::map<RunId, MonoNs> unasked_;  // since when there is no thread for it
  LeftBehind left_behind_{at_once_max, hangs_after};
};

}  // namespace hearth::os
