// Help, manual and completions come from one table. The files that are installed are compared with what the
// program writes: HEARTH_UPDATE_GOLDEN=1 writes them anew.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "base/version.h"
#include "cli/command_table.h"
#include "places.h"

namespace hearth::cli {
namespace {

void expect_file(const std::string& name, const std::string& text) {
  const std::string path = std::string(HEARTH_SOURCE_DIR) + "/" + name;
  if (std::getenv("HEARTH_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream there;
  there << file.rdbuf();
  EXPECT_TRUE(text == there.str()) << path << " is not what the program writes now";
}

TEST(Help, fits_eighty_columns) {
  std::string all = help_text();
  for (const CommandText& command : commands()) all += help_text(command);
  std::istringstream lines(all);
  std::string line;
  while (std::getline(lines, line)) EXPECT_LE(line.size(), 80u) << line;
}

TEST(Help, names_every_command) {
  const std::string text = help_text();
  for (const CommandText& command : commands()) {
    EXPECT_NE(text.find(std::string("\n  ") + command.name + " "), text.npos) << command.name;
  }
}

TEST(Help, as_json_is_json) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(help_json(), error);
  ASSERT_FALSE(error);
  EXPECT_GT(value.at("commands").as_array().size(), 5u);
}

TEST(Help, installed_files_are_what_the_program_writes) {
  expect_file("docs/man/hearth.1", manual_page(version));
  expect_file("packaging/completion/hearth.bash", completion_script("bash"));
  expect_file("packaging/completion/_hearth", completion_script("zsh"));
  expect_file("packaging/completion/hearth.fish", completion_script("fish"));
  EXPECT_EQ(completion_script("tcsh"), "");
}

TEST(Help, the_bash_completion_is_bash) {
  const std::string path = std::string(HEARTH_SOURCE_DIR) + "/packaging/completion/hearth.bash";
  EXPECT_EQ(std::system(("bash -n " + path).c_str()), 0);
}

}  // namespace
}  // namespace hearth::cli
