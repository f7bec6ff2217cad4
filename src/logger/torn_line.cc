#include "logger/torn_line.h"

#include <algorithm>
#include <string.h>

namespace hearth::logger {
namespace {

// An object of line_format.cc: every digit of the stamp may be another one.
constexpr std::string_view until_run = R"({"ts":"2000-01-01T00:00:00.000000Z","run":)";
constexpr std::string_view until_text = R"(,"text":")";
constexpr std::string_view torn_end = R"(","torn":true})";
constexpr std::string_view cut_end = R"(","cut":true})";
constexpr std::string_view lost_end = R"(","lost":)";
constexpr std::size_t second_digit_of_day = until_run.find("01T") + 1;
// With a run of twenty digits.
constexpr std::size_t longest_begin = until_run.size() + 20 + until_text.size();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
std::size_t digits_at(std::string_view text, std::size_t from) {
  std::size_t at = from;
  while (at < text.size() && is_digit(text[at])) ++at;
  return at - from;
}

// How an attempt to end the line as an object went.
enum class Tried { ended, goes_on, no_object };

// The part before the text. goes_on: it is there, and the text begins at `text`.
Tried end_begin(std::string_view line, std::size_t& text, LineEnding& out) {
  for (std::size_t i = 0; i < until_run.size(); ++i) {
    if (i == line.size()) {
      // Not every month has a 31st.
      const bool thirtieth = i == second_digit_of_day && line[i - 1] == '3';
      if (thirtieth) out.add("0");
      out.add(until_run.substr(i + (thirtieth ? 1 : 0)));
      out.add("0");
      out.add(until_text);
      out.add(torn_end);
      return Tried::ended;
    }
    if (is_digit(until_run[i]) ? !is_digit(line[i]) : line[i] != until_run[i]) return Tried::no_object;
  }
  const std::size_t digits = digits_at(line, until_run.size());
  const std::string_view rest = line.substr(until_run.size() + digits);
  if (digits == 0 && !rest.empty()) return Tried::no_object;
  text = line.size() - rest.size() + until_text.size();
  if (rest.starts_with(until_text)) return Tried::goes_on;
  if (!until_text.starts_with(rest)) return Tried::no_object;
  if (digits == 0) out.add("0");
  out.add(until_text.substr(rest.size()));
  out.add(torn_end);
  return Tried::ended;
}

// `rest` begins with the quotation mark behind the text.
Tried end_end(std::string_view rest, LineEnding& out) {
  if (rest == "\"}") return Tried::ended;
  for (const std::string_view end : {torn_end, cut_end}) {
    if (!end.starts_with(rest)) continue;
    out.add(end.substr(rest.size()));
    return Tried::ended;
  }
  if (lost_end.starts_with(rest)) {
    out.add(lost_end.substr(rest.size()));
    rest = lost_end;
  }
  if (!rest.starts_with(lost_end)) return Tried::no_object;
  const std::size_t digits = digits_at(rest, lost_end.size());
  const std::string_view behind = rest.substr(lost_end.size() + digits);
  constexpr std::string_view torn_number = torn_end.substr(1);
  if (digits > 0 && behind == "}") return Tried::ended;
  if (!torn_number.starts_with(behind) || (digits == 0 && !behind.empty())) return Tried::no_object;
  if (digits == 0) out.add("0");
  out.add(torn_number.substr(behind.size()));
  return Tried::ended;
}

// Bytes of the escape or character that begins `text`, complete or not.
std::size_t length_of(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead == '\\') return text.size() < 2 || text[1] != 'u' ? 2 : text.starts_with("\\udbff") ? 12 : 6;
  return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

void complete_escape(std::string_view part, LineEnding& out) {
  for (const std::string_view whole : {"\\ufffd", "\\u001a", "\\u0000", "\\u007f", "\\udbff\\ude00"}) {
    if (!whole.starts_with(part)) continue;
    out.add(whole.substr(part.size()));
    return;
  }
  out.add("0");  // \udbff\udeX: the upper half of a byte is known
}

void complete_character(std::string_view part, LineEnding& out) {
  std::size_t missing = length_of(part) - part.size();
  const auto lead = static_cast<unsigned char>(part[0]);
  if (part.size() == 1 && (lead == 0xe0 || lead == 0xf0)) {  // no overlong forms
    out.add(lead == 0xe0 ? "\xa0" : "\x90");
    --missing;
  }
  for (; missing > 0; --missing) out.add("\x80");
}

Tried end_text(std::string_view text, LineEnding& out) {
  while (!text.empty()) {
    if (text[0] == '"') return end_end(text, out);
    const std::size_t length = length_of(text);
    if (length > text.size()) {
      text[0] == '\\' ? complete_escape(text, out) : complete_character(text, out);
      break;
    }
    text.remove_prefix(length);
  }
  out.add(torn_end);
  return Tried::ended;
}

// What is before the text may be there in part, and has quotation marks. No escape is divided behind a byte that is no
// backslash, but one of \u: its digits pass for text, which does no harm so far from the end.
Tried end_middle(std::string_view line, LineEnding& out) {
  line.remove_prefix(std::min(line.size(), longest_begin));
  const auto plain = std::find_if(line.begin(), line.end(), [](char c) { return c != '\\'; });
  if (plain != line.end()) return end_text({plain + 1, line.end()}, out);
  // Nothing but backslashes: is the last one the first or the second of its escape? A slash may follow both.
  out.add("/");
  out.add(torn_end);
  return Tried::ended;
}

Tried end_object(std::string_view line, LineView view, LineEnding& out) {
  if (view == LineView::middle) return end_middle(line, out);
  std::size_t text = 0;
  const Tried begin = end_begin(line, text, out);
  if (begin == Tried::goes_on) return end_text(line.substr(text), out);
  return begin == Tried::no_object && view == LineView::unknown ? end_text(line, out) : begin;
}

}  // namespace

void LineEnding::add(std::string_view more) {
  const std::size_t fits = std::min(more.size(), sizeof text - size);
  memcpy(text + size, more.data(), fits);
  size += fits;
}

LineEnding end_of_torn_line(wire::LogFormat format, std::string_view line, LineView view) {
  LineEnding ending;
  const bool object = format == wire::LogFormat::json;
  // What is none of ours was written in another format, before that of the stream was changed.
  if (object && end_object(line, view, ending) == Tried::no_object) ending.size = 0;
  ending.add("\n");
  return ending;
}

}  // namespace hearth::logger
