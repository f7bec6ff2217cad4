// The words of a unit's lines.
#include "importers/unit_words.h"

#include <gtest/gtest.h>

#include "importers/unit_specifiers.h"

namespace hearth::importers {
namespace {

using List = std::vector<std::string>;

List words_of(std::string_view text) {
  return split_unit_words(text).value_or(UnitWords{{"(none)"}, {}, {}}).words;
}

TEST(UnitWords, quotes_go_and_escapes_are_undone_within_and_without_them) {
  EXPECT_EQ(words_of("a  b\tc"), List({"a", "b", "c"}));
  EXPECT_EQ(words_of(R"('a\tb' "c\"d" e\s\x66)"), List({"a\tb", "c\"d", "e f"}));
  EXPECT_EQ(words_of(R"("" '' x"y z")"), List({"", "", "xy z"}));
  EXPECT_EQ(words_of(R"(\u20ac\U0001F525\101)"), List({"€🔥A"}));
  EXPECT_EQ(words_of("'open"), List({"(none)"}));
  EXPECT_EQ(words_of("end\\"), List({"(none)"}));
}

TEST(UnitWords, what_is_no_escape_stays_and_is_named) {
  for (const char* odd : {R"(a\qb)", R"(a\x0)", R"(a\x00)", R"(a\000)", R"(a\u12)", R"(a\ud800)", R"(a\400)"}) {
    const auto split = split_unit_words(odd);
    ASSERT_TRUE(split) << odd;
    EXPECT_EQ(split->words, List({odd}));
    EXPECT_EQ(split->odd, std::string(odd).substr(1, 2));
  }
}

TEST(UnitWords, an_escape_makes_no_sign_of_ours) {
  EXPECT_EQ(words_of(R"(\x01{HOME} \002index\003)"), List({"?{HOME}", "?index?"}));
}

TEST(UnitWords, a_semicolon_by_itself_ends_a_command_unless_it_is_escaped_or_quoted) {
  const auto split = split_unit_words(R"(a ; b \; c ";" d; ;)");
  ASSERT_TRUE(split);
  EXPECT_EQ(split->words, List({"a", "b", ";", "c", ";", "d;"}));
  EXPECT_EQ(split->ends, (std::vector<std::size_t>{1, 6}));
}

TEST(UnitWords, are_given_to_a_shell_as_they_are) {
  EXPECT_EQ(command_of({"a", "$B", "c$B", "${D}e\"`\\", "$$f", "${no:-x}"}, false).shell,
            R"(a $B 'c$B' "${D}e\"\`\\" '$f' '${no:-x}')");
  EXPECT_EQ(command_of({"a", "$1", "$$B"}, false).words, List({"a", "$1", "$B"}));
}

TEST(UnitName, has_the_parts_that_specifiers_name) {
  const UnitName name("/lib/systemd/system/postgresql@15-main.service");
  EXPECT_EQ(name.stem, "postgresql@15-main");
  EXPECT_EQ(name.prefix, "postgresql");
  EXPECT_EQ(name.instance, "15-main");
  EXPECT_FALSE(name.is_template);
  EXPECT_EQ(UnitName("a@.service").stem, "a");
  EXPECT_TRUE(UnitName("a@.service").is_template);
  EXPECT_EQ(unescaped_unit(R"(dev-disk\x2dby-id\x2)"), R"(dev/disk-by/id\x2)");
}

}  // namespace
}  // namespace hearth::importers
