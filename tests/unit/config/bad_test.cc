// Every bad/NAME.toml must be answered with exactly the lines of bad/NAME.expected: "LINE:COLUMN: message; remedy",
// without the file's name. The words of syntax errors are those of toml++ 3.3. To write down what is said now, and
// then to read it: HEARTH_WRITE_EXPECTED=1.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

#include "config/toml.h"

namespace hearth::config {
namespace {

const std::filesystem::path directory = std::filesystem::path(HEARTH_SOURCE_DIR) / "tests/unit/config/bad";

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".toml") found.push_back(entry.path().stem().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class BadConfiguration : public testing::TestWithParam<std::string> {};

TEST_P(BadConfiguration, is_answered_with_every_problem_and_its_place) {
  const std::vector<std::string> variables = {"HOME=/home/ada", "PORT=8080", "LONG=" + std::string(120, 'x')};
  const std::string text = contents(directory / (GetParam() + ".toml"));
  const Parsed parsed = parse_project(text, "/srv/shop/hearth.toml", Environment(variables), "F");
  EXPECT_FALSE(parsed.document.has_value());

  std::string found;
  for (const std::string& line : lines_of(parsed.text())) found += line.substr(line.starts_with("F:") ? 2 : 0) + "\n";
  const std::filesystem::path file = directory / (GetParam() + ".expected");
  if (std::getenv("HEARTH_WRITE_EXPECTED") != nullptr) std::ofstream(file, std::ios::binary) << found;

  EXPECT_EQ(found, contents(file));
}

INSTANTIATE_TEST_SUITE_P(Files, BadConfiguration, testing::ValuesIn(names()),
                         [](const auto& file) { return file.param; });

TEST(BadConfigurations, are_at_least_forty) {
  EXPECT_GE(names().size(), 40u);
}

}  // namespace
}  // namespace hearth::config
