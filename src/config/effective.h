// What is in effect, and where each value comes from: `hearth config show` and `config get`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/toml.h"

namespace hearth::config {

// A value that is no table, or an empty one.
struct Setting {
  std::string key;        // "service.web.backoff.initial": what `config set` and --set take
  std::string value;      // TOML; variables are replaced
  std::string json;       // the same
  std::string plain;      // a text without its quotes, anything else as `value`
  bool standard = false;  // nobody has set it
  Position at = {};       // in Parsed::sources, else
  std::string origin;     // "hearth.toml:12", "hearth.toml:3 (defaults)", "HEARTH__SERVICE__web__NICE", "default"
};

struct Effective {
  Parsed parsed;
  std::vector<Setting> settings;  // in the order of the files; empty unless the document is valid
};

// With `standards`, also what nobody has set and has a default.
Effective effective_configuration(const ProjectInput& input, bool standards);

// Every key of every service that is or may be set, and what else is set: for completion.
std::vector<std::string> all_keys(const Effective& effective);

// Whether a key may be set, so that it makes sense to say it is not: "service.web.nice". `nearest`: the last part as it
// was most likely meant, or "".
bool is_key(std::string_view dotted, const Effective& effective, std::string& nearest);

}  // namespace hearth::config
