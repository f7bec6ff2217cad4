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
  // Where several say the same, it is said once: "priority is not carried over", and below it of each one "program web:
  // priority = 5". "": what stands behind the first colon of `what`, and before it.
  std::string of_all = {}, of_each = {};
  std::string service = {};  // of hearth.toml, beside which it is to be read; "" = none
  bool is_noted = false;     // a note of that service says it, too
};

// A comment beside a service that is no finding: what its owner may want to write there.
struct Note {
  std::string service, text;
};

struct Origin {
  std::string path;
  std::size_t line = 0;  // from 1; 0: nobody knows
};

struct Imported {
  std::string toml;
  std::vector<Origin> origins;    // of each line of `toml`: what it was made of
  std::vector<Finding> findings;  // in the order of their files and lines
  std::vector<Note> notes;
  std::vector<std::string> files;  // in the order in which they were read
  std::size_t services = 0;
};

// The files that a pattern of an [include] means.
using Include = std::function<std::vector<Source>(const std::string& pattern, const Source& from)>;
using Environment = std::map<std::string, std::string>;

// `environment`: for %(ENV_NAME)s where hearth replaces no ${NAME}. `host`: for %(host_node_name)s; "" = nobody knows.
// `logs`: what the names of hearth's directories of logs begin with, up to the name of the project.
inline constexpr const char* usual_logs = "/var/log/hearth/default/PROJECT";
Result<Imported> import_supervisord(const std::vector<Source>& sources, const Include& include,
                                    const Environment& environment, const std::string& host = {},
                                    const std::string& logs = usual_logs);
// The JSON of an ecosystem file: an object with "apps", an array of apps, or one app.
Result<Imported> import_pm2(const Source& source);
// `dotenv`: the .env beside it; its text may be empty.
Result<Imported> import_procfile(const Source& source, const Source& dotenv);
// Units that belong together: dependencies between them are kept. `host`: for %H.
Result<Imported> import_systemd(const std::vector<Source>& units, const std::string& host = {});

// In one line, whatever somebody has written into it: control characters as "\n", "\t", "\x1b".
std::string one_line(std::string_view text);

// Findings that came later, too.
void put_in_order(Imported& imported);
// "web.conf:12: program web: ...; do this", one a line; what several say alike is said once, with the list of their places.
std::string report_of(const Imported& imported);
// `toml` with findings and notes as comments: beside their services, or at its head.
std::string commented(const Imported& imported);

}  // namespace hearth::importers
