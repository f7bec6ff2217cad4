// Are the program and the working directory of a service there? Looked at before an order stops what runs of it, so that a
// typing error takes nothing down (docs/decisions/0023-an-address-is-tried-before-a-change.md). Both are on a user's disk,
// which may hang; so a thread looks.
//
// Only what is certain counts: what cannot be seen (no permission, a relative path without a directory) is left to the start.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/aside.h"
#include "os/left_behind.h"

namespace hearth::os {

struct ProgramLook {
  std::string label;               // whose
  std::string cwd;                 // "" = none is asked for
  std::string program;             // as its command has it
  std::vector<std::string> paths;  // where it may be: one is enough. Relative ones are below cwd
  friend bool operator==(const ProgramLook&, const ProgramLook&) = default;
};

// In the calling thread.
Status look_for_program(const ProgramLook& look);

class ProgramLooks {
 public:
  static constexpr SpanNs patience = milliseconds(5);
  static constexpr SpanNs hangs_after = seconds(2);
  static constexpr std::size_t at_once_max = 8;
  using How = std::function<Status(const ProgramLook&)>;

  // `how` looks for one; another one in tests.
  explicit ProgramLooks(How how = look_for_program) : how_(std::move(how)) {}

  // Of all of them, the first that is not there. Nothing: it is not known yet; with the same ones it is asked again, within
  // hangs_after, or it is forgotten. Those that have not been answered for hangs_after are an error, and their thread is left
  // behind: until it has come back the same ones are that error at once (left_behind.h).
  std::optional<Status> of(const std::vector<ProgramLook>& wanted, MonoNs now);

 private:
  struct Asked {
    std::vector<ProgramLook> wanted;
    Aside<Status> aside;
    MonoNs since = 0;
    MonoNs last = 0;  // when it was asked for
  };

  How how_;
  std::vector<Asked> asked_;
  LeftBehind left_behind_{at_once_max, hangs_after};
};

}  // namespace hearth::os
