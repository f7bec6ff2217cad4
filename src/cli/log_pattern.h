// What --grep looks for: a POSIX extended regular expression, as `grep -E` takes it.
#pragma once

#include <memory>
#include <regex.h>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::cli {

class LogPattern {
 public:
  static Result<LogPattern> create(const std::string& expression, bool ignore_case);
  bool matches(std::string_view line) const;

 private:
  struct Free {
    void operator()(regex_t* compiled) const;
  };
  std::string literal_;  // an expression without special characters is searched as it stands
  std::unique_ptr<regex_t, Free> compiled_;
};

}  // namespace hearth::cli
