// What can be wrong with the depends_on of a set of services, found in one place for everybody: config/ puts
// file, line and column to it, lifecycle/ refuses a document with it.
//
// Problems are: a service that depends on itself, a name that is not in the set, and a cycle. Of every knot of
// services that reach each other at least one cycle is told, in full; the others of the same knot are not,
// because breaking one often breaks them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/service_spec.h"

namespace hearth {

enum class DependencyFault : std::uint8_t { self, unknown, cycle };

struct DependencyProblem {
  DependencyFault fault = DependencyFault::unknown;
  std::size_t service = 0;     // position in the set
  std::size_t dependency = 0;  // position in that service's depends_on; of a cycle: its first edge
  std::string nearest;         // unknown: the name that may have been meant; may be empty
  std::string cycle;           // cycle: "a -> b -> c -> a", a waits for b
};

// The first `limit` problems, those of single names first, each kind in the order of the services. Linear in
// services and edges, but for the search of near names. Of two services of the same name the first counts.
std::vector<DependencyProblem> dependency_problems(const std::vector<ServiceSpec>& services, std::size_t limit);

// Of a dependency that has to be there, and to stay: for others `stop` contradicts what they say. What is waited for to end
// has not gone when it has ended, and what may be away does not take anybody along.
inline bool has_to_stay(const Dependency& dependency) {
  const bool waits_for_end =
      dependency.condition == Condition::completed || dependency.condition == Condition::completed_successfully;
  return dependency.required && !waits_for_end;
}

}  // namespace hearth
