// Python's "%" with a mapping, as much of it as stands in files of supervisord: %(name)s, %(name)d, %(name)02d, %%.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::importers {

// What %(NAME)s stands for. A value may be index_number(): then digits before it and its zeros become part of the number,
// so that 80%(process_num)02d is {index+8000}. Whether that holds for all processes is for the caller to try.
using Names = std::map<std::string, std::string>;

// nullopt: `missing` is not among the names.
std::optional<std::string> expanded(std::string_view text, const Names& names, std::string& missing);

}  // namespace hearth::importers
