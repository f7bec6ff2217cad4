// Words of a unit's lines, as systemd.syntax(7) "Quoting" and systemd.service(5) "Command lines" have them: blanks part
// them; quotes, single ones too, hold together and go; in both and outside of them C escapes are undone. Specifiers and
// variables come after that, in each word by itself.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::importers {

struct UnitWords {
  std::vector<std::string> words;  // no sign of draft.h is in them
  std::vector<std::size_t> ends;   // numbers of words before which a ';' by itself stood
  std::string odd;                 // the first escape that is none, and was left as it is; "" when there is none
};

// nullopt: a quote is not closed, or a backslash stands at the end.
std::optional<UnitWords> split_unit_words(std::string_view text);

// What is done with the variables of the words of a command: $NAME as a word by itself is split at blanks, ${NAME}
// anywhere is put in as it is, and $$ is $.
struct UnitCommand {
  std::vector<std::string> words;  // where no variable is in it
  std::string shell;               // else: the same for /bin/sh
  std::vector<std::string> split;  // the variables that were words by themselves, as the unit calls them
};

// `plain`: nothing is replaced (the ':' before the program). `of_hook`: a command around the life of a service, in which hearth
// calls MAINPID and EXIT_STATUS otherwise.
UnitCommand command_of(const std::vector<std::string>& words, bool plain, bool of_hook = false);

}  // namespace hearth::importers
