// Looks for a pattern in the lines that a run has written, in the files of its log (docs/formats/log-files.md). Called
// by the looker's thread: a disk may hang.
//
// Model
// -----
// What is searched begins where the slot's output stood when the run was spawned, and ends at what the logger has
// committed; bytes beyond may be taken back. Where it begins is known as a number of bytes in all files together, and
// becomes a place, a file and an offset, with the first search: from the committed end backwards over the sizes of
// files. Each search goes on where the last one ended, with the line that was begun there.
//
//   lines     only complete ones, without the stamp or the JSON around them; of a long one the first line_max bytes
//   a search  reads at most bytes_max, which is what a disk gives in some ten milliseconds; the next goes on
//   gaps      what rotation has removed or compressed before it was read is not found; the search goes on behind it
//
// The pattern is an extended regular expression of POSIX (regcomp(3)): std::regex recurses per character, and a long
// line is the end of its stack.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::probe {

struct LogPlace {
  std::uint64_t file = 0;  // from 1; 0 = not known yet
  std::uint64_t offset = 0;
  friend bool operator==(const LogPlace&, const LogPlace&) = default;
};

struct LogSearch {
  std::string directory;  // of the slot's log, absolute
  std::string pattern;
  std::string format;        // LogSpec::format
  std::uint64_t run = 0;     // whose lines count, where lines say that (json)
  std::uint64_t behind = 0;  // while `at` is not known: so many bytes before `end` it is
  LogPlace at;
  LogPlace end;       // committed
  std::string begun;  // of the line that was begun before `at`
  bool found = false;
  std::string problem;  // why it could not be searched; "" = it could
};

inline constexpr std::size_t line_max = 4096;
inline constexpr std::uint64_t bytes_max = 8u << 20;

// One search: sets found or problem, and moves at and begun on.
void search_log(LogSearch& search);

// The service's own text of a line of that format. `run`: 0 where the line does not say whose it is.
struct LogText {
  std::string text;
  std::uint64_t run = 0;
};
LogText text_of_line(std::string_view line, std::string_view format);

}  // namespace hearth::probe
