// Hooks by name: which command of a specification they are, and how people call them.
#pragma once

#include <cstdint>

#include "model/service_spec.h"
#include "model/slot_state.h"

namespace hearth {

// Not of Hook::none.
const Action& action_of(const Actions& actions, Hook hook);
// As the key in hearth.toml: "before_start", "stop_command". "" of none.
const char* hook_name(Hook hook);
// Has it one that its life waits for, or one that runs beside it?
bool has_hooks(const Actions& actions, SlotRole role);

}  // namespace hearth
