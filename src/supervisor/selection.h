// Which slots a request means. Questions to the book; what names nothing is refused with what is there instead.
//
// A request names services by pattern (registry.h, selects), all of them, or those of a project or its file. Probes are
// never named: they go where their service goes. What is being removed is not found by name any more.
#pragma once

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

}  // namespace hearth::supervisor
