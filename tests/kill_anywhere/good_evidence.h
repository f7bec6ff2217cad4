// Evidence of runs in which nothing went wrong, for tests to doctor.
#pragma once

#include <signal.h>
#include <string>
#include <utility>
#include <vector>

#include "invariants.h"

namespace hearth::kill_anywhere {

inline ServiceView service(const char* state, pid_t pid, std::uint64_t run) {
  ServiceView view;
  view.state = state;
  view.ready = true;
  view.pid = pid;
  view.run = run;
  return view;
}

// What goes on beside every story.
inline void add_load(Evidence& e) {
  e.processes.push_back({"m", 50, 50, 0, "-", "-"});
  e.processes.push_back({"o", 51, 51, 0, "-", "-"});
  e.processes.push_back({"u", 52, 52, 0, "-", "-", 0, 72});
  e.processes.push_back({"u", 53, 53, 0, "-", "-"});
  for (const std::uint64_t run : {50, 51, 52, 53}) e.events.begun[run] = e.events.ended[run] = 1;
  e.events.codes[52] = 72;
  for (const std::uint64_t run : {50, 51, 53}) e.events.signals[run] = SIGTERM;
  e.last.services["m"] = service("running", 50, 50);
  e.last.services["o"] = service("running", 51, 51);
  e.last.services["u"] = service("running", 53, 53);
  e.last.services["u"].restarts = 1;
  for (const char* name : {"m", "o", "u"}) e.logs[name].files = e.logs[name].lines = 3;
  e.logs["o"].compressed = 1;
  e.asked.answered = 5;
}

// What a run leaves in which nothing went wrong.
inline Evidence good() {
  Evidence e;
  e.ended = true;
  e.processes = {{"a", 10, 1, 0, "-", "-"},
                 {"b", 11, 2, 0, "-", "-"},
                 {"c", 12, 3, 0, "-", "-"},
                 {"d", 13, 4, 0, "-", "-"},
                 {"c", 14, 5, 0, "-", "-"},
                 {"e", 16, 7, 0, "-", "-"},
                 {"b", 15, 6, 1, "cache", "stored-as-cache"}};
  e.orders = {{"apply", {1}, "{}", "", 0}, {"restart b", {2}, "{}", "", 0}, {"shutdown", {3}, "", "", 0}};
  e.after_ready.services["b"] = service("running", 11, 2);
  e.after_ready.services["b"].status_text = "loading 1";
  e.after_exit.services["c"] = service("running", 14, 5);
  e.after_exit.services["c"].has_exit = true;
  e.after_exit.services["c"].exit_code = 7;
  e.after_exit.services["c"].restarts = 1;
  e.last.services = {{"a", service("running", 10, 1)},
                     {"b", service("running", 15, 6)},
                     {"c", service("stopped", 0, 5)},
                     {"d", service("failed", 0, 4)},
                     {"e", service("running", 16, 7)}};
  e.last.services["d"].exit_code = 9;
  e.watchdog_before = 100;
  e.watchdog_at = 200;
  e.takeovers_known = true;
  for (const char* name : {"a", "b", "c", "d", "e"}) e.logs[name].files = 3;
  // The stories' own look at the first, or the last, of them.
  const std::vector<SeenProcess> own = std::exchange(e.processes, {});
  add_load(e);
  e.processes.insert(e.processes.end(), own.begin(), own.end());
  return e;
}

inline Evidence good_change() {
  Evidence e;
  e.story = Story::change;
  e.ended = true;
  std::uint64_t run = 0;
  for (const char* name :
       {"x", "w", "t", "p", "r", "h", "j", "d", "l", "n", "q", "s", "y", "v", "v", "f", "k", "f", "k"}) {
    const pid_t pid = static_cast<pid_t>(100 + ++run);
    e.processes.push_back({name, pid, run, 0, "-", "-"});
    e.last.services[name] = service("running", pid, run);
    ++e.events.begun[run];
    ++e.events.ended[run];
  }
  e.events.checked = true;
  e.last.services["d"].exit_code = 9;
  e.last.services["v"].restarts = 1;
  e.last.services["h"].state = "stopped";
  e.last.services.erase("l");
  e.after_exit.services["j"] = service("completed", 0, 7);
  e.after_exit.services["j"].exit_code = 0;
  e.hooks = "before_start\nafter_start\nbefore_stop\nafter_stop\n";
  e.hangups = "1";
  e.caller_heard = "pong";
  add_load(e);
  return e;
}

inline Evidence good_upgrade() {
  Evidence e = good();
  e.story = Story::upgrade;
  std::erase_if(e.processes, [](const SeenProcess& process) { return process.name == "c" || process.name == "e"; });
  e.upgraded = true;
  e.last.takeovers = 1;
  return e;
}

// Begun anew at 500: whoever started before is nobody's child.
inline Evidence good_revival() {
  Evidence e = good();
  e.story = Story::revival;
  std::erase_if(e.processes, [](const SeenProcess& process) { return process.name == "e"; });
  for (const char* name : {"b", "c"}) e.last.services[name] = service("running", 15, 6);
  e.processes.push_back({"k", 17, 8, 1, "door", "-"});
  e.processes.push_back({"k", 18, 9, 1, "door", "-"});
  e.last.services["k"] = service("running", 18, 9);
  e.last.services["d"].exit_code.reset();
  e.after_exit.services["c"].exit_code.reset();
  e.caller_heard = "pong";
  e.begun_anew_at_ticks = 500;
  e.last.takeovers = e.takeovers_before = 1;
  return e;
}

inline Evidence good_exec() {
  Evidence e = good_upgrade();
  e.story = Story::keeper;
  e.last.takeovers = 0;
  return e;
}

}  // namespace hearth::kill_anywhere
