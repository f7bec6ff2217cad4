#include "cli/log_lines.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <optional>
#include <poll.h>
#include <set>
#include <sys/inotify.h>
#include <tuple>
#include <utility>

#include "base/glob.h"
#include "base/nearest.h"
#include "logs/lines.h"
#include "logs/reader.h"
#include "logs/watcher.h"
#include "model/replica_names.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_line = 1u << 20;

// "blog.web.0"; names hold no dots.
std::optional<SlotNews> slot_of(const std::string& directory, const std::string& label) {
  const std::size_t last = label.rfind('.');
  const std::size_t first = label.find('.');
  if (first == label.npos || first == last || label.find('.', first + 1) != last) return std::nullopt;
  SlotNews slot;
  slot.project = label.substr(0, first);
  slot.name = label.substr(first + 1, last - first - 1);
  const char* end = label.data() + label.size();
  const auto [stop, error] = std::from_chars(label.data() + last + 1, end, slot.index);
  if (error != std::errc() || stop != end) return std::nullopt;
  slot.log_directory = directory + "/" + label;
  return slot;
}

}  // namespace

bool selects(std::string_view name, const SlotNews& slot) {
  const std::string index = std::to_string(slot.index);
  const std::string full = slot.project + "." + slot.name;
  return matches_glob(name, slot.name) || matches_glob(name, slot.name + "." + index) || matches_glob(name, full) ||
         matches_glob(name, full + "." + index);
}

std::vector<std::string> last_lines(const SlotNews& slot, std::size_t count) {
  std::vector<std::string> lines;
  const Result<logs::Tail> tail = logs::last_lines(slot.log_directory, count);
  if (!tail) return lines;
  LineCutter cutter;
  const auto keep = [&](std::string_view line) { lines.emplace_back(line); };
  cutter.add(tail->bytes, keep);
  cutter.finish(keep);
  return lines;
}

std::vector<std::string> last_lines_since(const SlotNews& slot, std::size_t count, WallNs since) {
  std::vector<std::string> lines;
  const Result<logs::Tail> tail = logs::last_lines(slot.log_directory, count);
  if (!tail) return lines;
  logs::LineReader reader(logs::Follower::unwatched(slot.log_directory, tail->begin));
  reader.stop_at(tail->end);
  const auto keep = [&](const logs::Line& line) {
    // By the index it may be a little younger than it seems.
    const SpanNs doubt = line.stamped ? 0 : logs::time_doubt;
    if (line.wall_ns == 0 || line.wall_ns >= since - doubt) lines.emplace_back(line.text);
  };
  logs::Line line;
  for (;;) {
    const Result<logs::LineReader::Got> got = reader.next(line);
    if (!got || *got == logs::LineReader::Got::nothing) break;
    if (*got == logs::LineReader::Got::line) keep(line);
  }
  if (reader.finish(line)) keep(line);
  return lines;
}

Result<std::vector<SlotNews>> services_with_logs(const std::string& log_directory,
                                                 const std::vector<std::string>& names,
                                                 const std::vector<SlotNews>& also) {
  std::vector<SlotNews> known;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(log_directory, error)) {
    if (std::optional<SlotNews> slot = slot_of(log_directory, entry.path().filename().string())) {
      known.push_back(std::move(*slot));
    }
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return errno_failure("read", log_directory, error.value());
  if (!names.empty()) {
    for (const SlotNews& slot : also) {
      const auto same = [&](const SlotNews& one) { return full_name(one) == full_name(slot); };
      if (std::ranges::none_of(known, same)) known.push_back(slot);
    }
  }
  std::ranges::sort(known, {}, [](const SlotNews& s) { return std::tie(s.project, s.name, s.index); });

  std::vector<SlotNews> chosen;
  for (const std::string& name : names) {
    const auto any = std::ranges::find_if(known, [&](const SlotNews& slot) { return selects(name, slot); });
    if (any != known.end()) continue;
    std::string others = other_indexes(name, [&](std::string_view service) {
      std::vector<std::uint32_t> there;
      for (const SlotNews& slot : known)
        if (selects(service, slot)) there.push_back(slot.index);
      return there;
    });
    if (!others.empty())
      return failure(Remedy::not_found, "find the log of", name, "no replica of that index has written one here",
                     std::move(others));
    std::vector<std::string_view> words;
    for (const SlotNews& slot : known) words.push_back(slot.name);
    const std::string_view near = nearest(name, words);
    return failure(Remedy::not_found, "find the log of", name, "no service of that name has written one here",
                   near.empty() ? "`hearth status` lists the services" : "did you mean \"" + std::string(near) + "\"?");
  }
  for (const SlotNews& slot : known) {
    if (names.empty() || std::ranges::any_of(names, [&](const std::string& name) { return selects(name, slot); }))
      chosen.push_back(slot);
  }
  return chosen;
}

std::vector<SlotNews> take_forgotten(std::vector<SlotNews>& slots, const std::vector<SlotNews>& known) {
  std::set<std::string> names;
  for (const SlotNews& slot : known) names.insert(full_name(slot));
  const auto gone =
      std::ranges::stable_partition(slots, [&](const SlotNews& slot) { return names.contains(full_name(slot)); });
  std::vector<SlotNews> forgotten(std::make_move_iterator(gone.begin()), std::make_move_iterator(gone.end()));
  slots.erase(gone.begin(), gone.end());
  return forgotten;
}

void LineCutter::add(std::string_view bytes, const Line& line) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const bool whole = end != bytes.npos;
    const std::string_view piece = bytes.substr(0, end);
    if (whole && rest_.empty()) {
      line(piece);
    } else {
      rest_ += piece;
      if (whole || rest_.size() >= longest_line) {
        line(rest_);
        rest_.clear();
      }
    }
    bytes.remove_prefix(whole ? end + 1 : bytes.size());
  }
}

void LineCutter::finish(const Line& line) {
  if (!rest_.empty()) line(rest_);
  rest_.clear();
}

void wait_for_last_words(const SlotNews& slot, SpanNs most) {
  constexpr int quiet_ms = 250;
  Result<logs::Watcher> watcher = logs::Watcher::create();
  if (!watcher || watcher->watch(slot.log_directory, IN_MODIFY | IN_CREATE | IN_ONLYDIR) < 0) return;
  const MonoNs until = after(os::read_mono(), most);
  for (bool more = true; more && os::read_mono() < until;) {
    pollfd polled{watcher->descriptor(), POLLIN, 0};
    more = ::poll(&polled, 1, quiet_ms) == 1;
    watcher->take_events();
  }
}

}  // namespace hearth::cli
