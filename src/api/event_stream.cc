#include "api/event_stream.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "api/names.h"
#include "base/glob.h"

namespace hearth::api {
namespace {

constexpr std::size_t piece_bytes = 48u << 10;

// The journal writes these members in this order and before all texts: {"id":N,"time":"...","kind":"K","service":"S",
// so they are found without parsing the line.
std::string_view member(std::string_view line, std::string_view name) {
  const std::size_t at = line.substr(0, 400).find(name);
  if (at == line.npos) return {};
  line.remove_prefix(at + name.size());
  return line.substr(0, line.find('"'));
}

EventId id_of(std::string_view line) {
  constexpr std::string_view prefix = "{\"id\":";
  EventId id = no_event;
  if (line.starts_with(prefix)) std::from_chars(line.data() + prefix.size(), line.data() + line.size(), id);
  return id;
}

std::string_view service_of(std::string_view line) {
  constexpr std::string_view kind = "\"kind\":\"";
  const std::size_t at = line.find(kind);
  if (at == line.npos) return {};
  std::string_view rest = line.substr(at + kind.size());
  rest.remove_prefix(std::min(rest.find('"'), rest.size()));
  constexpr std::string_view service = "\",\"service\":\"";
  if (!rest.starts_with(service)) return {};
  rest.remove_prefix(service.size());
  return rest.substr(0, rest.find('"'));
}

}  // namespace

bool selects_label(const std::vector<std::string>& names, std::string_view label) {
  const std::size_t first = label.find('.');
  const std::size_t last = label.rfind('.');
  if (first == label.npos || first == last) return false;
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return matches_glob(name, label.substr(first + 1, last - first - 1)) ||
           matches_glob(name, label.substr(first + 1)) || matches_glob(name, label.substr(0, last)) ||
           matches_glob(name, label);
  });
}

namespace {

// Events know no tags: those that have them now, by name. A tag that nobody has stays, and matches nothing.
void resolve_tags(std::vector<std::string>& names, const ports::Control& control) {
  const auto is_tag = [](const std::string& name) { return name.starts_with('@'); };
  if (std::none_of(names.begin(), names.end(), is_tag)) return;
  const InstanceStatus status = control.status();
  std::vector<std::string> tagged;
  for (std::string& name : names) {
    if (!is_tag(name)) continue;
    if (const Result<std::vector<std::size_t>> chosen = choose(status, {name}))
      for (const std::size_t i : *chosen) tagged.push_back(status.services[i].project + "." + status.services[i].name);
  }
  names.insert(names.end(), tagged.begin(), tagged.end());
}

}  // namespace

EventStream::EventStream(EventsAsked asked, const ports::Control& control) : asked_(std::move(asked)) {
  resolve_tags(asked_.names, control);
  if (asked_.from_now) asked_.after = control.events(UINT64_MAX, 0).newest;
}

bool EventStream::chosen(std::string_view line) const {
  return asked_.names.empty() || selects_label(asked_.names, service_of(line));
}

std::string EventStream::next(const ports::Control& control) {
  std::string out;
  while (!over_ && out.empty()) {
    const ports::EventLines found = control.events(asked_.after, piece_bytes);
    if (!std::exchange(began_, true) || found.oldest > asked_.after + 1) {
      // An id of another life of this directory, or of a journal that was lost: with what comes from now on.
      if (asked_.after > found.newest) asked_.after = found.newest;
      if (asked_.after != no_event && found.oldest > asked_.after + 1)
        out += fmt::format("event: gap\ndata: {{\"after\":{},\"oldest\":{}}}\n\n", asked_.after, found.oldest);
    }
    std::string_view rest = found.text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const EventId id = id_of(line);
      if (id == no_event) continue;
      asked_.after = id;
      if (!chosen(line)) continue;
      out += fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, member(line, "\"kind\":\""), line);
    }
    if (!found.text.empty()) continue;
    if (asked_.follow) break;
    out += ": end\n\n";
    over_ = true;
  }
  return out;
}

}  // namespace hearth::api
