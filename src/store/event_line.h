// An event as a line of JSON, and what is found in such a line without a parser. docs/formats/events.md
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/event.h"

namespace hearth::store {

// No line is longer: texts are cut at event_text_max bytes, and only quotes and backslashes in them become longer.
inline constexpr std::size_t event_line_max = 4096;
inline constexpr std::size_t event_text_max = 1000;

// Appends one line with its end. Every line begins with {"id":N, and what services say of themselves is made valid:
// control characters become spaces, what is not UTF-8 U+FFFD.
void append_event_line(std::string& out, const EventRecord& event);

// The id of a line that begins at `text`; no_event when that is none.
EventId event_id_of(std::string_view text);

// Behind the last '\n'; 0 when there is none.
std::size_t end_of_lines(std::string_view text);

// Id of the last whole line in `text`, which begins with a line. no_event: there is none.
EventId last_event_in(std::string_view text);

}  // namespace hearth::store
