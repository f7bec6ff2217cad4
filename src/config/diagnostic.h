// One thing that is wrong in a file: where, what, and what to do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::config {

// Counted from 1; columns in characters, as editors do. Line 0: the source has no lines (source.h).
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::uint16_t source = 0;  // index into the sources that were read together; 0 = the project file
  std::uint16_t part = 0;    // 0 = its own; else the shared table it was taken from (templates.h)
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct Diagnostic {
  std::string file;
  Position at;
  std::string message;  // what was found, and what was expected
  std::string remedy;   // what to write instead; may be empty

  // "hearth.toml:12:3: service web: stop_timeout is ...; write ...". Without numbers for a source that has no lines.
  std::string text() const;
  // The line of the source it is about, with a caret below the place; empty when `source` has no such line, or the place has none.
  // Both lines are indented by two spaces and end in a newline. Long lines are cut around the place.
  std::string excerpt(std::string_view source) const;
};

}  // namespace hearth::config
