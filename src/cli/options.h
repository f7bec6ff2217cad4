// The command line as data. CLI11 reads it by the command table; what it does not know is answered with the
// nearest thing that is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace hearth::cli {

struct Arguments {
  std::string command;                                                   // "" = none was given
  std::vector<std::string> words;                                        // names
  std::vector<std::string> after;                                        // behind "--"
  std::map<std::string, std::vector<std::string>, std::less<>> options;  // by long name; flags hold ""

  bool has(std::string_view option) const { return options.find(option) != options.end(); }
  // The last one given.
  std::optional<std::string> value(std::string_view option) const;
};

// fix_input for everything that is wrong, with the hint already there.
Result<Arguments> parse_arguments(const std::vector<std::string>& line);

// "90s", "1h30m" as in hearth.toml, and numbers of seconds: 2, 0.5. 0 is one, too.
std::optional<SpanNs> span_of(std::string_view text);

// --timeout: "90s", "5m", "1h30m", or plain seconds. `never` when it is not given.
Result<SpanNs> timeout_of(const Arguments& arguments);

}  // namespace hearth::cli
