#include "base/placed.h"

#include <algorithm>

namespace hearth {

std::string placed(std::string_view hint, std::string_view option) {
  constexpr std::string_view call = "`hearth ";
  std::string out;
  while (!option.empty()) {
    const std::size_t at = hint.find(call);
    if (at == hint.npos) break;
    out.append(hint.substr(0, at + call.size()));
    hint.remove_prefix(at + call.size());
    const bool command = !hint.empty() && hint[0] >= 'a' && hint[0] <= 'z' && !hint.starts_with("help");
    if (command) out.append(option);
  }
  return out.append(hint);
}

std::string shell_word(std::string_view word) {
  // What is not ASCII means nothing to a shell.
  const auto plain = [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || std::string_view("/._-+,:=@%").contains(c);
  };
  if (!word.empty() && std::ranges::all_of(word, plain)) return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace hearth
