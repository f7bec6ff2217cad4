// Which slots a request means. Questions to the book; what names nothing is refused with what is there instead.
//
// A request names services by pattern (registry.h, selects), all of them, or those of a project or its file. Probes are
// never named: they go where their service goes. What is being removed is not found by name any more.
//
// And the other way round: by which name an answer speaks of a slot.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/request.h"

namespace hearth::supervisor {

class SlotBook;

// By its names, or all. Each name has to select something; nothing at all is fine only where all is to be stopped.
Result<std::vector<SlotIndex>> named(const SlotBook& book, const Request& request);

// Of `down`: by its names, or what was applied from its file, or else all that belongs to its project.
Result<std::vector<SlotIndex>> to_take_down(const SlotBook& book, const Request& request);

// "web" where that selects one slot alone, else "web.0", or "project.web.0" where several projects have a web. Borrows the book, for the time of one order: what is
// applied or taken down afterwards is not seen.
class TypedNames {
 public:
  explicit TypedNames(const SlotBook& book);
  std::string of(SlotIndex slot) const;  // of a service that is there

 private:
  const SlotBook& book_;
  struct Bearers {
    std::uint32_t slots = 0;
    std::string_view project;  // of one of them
    bool elsewhere = false;    // others are in another project
  };
  std::unordered_map<std::string_view, Bearers> bearers_;  // of each service name
};

}  // namespace hearth::supervisor
