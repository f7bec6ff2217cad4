// The five stories of a run. Each is short, and has what the others have not; its points are at its own steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "points.h"

namespace hearth::kill_anywhere {

enum class Story : std::uint8_t {
  life,     // start, readiness and watchdog by notify, logs, exit, restart, stop, shutdown
  change,   // every other kind of probe, hooks, a task, a signal, another document, a backlog
  upgrade,  // other programs of supervisor and logger go on
  keeper,   // the keeper executes another program in its own place
  revival,  // all of hearth has been killed: the next one begins where its services live on
};

std::string_view name_of(Story story);
std::optional<Story> story_named(std::string_view name);

// Processes of that role, as children of the keeper; "" and "all": of every role. Their order is the same in every run.
std::vector<std::uint32_t> ordinals_of(Story story, std::string_view role);
// Is there a point at calls of this step? What other stories have, too, is not attacked again.
bool is_attacked(Story story, Phase phase);

// Whether hearth has started all that it begins with before this time, and goes on for a step behind it.
bool is_followed(Story story, Phase from, Phase to);

}  // namespace hearth::kill_anywhere
