// One value changed in the text of a hearth.toml, and everything else left as its author wrote it: comments, blank lines,
// order, alignment. Text to text; whether the result is a good configuration is asked of parse_project.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::config {

// `key` is a dotted key of TOML ("service.web.env.\"A B\""). `value` is taken as TOML where it is some, else as text.
//   - a key that is there gets the new value, wherever it stands: in a section, by a dotted key, in an inline table
//   - else it goes to the end of the section that it belongs to, or into the inline table
//   - else a section is put at the end of the file
//   - an array of names (depends_on) that is set inside becomes the table that means the same
// `text` must be TOML. fix_input for a key that is none, stands in the way of a table, or is written as a section.
Result<std::string> set_key(std::string_view text, std::string_view key, std::string_view value);

// The text without `key`, its line and the comment behind it; of an inline table without that pair. A section stays, also
// when nothing is left in it. not_found when this text does not set it; fix_input for what is written as a section or
// stands in an array.
Result<std::string> unset_key(std::string_view text, std::string_view key);

}  // namespace hearth::config
