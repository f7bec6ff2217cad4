// Small pieces of text that people and programs read: spans, cells of a table.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/time.h"

namespace hearth::api {

// For people: "4s", "2m 5s", "3h 12m", "12d 4h". Negative spans (the clock was set back) read "0s".
std::string short_span(SpanNs span);

// Services choose their STATUS= text; a terminal obeys escape sequences. Control characters become spaces,
// bytes that are not UTF-8 become U+FFFD.
std::string printable(std::string_view text);

// Code points of valid UTF-8: what a terminal shows for everything but wide characters.
std::size_t display_width(std::string_view text);

// The value of a hexadecimal digit, in either case; -1 when it is none.
int hex_digit(char c);

// At most `width` code points; what is cut ends in an ellipsis.
std::string fitted(std::string_view text, std::size_t width);

// Length of the UTF-8 sequence at the beginning of `text`; 0 when it is not one.
std::size_t utf8_sequence(std::string_view text);

}  // namespace hearth::api
