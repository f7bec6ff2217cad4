// From a batch's raw bytes to the bytes of the file. Pure: the output is a function of the arguments and of
// where the sink rotates, so that a successor that formats the same batch again makes the same bytes.
//
//   raw      bytes as they came
//   stamped  "2025-01-31T12:00:00.000000Z " before each line
//   json     {"ts":"2025-01-31T12:00:00.000000Z","run":7,"text":"..."}
//
// A line that goes on in a later batch is left open: it is stamped once, and a json object stays without its end
// until the line end comes (or the FIFO ends). A line too long for one file is cut: raw and stamped lines go on
// at the start of the next file; a json object ends with "cut":true and the next object goes on with its text.
//
// json escapes bytes that are not valid UTF-8 losslessly, and so that every strict parser takes it: byte XX
// becomes U+10FEXX, a private character (\udbff\udeXX). To keep that unambiguous, the UTF-8 of U+10FE80 ..
// U+10FEFF itself counts as invalid, byte by byte. Tried and rejected: \u00XX (cannot be told from Latin-1
// text), U+FFFD (loses the byte), lone surrogates as Python writes them (strict parsers refuse the line).
// docs/formats/log-files.md
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"
#include "wire/log_page.h"

namespace hearth::logger {

// Where formatted bytes go. After a failure append() does nothing.
class LineSink {
 public:
  virtual ~LineSink() = default;
  virtual void append(const char* data, size_t size) = 0;
  // Bytes the current file may still take at all; UINT64_MAX when it has no bound.
  virtual uint64_t room() const = 0;
  // How many more bytes make rotation due: it is at the next line end from there. 0 = due now.
  virtual uint64_t until_due() const = 0;
  virtual void next_file() = 0;
};

// What is carried from one batch of a stream to the next.
struct LineState {
  bool at_line_start = true;
  uint32_t held_count = 0;  // json: bytes of a character that is not complete yet
  unsigned char held[3] = {};

  // LogStream::line_tail
  uint32_t pack(wire::LogFormat format) const;
  static LineState unpack(bool at_line_start, uint32_t line_tail);
};
constexpr wire::LogFormat line_tail_format(uint32_t tail) {
  return static_cast<wire::LogFormat>((tail >> 4) & 0xf);
}

struct LineStamp {
  RunId run = no_run;
  WallNs wall_ns = 0;
};

LineState format_lines(wire::LogFormat format, const LineStamp& stamp, LineState state, const char* data, size_t size,
                       LineSink& sink);
// Ends the open line, if there is one.
void close_line(wire::LogFormat format, LineState& state, LineSink& sink);
// One line that hearth itself writes, "[hearth: TEXT]"; in json with "lost":`lost`. At a line start.
void format_note(wire::LogFormat format, const LineStamp& stamp, std::string_view text, uint64_t lost, LineSink& sink);

// An upper bound of what `size` raw bytes become, a closing of the line before them included.
uint64_t formatted_bound(wire::LogFormat format, uint64_t size);

// "2025-01-31T12:00:00.000000Z", 27 bytes without NUL.
struct StampText {
  char text[28];
};
StampText stamp_text(WallNs wall_ns);

}  // namespace hearth::logger
