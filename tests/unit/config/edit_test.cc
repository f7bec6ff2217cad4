// One value changes, everything else stays as its author wrote it.
#include "config/edit.h"

#include <gtest/gtest.h>

#include "config/toml.h"

namespace hearth::config {
namespace {

std::string set(std::string_view text, std::string_view key, std::string_view value) {
  const Result<std::string> edited = set_key(text, key, value);
  return edited ? *edited : "refused: " + edited.error().reason;
}

TEST(Edit, a_value_is_replaced_where_it_stands_and_its_comment_stays) {
  EXPECT_EQ(set("# mine\n[service.web]\n  nice   = 5 # why\ncommand = [\"x\"]\n", "service.web.nice", "-3"),
            "# mine\n[service.web]\n  nice   = -3 # why\ncommand = [\"x\"]\n");
}

TEST(Edit, values_of_several_lines_and_with_misleading_signs_are_replaced_as_a_whole) {
  const std::string text =
      "[service.web]\ncommand = [ # the program\n  \"x]\", '#', \"\"\"}\n\"\"\",\n]  # end\nnice = 1\n";
  EXPECT_EQ(set(text, "service.web.command", "[\"y\"]"), "[service.web]\ncommand = [\"y\"]  # end\nnice = 1\n");
  EXPECT_EQ(set(text, "service.web.nice", "2"), text.substr(0, text.size() - 2) + "2\n");
}

TEST(Edit, a_value_that_is_no_toml_is_text) {
  EXPECT_EQ(set("[service.web]\nrestart = \"never\"\n", "service.web.restart", "always"),
            "[service.web]\nrestart = \"always\"\n");
  EXPECT_EQ(set("[service.web]\n", "service.web.env.A", "say \"x\"\n"),
            "[service.web]\nenv.A = \"say \\\"x\\\"\\n\"\n");
  EXPECT_EQ(set("[service.web]\n", "service.web.limits.core", "0x1F # all"), "[service.web]\nlimits.core = 0x1F\n");
}

TEST(Edit, a_new_key_goes_to_the_end_of_its_section_in_its_indentation) {
  EXPECT_EQ(set("[service.web]\n  command = [\"x\"]  # it\n\n# other\n[service.db]\ncommand = [\"y\"]\n",
                "service.web.nice", "5"),
            "[service.web]\n  command = [\"x\"]  # it\n  nice = 5\n\n# other\n[service.db]\ncommand = [\"y\"]\n");
  EXPECT_EQ(set("[service.web]\ncommand = [\"x\"]", "service.web.nice", "5"),
            "[service.web]\ncommand = [\"x\"]\nnice = 5\n");
  EXPECT_EQ(set("[service.web] # empty\n[service.db]\n", "service.web.nice", "5"),
            "[service.web] # empty\nnice = 5\n[service.db]\n");
  EXPECT_EQ(set("[service.web]\r\nnice = 1\r\n", "service.web.umask", "022"),
            "[service.web]\r\nnice = 1\r\numask = \"022\"\r\n");
}

TEST(Edit, the_nearest_section_takes_a_key) {
  EXPECT_EQ(set("[service.web]\n[service.web.backoff]\ninitial = 1\n[service.db]\n", "service.web.backoff.max", "2"),
            "[service.web]\n[service.web.backoff]\ninitial = 1\nmax = 2\n[service.db]\n");
  EXPECT_EQ(set("[service.web]\nbackoff.initial = 1\n", "service.web.backoff.max", "2"),
            "[service.web]\nbackoff.initial = 1\nbackoff.max = 2\n");
}

TEST(Edit, inline_tables_are_changed_inside) {
  EXPECT_EQ(set("[service.web]\nenv = { A = 1, B = { C = 2 } } # x\n", "service.web.env.B.C", "3"),
            "[service.web]\nenv = { A = 1, B = { C = 3 } } # x\n");
  EXPECT_EQ(set("[service.web]\nenv = { A = 1 }\n", "service.web.env.\"B c\"", "x"),
            "[service.web]\nenv = { A = 1, \"B c\" = \"x\" }\n");
  EXPECT_EQ(set("[service.web]\nenv = {}\n", "service.web.env.A", "1"), "[service.web]\nenv = { A = 1 }\n");
  EXPECT_EQ(set("[service]\nweb = { command = [\"x\"] }\n", "service.web.nice", "1"),
            "[service]\nweb = { command = [\"x\"], nice = 1 }\n");
}

TEST(Edit, what_has_no_section_gets_one_at_the_end) {
  EXPECT_EQ(set("[service.web]\nnice = 1", "service.db.command", "[\"x\"]"),
            "[service.web]\nnice = 1\n\n[service.db]\ncommand = [\"x\"]\n");
  EXPECT_EQ(set("[service.web]\n", "project.name", "shop"), "[service.web]\n\n[project]\nname = \"shop\"\n");
  EXPECT_EQ(set("", "vars.PORT", "80"), "[vars]\nPORT = 80\n");
}

TEST(Edit, a_key_of_the_file_itself_stands_before_all_sections) {
  EXPECT_EQ(set("# all\n[service.web]\n", "include", "[\"a.toml\"]"),
            "include = [\"a.toml\"]\n\n# all\n[service.web]\n");
  EXPECT_EQ(set("include = []\n[service.web]\n", "include", "[\"a.toml\"]"), "include = [\"a.toml\"]\n[service.web]\n");
}

TEST(Edit, what_cannot_be_one_value_is_refused) {
  EXPECT_EQ(set("[service.web.backoff]\nmax = 1\n", "service.web.backoff", "{ max = 2 }"),
            "refused: it is written as a table with keys of its own");
  EXPECT_EQ(set("[service.web]\nenv.A = 1\n", "service.web.env", "{}"),
            "refused: it is written as a table with keys of its own");
  EXPECT_EQ(set("[service.web]\nnice = 1\n", "service.web.nice.x", "1"), "refused: service.web.nice is no table");
  EXPECT_EQ(set("", "service.web", "1"), "refused: there is no such table, and it is no key");
  for (const char* key : {"", "a..b", "a = 1\nb", "a b", "=", "[x]"})
    EXPECT_EQ(set("", key, "1"), "refused: it is no key") << key;
}

std::string unset(std::string_view text, std::string_view key) {
  const Result<std::string> edited = unset_key(text, key);
  return edited ? *edited : "refused: " + edited.error().reason;
}

TEST(Edit, an_array_of_dependencies_becomes_the_table_that_means_the_same) {
  EXPECT_EQ(set("[service.web]\ndepends_on = [\"db\", \"a b\"] # both\n", "service.web.depends_on.cache.condition",
                "started"),
            "[service.web]\ndepends_on = { db = {}, \"a b\" = {}, cache.condition = \"started\" } # both\n");
  EXPECT_EQ(set("[service.web]\ndepends_on = [\"db\"]\n", "service.web.depends_on.db", "started"),
            "[service.web]\ndepends_on = { db = \"started\" }\n");
  EXPECT_EQ(set("[service.web]\ndepends_on = []\n", "service.web.depends_on.db", "started"),
            "[service.web]\ndepends_on = { db = \"started\" }\n");
  EXPECT_EQ(set("[service.web]\ndepends_on = [\n  \"db\",\n  \"mq\",\n]\n", "service.web.depends_on.db", "started"),
            "[service.web]\ndepends_on = { mq = {}, db = \"started\" }\n")
      << "of several lines";
  const std::string commented = "[service.web]\ndepends_on = [\n  \"db\", # mine\n]\n";
  EXPECT_EQ(set(commented, "service.web.depends_on.cache", "started"),
            "refused: service.web.depends_on is an array with comments in it, which would be lost");
  EXPECT_EQ(set_key(commented, "service.web.depends_on.cache", "started").error().hint,
            "write the table that means the same: depends_on = { db = {}, cache = \"started\" }");
  EXPECT_EQ(set("[service.web]\ncommand = [\"x\"]\n", "service.web.command.x", "1"),
            "refused: service.web.command is no table");
}

TEST(Edit, an_unset_key_goes_with_its_line_and_nothing_else_does) {
  EXPECT_EQ(unset("# mine\n[service.web]\n  # why\n  nice = 5 # so\n\ncommand = [\"x\"]\n", "service.web.nice"),
            "# mine\n[service.web]\n  # why\n\ncommand = [\"x\"]\n");
  EXPECT_EQ(unset("[service.web]\ncommand = [ # the program\n  \"x]\",\n]  # end\nnice = 1", "service.web.command"),
            "[service.web]\nnice = 1");
  EXPECT_EQ(unset("[service.web]\r\nnice = 1\r\numask = \"022\"", "service.web.umask"),
            "[service.web]\r\nnice = 1\r\n");
  EXPECT_EQ(unset("[service.web]\nbackoff.max = 1\nbackoff.initial = 2\n", "service.web.backoff.max"),
            "[service.web]\nbackoff.initial = 2\n");
  EXPECT_EQ(unset("[vars]\nA = 1\n", "vars.A"), "[vars]\n");
  EXPECT_EQ(unset("[service.web]\nenv = { A = 1, B = 2 }\n", "service.web.env"), "[service.web]\n");
}

TEST(Edit, of_an_inline_table_a_pair_goes_with_its_comma) {
  const std::string text = "[service.web]\nenv = { A = 1, B = { C = 2 }, D = 3 } # x\n";
  EXPECT_EQ(unset(text, "service.web.env.A"), "[service.web]\nenv = { B = { C = 2 }, D = 3 } # x\n");
  EXPECT_EQ(unset(text, "service.web.env.B"), "[service.web]\nenv = { A = 1, D = 3 } # x\n");
  EXPECT_EQ(unset(text, "service.web.env.B.C"), "[service.web]\nenv = { A = 1, B = {}, D = 3 } # x\n");
  EXPECT_EQ(unset(text, "service.web.env.D"), "[service.web]\nenv = { A = 1, B = { C = 2 } } # x\n");
}

TEST(Edit, what_cannot_be_unset_is_refused) {
  EXPECT_EQ(unset("[service.web]\nnice = 1\n", "service.web.umask"), "refused: the file does not set it");
  EXPECT_EQ(unset("[service.web]\nnice = 1\n", "service.web.nice.x"), "refused: the file does not set it");
  EXPECT_EQ(unset("[service.web]\nenv = { A = 1 }\n", "service.web.env.B"), "refused: the file does not set it");
  EXPECT_EQ(unset("[service.web]\nnice = 1\n", "service.web"),
            "refused: it is written as a table with keys of its own");
  EXPECT_EQ(unset("[service.web.backoff]\nmax = 1\n", "service.web.backoff"),
            "refused: it is written as a table with keys of its own");
  EXPECT_EQ(unset("[service.web]\nenv = { A.B = 1 }\n", "service.web.env.A"),
            "refused: it is written as a table with keys of its own");
  EXPECT_EQ(unset("[service.web]\ndepends_on = [\"db\"]\n", "service.web.depends_on.db"),
            "refused: service.web.depends_on is an array");
  EXPECT_EQ(unset("", "a..b"), "refused: it is no key");
}

TEST(Edit, keys_with_quotes_are_found) {
  EXPECT_EQ(set("[service.\"web\"]\n\"nice\" = 1\n", "service.web.nice", "2"), "[service.\"web\"]\n\"nice\" = 2\n");
}

}  // namespace
}  // namespace hearth::config
