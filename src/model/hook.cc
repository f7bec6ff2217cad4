#include "model/hook.h"

#include "base/check.h"

namespace hearth {

const Action& action_of(const Actions& actions, Hook hook) {
  switch (hook) {
    case Hook::before_start: return actions.before_start;
    case Hook::before_stop: return actions.before_stop;
    case Hook::stop: return actions.stop;
    case Hook::after_stop: return actions.after_stop;
    case Hook::after_start: return actions.after_start;
    case Hook::on_failure: return actions.on_failure;
    case Hook::on_give_up: return actions.on_give_up;
    case Hook::reload: return actions.reload;
    case Hook::none: break;
  }
  HEARTH_CHECK(false, "a hook has an action");
  return actions.before_start;
}

const char* hook_name(Hook hook) {
  switch (hook) {
    case Hook::none: return "";
    case Hook::before_start: return "before_start";
    case Hook::before_stop: return "before_stop";
    case Hook::stop: return "stop_command";
    case Hook::after_stop: return "after_stop";
    case Hook::after_start: return "after_start";
    case Hook::on_failure: return "on_failure";
    case Hook::on_give_up: return "on_give_up";
    case Hook::reload: return "reload_command";
  }
  return "";
}

bool has_hooks(const Actions& actions, SlotRole role) {
  for (unsigned i = 1; i < hook_count; ++i) {
    const Hook hook = static_cast<Hook>(i);
    const SlotRole its = runs_beside(hook) ? SlotRole::side_hook : SlotRole::hook;
    if (its == role && !action_of(actions, hook).command.empty()) return true;
  }
  return false;
}

}  // namespace hearth
