// The end of a line that stands as far as it was written when all of hearth died. Who goes on in its file can only add:
// a follower may have read what stands there. Raw and stamped lines need a line end; a json object also what makes it an
// object, wherever it was torn: in its begin, in an escape, in a character, in its end. Pure.
//
//   {"ts":"2025-01-31T12:00:00.000000Z","run":7,"text":"as far as it ca","torn":true}
//
// What was torn in two is made whole with what stands for no byte of anybody's (U+FFFD, U+001A, U+10FE00) where the part
// that is there allows it. docs/formats/log-files.md
#pragma once

#include <cstddef>
#include <string_view>

#include "wire/log_page.h"

namespace hearth::logger {

// What is known of where `line` begins.
enum class LineView {
  whole,    // where the line does
  unknown,  // at the beginning of a file, and the one before cannot be read: there, or between two pieces of a text
  middle,   // anywhere in it: it is longer than what was read
};

struct LineEnding {
  char text[128];
  std::size_t size = 0;

  void add(std::string_view more);
  std::string_view view() const { return {text, size}; }
};

// `line`: the last bytes of the open line, at least one; of one in the middle, at least 256.
LineEnding end_of_torn_line(wire::LogFormat format, std::string_view line, LineView view);

}  // namespace hearth::logger
