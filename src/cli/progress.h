// How an order goes, for people: a live region that is rewritten on a terminal, one line per change when piped.
//
//   db   ready     310ms
//   stt  starting  12s    loading the model: 61 %
//   web  failed    95ms   exited with code 1
//
// Text in, text out: who prints it, and when, is follow.cc's business.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "cli/answers.h"
#include "cli/terminal.h"

namespace hearth::cli {

class Progress {
 public:
  // `began`: when the order was given. 0: not known, and what happened is told with the time at which it was seen.
  explicit Progress(WallNs began = 0) : began_(began) {}

  // These ran before the order was given, by service, service and index, or full name: told once, not as if it were an event.
  void ran_before(std::string name) { ran_before_.insert(std::move(name)); }

  // Lines for what changed since the last call. `elapsed` since the order was given. Further tries of the same start
  // that end in the same way, and the moment in which a run may still prove to be none, are no news.
  std::string changes(const OrderNews& news, SpanNs elapsed);

  // Rewrites the region that the last call wrote. Never taller than the terminal, never wider.
  std::string region(const OrderNews& news, SpanNs elapsed, const Terminal& terminal);
  // Something else was written below it: it stays as it is, and the next one begins anew.
  void leave_region() { written_ = 0; }

 private:
  struct Known {
    std::string word;
    std::string retry;  // why the last try failed, if one did
    std::string settled_state;
    SpanNs settled_after = -1;
    bool tried = false;
    bool done_at_first = false;  // when it was first looked at, and since
  };
  void note(const OrderNews& news, SpanNs elapsed);
  bool ran_before(const SlotNews& slot) const;

  WallNs began_;
  std::map<std::string, Known> known_;  // by full name
  std::set<std::string> ran_before_;
  std::size_t written_ = 0;  // lines of the region on the screen
};

// "310ms" below a second, "2.3s" below ten, then "12s", "2m 5s".
std::string elapsed_text(SpanNs span);

// "3 ready, 1 running" or "2 stopped": the settled slots by state, in the order of their first.
std::string summary(const OrderNews& news);

// Control characters of a service's own words never reach the terminal; at most `width` characters (0: all).
std::string shown(std::string_view text, std::size_t width);

}  // namespace hearth::cli
