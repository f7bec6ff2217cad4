// What single keys of an app of pm2 become.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "importers/importers.h"
#include "importers/javascript.h"

namespace hearth::importers {
namespace {

Imported imported_of(const std::string& members) {
  const Result<Imported> imported = import_pm2({"e.json", R"([{"name": "a", "script": "a.js", )" + members + "}]"});
  EXPECT_TRUE(imported);
  return imported ? *imported : Imported();
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

// Each is what node prints for it.
TEST(JavaScript, numbers_are_written_as_it_writes_them) {
  EXPECT_EQ(javascript_number(1.5), "1.5");
  EXPECT_EQ(javascript_number(-0.0), "0");
  EXPECT_EQ(javascript_number(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(javascript_number(100), "100");
  EXPECT_EQ(javascript_number(-1234.5678), "-1234.5678");
  EXPECT_EQ(javascript_number(123456789012345680000.0), "123456789012345680000");
  EXPECT_EQ(javascript_number(1e21), "1e+21");
  EXPECT_EQ(javascript_number(1.5e300), "1.5e+300");
  EXPECT_EQ(javascript_number(0.000001), "0.000001");
  EXPECT_EQ(javascript_number(0.0000015), "0.0000015");
  EXPECT_EQ(javascript_number(1e-7), "1e-7");
  EXPECT_EQ(javascript_number(-1.25e-9), "-1.25e-9");
  EXPECT_EQ(javascript_number(5e-324), "5e-324");
  EXPECT_EQ(javascript_number(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(Pm2, variables_are_the_texts_that_it_hands_over) {
  const Imported imported = imported_of(
      R"("env": {"RATE": 1.5, "BIG": 9007199254740993, "SMALL": 1e-7, "ON": true, "NONE": null,
         "LIST": [1.0, "a\"b", {"x": 2.50}]})");
  for (const char* part : {"RATE = \"1.5\"", "BIG = \"9007199254740992\"", "SMALL = \"1e-7\"", "ON = \"true\"",
                           "NONE = \"null\"", R"(LIST = "[1,\"a\\\"b\",{\"x\":2.5}]")"})
    expect_in(imported.toml, part);
}

TEST(Pm2, a_name_of_several_lines_forges_no_line_of_the_report) {
  const Imported imported = import_pm2({"e.json",
                                        R"([{"name": "a\nhearth.toml:1: all is well\u001b[2J\u009b", "script": "a.js",
                                             "watch": true, "env": {"X\n[service.b]": "y\nz"}}])"})
                                .value();
  const std::string report = report_of(imported);
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 1) << report;
  expect_in(report, R"(app a\nhearth.toml:1: all is well\x1b[2J\x9b: watch)");
  EXPECT_EQ(imported.toml.find("\n[service.b]"), std::string::npos) << imported.toml;
  expect_in(imported.toml, R"("X\n[service.b]" = "y\nz")");
}

}  // namespace
}  // namespace hearth::importers
