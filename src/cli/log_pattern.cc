#include "cli/log_pattern.h"

#include <array>

namespace hearth::cli {

void LogPattern::Free::operator()(regex_t* compiled) const {
  ::regfree(compiled);
  delete compiled;
}

Result<LogPattern> LogPattern::create(const std::string& expression, bool ignore_case) {
  LogPattern pattern;
  if (!ignore_case && !expression.empty() && expression.find_first_of("\\^$.[]|()*+?{}") == expression.npos) {
    pattern.literal_ = expression;
    return pattern;
  }
  auto compiled = std::make_unique<regex_t>();
  const int flags = REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0);
  if (const int code = ::regcomp(compiled.get(), expression.c_str(), flags); code != 0) {
    std::array<char, 128> text{};
    ::regerror(code, compiled.get(), text.data(), text.size());
    return failure(Remedy::fix_input, "understand", "--grep \"" + expression + "\"", text.data(),
                   "a regular expression as for `grep -E`; a backslash takes the meaning from a character");
  }
  pattern.compiled_.reset(compiled.release());
  return pattern;
}

bool LogPattern::matches(std::string_view line) const {
  if (!compiled_) return line.find(literal_) != line.npos;
  // REG_STARTEND: lines need no NUL at their end and may hold some.
  regmatch_t range{};
  range.rm_so = 0;
  range.rm_eo = static_cast<regoff_t>(line.size());
  return ::regexec(compiled_.get(), line.data(), 1, &range, REG_STARTEND) == 0;
}

}  // namespace hearth::cli
