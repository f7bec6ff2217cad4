// Files of other supervisors become a hearth.toml.
//
// The result is text that hearth reads; what it lacks of the original is in the findings, each with file, line and what to
// do about it. A file that is not of its kind at all is refused. Nothing here reads a file: what one of them includes is
// asked for by the pattern that stands in it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::importers {

struct Source {
  std::string path;  // as messages shall name it
  std::string text;
  std::string directory = {};  // absolute, in which it is; "" = nobody knows
};

struct Finding {
  std::string path;
  std::size_t line = 0;  // from 1; 0: of the file as a whole
  std::string what;      // "program web: stdout_syslog is not carried over"
  std::string remedy;    // what to do
};

struct Origin {
  std::string path;
  std::size_t line = 0;  // from 1; 0: nobody knows
};

struct Imported {
  std::string toml;
  std::vector<Origin> origins;    // of each line of `toml`: what it was made of
  std::vector<Finding> findings;  // in the order of their lines
  std::size_t services = 0;
};

// The files that a pattern of an [include] means.
using Include = std::function<std::vector<Source>(const std::string& pattern, const Source& from)>;
using Environment = std::map<std::string, std::string>;

// `environment`: for %(ENV_NAME)s where hearth replaces no ${NAME}. `host`: for %(host_node_name)s; "" = nobody knows.
Result<Imported> import_supervisord(const std::vector<Source>& sources, const Include& include,
                                    const Environment& environment, const std::string& host = {});
// The JSON of an ecosystem file: an object with "apps", an array of apps, or one app.
Result<Imported> import_pm2(const Source& source);
// `dotenv`: the .env beside it; its text may be empty.
Result<Imported> import_procfile(const Source& source, const Source& dotenv);
// Units that belong together: dependencies between them are kept. `host`: for %H.
Result<Imported> import_systemd(const std::vector<Source>& units, const std::string& host = {});

// In one line, whatever somebody has written into it: control characters as "\n", "\t", "\x1b".
std::string one_line(std::string_view text);

// "web.conf:12: program web: ...; do this", one a line.
std::string report_of(const Imported& imported);

}  // namespace hearth::importers
