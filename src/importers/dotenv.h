// The .env beside a Procfile. foreman, honcho and overmind read it, each in its own way; where they agree there is one
// meaning, and where they do not the import takes one and says so:
//
//   NAME=value, export NAME=value, # comment    all; foreman alone passes over what begins with `export`
//   'text'                                      as it stands
//   "text"                                      \n is a newline, and a backslash before anything else goes
//   "several                                    overmind; for foreman and honcho it is no line of theirs
//   lines"
//   text # comment                              overmind and honcho; foreman takes it into the value
//   $NAME, ${NAME}, but in '...'                stands for itself; overmind replaces it
#pragma once

#include <string>
#include <vector>

#include "importers/draft.h"
#include "importers/importers.h"

namespace hearth::importers {

struct Variable {
  std::string name, value;
};

// In their order; of several with one name the last one holds. What is none becomes a finding of `draft`.
std::vector<Variable> read_dotenv(const Source& dotenv, Draft& draft);

}  // namespace hearth::importers
