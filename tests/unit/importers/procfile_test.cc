// The variables beside a Procfile.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "importers/dotenv.h"

namespace hearth::importers {
namespace {

using Values = std::map<std::string, std::string>;

Values values_of(const std::string& text, std::string* report = nullptr) {
  Draft draft;
  Values values;
  for (const Variable& variable : read_dotenv({".env", text}, draft)) values[variable.name] = variable.value;
  if (report != nullptr) *report = report_of(draft.finish("Procfile"));
  return values;
}

TEST(Dotenv, quotes_and_backslashes_are_undone) {
  std::string report;
  EXPECT_EQ(values_of("A='it\\n \"is\" $X'\nB=\"two\\nlines, \\\"q\\\" \\\\ \\t\"\nC=plain \\n 'x' y\nexport D=1\n"
                      "export\tE=\nF = \"x\" # why\nG='#1'\r\nH=a#b\n",
                      &report),
            (Values{{"A", "it\\n \"is\" $X"},
                    {"B", "two\nlines, \"q\" \\ t"},
                    {"C", "plain \\n 'x' y"},
                    {"D", "1"},
                    {"E", ""},
                    {"F", "x"},
                    {"G", "#1"},
                    {"H", "a#b"}}));
  EXPECT_EQ(report, "");
}

TEST(Dotenv, a_value_in_quotes_may_have_several_lines_and_the_next_one_is_counted_right) {
  std::string report;
  EXPECT_EQ(values_of("KEY=\"-----BEGIN\nMII\n-----END\"\nbroken\nA=1\n", &report),
            (Values{{"KEY", "-----BEGIN\nMII\n-----END"}, {"A", "1"}}));
  EXPECT_EQ(report, ".env:4: this line is not NAME=VALUE; write it into env of the services\n");
}

TEST(Dotenv, a_quote_that_is_not_closed_takes_nothing_else_with_it) {
  std::string report;
  EXPECT_EQ(values_of("A=\"open\nB=2\nC='x' y\n2=x\n", &report), (Values{{"B", "2"}}));
  EXPECT_EQ(report, "this line is not NAME=VALUE; write it into env of the services:\n  .env:1\n  .env:3\n  .env:4\n");
}

TEST(Dotenv, where_its_readers_differ_is_said) {
  std::string report;
  EXPECT_EQ(values_of("A=x # y\nB=$HOME/x\nC=\"${HOME}\"\nD='$HOME'\nE=costs $5\n", &report),
            (Values{{"A", "x"}, {"B", "$HOME/x"}, {"C", "${HOME}"}, {"D", "$HOME"}, {"E", "costs $5"}}));
  EXPECT_NE(report.find(".env:1: A: what stands behind #"), std::string::npos) << report;
  EXPECT_NE(report.find("\n$ stands for itself"), std::string::npos) << report;
  EXPECT_NE(report.find(":\n  .env:2: B\n  .env:3: C\n"), std::string::npos) << report;
  EXPECT_EQ(report.find(".env:4"), std::string::npos) << report;
  EXPECT_EQ(report.find(".env:5"), std::string::npos) << report;
}

}  // namespace
}  // namespace hearth::importers
