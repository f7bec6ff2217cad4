// `up --foreground`: the services of a project as the children of a command, for CI and containers.
//
// Model
// -----
// The services run under hearth as ever. This command applies the file, copies what they write to stdout until
// something ends it, stops all in order, and ends with an exit code. It ends
//   - at Ctrl-C or SIGTERM; a second one, while it stops them, insists: KILL instead of the grace period;
//     a third one does not wait for that
//   - when the service of --exit-code-from has ended for good: completed, failed or stopped; its code is ours
//   - with --abort-on-exit when any has; a task that completed is no reason
//   - when all have ended for good: nothing is left to wait for
// Then the code is 1 when one has failed, else 0. Who stops with a dependency (stop = true) that has completed is `failed`
// beside it, and has not failed: it was to end with it, as a helper of a test does.
// With --instance auto all of it happens in a hearth of its own, in a directory of its own; both are gone at the end.
//
// It waits for three things at once: events of the journal, which say when to look at the status; the log files, by
// inotify; signals. So it makes no system call while nothing happens. When the stream of events ends, the supervisor may
// have died: the next one is asked for the status, and for the events behind the last that was seen. Lines of one service
// come in their order. Where inotify is not to be had (fs.inotify limits), it looks ten times a second.
//
// Nobody may be reading what it writes, as when the log driver of a container is stuck, and it hears signals all the same
// (outlet.h, log_show.h): the lines wait in their files until somebody reads. Told to end it does not wait for that: what
// nobody takes within a second of the end of all is not shown, and it says how much that was.
#pragma once

#include <functional>

#include "base/result.h"
#include "cli/answers.h"
#include "cli/context.h"
#include "cli/first_process.h"
#include "model/service_spec.h"

namespace hearth::cli {

// It has run, and was stopped because what it stops with has done its work. `all`: of the document's project.
bool ended_with_dependency(const SlotNews& slot, const std::vector<SlotNews>& all, const Document& document);

bool in_foreground(const Arguments& arguments);
// What is wrong with the options, before anything is begun.
Status check_foreground(const Arguments& arguments, const Document& document);

// `apply`: the order, accepted and not waited for; returns an exit code. `context`: of the command. Where `first` is
// above us all ends with us: hearth is ended, and TERM is no failure.
int up_in_foreground(const Context& context, const Document& document, const std::function<int(const Context&)>& apply,
                     FirstProcess& first);

}  // namespace hearth::cli
