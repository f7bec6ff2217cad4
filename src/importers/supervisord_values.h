// Values of supervisord.conf, as supervisor/datatypes.py reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::importers {

using Variables = std::vector<std::pair<std::string, std::string>>;

std::optional<long> number_of(std::string_view text);
std::optional<bool> boolean_of(std::string text);
// Of stdout_logfile: it shall go where supervisord's own output goes, as in containers.
bool is_own_output(std::string_view path);
// As hearth writes it: "027" of "0027".
std::string umask_text(const std::string& text);
// KEY="value",KEY2=value; quotes of both kinds, no escapes, commas between.
std::optional<Variables> environment_of(const std::string& text);
// TOML. "50MB" of supervisord counts in 1024s; hearth says so with an i.
std::string size_text(std::string text);

}  // namespace hearth::importers
