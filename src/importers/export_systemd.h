// A service as a systemd unit, for who leaves, or hands one service over to the machine.
#pragma once

#include <string>
#include <vector>

#include "importers/importers.h"
#include "model/service_spec.h"

namespace hearth::importers {

struct Exported {
  std::string name;  // "blog-web.service"
  std::string text;
};

// One unit a service, in their order. Dependencies name each other. `findings`: what systemd has no counterpart for.
std::vector<Exported> export_systemd(const Document& document, std::vector<Finding>& findings);

}  // namespace hearth::importers
