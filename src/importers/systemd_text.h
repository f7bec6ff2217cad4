// Texts as systemd reads them again: systemd.service(5) "Command lines", systemd.unit(5) "Specifiers", systemd.time(7).
#pragma once

#include <string>
#include <vector>

#include "base/time.h"

namespace hearth::importers {

// In a text that goes through one of these: the name of the unit's instance, %i.
inline constexpr char instance_sign = '\x04';

std::string command_line(const std::vector<std::string>& words);
// Of Environment=, where $ has no meaning.
std::string assignment(const std::string& name, const std::string& value);
// A path.
std::string plain_text(const std::string& text);
std::string span_text(SpanNs value);

}  // namespace hearth::importers
