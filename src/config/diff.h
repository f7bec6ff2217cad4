// What applying one document over another would do, by name of service. Renaming a service is removing one and
// adding another.
#pragma once

#include <string>
#include <vector>

#include "model/request.h"
#include "model/service_spec.h"

namespace hearth::config {

// Every service of either document is in exactly one list; lists are in the order of the new document, `removed`
// in that of the old one.
struct Diff {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;  // its spec differs
  std::vector<std::string> unchanged;

  // The captured environments differ. No service is `changed` by that alone: else `up` from another terminal would
  // restart everything. The next run of each service gets the new one.
  bool environment = false;

  bool empty() const { return added.empty() && removed.empty() && changed.empty() && !environment; }
};

// Compare like with like: both documents as parsed, or both with uid, gid and groups filled in.
Diff diff(const Document& old_document, const Document& new_document);

// The keys of hearth.toml in which two specs differ, as `reload --dry-run` tells them: "command", "env", "backoff".
// In the order of ServiceSpec; empty when they are equal.
std::vector<std::string> changed_keys(const ServiceSpec& a, const ServiceSpec& b);

// Does a run of the one have to end for the other to hold? Not where only such things differ as hearth itself looks
// at while the program runs: policies, clocks, probes, how it is stopped and reloaded, limits of its log, how many
// replicas there are. A program cannot be told another command, environment, user or descriptor, and a probe that the
// program takes part in (notify, fd) cannot begin after it.
bool needs_restart(const ServiceSpec& a, const ServiceSpec& b);

// Services of the new document in its order, then those that are in the old one only.
std::vector<ServiceChange> changes(const Document& old_document, const Document& new_document);

}  // namespace hearth::config
