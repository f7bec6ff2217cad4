#include "config/env_file.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/core.h>

#include "config/limits.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::array<std::string_view, 9> own_variables = {"HEARTH_RUN",    "HEARTH_SLOT",  "HEARTH_INSTANCE",
                                                           "LISTEN_FDS",    "LISTEN_PID",   "LISTEN_FDNAMES",
                                                           "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

class EnvFileParser {
 public:
  EnvFileParser(std::string_view text, std::vector<EnvFileProblem>& problems) : text_(text), problems_(problems) {}

  Variables parse() {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    while (at_ < text_.size()) line();
    return std::move(variables_);
  }

 private:
  char now() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  bool more() const { return at_ < text_.size(); }

  void step() {
    if (text_[at_] == '\n') {
      ++line_;
      line_start_ = at_ + 1;
    }
    ++at_;
  }
  void blanks() {
    while (more() && is_blank(now())) step();
  }
  void to_next_line() {
    while (more() && now() != '\n') step();
    if (more()) step();
  }
  Position here() const {
    return {line_, static_cast<std::uint32_t>(character_count(text_.substr(line_start_, at_ - line_start_)) + 1)};
  }
  void problem(Position at, std::string message, std::string remedy) {
    problems_.push_back({at, std::move(message), std::move(remedy)});
  }

  void line() {
    blanks();
    if (now() == '#' || now() == '\n') return to_next_line();
    constexpr std::string_view keyword = "export";
    if (text_.substr(at_).starts_with(keyword) && at_ + keyword.size() < text_.size() &&
        is_blank(text_[at_ + keyword.size()])) {
      at_ += keyword.size();
      blanks();
    }
    const Position at = here();
    const std::size_t start = at_;
    while (more() && now() != '=' && now() != '\n' && !is_blank(now())) step();
    const std::string_view name = text_.substr(start, at_ - start);
    if (now() != '=') {
      // Not quoted: it may be a secret that has lost its name.
      problem(at, "the line is not NAME=VALUE", "write NAME=VALUE, without blanks around the =");
      return to_next_line();
    }
    step();
    if (!plain_variable(name)) {
      problem(at, fmt::format("{} cannot be the name of a variable", quote(name)),
              "a name has letters, digits and '_', and begins with no digit");
      return to_next_line();
    }
    if (is_own_variable(name)) {
      problem(at, fmt::format("{} is set by hearth", name), "remove it");
      return to_next_line();
    }
    std::string value;
    if (read_value(value)) keep(name, std::move(value));
  }

  bool read_value(std::string& value) {
    blanks();
    const Position at = here();
    const bool quoted = now() == '"' || now() == '\'';
    if (!(quoted ? quoted_value(value) : plain_value(value))) return false;
    if (value.find('\0') != value.npos) {
      problem(at, "the value contains a NUL character, which the kernel cannot take", "remove it");
      return false;
    }
    return true;
  }

  bool plain_value(std::string& value) {
    const std::size_t start = at_;
    while (more() && now() != '\n' && !(now() == '#' && at_ > start && is_blank(text_[at_ - 1]))) step();
    std::string_view found = text_.substr(start, at_ - start);
    if (found.starts_with('#')) found = {};
    while (!found.empty() && is_blank(found.back())) found.remove_suffix(1);
    value = found;
    to_next_line();
    return true;
  }

  bool quoted_value(std::string& value) {
    const Position opened = here();
    const char mark = now();
    step();
    while (more() && now() != mark) {
      if (mark == '"' && now() == '\\' && at_ + 1 < text_.size()) {
        step();
        value += unescaped(now());
      } else {
        value += now();
      }
      step();
    }
    if (!more()) {
      problem(opened, fmt::format("the quote {} is not closed", mark), fmt::format("write {} at its end", mark));
      return false;
    }
    step();
    blanks();
    if (now() != '\n' && now() != '#') {
      problem(here(), "there is more behind the closing quote", "put all of the value into the quotes");
      to_next_line();
      return false;
    }
    to_next_line();
    return true;
  }

  static std::string unescaped(char c) {
    switch (c) {
      case 'n': return "\n";
      case 't': return "\t";
      case 'r': return "\r";
      case '\\':
      case '"':
      case '$': return std::string(1, c);
      default: return std::string("\\") + c;  // as in a shell
    }
  }

  void keep(std::string_view name, std::string value) {
    const auto there = std::ranges::find(variables_, name, &Variables::value_type::first);
    if (there != variables_.end()) {
      there->second = std::move(value);
    } else {
      variables_.emplace_back(name, std::move(value));
    }
  }

  std::string_view text_;
  std::vector<EnvFileProblem>& problems_;
  Variables variables_;
  std::size_t at_ = 0, line_start_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace

bool is_own_variable(std::string_view name) {
  return std::ranges::find(own_variables, name) != own_variables.end();
}

Variables parse_env_file(std::string_view text, std::vector<EnvFileProblem>& problems) {
  return EnvFileParser(text, problems).parse();
}

const Variables* EnvFiles::read(Reader& reader, const std::string& path, std::string_view shown, Position at,
                                bool may_be_missing) {
  if (const auto known = known_.find(path); known != known_.end()) return &known->second;
  const auto refuse = [&](std::string message, std::string remedy) -> const Variables* {
    reader.problem(at, std::move(message), std::move(remedy));
    return nullptr;
  };
  if (files_ == nullptr) return refuse("env_files is not possible here", "write the variables themselves: env = {}");
  Result<Files::File> file = files_->read(path);
  if (!file && file.error().remedy == Remedy::not_found) {
    static const Variables none;
    if (may_be_missing) return &none;  // not remembered: to somebody else it may not be missing
    return refuse(fmt::format("env_files: there is no file {}", quote(shown)),
                  fmt::format("write it, or \"-{}\" if it may be missing", shown));
  }
  if (!file) return refuse(fmt::format("env_files: {} cannot be read: {}", quote(shown), file.error().reason), {});
  bytes_ += file->text.size();
  if (sources_.size() >= max_sources || bytes_ > max_all_bytes) {
    return refuse("env_files: these are too many, or too large files", "put several of them into one");
  }
  std::vector<EnvFileProblem> problems;
  Variables variables = parse_env_file(file->text, problems);
  const auto source = static_cast<std::uint16_t>(sources_.size());
  const std::string called = (std::filesystem::path(sources_[0].shown).parent_path() / shown).string();
  // Without its text: nobody shall show a line with a secret below a message.
  sources_.push_back({called, std::move(file->path), {}});
  for (EnvFileProblem& problem : problems) {
    problem.at.source = source;
    reader.problem(problem.at, std::move(problem.message), std::move(problem.remedy));
  }
  return &known_.emplace(path, std::move(variables)).first->second;
}

}  // namespace hearth::config
