// The supervisor's process: one loop on one thread, and the store's writer, which alone waits for disks and decides
// nothing (store/writer.h). Between two turns it sleeps in epoll; nothing else wakes it than
// the keeper, spawners and logger (an eventfd), notify sockets, probes, API clients and the next deadline.
#pragma once

#include <string>

#include "base/result.h"

namespace hearth::apps {

struct ProgramOptions {
  std::string directory;
  std::string log_directory;
  std::string nofile;  // "soft:hard" as hearth found it; services get that back
};

// Returns when everything is stopped (or shall be left) and the keeper has said goodbye.
Status run_supervisor(const ProgramOptions& options);

}  // namespace hearth::apps
