#include "cli/progress.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/rounded.h"
#include "base/toml_text.h"
#include "config/text.h"

namespace hearth::cli {
namespace {

constexpr const char* green = "\x1b[32m";
constexpr const char* yellow = "\x1b[33m";
constexpr const char* red = "\x1b[31m";
constexpr const char* plain = "\x1b[0m";

std::string word_of(const SlotNews& slot) {
  if (slot.outcome == "superseded") return "superseded";
  if (slot.outcome == "incomplete") return slot.state + " (incomplete)";
  if (slot.outcome == "failed" && slot.state != "failed") return slot.state + " (failed)";
  if (!slot.removed.empty() && slot.outcome == "done") return "removed";
  // Its leader has ended, but not yet all of its tree.
  if (slot.outcome == "pending" && slot.state == "stopped") return "stopping";
  return slot.state_word();
}

const char* color_of(const SlotNews& slot) {
  if (slot.outcome == "failed" || slot.outcome == "incomplete") return red;
  return slot.outcome == "done" ? green : yellow;
}

// What there is to say beside the state: why it failed or waits, else what the service says of itself.
std::string remark(const SlotNews& slot) {
  if (slot.outcome == "superseded") return "by a later order";
  if (!slot.removed.empty() && slot.outcome != "incomplete") return slot.removed;
  if (slot.outcome != "done" && !slot.reason_text.empty()) return slot.reason_text;
  return slot.outcome == "pending" ? slot.status : std::string();
}

int urgency(const SlotNews& slot) {
  if (slot.outcome == "failed" || slot.outcome == "incomplete") return 0;
  return slot.outcome == "pending" ? 1 : 2;
}

}  // namespace

std::string shown(std::string_view text, std::size_t width) {
  std::string clean;
  const bool utf8 = valid_utf8(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) {
      clean += ' ';
    } else if (c >= 0x80 && !utf8) {
      clean += '?';
    } else if (utf8 && c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      clean += ' ';  // C1 control characters
      ++i;
    } else {
      clean += text[i];
    }
  }
  if (width == 0 || config::character_count(clean) <= width) return clean;
  std::size_t at = 0, characters = 0;
  while (at < clean.size()) {
    const bool starts = (static_cast<unsigned char>(clean[at]) & 0xc0) != 0x80;
    if (starts && ++characters == width) break;
    ++at;
  }
  return clean.substr(0, at) + "\xe2\x80\xa6";
}

