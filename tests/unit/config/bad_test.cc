// Every bad/NAME.toml, and every bad/dir_NAME/hearth.toml with the files around it, must be answered with exactly the
// lines of bad/NAME.expected: "LINE:COLUMN: message; remedy", before it the file where it is another one. The words of
// syntax errors are those of toml++ 3.3. To write down what is said now, and then to read it: HEARTH_WRITE_EXPECTED=1.
//
// tests/integration/cli/bad_files_test.cc gives the same files to a hearth that runs.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fnmatch.h>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "config/toml.h"
#include "places.h"

namespace hearth::config {
namespace {

namespace fs = std::filesystem;

const fs::path directory = fs::path(HEARTH_SOURCE_DIR) / "tests/unit/config/bad";

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class RealFiles : public Files {
 public:
  Result<File> read(const std::string& path) override {
    std::error_code error;
    const fs::path canonical = fs::canonical(path, error);
    if (error) return failure(Remedy::not_found, "read", path, "there is none");
    if (!fs::is_regular_file(canonical)) return failure(Remedy::fix_input, "read", path, "it is a directory");
    return File{canonical.string(), contents(canonical)};
  }
  Result<std::vector<std::string>> match(const std::string& pattern) override {
    std::vector<std::string> paths;
    const fs::path parent = fs::path(pattern).parent_path();
    if (!fs::is_directory(parent)) return paths;
    for (const auto& entry : fs::directory_iterator(parent)) {
      if (::fnmatch(pattern.c_str(), entry.path().c_str(), FNM_PATHNAME) == 0) paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    return paths;
  }
};

// One broken configuration: a file, or a directory with a hearth.toml.
std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_directory() || entry.path().extension() == ".toml") found.push_back(entry.path().stem().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Parsed parse(const std::string& name) {
  const std::vector<std::string> variables = {"HOME=/home/ada", "PORT=8080", "LONG=" + std::string(120, 'x')};
  const Environment env(variables);
  RealFiles files;
  const bool alone = !fs::is_directory(directory / name);
  const fs::path path = alone ? directory / (name + ".toml") : directory / name / "hearth.toml";
  const std::string text = contents(path), canonical = fs::canonical(path).string();
  return parse_project(ProjectInput{text, alone ? "/srv/shop/hearth.toml" : canonical, "F", env, &files});
}

class BadConfiguration : public testing::TestWithParam<std::string> {};

TEST_P(BadConfiguration, is_answered_with_every_problem_and_its_place) {
  const Parsed parsed = parse(GetParam());
  EXPECT_FALSE(parsed.document.has_value());

  std::string found;
  for (const std::string& line : lines_of(parsed.text())) found += line.substr(line.starts_with("F:") ? 2 : 0) + "\n";
  const fs::path file = directory / (GetParam() + ".expected");
  if (std::getenv("HEARTH_WRITE_EXPECTED") != nullptr) std::ofstream(file, std::ios::binary) << found;

  EXPECT_EQ(found, contents(file));
}

INSTANTIATE_TEST_SUITE_P(Files, BadConfiguration, testing::ValuesIn(names()),
                         [](const auto& file) { return file.param; });

TEST(BadConfigurations, are_at_least_a_hundred) {
  EXPECT_GE(names().size(), 100u);
}

// Two messages are the same when they differ in what they quote, in numbers and in the service only.
TEST(BadConfigurations, have_at_least_sixty_messages) {
  const std::regex place("^[^ ]*:[0-9]+:[0-9]+: |^[0-9]+:[0-9]+: "), who("^(service|template) [^:]*: |^defaults: "),
      quoted("\"[^\"]*\""), number("[0-9]+"), remedy(";.*");
  std::set<std::string> messages;
  for (const std::string& name : names()) {
    for (std::string line : lines_of(contents(directory / (name + ".expected")))) {
      for (const std::regex* part : {&place, &who, &remedy}) line = std::regex_replace(line, *part, "");
      messages.insert(std::regex_replace(std::regex_replace(line, quoted, "\"\""), number, "N"));
    }
  }
  EXPECT_GE(messages.size(), 60u);
}

}  // namespace
}  // namespace hearth::config
