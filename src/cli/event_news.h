// Events as the client has them: lines of the journal (docs/formats/events.md), from the API or from the disk.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/context.h"

namespace hearth::cli {

struct EventNews {
  std::uint64_t id = 0;
  std::string time;  // RFC 3339, UTC
  std::string kind;
  std::string service;  // PROJECT.SERVICE.INDEX; "" = hearth itself
  std::uint64_t cause = 0;
  std::string from, to, reason;
  std::int64_t run = 0, pid = 0;
  std::int64_t order = 0;
  std::int64_t by_pid = 0, by_uid = 0;
  std::string by_command;
  bool measured = false;                   // the run's time is known; then what it used, where that is:
  std::int64_t run_ms = -1, restarts = 0;  // -1: nobody knows how long
  std::int64_t cpu_user_ms = -1, cpu_system_ms = -1, max_rss_kib = -1;
  std::string text;
  std::string line;  // as it was read
};

// id 0: it is none.
EventNews event_news(std::string_view line);

// "web crashed: exited with code 1" and so on: the text with what else a person wants to know of it.
std::string event_words(const EventNews& event);

// "alice (uid 1000), PID 4711: hearth restart web"; "" when nobody is known.
std::string by_words(const EventNews& event);

// Does a name as people type it (with * and ?) select this label?
bool selects_label(std::string_view name, std::string_view label);
bool selects_label(const std::vector<std::string>& names, std::string_view label);

// Server-sent events into lines of the journal.
class EventReader {
 public:
  using Take = std::function<void(std::string_view line)>;
  // False when the server has said that there are no more.
  bool feed(std::string_view bytes, const Take& take);
  std::uint64_t last() const { return last_; }
  void go_on_after(std::uint64_t id) { last_ = id; }

 private:
  std::string buffer_;
  std::uint64_t last_ = 0;
};

// What is kept: what is on the disk and older than what memory has, then what memory has. Names choose, empty: all.
// Fails when nobody may read it; `running` says whether a hearth answered.
struct KeptEvents {
  std::vector<EventNews> events;
  bool running = false;
};
std::expected<KeptEvents, ClientError> kept_events(const Context& context, const std::vector<std::string>& names);

}  // namespace hearth::cli
