// Files of variables: their small language, and how they reach a service.
#include "config/env_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/toml.h"
#include "unit/config/memory_files.h"

namespace hearth::config {
namespace {

using testing::ElementsAre;

using testing::Pair;

Variables read(std::string_view text) {
  std::vector<EnvFileProblem> problems;
  Variables variables = parse_env_file(text, problems);
  for (const EnvFileProblem& problem : problems) ADD_FAILURE() << problem.at.line << ": " << problem.message;
  return variables;
}

TEST(EnvFile, has_names_values_and_comments) {
  EXPECT_THAT(read("# all\n\nA=1\n  B=x\n"), ElementsAre(Pair("A", "1"), Pair("B", "x")));
}

TEST(EnvFile, values_end_with_the_line_or_a_comment) {
  EXPECT_THAT(read("A=1\nexport B=two words  \nC= x#y # z\r\nD=\nE=#none\nexport=1\nF=$A ${B}"),
              ElementsAre(Pair("A", "1"), Pair("B", "two words"), Pair("C", "x#y"), Pair("D", ""), Pair("E", ""),
                          Pair("export", "1"), Pair("F", "$A ${B}")));
}

TEST(EnvFile, quotes_keep_blanks_and_lines) {
  EXPECT_THAT(read("A=' a # b '  # c\nB=\"x\\n\\t\\\"\\$\\q\\\\\"\nC='line\nline'\nD=\"\"\n"),
              ElementsAre(Pair("A", " a # b "), Pair("B", "x\n\t\"$\\q\\"), Pair("C", "line\nline"), Pair("D", "")));
}

TEST(EnvFile, the_last_of_equal_names_counts) {
  EXPECT_THAT(read("A=1\nB=2\nA=3\n"), ElementsAre(Pair("A", "3"), Pair("B", "2")));
}

TEST(EnvFile, what_is_wrong_has_its_place) {
  std::vector<EnvFileProblem> problems;
  const Variables variables =
      parse_env_file("A\nä1=2\nB='x' y\nHEARTH_RUN=1\n  C d=1\nOK=1\nD=\"open\nE=1\n", problems);
  EXPECT_THAT(variables, ElementsAre(Pair("OK", "1")));
  std::string told;
  for (const EnvFileProblem& p : problems) {
    told += std::to_string(p.at.line) + ":" + std::to_string(p.at.column) + ": " + p.message + "\n";
  }
  EXPECT_EQ(told,
            "1:1: the line is not NAME=VALUE\n2:1: \"ä1\" cannot be the name of a variable\n"
            "3:7: there is more behind the closing quote\n4:1: HEARTH_RUN is set by hearth\n"
            "5:3: the line is not NAME=VALUE\n7:3: the quote \" is not closed\n");
}

struct Project {
  MemoryFiles files;
  Parsed parse(const std::string& keys, const std::string& more = {}) {
    const std::vector<std::string> variables = {"HOME=/home/ada", "WHICH=b"};
    const Environment env(variables);
    const std::string text = "[service.web]\ncommand = [\"x\"]\n" + keys + "\n" + more;
    return parse_project(ProjectInput{text, "/p/hearth.toml", "sub/hearth.toml", env, &files});
  }
};

TEST(EnvFiles, later_files_win_and_the_services_own_variables_over_all) {
  Project project;
  project.files.add("/p/a.env", "A=a\nB=a\nC=a\n");
  project.files.add("/p/b.env", "B=b\nC=b\n");
  const Parsed parsed =
      project.parse("env_files = [\"a.env\", \"${WHICH}.env\", \"-none.env\"]\nenv = { C = \"own\" }");
  ASSERT_TRUE(parsed.document) << parsed.text();
  EXPECT_THAT(parsed.document->services[0].env, ElementsAre(Pair("A", "a"), Pair("B", "b"), Pair("C", "own")));
}

TEST(EnvFiles, a_missing_one_is_refused_unless_it_may_be_missing) {
  Project project;
  EXPECT_EQ(
      project.parse("env_files = [\"x.env\"]").text(),
      "sub/hearth.toml:3:14: service web: env_files: there is no file \"x.env\"; write it, or \"-x.env\" if it may "
      "be missing\n");
  EXPECT_EQ(project.parse("env_files = \"x.env\"").text(),
            "sub/hearth.toml:3:13: service web: env_files is \"x.env\", not an array of paths; write env_files = "
            "[\"x.env\"]\n");
}

TEST(EnvFiles, one_that_may_be_missing_to_one_service_is_still_missing_to_another) {
  Project project;
  const std::string told =
      project.parse("env_files = [\"-x.env\"]\n[service.other]\ncommand = [\"x\"]\nenv_files = [\"x.env\"]").text();
  EXPECT_NE(told.find("service other: env_files: there is no file \"x.env\""), std::string::npos) << told;
}

TEST(EnvFiles, a_mistake_is_told_with_the_line_of_that_file_and_without_the_value) {
  Project project;
  project.files.add("/p/a.env", "A=1\nTOKEN='secret' x\n");
  const Parsed parsed = project.parse("env_files = [\"a.env\"]");
  EXPECT_EQ(
      parsed.text(),
      "sub/a.env:2:16: service web: there is more behind the closing quote; put all of the value into the quotes\n");
  ASSERT_EQ(parsed.diagnostics.size(), 1u);
  EXPECT_EQ(parsed.excerpt(parsed.diagnostics[0]), "");
}

TEST(EnvFiles, are_read_once_however_many_services_name_them) {
  Project project;
  project.files.add("/p/a.env", "A=1\n");
  std::string more;
  for (int i = 0; i < 10; ++i) more += "[service.s" + std::to_string(i) + "]\ncommand = [\"x\"]\n";
  const Parsed parsed = project.parse("", "[defaults]\nenv_files = [\"a.env\"]\n" + more);
  ASSERT_TRUE(parsed.document) << parsed.text();
  EXPECT_EQ(project.files.reads, 1);
  for (const ServiceSpec& service : parsed.document->services) EXPECT_THAT(service.env, ElementsAre(Pair("A", "1")));
}

}  // namespace
}  // namespace hearth::config
