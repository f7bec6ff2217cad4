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
// Only for a new instance, by who holds the lock. What is damaged, or none of ours, is a loss, told in words and no failure: a
// document is put aside then, and behind a list that is damaged or torn all documents are that nothing else names, for
// nobody knows whose they are. Fails, with nothing changed, when what is there cannot be read now (EIO and EACCES as well
// as a lack of descriptors), or when nobody can tell which boot this is or whether a process lives: whoever went on then
// would start once more what runs, and remove the rest.
Result<ports::Heritage> read_heritage(const std::string& directory,
                                      const std::function<Result<Document>(std::string_view)>& from_text);

}  // namespace hearth::store
