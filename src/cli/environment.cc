#include "cli/environment.h"

#include <string_view>
#include <unistd.h>

namespace hearth::cli {

std::vector<std::string> own_environment() {
  std::vector<std::string> lines;
  for (char** line = environ; line != nullptr && *line != nullptr; ++line) {
    const std::size_t equals = std::string_view(*line).find('=');
    if (equals != std::string_view::npos && equals > 0) lines.emplace_back(*line);
  }
  return lines;
}

std::vector<std::string> captured_environment() {
  return config::Environment(own_environment()).captured();
}

}  // namespace hearth::cli
