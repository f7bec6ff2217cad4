// Reads the event journal that a hearth has left on the disk.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hearth::kill_anywhere {

struct EventFindings {
  bool checked = false;
  std::uint64_t lines = 0;
  std::vector<std::string> wrong;  // a line that is no event, an id that does not follow the one before, a loss
  // By number of a run: events that say that it began and that it ended.
  std::map<std::uint64_t, std::uint64_t> begun, ended;
  // How they ended, where that is known, and of which service they were.
  std::map<std::uint64_t, int> codes, signals;
  std::map<std::uint64_t, std::string> services;
};

// Of the instance in `directory`.
EventFindings check_events(const std::string& directory);
// The text of the journal, oldest first.
EventFindings check_event_lines(const std::string& text);

}  // namespace hearth::kill_anywhere
