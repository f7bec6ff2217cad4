// What the command line says.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/time.h"

namespace hearth::chaos {

struct Options {
  std::string programs;  // directory of hearth's programs; --bin
  SpanNs length = seconds(60);
  std::uint64_t seed = 0;
  bool keep = false;
  bool json = false;
  bool terminal = false;          // progress is shown
  std::set<std::string> without;  // kinds of faults
  std::set<std::string> only;     // "" = all
  std::set<std::string> plants;   // see plant.h
  std::uint64_t least_kills = 0;  // fewer fail the run: one that tried nothing proves nothing
  std::uint64_t least_lines = 0;
};

}  // namespace hearth::chaos
