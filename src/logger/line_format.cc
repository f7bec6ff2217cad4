#include "logger/line_format.h"

#include <algorithm>
#include <stdio.h>
#include <string.h>

namespace hearth::logger {
namespace {

using wire::LogFormat;

constexpr std::string_view json_end = "\"}\n";
constexpr std::string_view json_cut_end = "\",\"cut\":true}\n";
// What always fits behind a piece of a json text: three escapes of held bytes and the end of a cut object.
constexpr uint64_t json_reserve = 64;

void append(LineSink& sink, std::string_view text) {
  sink.append(text.data(), text.size());
}

const char* find_newline(const char* from, const char* end) {
  return static_cast<const char*>(memchr(from, '\n', static_cast<size_t>(end - from)));
}

// What stands before the text of each line.
struct Prefix {
  char text[96];
  size_t size;
};

Prefix make_prefix(LogFormat format, const LineStamp& stamp) {
  Prefix prefix{};
  StampText time = stamp_text(stamp.wall_ns);
  int size = 0;
  if (format == LogFormat::stamped) {
    size = snprintf(prefix.text, sizeof prefix.text, "%s ", time.text);
  } else if (format == LogFormat::json) {
    size = snprintf(prefix.text, sizeof prefix.text, "{\"ts\":\"%s\",\"run\":%llu,\"text\":\"", time.text,
                    static_cast<unsigned long long>(stamp.run));
  }
  prefix.size = static_cast<size_t>(size);
  return prefix;
}

void rotate_if_due(LineSink& sink) {
  if (sink.until_due() == 0) sink.next_file();
}

// Appends bytes that may be divided anywhere, going on in a next file when this one is full.
void append_divisible(LineSink& sink, const char* data, size_t size) {
  while (size > 0) {
    uint64_t room = sink.room();
    size_t part = static_cast<size_t>(std::min<uint64_t>(room, size));
    sink.append(data, part);
    data += part;
    size -= part;
    if (size > 0) sink.next_file();
  }
}

// Raw bytes need a look at lines only where rotation is due: all before goes out in one piece.
bool format_raw(bool at_line_start, const char* data, const char* end, LineSink& sink) {
  while (data < end) {
    if (at_line_start) rotate_if_due(sink);
    uint64_t skip = sink.until_due();
    size_t size = static_cast<size_t>(end - data);
    const char* stop = end;
    if (skip <= size) {
      // The byte at skip - 1 is the first that can be the last of this file.
      const char* newline = find_newline(data + (skip > 0 ? skip - 1 : 0), end);
      if (newline != nullptr) stop = newline + 1;
    }
    append_divisible(sink, data, static_cast<size_t>(stop - data));
    data = stop;
    at_line_start = data[-1] == '\n';
  }
  return at_line_start;
}

bool format_stamped(const Prefix& prefix, bool at_line_start, const char* data, const char* end, LineSink& sink) {
  while (data < end) {
    if (at_line_start) {
      rotate_if_due(sink);
      sink.append(prefix.text, prefix.size);
    }
    const char* newline = find_newline(data, end);
    const char* stop = newline != nullptr ? newline + 1 : end;
    append_divisible(sink, data, static_cast<size_t>(stop - data));
    data = stop;
    at_line_start = newline != nullptr;
  }
  return at_line_start;
}

void append_invalid(unsigned char byte, LineSink& sink) {
  char escape[16];
  snprintf(escape, sizeof escape, "\\udbff\\ude%02x", byte);
  sink.append(escape, 12);
}

// Length of the valid UTF-8 character at `at`: 1..4; 0 = invalid; -1 = valid so far, but it ends too early.
// The private range that stands for invalid bytes is invalid itself.
int character_length(const unsigned char* at, const unsigned char* end) {
  unsigned char lead = at[0];
  if (lead < 0x80) return 1;
  int length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length == 0) return 0;
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;   // no overlong forms
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;  // no surrogates, none above U+10FFFF
  for (int i = 1; i < length; ++i) {
    if (at + i == end) return -1;
    if (at[i] < low || at[i] > high) return 0;
    low = 0x80;
    high = 0xbf;
  }
  bool stands_for_byte = length == 4 && lead == 0xf4 && at[1] == 0x8f && (at[2] == 0xba || at[2] == 0xbb);
  return stands_for_byte ? 0 : length;
}

class JsonText {
 public:
  JsonText(const Prefix& prefix, LineSink& sink) : prefix_(prefix), sink_(sink) {}

