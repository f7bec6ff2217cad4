#include "config/environment.h"

#include <algorithm>
#include <array>

#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::array<std::string_view, 6> private_prefixes = {"HEARTH_", "LISTEN_",   "SSH_",
                                                              "TMUX",    "WATCHDOG_", "XDG_SESSION_"};
constexpr std::array<std::string_view, 7> private_names = {
    "INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET", "OLDPWD", "PWD", "SHLVL", "_"};

bool is_private(std::string_view name) {
  for (const std::string_view prefix : private_prefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return std::ranges::find(private_names, name) != private_names.end();
}

std::unexpected<Error> problem(std::string reason, std::string hint) {
  return failure(Remedy::fix_input, "expand", {}, std::move(reason), std::move(hint));
}

// The value of what stands between "${" and "}".
Result<std::string> value_of_reference(std::string_view inner, const Environment& env) {
  const std::size_t mark = inner.find(":-");
  const std::string name(inner.substr(0, mark));
  if (!plain_variable(name)) {
    return problem("it has " + quote("${" + std::string(inner) + "}") + ", which is not ${NAME} or ${NAME:-default}",
                   "for the characters themselves write $${");
  }
  const std::string* value = env.find(name);
  if (mark != inner.npos) {
    return value != nullptr && !value->empty() ? *value : std::string(inner.substr(mark + 2));
  }
  if (value != nullptr) return *value;
  return problem(
      "it uses ${" + name + "}, and " + name + " is not set in your environment",
      "set it, give a default with ${" + name + ":-default}, or write $${" + name + "} for the characters themselves");
}

}  // namespace

bool plain_variable(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

Environment::Environment(std::span<const std::string> lines) {
  for (const std::string& line : lines) {
    const std::size_t equals = line.find('=');
    if (equals == 0 || equals == line.npos) continue;
    variables_.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
}

const std::string* Environment::find(std::string_view name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? nullptr : &found->second;
}

std::vector<std::pair<std::string, std::string>> Environment::beginning_with(std::string_view prefix) const {
  std::vector<std::pair<std::string, std::string>> found;
  for (auto at = variables_.lower_bound(prefix); at != variables_.end() && at->first.starts_with(prefix); ++at) {
    found.emplace_back(at->first, at->second);
  }
  return found;
}

std::vector<std::string> Environment::captured() const {
  std::vector<std::string> lines;
  for (const auto& [name, value] : variables_) {
    if (!is_private(name)) lines.push_back(name + '=' + value);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

Result<std::string> expand_variables(std::string_view text, const Environment& env) {
  std::string out;
  while (true) {
    const std::size_t start = text.find("${");
    if (start == text.npos) return out.append(text);
    // Looked for in the text itself: a value that ends in '$' escapes nothing.
    const bool escaped = text.substr(0, start).ends_with('$');
    out.append(text.substr(0, start));
    text.remove_prefix(start + 2);
    if (escaped) {
      out += '{';
      continue;
    }
    const std::size_t end = text.find('}');
    if (end == text.npos) {
      return problem("it has \"${\" without \"}\"", "close it, or write $${ for the characters themselves");
    }
    Result<std::string> value = value_of_reference(text.substr(0, end), env);
    if (!value) return value;
    out += *value;
    text.remove_prefix(end + 1);
  }
}

Result<std::string> expand_home(std::string_view text, const Environment& env) {
  if (!text.starts_with('~')) return std::string(text);
  if (text.size() > 1 && text[1] != '/') {
    return problem("it begins with the home directory of another user", "write the whole path");
  }
  const std::string* home = env.find("HOME");
  if (home == nullptr || !home->starts_with('/')) {
    return problem("it begins with ~, and HOME is not set to a path", "set HOME or write the whole path");
  }
  return *home + std::string(text.substr(1));
}

}  // namespace hearth::config
