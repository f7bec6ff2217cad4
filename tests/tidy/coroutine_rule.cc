// check_coroutines: finds co_await in an initializer's braces and in ?: by brackets and a few
// tokens, without a grammar.
//
// From each co_await it walks outwards, bracket by bracket:
//   ( or [   the part between the commas around it must have no ? of its own
//   {        either a block: the statement around it must have no ? of its own, and the walk ends;
//            or an initializer: a finding
// A brace is a block when a ; or a keyword of statements stands directly in it. An initializer
// never has either: a lambda in it has braces of its own.
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

#include "tidy/rules.h"

namespace hearth::tidy {
namespace {

struct Token {
  std::string_view text;
  std::size_t offset = 0;
  std::size_t partner = 0;    // of a bracket: index of the other one
  std::size_t enclosing = 0;  // index of the innermost open bracket, or kNone
};
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_open(std::string_view t) {
  return t == "(" || t == "[" || t == "{";
}
bool is_close(std::string_view t) {
  return t == ")" || t == "]" || t == "}";
}

std::vector<Token> tokens_of(std::string_view code) {
  std::vector<Token> tokens;
  std::vector<std::size_t> open;
  for (std::size_t at = 0; at < code.size();) {
    if (std::isspace(static_cast<unsigned char>(code[at])) != 0) {
      ++at;
      continue;
    }
    std::size_t length = 1;
    if (is_word(code[at])) {
      while (at + length < code.size() && is_word(code[at + length])) ++length;
    }
    Token token{code.substr(at, length), at, kNone, open.empty() ? kNone : open.back()};
    const std::size_t index = tokens.size();
    if (is_open(token.text)) {
      open.push_back(index);
    } else if (is_close(token.text) && !open.empty()) {
      token.partner = open.back();
      tokens[open.back()].partner = index;
      open.pop_back();
      token.enclosing = open.empty() ? kNone : open.back();
    }
    tokens.push_back(token);
    at += length;
  }
  return tokens;
}

bool is_statement_word(std::string_view text) {
  static constexpr std::array<std::string_view, 12> words = {";",   "if",   "for",    "while",     "do",       "switch",
                                                             "try", "case", "return", "co_return", "co_yield", "else"};
  for (std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

bool is_block(const std::vector<Token>& tokens, std::size_t open) {
  for (std::size_t i = open + 1; i < tokens.size() && i != tokens[open].partner; ++i) {
    if (tokens[i].enclosing == open && is_statement_word(tokens[i].text)) return true;
  }
  return false;
}

// Whether a ? stands beside tokens[at], directly inside the bracket `open`, in the same part. Parts
// end at `;`, between ( and [ also at commas, and in a block at every inner brace.
bool has_question(const std::vector<Token>& tokens, std::size_t at, std::size_t open, bool block) {
  const auto ends = [&](std::size_t i) {
    const std::string_view t = tokens[i].text;
    if (i == open || (open != kNone && i == tokens[open].partner)) return true;
    if (tokens[i].enclosing != open) return false;
    return t == ";" || (!block && t == ",") || (block && (t == "{" || t == "}"));
  };
  for (std::size_t i = at; i-- > 0 && !ends(i);) {
    if (tokens[i].enclosing == open && tokens[i].text == "?") return true;
  }
  for (std::size_t i = at + 1; i < tokens.size() && !ends(i); ++i) {
    if (tokens[i].enclosing == open && tokens[i].text == "?") return true;
  }
  return false;
}

// What is wrong with the co_await at `index`; empty when nothing is.
std::string_view fault_of(const std::vector<Token>& tokens, std::size_t index) {
  constexpr std::string_view conditional = "co_await inside ?:";
  std::size_t at = index;
  for (std::size_t open = tokens[at].enclosing;; open = tokens[at].enclosing) {
    const bool brace = open != kNone && tokens[open].text == "{";
    const bool block = open == kNone || (brace && is_block(tokens, open));
    if (brace && !block) return "co_await inside an initializer's braces";
    if (has_question(tokens, at, open, block)) return conditional;
    if (block) return {};
    at = open;
  }
}

}  // namespace

Findings check_coroutines(const SourceTree& tree) {
  Findings findings;
  for (const SourceFile& file : tree.files) {
    if (!file.is_cpp() || file.code.find("co_await") == std::string::npos) continue;
    const std::vector<Token> tokens = tokens_of(file.code);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i].text != "co_await") continue;
      const std::string_view fault = fault_of(tokens, i);
      if (fault.empty()) continue;
      findings.push_back({file.path, line_of(file.code, tokens[i].offset),
                          std::string(fault) + ": GCC 12 miscompiles it; await into a local first"});
    }
  }
  return findings;
}

}  // namespace hearth::tidy
