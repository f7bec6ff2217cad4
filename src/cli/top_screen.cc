#include "cli/top_screen.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>

#include "cli/progress.h"

namespace hearth::cli {
namespace {

constexpr char escape = '\x1b';

// As many of them as there is room for, the first ones first; columns 0: all.
std::string fitting(std::initializer_list<std::string_view> entries, std::size_t columns) {
  std::string text;
  for (const std::string_view entry : entries) {
    if (columns > 0 && !text.empty() && text.size() + entry.size() > columns) break;
    text += entry;
  }
  return text;
}

}  // namespace

bool TopScreen::type(std::string_view bytes) {
  while (!bytes.empty()) {
    // Cursor keys are ESC [ A and ESC [ B, or with O in the place of [. Of all others nothing may count as a key: they end
    // with the first byte from @ to ~, "ESC [ 1 ; 5 S" with an S (ECMA-48, 5.4).
    if (bytes.size() >= 3 && bytes[0] == escape && (bytes[1] == '[' || bytes[1] == 'O')) {
      std::size_t end = 2;
      while (bytes[1] == '[' && end < bytes.size() && bytes[end] >= ' ' && bytes[end] < '@') ++end;
      const char last = end == 2 ? bytes[2] : '\0';
      bytes.remove_prefix(std::min(end + 1, bytes.size()));
      const char key = last == 'A' ? 'k' : last == 'B' ? 'j' : '\0';
      if (key != '\0' && press(key)) return true;
      continue;
    }
    if (press(bytes[0])) return true;
    bytes.remove_prefix(1);
  }
  return false;
}

bool TopScreen::press(char key) {
  message_.clear();
  if (mode_ != Mode::table) {
    if (mode_ == Mode::question && key == 'y') wish_ = Wish{verb_, chosen_};
    mode_ = Mode::table;
    return false;
  }
  switch (key) {
    case 'q': return true;
    case 'c': order_ = TopOrder::cpu; break;
    case 'm': order_ = TopOrder::memory; break;
    case 'r': order_ = TopOrder::restarts; break;
    case 'u': order_ = TopOrder::uptime; break;
    case 'n': order_ = TopOrder::name; break;
    case 'j': move(1); break;
    case 'k': move(-1); break;
    case escape: chosen_.clear(); break;
    case 'R': ask("restart"); break;
    case 'S': ask("stop"); break;
    case 't': ask("start"); break;
    case 'l':
      if (chosen_.empty())
        say("choose a service first: j or k");
      else
        mode_ = Mode::log;
      break;
    default: break;
  }
  return false;
}

void TopScreen::move(int by) {
  if (names_.empty()) return;
  const auto at = std::ranges::find(names_, chosen_);
  const int last = static_cast<int>(names_.size()) - 1;
  const int before = at == names_.end() ? (by > 0 ? -1 : last + 1) : static_cast<int>(at - names_.begin());
  chosen_ = names_[static_cast<std::size_t>(std::clamp(before + by, 0, last))];
}

void TopScreen::ask(const char* verb) {
  if (chosen_.empty()) return say("choose a service first: j or k");
  verb_ = verb;
  mode_ = Mode::question;
}

std::optional<TopScreen::Wish> TopScreen::take_wish() {
  return std::exchange(wish_, std::nullopt);
}

std::string TopScreen::last_line(std::size_t columns) const {
  if (mode_ == Mode::question) {
    // What has `stop = true` on it stops with it, and which those are is the server's knowledge.
    const std::string whole = fmt::format("{} {}, and what stops with it? y/n", verb_, label_);
    if (verb_ == "stop" && (columns == 0 || whole.size() <= columns)) return whole;
    return fmt::format("{} {}? y/n", verb_, label_);
  }
  if (!message_.empty()) return message_;
  if (chosen_.empty())
    return fitting(
        {"q ends", "; j k choose one", "; sort: c CPU", ", m memory", ", r restarts", ", u uptime", ", n name"},
        columns);
  return fitting({label_ + ": ", "l log", ", R restart", ", S stop", ", t start", "; q ends"}, columns);
}

std::string TopScreen::frame(std::vector<TopRow> rows, const Terminal& terminal, const LastLines& last_lines) {
  // Beside the table: an empty line, the last one, and the one that the cursor is in.
  const std::size_t room = terminal.rows > 4 ? terminal.rows - 3 : 2;
  sort_rows(rows, order_);
  names_.clear();
  std::size_t chosen = rows.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    names_.push_back(full_name(*rows[i].slot));
    if (names_.back() == chosen_) chosen = i;
  }
  if (chosen == rows.size()) {  // it has gone
    chosen_.clear();
    if (mode_ != Mode::table) mode_ = Mode::table;
  } else {
    label_ = rows[chosen].name;
  }
  std::string text = "\x1b[H\x1b[J", last = last_line(terminal.columns);
  if (mode_ == Mode::log) {
    const std::vector<std::string> lines = last_lines(*rows[chosen].slot, room);
    const std::size_t skipped = lines.size() > room ? lines.size() - room : 0;
    for (std::size_t i = skipped; i < lines.size(); ++i) text += shown(lines[i], terminal.columns) + "\n";
    last = label_ + (lines.empty() ? " has written nothing" : ", what it wrote last") + "; any key leads back";
  } else {
    text += top_table(rows, terminal.columns, room, chosen);
  }
  return text + "\n" + shown(last, terminal.columns) + "\n";
}

}  // namespace hearth::cli
