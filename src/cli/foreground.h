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
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/answers.h"
#include "cli/context.h"
#include "cli/first_process.h"
#include "cli/log_lines.h"
#include "logs/reader.h"
#include "logs/watcher.h"
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

// New lines of log files, with the names of their services before them.
class LogTail {
 public:
  LogTail();
  // Only what comes from now on, of the service with this full name.
  void begin(const std::string& full_name, const std::string& log_directory);
  // These are the services now; whoever is not known yet has begun to write only now. Returns the text of new lines.
  std::string take(const std::vector<SlotNews>& slots);
  // The text of what has been written since; all the same when nothing tells of it.
  std::string take();
  // What is left without an end of line.
  std::string finish();
  // Becomes readable when there is more for take(); -1: nothing tells, look again and again.
  int descriptor() const { return watcher_ && all_watched_ ? watcher_->descriptor() : -1; }

 private:
  struct Source {
    logs::Cursor cursor;  // until there is a follower
    std::unique_ptr<logs::Follower> follower;
    LineCutter cutter;
    std::string label, directory;
  };
  void read(Source& source, std::string& out);

  std::unique_ptr<logs::Watcher> watcher_;  // none: there are no more for this user. Before the followers
  bool all_watched_ = true;
  std::map<std::string, Source> sources_;  // by full name
};

}  // namespace hearth::cli
