// The logger process: takes FIFOs from the keeper, moves what they hold to files, tells the supervisor what it
// waits for. Face of the room. See wire/keeper_messages.h for what comes and wire/log_page.h for the rest.
#pragma once

#include "base/result.h"
#include "logger/system.h"

namespace hearth::logger {

// Runs until the keeper's socket closes; then moves what is readable and returns. `socket` is the SEQPACKET
// socket to the keeper, whose first message is `hello`. Waits until no other logger works on the same page.
Status run_logger(System& system, int socket);

}  // namespace hearth::logger
