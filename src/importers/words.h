// A command line as words: the quoting of a POSIX shell and nothing else of it (no variables, no globs).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::importers {

// nullopt: a quote is not closed, or a backslash stands at the end.
std::optional<std::vector<std::string>> split_words(std::string_view text);

// Does it need a shell: pipes, redirections, variables, globs, several commands?
bool needs_shell(std::string_view text);

std::string trimmed(std::string_view text);
std::vector<std::string> split_list(std::string_view text, std::string_view separators);

}  // namespace hearth::importers
