#include "base/boxed.h"

#include <string>

#include <gtest/gtest.h>

namespace hearth {
namespace {

struct Text {
  std::string text = "usual";
  friend bool operator==(const Text&, const Text&) = default;
};

TEST(BoxedTest, it_is_the_usual_value_until_it_is_edited) {
  Boxed<Text> a;
  EXPECT_EQ("usual", a->text);
  EXPECT_TRUE(a.is_usual());
  a.edit().text = "other";
  EXPECT_EQ("other", (*a).text);
  EXPECT_FALSE(a.is_usual());
}

TEST(BoxedTest, what_was_edited_to_the_usual_equals_what_never_was) {
  Boxed<Text> a, b;
  a.edit().text = "other";
  EXPECT_FALSE(a == b);
  a.edit().text = "usual";
  EXPECT_EQ(a, b);
  EXPECT_TRUE(a.is_usual());
}

TEST(BoxedTest, copies_are_deep) {
  Boxed<Text> a;
  a.edit().text = "one";
  Boxed<Text> b = a, c;
  c = a;
  a.edit().text = "two";
  EXPECT_EQ("one", b->text);
  EXPECT_EQ("one", c->text);
  c = Boxed<Text>();
  EXPECT_TRUE(c.is_usual());
}

}  // namespace
}  // namespace hearth
