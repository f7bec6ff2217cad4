// `up --foreground`: the services of a project as the children of a command, for CI and containers.
//
// Model
// -----
// The services run under hearth as ever. This command applies the file, copies what they write to stdout until
// something ends it, stops all in order, and ends with an exit code. It ends
//   - at Ctrl-C or SIGTERM; a second one, while it stops them, insists: KILL instead of the grace period
//   - when the service of --exit-code-from has ended for good: completed, failed or stopped; its code is ours
//   - with --abort-on-exit when any has; a task that completed is no reason
//   - when all have ended for good: nothing is left to wait for
// With --instance auto all of it happens in a hearth of its own, in a directory of its own; both are gone at the end.
//
// Looks at status and log files ten times a second: the lines of one service come in their order, those of several
// within a tenth of a second.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/answers.h"
#include "cli/context.h"
#include "cli/log_lines.h"
#include "logs/reader.h"
#include "model/service_spec.h"

namespace hearth::cli {

bool in_foreground(const Arguments& arguments);
// What is wrong with the options, before anything is begun.
Status check_foreground(const Arguments& arguments, const Document& document);

// `apply`: the order, accepted and not waited for; returns an exit code. `context`: of the command.
int up_in_foreground(const Context& context, const Document& document, const std::function<int(const Context&)>& apply);

// New lines of log files, with the names of their services before them.
class LogTail {
 public:
  // Only what comes from now on, of the service with this full name.
  void begin(const std::string& full_name, const std::string& log_directory);
  // Whoever is not known yet has begun to write only now. Returns the text of all new lines.
  std::string take(const std::vector<SlotNews>& slots);
  // What is left without an end of line.
  std::string finish();

 private:
  struct Source {
    logs::Cursor cursor;
    LineCutter cutter;
    std::string label;
  };
  std::map<std::string, Source> sources_;  // by full name
};

}  // namespace hearth::cli
