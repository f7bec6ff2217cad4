// What an earlier hearth left in this directory, when neither its keeper nor its supervisor lives.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ports/store.h"

namespace hearth::store {

// Reads runs.json and the documents, checks the identity of every run (boot, PID namespace, PID, start time), and
// looks in /proc for processes that were started after the last write: session leaders with HEARTH_RUN and this
// HEARTH_INSTANCE in their environment. The number of the next run is above all that names one: the list, the
// processes, FIFO and socket names, cgroup leaves.
//
// Only for a new instance, by who holds the lock. Unreadable files are losses, told in words, never failures. Fails when
// the directory itself cannot be read, and, with nothing changed, when descriptors or memory are too short to tell what
// there is: whoever went on then would start once more what runs.
Result<ports::Heritage> read_heritage(const std::string& directory,
                                      const std::function<Result<Document>(std::string_view)>& from_text);

}  // namespace hearth::store
