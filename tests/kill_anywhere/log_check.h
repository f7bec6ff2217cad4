// Reads a service's log files and compares them with what the service has written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hearth::kill_anywhere {

struct Written {
  std::uint64_t begun = 0;     // lines
  std::uint64_t finished = 0;  // lines; a line between the two may be there or not
};
Written read_counters(const std::string& path);

struct LogFindings {
  std::uint64_t files = 0;
  std::uint64_t compressed = 0;  // of them
  std::uint64_t lines = 0;       // whole and right
  std::uint64_t lost = 0;        // lines
  std::uint64_t gaps = 0;        // stretches of lost lines without one that is there between them
  std::uint64_t doubled = 0;
  std::uint64_t disordered = 0;
  std::uint64_t damaged = 0;  // lines that are none of ours
  std::uint64_t prefix = 0;   // lines from the first on that are all there, and so the number of the first lost one
  std::uint64_t lost_bytes = 0;
  std::string example;  // the first thing that is wrong, in words
  bool exact() const { return lost + doubled + disordered + damaged == 0; }
};

// `format`: "raw", "stamped", "json". Files in the order of their numbers, compressed ones too.
LogFindings check_log(const std::string& directory, const std::string& format, const Written& written);

// "3 lines lost, 1 damaged; files 12; first: ..."
std::string text_of(const LogFindings& findings);

}  // namespace hearth::kill_anywhere
