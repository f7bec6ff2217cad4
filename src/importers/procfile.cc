// Procfile, as foreman(1) reads it: NAME: COMMAND, each by the shell, with the variables of .env. PORT counts from 5000
// (or PORT of .env) in hundreds, one hundred a name.
#include <cctype>
#include <charconv>

#include "importers/dotenv.h"
#include "importers/draft.h"
#include "importers/words.h"

namespace hearth::importers {
namespace {

constexpr int first_port = 5'000;
constexpr int port_step = 100;

bool is_name(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '-') return false;
  return true;
}

}  // namespace

Result<Imported> import_procfile(const Source& source, const Source& dotenv) {
  Draft draft;
  const std::vector<Variable> variables = read_dotenv(dotenv, draft);
  std::uint16_t given = first_port;
  for (const Variable& variable : variables)
    if (variable.name == "PORT")
      std::from_chars(variable.value.data(), variable.value.data() + variable.value.size(), given);
  int port = given;
  std::size_t number = 0;
  for (std::string_view rest = source.text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string line = foreign(trimmed(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    draft.about(nullptr);
    if (line.empty() || line[0] == '#') continue;
    const std::size_t sign = line.find(':');
    const std::string name = trimmed(line.substr(0, sign));
    const std::string command = sign == line.npos ? "" : trimmed(line.substr(sign + 1));
    if (!is_name(name) || command.empty()) {
      draft.find_wanting(source, number, "this line is not NAME: COMMAND, and is left out", "");
      continue;
    }
    Service& service = draft.add(name);
    service.made_of(source.path, number);
    const auto words = needs_shell(command) ? std::nullopt : split_words(command);
    if (words && !words->empty()) {
      service.set("command", quoted_list(*words));
    } else {
      service.set("shell", "true");
      service.set("command", quoted(command));
    }
    for (const Variable& variable : variables) service.set_in("env", variable.name, quoted(variable.value));
    service.set_in("env", "PORT", std::to_string(port));
    port += port_step;
    if (name == "release")
      draft.find_wanting(
          source, number, "release runs once before the others, at Heroku",
          "let the others depend on it: depends_on = { release = \"completed_successfully\" }, and give it "
          "restart = \"never\"");
  }
  if (draft.services().empty())
    return failure(Remedy::fix_input, "import", source.path, "there is no line NAME: COMMAND in it",
                   "is it a Procfile?");
  return draft.finish(source.path);
}

}  // namespace hearth::importers
