#include "importers/dotenv.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>

#include "importers/words.h"

namespace hearth::importers {
namespace {

bool is_name(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
}

class Reader {
 public:
  Reader(const Source& dotenv, Draft& draft) : dotenv_(dotenv), draft_(draft), rest_(dotenv.text) {}

  std::vector<Variable> read() {
    while (!rest_.empty()) {
      begin_ = line_;
      const std::string text = foreign(trimmed(next_line()));
      if (text.empty() || text[0] == '#') continue;
      if (!assignment(text)) wanting("this line is not NAME=VALUE", "write it into env of the services");
    }
    return std::move(all_);
  }

 private:
  void wanting(const std::string& what, const std::string& remedy) {
    draft_.find_wanting(dotenv_, begin_, what, remedy);
  }

  std::string_view next_line() {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++line_;
    return text;
  }

  bool assignment(std::string text) {
    const bool exported = text.starts_with("export ") || text.starts_with("export\t");
    if (exported) text = trimmed(std::string_view(text).substr(7));
    const std::size_t sign = text.find('=');
    if (sign == text.npos) return false;
    const std::string name = trimmed(std::string_view(text).substr(0, sign));
    if (!is_name(name)) return false;
    const std::optional<std::string> value = value_of(name, trimmed(std::string_view(text).substr(sign + 1)));
    if (!value) return false;
    all_.push_back({name, *value});
    return true;
  }

  std::optional<std::string> value_of(const std::string& name, std::string text) {
    const char quote = text.empty() ? '\0' : text[0];
    if (quote != '"' && quote != '\'') return plain(name, text);
    std::size_t end = closing(text, quote);
    const std::string_view before = rest_;
    const std::size_t line = line_;
    while (end == text.npos && !rest_.empty()) {
      std::string_view more = next_line();
      if (more.ends_with('\r')) more.remove_suffix(1);
      text += "\n" + foreign(std::string(more));
      end = closing(text, quote);
    }
    if (end == text.npos) {  // nothing of what follows belongs to it
      rest_ = before;
      line_ = line;
      return std::nullopt;
    }
    const std::string behind = trimmed(std::string_view(text).substr(end + 1));
    if (!behind.empty() && behind[0] != '#') return std::nullopt;
    text = text.substr(1, end - 1);
    if (quote == '\'') return text;
    say_variables(name, text);
    return undone(text);
  }

  // Of the quote that ends it; npos: none does.
  static std::size_t closing(std::string_view text, char quote) {
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (quote == '"' && text[i] == '\\')
        ++i;
      else if (text[i] == quote)
        return i;
    }
    return text.npos;
  }

  static std::string undone(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        ++i;
        out += text[i] == 'n' ? '\n' : text[i];
      } else {
        out += text[i];
      }
    }
    return out;
  }

  std::string plain(const std::string& name, std::string text) {
    for (std::size_t at = text.find('#'); at != text.npos; at = text.find('#', at + 1)) {
      if (at > 0 && text[at - 1] != ' ' && text[at - 1] != '\t') continue;
      wanting(name +
                  ": what stands behind # is taken for a comment, as overmind and honcho do; foreman takes it into "
                  "the value",
              "put the value into quotes");
      text = trimmed(std::string_view(text).substr(0, at));
      break;
    }
    say_variables(name, text);
    return text;
  }

  void say_variables(const std::string& name, std::string_view text) {
    for (std::size_t at = text.find('$'); at != text.npos; at = text.find('$', at + 1)) {
      const bool escaped = at > 0 && text[at - 1] == '\\';
      const char next = at + 1 < text.size() ? text[at + 1] : '\0';
      if (escaped || (next != '{' && next != '_' && std::isalpha(static_cast<unsigned char>(next)) == 0)) continue;
      return wanting(name + ": $ stands for itself, as with foreman and honcho; overmind replaces the variable",
                     "write ${NAME} into env of the services for one of whoever calls `hearth up`");
    }
  }

  const Source& dotenv_;
  Draft& draft_;
  std::string_view rest_;
  std::size_t line_ = 1;   // of the next line
  std::size_t begin_ = 1;  // of the assignment
  std::vector<Variable> all_;
};

}  // namespace

std::vector<Variable> read_dotenv(const Source& dotenv, Draft& draft) {
  return Reader(dotenv, draft).read();
}

}  // namespace hearth::importers