  LineState format(LineState state, const char* data, const char* end) {
    while (data < end) {
      if (state.at_line_start) {
        rotate_if_due(sink_);
        sink_.append(prefix_.text, prefix_.size);
        state.at_line_start = false;
      }
      if (state.held_count > 0) {
        data = complete_held(state, data, end);
        continue;
      }
      const char* newline = find_newline(data, end);
      text(data, newline != nullptr ? newline : end, newline != nullptr, state);
      if (newline == nullptr) return state;
      append(sink_, json_end);
      state.at_line_start = true;
      data = newline + 1;
    }
    return state;
  }

 private:
  void invalid_byte(unsigned char byte) {
    make_room();
    append_invalid(byte, sink_);
  }

  // Escapes [data, end). Unless the line is complete, a character cut off at the end is held back.
  void text(const char* data, const char* end, bool complete, LineState& state) {
    auto at = reinterpret_cast<const unsigned char*>(data);
    auto stop = reinterpret_cast<const unsigned char*>(end);
    const unsigned char* plain = at;
    while (at < stop) {
      if (*at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\') {
        ++at;
        continue;
      }
      int length = *at >= 0x80 ? character_length(at, stop) : 1;
      if (length > 1) {
        at += length;
        continue;
      }
      flush(plain, at);
      if (length == -1 && !complete) {
        state.held_count = static_cast<uint32_t>(stop - at);
        memcpy(state.held, at, state.held_count);
        return;
      }
      if (*at >= 0x80) {
        invalid_byte(*at);
      } else {
        control(*at);
      }
      plain = ++at;
    }
    flush(plain, at);
  }

  void control(unsigned char byte) {
    char escape[8] = {'\\', 0};
    switch (byte) {
      case '"':
      case '\\': escape[1] = static_cast<char>(byte); break;
      case '\t': escape[1] = 't'; break;
      case '\r': escape[1] = 'r'; break;
      default: snprintf(escape, sizeof escape, "\\u%04x", byte);
    }
    piece(escape, strlen(escape));
  }

  // Bytes that need no escape. A cut may fall between two characters only, hence the step back over
  // continuation bytes.
  void flush(const unsigned char* from, const unsigned char* to) {
    while (from < to) {
      make_room();
      uint64_t room = sink_.room();
      size_t size = static_cast<size_t>(to - from);
      if (room != UINT64_MAX && size + json_reserve > room) {
        size = static_cast<size_t>(room - json_reserve);
        while (size > 0 && from + size < to && (from[size] & 0xc0) == 0x80) --size;
      }
      sink_.append(reinterpret_cast<const char*>(from), size);
      from += size;
    }
  }

  void piece(const char* data, size_t size) {
    make_room();
    sink_.append(data, size);
  }

  void make_room() {
    if (sink_.room() >= 2 * json_reserve) return;
    append(sink_, json_cut_end);
    sink_.next_file();
    sink_.append(prefix_.text, prefix_.size);
  }

  // Puts what was held back and the first new bytes together. Returns where to go on.
  const char* complete_held(LineState& state, const char* data, const char* end) {
    unsigned char joined[8];
    uint32_t held = state.held_count;
    size_t fresh = std::min<size_t>(4, static_cast<size_t>(end - data));
    memcpy(joined, state.held, held);
    memcpy(joined + held, data, fresh);
    const unsigned char* stop = joined + held + fresh;
    state.held_count = 0;
    uint32_t at = 0;
    while (at < held) {
      int length = character_length(joined + at, stop);
      if (length == -1) {
        // Fewer than four new bytes came, and all of them belong to this character.
        state.held_count = static_cast<uint32_t>(stop - (joined + at));
        memcpy(state.held, joined + at, state.held_count);
        return end;
      }
      if (length > 0) {
        piece(reinterpret_cast<const char*>(joined + at), static_cast<size_t>(length));
        at += static_cast<uint32_t>(length);
      } else {
        invalid_byte(joined[at++]);
      }
    }
    return data + (at - held);
  }

