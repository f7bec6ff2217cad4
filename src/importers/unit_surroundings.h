// What a unit says of the surroundings of its processes: processors, priorities, limits, standard input, credentials.
// systemd.exec(5).
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "importers/draft.h"
#include "importers/unit_specifiers.h"

namespace hearth::importers {

class UnitSurroundings {
 public:
  static bool has(std::string_view key);
  // One that it has. `value`: its specifiers are replaced.
  void key(Service& service, const std::string& key, const std::string& value, const Told& told);
  // What takes more than one line.
  void finish(Service& service) const;

 private:
  void affinity(const std::string& value, const Told& told);
  void io_class(const std::string& value, const Told& told);
  void credential(Service& service, const std::string& key, const std::string& value, const Told& told) const;

  std::set<unsigned> cpus_;
  std::optional<std::string> io_class_;  // as hearth calls it; "" = none
  std::optional<std::string> io_level_;
};

// Why a key has no counterpart, and what there is instead. true: that is known, and told unless its value asks
// for nothing.
bool tell_without_counterpart(const std::string& key, const std::string& value, const Told& told);
// What to do about a key of [Unit] that is not carried over; "" = nothing that could be said.
std::string unit_section_remedy(std::string_view key);

}  // namespace hearth::importers
