// One table laid over another: how drop-ins, included files, templates, defaults, environment and arguments become one
// configuration. Each value keeps its place, so that a later complaint names the right file and line.
#pragma once

#include "config/node.h"

namespace hearth::config {

// Keys of `over` win. Tables are merged key by key; everything else, arrays too, is replaced as a whole. `ready` and
// `live` are replaced when `over` says which type of probe it wants: the keys of another type would have no meaning.
// Keys of `base` keep their order, new ones come after them. Both are tables. Time: linear.
void merge_table(Node& base, Node&& over);

// Every position in the tree belongs to this shared part from now on.
void mark_part(Node& tree, std::uint16_t part);

}  // namespace hearth::config
