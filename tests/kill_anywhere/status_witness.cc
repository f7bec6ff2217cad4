#include "status_witness.h"

#include <algorithm>
#include <optional>

#include "support/status_view.h"

namespace hearth::kill_anywhere {

void StatusWitness::take(int status, const std::string& body, bool may_refuse) {
  const bool has_reason = body.find("\"message\"") != body.npos || body.find("\"error\"") != body.npos;
  if (status >= 500 && may_refuse && has_reason) return;
  if (status != 200) return complain("it was answered " + std::to_string(status) + ": " + body);
  const std::optional<support::StatusView> view = support::parse_status(body);
  if (!view) return complain("it was answered what is no status: " + body);
  ++asked_.answered;
  for (const auto& [name, service] : view->services) {
    std::uint64_t& newest = runs_[name];
    if (service.run != 0 && service.run < newest)
      complain("run " + std::to_string(service.run) + " of " + name + " was told after run " + std::to_string(newest));
    newest = std::max(newest, service.run);
  }
}

void StatusWitness::lose_connection(const std::string& why, bool expected) {
  if (expected)
    ++asked_.breaks;
  else
    complain("its connection ended, and nobody had died: " + why);
}

}  // namespace hearth::kill_anywhere
