// `hearth status` for people, made by the supervisor: the client only copies it to the terminal, which makes
// `hearth status` about as cheap as a process can be.
//
//   SERVICE  STATE     FOR      PID  RESTARTS  DETAIL
//   db       ready     2h 10m  4242         0
//   stt.0    starting  3s      4243         2  loading the model
//   web      failed    1m 5s      -         5  exited with code 1, 5 times within 60 s
//
// What does not fit goes in this order: DETAIL onto a line of its own below (cut), RESTARTS, PID, FOR. A service
// has its index when there is more than one, and its project when there are several projects.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "model/status.h"

namespace hearth::api {

struct TableOptions {
  bool color = false;
  std::size_t columns = 0;      // 0: no limit (piped)
  std::string_view place = {};  // how the asker calls hearth, "--dir /x ": for the commands that are named
};

std::string status_table(const InstanceStatus& status, const std::vector<std::size_t>& chosen,
                         const TableOptions& options, WallNs now);

// One word for a slot: the phase, with `running` split by what is known of readiness: "ready", "running" (has
// no readiness probe), "not ready".
const char* state_word(const SlotStatus& slot);

// What its log lacks, or could not be done with it, in words without a full stop; "" = nothing. Names commands as `hearth ...`.
std::string log_trouble(const SlotStatus& slot);

// The exit code of `hearth status`: the worst (greatest) over the chosen ones; 3 for none at all.
//   0 running and ready, or completed     3 stopped, or about to be
//   150 on its way up                     151 degraded: not ready any more, failed, waiting for its next try
//   152 crash-looping: three failures in a row and more without staying up for reset_after since, or given up because of too many restarts
int status_exit_code(const InstanceStatus& status, const std::vector<std::size_t>& chosen);

}  // namespace hearth::api
