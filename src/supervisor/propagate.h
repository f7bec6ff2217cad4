// Dependencies, after anything has moved: a change of one slot is weighed for those that depend on it and those on
// which it depends, until nothing moves. A worklist (SlotBook::weighed), no recursion: feeding only adds to it.
//
// What goes down comes first: who has outlived a restart of a dependency, or is left by one that has gone, is told to stop
// before anybody is started over it.
// Then, slot by slot, the newest mark first: a stop that was held goes on when the last dependent has ended; who waits
// is started, or told that its dependency failed or went away; who was to be started, and whose dependency has gone in
// the same turn, waits after all, as long as nothing of that start is in the slot table; who was to be removed and is over
// is forgotten.
// What the answers rest on is in dependencies.h.
#pragma once

#include "base/time.h"

namespace hearth::supervisor {

class Lives;
class SlotBook;

void propagate(SlotBook& book, Lives& lives, Now now);

}  // namespace hearth::supervisor
