// Starting the daemon of an instance: hearth-keeper, which starts everything else.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/context.h"
#include "cli/interrupt.h"

namespace hearth::cli {

// The programs of hearth, absolute: beside the `hearth` that runs, or in ../libexec/hearth/ from there.
struct Programs {
  std::string keeper, supervisor, logger;
};
Result<Programs> find_programs();

std::vector<std::string> keeper_command(const Programs& programs, const os::Instance& instance);

// Makes sure that somebody answers on the instance's socket: creates the instance directory, starts the keeper
// detached from this session, waits up to ten seconds; before that, up to fifteen for another one that has the
// instance's lock, and so is starting or ending. True when it was started here, false when it was there already or
// somebody else started it at the same time.
Result<bool> ensure_daemon(const Context& context, Client& client, InterruptWatch* watch);
// Tells why ensure_daemon() failed; returns the exit code.
int complain_of_start(const Context& context, const Error& error, InterruptWatch& watch);

// Becomes the keeper. Returns only when it cannot.
Error become_daemon(const Context& context);

}  // namespace hearth::cli