std::string elapsed_text(SpanNs span) {
  if (const std::int64_t ms = rounded(span, ns_per_ms); ms < 1'000) return fmt::format("{}ms", ms);
  if (const std::int64_t tenths = rounded(span, ns_per_s / 10); tenths < 100)
    return fmt::format("{}.{}s", tenths / 10, tenths % 10);
  const std::int64_t s = rounded(span, ns_per_s);
  if (s < 60) return fmt::format("{}s", s);
  return s < 3600 ? fmt::format("{}m {}s", s / 60, s % 60) : fmt::format("{}h {}m", s / 3600, s / 60 % 60);
}

void Progress::note(const OrderNews& news, SpanNs elapsed) {
  for (const SlotNews& slot : news.slots) {
    const bool is_new = !known_.contains(full_name(slot));
    Known& known = known_[full_name(slot)];
    known.done_at_first = slot.outcome == "done" && (is_new || known.done_at_first);
    if (slot.outcome == "pending") {
      known.settled_after = -1;
    } else if (known.settled_after < 0 || known.settled_state != slot.state) {
      // When it happened, not when we looked; what lies before the order, or after now, is another clock's time.
      const bool told = began_ != 0 && slot.since != 0;
      known.settled_after = told ? std::clamp<SpanNs>(slot.since - began_, 0, elapsed) : elapsed;
      known.settled_state = slot.state;
    }
  }
}

bool Progress::ran_before(const SlotNews& slot) const {
  const std::string replica = fmt::format("{}.{}", slot.name, slot.index);
  return ran_before_.contains(slot.name) || ran_before_.contains(replica) || ran_before_.contains(full_name(slot));
}

std::string Progress::changes(const OrderNews& news, SpanNs elapsed) {
  note(news, elapsed);
  const Labels labels(news.slots);
  std::vector<std::pair<SpanNs, std::string>> lines;  // in the order in which it happened, as far as that is told
  for (const SlotNews& slot : news.slots) {
    Known& known = known_[full_name(slot)];
    const std::string word = word_of(slot) + "/" + slot.outcome;
    if (known.word == word) continue;
    const bool first = known.word.empty(), pending = slot.outcome == "pending";
    known.word = word;
    std::string more = remark(slot);
    if (slot.state == "stopping" && more == slot.status) more.clear();  // said while it was up
    if (pending && slot.state == "running" && !slot.has_readiness) continue;
    if (pending && slot.state == "starting" && known.tried) continue;
    if (pending && slot.state == "backoff") {
      if (known.tried && known.retry == more) continue;
      known.tried = true;
      known.retry = more;
    }
    std::string text = labels.of(slot) + ": " + word_of(slot);
    if (first && slot.outcome == "done" && ran_before(slot)) {
      text += slot.pid != 0 ? fmt::format(" as before (PID {})", slot.pid) : std::string(" as before");
      text += slot.forgotten ? "; now it is forgotten\n" : "\n";
      lines.emplace_back(0, std::move(text));
      continue;
    }
    if (!pending) text += fmt::format(" after {}", elapsed_text(known.settled_after));
    if (!more.empty()) text += ": " + shown(more, 0);
    text += '\n';
    lines.emplace_back(pending ? elapsed : known.settled_after, std::move(text));
  }
  std::ranges::stable_sort(lines, {}, [](const auto& line) { return line.first; });
  std::string text;
  for (const auto& [when, line] : lines) text += line;
  return text;
}

std::string Progress::region(const OrderNews& news, SpanNs elapsed, const Terminal& terminal) {
  note(news, elapsed);
  const std::size_t most = terminal.rows > 4 ? terminal.rows - 3 : 1;
  std::vector<const SlotNews*> slots;
  for (const SlotNews& slot : news.slots) slots.push_back(&slot);
  const bool all = slots.size() <= most;
  // What does not fit is what is done already.
  if (!all) std::stable_sort(slots.begin(), slots.end(), [](auto a, auto b) { return urgency(*a) < urgency(*b); });
  const std::size_t count = all ? slots.size() : most - 1;

  const Labels labels(news.slots);
  std::size_t name_width = 0, word_width = 0, time_width = 0;
  std::vector<std::array<std::string, 3>> cells;
  for (std::size_t i = 0; i < count; ++i) {
    const SpanNs settled = known_[full_name(*slots[i])].settled_after;
    const bool before = known_[full_name(*slots[i])].done_at_first && ran_before(*slots[i]);
    cells.push_back({labels.of(*slots[i]), word_of(*slots[i]),
                     before ? "as before" : elapsed_text(settled < 0 ? elapsed : settled)});
    name_width = std::max(name_width, cells[i][0].size());
    word_width = std::max(word_width, cells[i][1].size());
    time_width = std::max(time_width, cells[i][2].size());
  }
  const std::size_t columns = terminal.columns == 0 ? 80 : terminal.columns;
  if (name_width + word_width + 3 > columns) name_width = columns > word_width + 11 ? columns - word_width - 3 : 8;

  std::string text = written_ > 0 ? fmt::format("\x1b[{}A", written_) : std::string();
  const std::size_t before = written_;
  written_ = 0;
  const auto line = [&](const std::string& content) {
    text += "\r" + content + "\x1b[K\n";
    ++written_;
  };
  for (std::size_t i = 0; i < count; ++i) {
    const char* color = terminal.color ? color_of(*slots[i]) : "";
    std::string content = fmt::format("{:<{}}  {}{:<{}}{}", shown(cells[i][0], name_width), name_width, color,
                                      cells[i][1], word_width, terminal.color ? plain : "");
    std::size_t used = name_width + 2 + word_width;
    if (used + 2 + time_width < columns) {
      content += fmt::format("  {:<{}}", cells[i][2], time_width);
      used += 2 + time_width;
      // One column stays free: some terminals wrap when the last one is written.
      const bool only_forgotten = slots[i]->forgotten && cells[i][2] == "as before";
      const std::string more = only_forgotten ? "now forgotten" : remark(*slots[i]);
      if (!more.empty() && used + 12 < columns) content += "  " + shown(more, columns - used - 3);
    }
    line(content);
  }
  if (!all) line(fmt::format("... and {} more", slots.size() - count));
  // A region that has become shorter leaves blank lines, which the next one takes again.
  while (written_ < before) line("");
  return text;
}

std::string summary(const OrderNews& news) {
  std::vector<std::pair<std::string, std::size_t>> counts;
  for (const SlotNews& slot : news.slots) {
    const std::string word = word_of(slot);
    const auto same = std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == word; });
    if (same == counts.end()) {
      counts.emplace_back(word, 1);
    } else {
      ++same->second;
    }
  }
  std::string text;
  for (const auto& [word, count] : counts) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", count, word);
  }
  return text;
}

}  // namespace hearth::cli
