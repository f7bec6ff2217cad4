#include "cli/event_news.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/glob.h"
#include "base/rounded.h"
#include "cli/answers.h"
#include "cli/size_words.h"
#include "os/accounts.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/own_file.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t most_of_a_file = 64u << 20;

std::string text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const json::string* found = value != nullptr ? value->if_string() : nullptr;
  return found != nullptr ? std::string(found->data(), found->size()) : std::string();
}

std::int64_t number(const json::object& object, std::string_view name, std::int64_t absent = 0) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const std::int64_t* found = value != nullptr ? value->if_int64() : nullptr;
  return found != nullptr ? *found : absent;
}

const json::object* member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value != nullptr ? value->if_object() : nullptr;
}

std::string span_words(std::int64_t ms) {
  if (ms < 1'000) return fmt::format("{} ms", ms);
  if (const std::int64_t tenths = rounded(ms, 100); tenths < 600)
    return fmt::format("{}.{} s", tenths / 10, tenths % 10);
  const std::int64_t s = rounded(ms, 1'000);
  if (s < 3'600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3'600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86'400, s / 3'600 % 24);
}

std::string user_name(std::int64_t uid) {
  const std::optional<os::Account> account = os::find_user(static_cast<uid_t>(uid));
  return account ? fmt::format("{} (uid {})", account->name, uid) : fmt::format("uid {}", uid);
}

}  // namespace

EventNews event_news(std::string_view line) {
  EventNews event;
  json::error_code error;
  const json::value value = json::parse({line.data(), line.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return event;
  event.id = static_cast<std::uint64_t>(number(*object, "id"));
  event.time = text(*object, "time");
  event.kind = text(*object, "kind");
  event.service = text(*object, "service");
  event.cause = static_cast<std::uint64_t>(number(*object, "cause"));
  event.from = text(*object, "from");
  event.to = text(*object, "to");
  event.reason = text(*object, "reason");
  event.run = number(*object, "run");
  event.pid = number(*object, "pid");
  event.order = number(*object, "order");
  if (const json::object* by = member(*object, "by")) {
    event.by_pid = number(*by, "pid");
    event.by_uid = number(*by, "uid");
    event.by_command = text(*by, "command");
  }
  if (const json::object* used = member(*object, "statistics")) {
    event.measured = true;
    event.run_ms = number(*used, "run_ms", -1);
    event.restarts = number(*used, "restarts");
    event.cpu_user_ms = number(*used, "cpu_user_ms", -1);
    event.cpu_system_ms = number(*used, "cpu_system_ms", -1);
    event.max_rss_kib = number(*used, "max_rss_kib", -1);
  }
  event.text = text(*object, "text");
  event.line = line;
  return event;
}

std::string by_words(const EventNews& event) {
  if (event.by_pid == 0) return {};
  std::string words = fmt::format("{}, PID {}", user_name(event.by_uid), event.by_pid);
  if (!event.by_command.empty()) words += ": " + event.by_command;
  return words;
}

std::string event_words(const EventNews& event) {
  std::string words = event.text;
  if (event.kind == "state" && !event.from.empty() && event.from != event.to)
    words = fmt::format("{} -> {}: {}", event.from, event.to, event.text);
  if (event.kind == "exit") {
    if (event.pid != 0) words = fmt::format("PID {} {}", event.pid, event.text);
    if (event.measured) {
      std::string figures;
      if (event.run_ms >= 0) figures += fmt::format(", ran {}", span_words(event.run_ms));
      if (event.restarts > 0)
        figures += fmt::format(", {} {} so far", event.restarts, event.restarts == 1 ? "restart" : "restarts");
      if (event.cpu_user_ms >= 0)
        // wait4(2) tells that of no more than one process, where `status` counts all of them.
        figures += fmt::format(", CPU {} user {} system, the largest process had {} of memory",
                               span_words(event.cpu_user_ms), span_words(event.cpu_system_ms),
                               size_words(static_cast<std::uint64_t>(std::max<std::int64_t>(event.max_rss_kib, 0))));
      if (!figures.empty()) words += " (" + figures.substr(2) + ")";
    }
  }
  if (const std::string by = by_words(event); !by.empty()) words += ", by " + by;
  return words;
}

bool selects_label(std::string_view name, std::string_view label) {
  const std::size_t first = label.find('.');
  const std::size_t last = label.rfind('.');
  if (first == label.npos || first == last) return false;
  return matches_glob(name, label.substr(first + 1, last - first - 1)) || matches_glob(name, label.substr(first + 1)) ||
         matches_glob(name, label.substr(0, last)) || matches_glob(name, label);
}

bool selects_label(const std::vector<std::string>& names, std::string_view label) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return selects_label(name, label); });
}

bool EventReader::feed(std::string_view bytes, const Take& take) {
  buffer_ += bytes;
  std::size_t at = 0;
  bool more = true;
  for (std::size_t end = buffer_.find('\n', at); end != buffer_.npos; end = buffer_.find('\n', at)) {
    const std::string_view line = std::string_view(buffer_).substr(at, end - at);
    at = end + 1;
    if (line.starts_with("data: ")) take(line.substr(6));
    if (line.starts_with("id: ")) std::from_chars(line.data() + 4, line.data() + line.size(), last_);
    if (line == ": end") more = false;
  }
  buffer_.erase(0, at);
  return more;
}

namespace {

// Lines of a file of the disk's journal; none when there is no such file.
std::expected<std::vector<EventNews>, ClientError> events_of_file(const std::string& path, std::uint64_t below,
                                                                  const std::vector<std::string>& names) {
  std::vector<EventNews> events;
  const Result<std::string> bytes = os::read_own_file(path, most_of_a_file);
  if (!bytes && bytes.error().code == ENOENT) return events;
  if (!bytes) return std::unexpected(ClientError{Trouble::no_access, bytes.error()});
  std::string_view rest = *bytes;
  for (std::size_t end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
    EventNews event = event_news(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (event.id == 0 || event.id >= below) continue;
    if (names.empty() || selects_label(names, event.service)) events.push_back(std::move(event));
  }
  return events;
}

}  // namespace

std::expected<KeptEvents, ClientError> kept_events(const Context& context, const std::vector<std::string>& names) {
  KeptEvents kept;
  std::uint64_t oldest = UINT64_MAX;  // in memory
  std::vector<EventNews> in_memory;
  EventReader reader;
  Client client(context.socket_path());
  const auto answer = client.stream(
      "/v1/events?follow=0",
      [&](std::string_view bytes) {
        return reader.feed(bytes, [&](std::string_view line) {
          EventNews event = event_news(line);
          if (event.id == 0) return;
          oldest = std::min(oldest, event.id);
          if (names.empty() || selects_label(names, event.service)) in_memory.push_back(std::move(event));
        });
      },
      after(os::read_mono(), seconds(5)));
  kept.running = answer.has_value();
  if (answer && answer->status != 200) return std::unexpected(ClientError{Trouble::broken, refusal(*answer)});
  if (!answer && answer.error().trouble == Trouble::no_access) return std::unexpected(answer.error());
  for (const char* name : {"/events.1.jsonl", "/events.jsonl"}) {
    auto events = events_of_file(context.instance.directory + name, oldest, names);
    if (!events) return std::unexpected(events.error());
    std::move(events->begin(), events->end(), std::back_inserter(kept.events));
  }
  std::move(in_memory.begin(), in_memory.end(), std::back_inserter(kept.events));
  return kept;
}

}  // namespace hearth::cli
