// What services share: [defaults], [template.NAME], and `template = "NAME"` (or several) in a service or another template.
//
//   [defaults]  <  templates, in the order in which they are named  <  the service's own keys
//
// Each service's table is replaced by the sum (merge.h). A value keeps its place, and with it the part it was taken from:
// what is wrong in [defaults] is told once, as a problem of the defaults, however many services have it.
#pragma once

#include <string>
#include <vector>

#include "config/node.h"
#include "config/reader.h"

namespace hearth::config {

// Takes `defaults` and `template` out of `root` and lays the tables of `service` over them. What is wrong with names is
// noted; templates that nobody uses are read for their mistakes. `parts` is what Position::part names: [0] is "".
void spread_shared_tables(Node& root, Reader& reader, std::vector<std::string>& parts);

}  // namespace hearth::config
