// hearth-supervisor --trial: could this program go on with what is there? The first half of an upgrade.
//
// Reads the slot table and the decision page of an instance as they are: from DIR/state, else from the keeper's
// descriptors in /proc. They are copied and nothing is written, mapped or opened for writing, so that whatever is
// wrong with this program costs the instance nothing. Asked of them is what a take-over asks: magic, versions, sizes, a
// record of every slot that is in use, documents that can be read; and of the keeper the version of its messages.
//
// A supervisor may commit meanwhile. Then a slot may seem to have no record: it is all read again.
//
// One JSON object on stdout, also of a refusal:
//   {"trial":1,"program":"hearth-supervisor","version":"0.2.0","formats":{...},"slots":12,"refused":null}
#pragma once

#include <string>
#include <sys/types.h>

namespace hearth::apps {

// Exit status: 0 it could, 1 it could not.
int run_trial(const std::string& directory, pid_t keeper);

}  // namespace hearth::apps
