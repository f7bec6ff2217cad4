#include "importers/unit_words.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <utility>

#include "base/placed.h"
#include "base/utf8.h"
#include "importers/draft.h"

namespace hearth::importers {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The number of `digits` digits at the beginning of the text; nullopt: they are not there, or are those of NUL.
std::optional<std::uint32_t> number_of(std::string_view text, std::size_t digits, unsigned base) {
  if (text.size() < digits) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, digits)) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10)
                                                  : 16;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return value == 0 ? std::nullopt : std::optional(value);
}

// Undoes the escape whose backslash is before `text`. Returns how much of the text it has been; 0: it is none.
std::size_t unescape(std::string_view text, std::string& out) {
  static constexpr std::pair<char, char> simple[] = {{'a', '\a'},  {'b', '\b'}, {'f', '\f'}, {'n', '\n'},
                                                     {'r', '\r'},  {'t', '\t'}, {'v', '\v'}, {'s', ' '},
                                                     {'\\', '\\'}, {'"', '"'},  {'\'', '\''}};
  for (const auto& [letter, meaning] : simple)
    if (text[0] == letter) {
      out += meaning;
      return 1;
    }
  const auto wide = [&](std::size_t digits) -> std::size_t {
    const std::optional<std::uint32_t> code = number_of(text.substr(1), digits, 16);
    if (!code || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF)) return 0;
    append_utf8(out, *code);
    return digits + 1;
  };
  if (text[0] == 'u') return wide(4);
  if (text[0] == 'U') return wide(8);
  const bool hex = text[0] == 'x';
  const std::optional<std::uint32_t> byte = hex ? number_of(text.substr(1), 2, 16) : number_of(text, 3, 8);
  if (!byte || *byte > 0xFF) return 0;
  out += static_cast<char>(static_cast<unsigned char>(*byte));
  return 3;
}

bool is_variable_name(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// Of ${NAME} at the beginning of the text; "" when there is none.
std::string_view braced_name(std::string_view text) {
  const std::size_t close = text.starts_with("${") ? text.find('}') : text.npos;
  if (close == text.npos || !is_variable_name(text.substr(2, close - 2))) return {};
  return text.substr(2, close - 2);
}

bool is_split(std::string_view word) {
  return word.starts_with('$') && is_variable_name(word.substr(1));
}

std::string without_doubled(std::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    out += word[i];
    if (word.substr(i).starts_with("$$")) ++i;
  }
  return out;
}

bool has_variable(std::string_view word) {
  if (is_split(word)) return true;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word.substr(i).starts_with("$$"))
      ++i;
    else if (!braced_name(word.substr(i)).empty())
      return true;
  }
  return false;
}

// What hearth calls it in the environment of a hook.
std::string_view our_name(std::string_view theirs) {
  if (theirs == "MAINPID") return "HEARTH_PID";
  return theirs == "EXIT_STATUS" ? "HEARTH_EXIT_CODE" : theirs;
}

// A word with ${NAME} in it, for the shell.
std::string with_variables(std::string_view word, bool of_hook) {
  std::string out = "\"";
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (const std::string_view name = braced_name(word.substr(i)); !name.empty()) {
      out += "${" + std::string(of_hook ? our_name(name) : name) + "}";
      i += name.size() + 2;
      continue;
    }
    if (word[i] == '"' || word[i] == '\\' || word[i] == '$' || word[i] == '`') out += '\\';
    out += word[i];
    if (word.substr(i).starts_with("$$")) ++i;
  }
  return out + "\"";
}

}  // namespace

std::optional<UnitWords> split_unit_words(std::string_view text) {
  UnitWords out;
  std::string word;
  bool inside = false, bare = true;  // a word has begun; nothing of it was quoted or escaped
  char quote = 0;
  const auto take = [&] {
    if (inside && bare && word == ";")
      out.ends.push_back(out.words.size());
    else if (inside)
      out.words.push_back(foreign(std::move(word)));
    word.clear();
    inside = false;
    bare = true;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      const std::string_view rest = text.substr(i + 1);
      if (rest.empty()) return std::nullopt;
      inside = true;
      bare = false;
      if (rest[0] == ';' && quote == 0 && word.empty() && (rest.size() == 1 || is_blank(rest[1]))) {
        word += ';';
        ++i;
      } else if (const std::size_t taken = unescape(rest, word); taken > 0) {
        i += taken;
      } else {
        if (out.odd.empty()) out.odd = "\\" + std::string(1, rest[0]);
        word += c;
      }
    } else if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      inside = true;
      bare = false;
    } else if (is_blank(c)) {
      take();
    } else {
      word += c;
      inside = true;
    }
  }
  if (quote != 0) return std::nullopt;
  take();
  return out;
}

UnitCommand command_of(const std::vector<std::string>& words, bool plain, bool of_hook) {
  UnitCommand out;
  const bool shell = !plain && std::any_of(words.begin(), words.end(), has_variable);
  for (const std::string& word : words) {
    if (!shell) {
      out.words.push_back(plain ? word : without_doubled(word));
      continue;
    }
    if (!out.shell.empty()) out.shell += ' ';
    if (is_split(word)) {
      out.shell +=
          "$" + std::string(of_hook ? our_name(std::string_view(word).substr(1)) : std::string_view(word).substr(1));
      out.split.push_back(word);
    } else if (has_variable(word)) {
      out.shell += with_variables(word, of_hook);
    } else {
      out.shell += shell_word(without_doubled(word));
    }
  }
  return out;
}

}  // namespace hearth::importers