  const Prefix& prefix_;
  LineSink& sink_;
};

}  // namespace

uint32_t LineState::pack(LogFormat format) const {
  uint32_t tail = held_count | static_cast<uint32_t>(format) << 4;
  for (uint32_t i = 0; i < held_count; ++i) tail |= static_cast<uint32_t>(held[i]) << (8 + 8 * i);
  return tail;
}

LineState LineState::unpack(bool at_line_start, uint32_t line_tail) {
  LineState state;
  state.at_line_start = at_line_start;
  if (at_line_start) return state;
  state.held_count = std::min<uint32_t>(line_tail & 0xf, sizeof state.held);
  for (uint32_t i = 0; i < state.held_count; ++i) {
    state.held[i] = static_cast<unsigned char>(line_tail >> (8 + 8 * i));
  }
  return state;
}

LineState format_lines(LogFormat format, const LineStamp& stamp, LineState state, const char* data, size_t size,
                       LineSink& sink) {
  const char* end = data + size;
  if (format == LogFormat::json) {
    Prefix prefix = make_prefix(format, stamp);
    return JsonText(prefix, sink).format(state, data, end);
  }
  if (format == LogFormat::stamped) {
    Prefix prefix = make_prefix(format, stamp);
    state.at_line_start = format_stamped(prefix, state.at_line_start, data, end, sink);
  } else {
    state.at_line_start = format_raw(state.at_line_start, data, end, sink);
  }
  return state;
}

void close_line(LogFormat format, LineState& state, LineSink& sink) {
  if (state.at_line_start) return;
  if (format == LogFormat::json) {
    for (uint32_t i = 0; i < state.held_count; ++i) append_invalid(state.held[i], sink);
    append(sink, json_end);
  } else {
    append(sink, "\n");
  }
  state = {};
}

void format_note(LogFormat format, const LineStamp& stamp, std::string_view text, uint64_t lost, LineSink& sink) {
  Prefix prefix = make_prefix(format, stamp);
  rotate_if_due(sink);
  sink.append(prefix.text, prefix.size);
  append(sink, "[hearth: ");
  append(sink, text);
  append(sink, "]");
  if (format == LogFormat::json) {
    char end[48];
    snprintf(end, sizeof end, "\",\"lost\":%llu}\n", static_cast<unsigned long long>(lost));
    append(sink, end);
  } else {
    append(sink, "\n");
  }
}

uint64_t formatted_bound(LogFormat format, uint64_t size) {
  switch (format) {
    case LogFormat::raw: return size + 1;
    case LogFormat::stamped: return size * 29 + 1;
    case LogFormat::json: break;
  }
  return size * 88 + 256;  // an empty line is the worst: 27 of stamp, up to 20 of run, 34 of frame
}

StampText stamp_text(WallNs wall_ns) {
  int64_t seconds = wall_ns / ns_per_s;
  int64_t micros = wall_ns % ns_per_s / ns_per_us;
  int64_t days = seconds / 86'400;
  int64_t of_day = seconds % 86'400;
  // Civil date from days since 1970 in the proleptic Gregorian calendar: years that begin in March put the leap
  // day last (E. G. Richards, Explanatory Supplement to the Astronomical Almanac, 2013, section 15.11).
  int64_t shifted = days + 719'468;  // days since 0000-03-01
  int64_t era = shifted / 146'097;
  int64_t of_era = shifted % 146'097;
  int64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month_from_march = (5 * of_year + 2) / 153;
  auto day = static_cast<int>(of_year - (153 * month_from_march + 2) / 5 + 1);
  auto month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  auto year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));

  char wide[96];  // room for whatever the compiler thinks an int may be
  snprintf(wide, sizeof wide, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day, static_cast<int>(of_day / 3'600),
           static_cast<int>(of_day / 60 % 60), static_cast<int>(of_day % 60), static_cast<int>(micros));
  StampText stamp{};
  memcpy(stamp.text, wide, sizeof stamp.text - 1);
  return stamp;
}

}  // namespace hearth::logger
