// The JSON schema (draft 2020-12) of a hearth.toml, for editors: made of the tables by which the file is read.
#pragma once

#include <string>

namespace hearth::config {

std::string json_schema();

}  // namespace hearth::config
