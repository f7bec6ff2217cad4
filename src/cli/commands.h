// One function per command, called with everything parsed. Each returns the exit code. Inside of the room.
#pragma once

#include <optional>
#include <string_view>

#include "cli/context.h"

namespace hearth::cli {

int command_up(const Context& context);
int command_down(const Context& context);
int command_run(const Context& context);
int command_status(const Context& context);
int command_logs(const Context& context);
int command_events(const Context& context);
int command_explain(const Context& context);
int command_import(const Context& context);
int command_export(const Context& context);
int command_top(const Context& context);
int command_tree(const Context& context);
int command_pid(const Context& context);
int command_start(const Context& context);
int command_stop(const Context& context);
int command_restart(const Context& context);
int command_reload(const Context& context);
int command_scale(const Context& context);
int command_signal(const Context& context);
int command_wait(const Context& context);
int command_exec(const Context& context);
int command_reload_services(const Context& context);  // `reload NAME`
int command_upgrade(const Context& context);
int command_shutdown(const Context& context);
int command_version(const Context& context);
int command_help(const Context& context);
int command_config(const Context& context);
int command_completion(const Context& context);
int command_daemon(const Context& context);
int command_enable(const Context& context);
int command_disable(const Context& context);
int command_doctor(const Context& context);
int command_reset(const Context& context);

// `hearth status` without options, before anything else of this program is set up: one question, its answer
// copied to stdout. nullopt: the long way shall find out what is wrong.
std::optional<int> fast_status(int argc, char** argv);

}  // namespace hearth::cli
