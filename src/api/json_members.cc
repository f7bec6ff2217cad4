#include "api/json_members.h"

namespace hearth::api {
namespace {

constexpr std::string_view blank = " \t\r\n";

void skip_blank(std::string_view& text) {
  const std::size_t n = text.find_first_not_of(blank);
  text.remove_prefix(n == text.npos ? text.size() : n);
}

// Length of the string literal at the beginning, quotes included; 0 when it does not end.
std::size_t string_length(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return 0;
}

// Length of the value at the beginning; 0 when there is none or it does not end.
std::size_t value_length(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      const std::size_t n = string_length(text.substr(i));
      if (n == 0) return 0;
      i += n;
      if (depth == 0) return i;
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || c == ']' || blank.find(c) != blank.npos)) return i;
    ++i;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (--depth == 0) return i;
    }
  }
  return 0;
}

}  // namespace

Result<std::vector<std::pair<std::string_view, std::string_view>>> json_members(std::string_view text) {
  const auto bad = [](const char* reason) {
    return failure(Remedy::fix_input, "read", "the request's body", reason,
                   "send one JSON object, as docs/reference/api.md says");
  };
  std::vector<std::pair<std::string_view, std::string_view>> members;
  skip_blank(text);
  if (!text.starts_with('{')) return bad("it is not a JSON object");
  text.remove_prefix(1);
  skip_blank(text);
  bool more = !text.starts_with('}');
  if (!more) {
    text.remove_prefix(1);
    skip_blank(text);
  }
  while (more) {
    if (!text.starts_with('"')) return bad("a key is missing");
    const std::size_t key = string_length(text);
    if (key == 0) return bad("a key does not end");
    const std::string_view name = text.substr(1, key - 2);
    text.remove_prefix(key);
    skip_blank(text);
    if (!text.starts_with(':')) return bad("a key has no value");
    text.remove_prefix(1);
    skip_blank(text);
    const std::size_t value = value_length(text);
    if (value == 0) return bad("a value is missing or does not end");
    members.emplace_back(name, text.substr(0, value));
    text.remove_prefix(value);
    skip_blank(text);
    if (text.empty()) return bad("it does not end");
    more = text[0] == ',';
    if (!more && text[0] != '}') return bad("values are not separated by commas");
    text.remove_prefix(1);
    skip_blank(text);
  }
  if (!text.empty()) return bad("something follows the object");
  return members;
}

}  // namespace hearth::api
