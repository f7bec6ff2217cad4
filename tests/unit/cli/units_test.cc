#include "cli/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/fd.h"
#include "places.h"

namespace hearth::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const UnitFacts machine = {false, "/usr/bin/hearth", "default", "shop", "/srv/shop/hearth.toml"};

// Comments and the mark apart.
std::string settings_of(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line[0] != '#' && !line.starts_with("Description=")) out += line + "\n";
  }
  return out;
}

TEST(UnitsTest, the_unit_of_the_machines_hearth_is_the_one_that_is_shipped) {
  const Unit unit = instance_unit(machine);
  EXPECT_EQ("hearth.service", unit.name);
  const auto shipped = os::read_file(std::string(HEARTH_SOURCE_DIR) + "/packaging/systemd/hearth.service");
  ASSERT_TRUE(shipped);
  EXPECT_EQ(settings_of(*shipped), settings_of(unit.text));
}

TEST(UnitsTest, a_users_hearth_is_another_instance_of_the_template_that_is_shipped) {
  UnitFacts facts = machine;
  facts.user = true;
  facts.instance = "voice";
  const Unit unit = instance_unit(facts);
  EXPECT_EQ("hearth@voice.service", unit.name);
  auto shipped = os::read_file(std::string(HEARTH_SOURCE_DIR) + "/packaging/systemd/hearth@.service");
  ASSERT_TRUE(shipped);
  for (std::size_t at; (at = shipped->find("%i")) != std::string::npos;) shipped->replace(at, 2, "voice");
  EXPECT_EQ(settings_of(*shipped), settings_of(unit.text));
}

TEST(UnitsTest, a_projects_unit_applies_its_file_after_hearth_is_there) {
  const Unit unit = project_unit(machine);
  EXPECT_EQ("hearth-shop.service", unit.name);
  EXPECT_TRUE(unit.text.starts_with(unit_mark));
  EXPECT_THAT(unit.text, HasSubstr("ExecStart=/usr/bin/hearth up -f /srv/shop/hearth.toml\n"));
  EXPECT_THAT(unit.text, HasSubstr("Requires=hearth.service\n"));
  EXPECT_THAT(unit.text, Not(HasSubstr("ExecStop"))) << "its stop must stop nothing";
}

TEST(UnitsTest, a_unit_belongs_to_the_file_and_instance_it_was_made_for) {
  UnitFacts other = machine;
  other.file = "/srv/100%/hearth.toml";
  const Unit unit = project_unit(machine);
  EXPECT_EQ(Owner::same, owner_of(unit.text, unit));
  EXPECT_EQ(Owner::another_project, owner_of(project_unit(other).text, unit));
  EXPECT_EQ(Owner::somebody_else, owner_of("[Service]\n", unit));
  EXPECT_EQ(Owner::somebody_else, owner_of("", unit));
  EXPECT_EQ(Owner::same, owner_of(std::string(unit_mark) + "[Service]\nedited\n", instance_unit(machine)));
  EXPECT_THAT(project_unit(other).text, HasSubstr("Description=the services of /srv/100%%/hearth.toml\n"));
}

TEST(UnitsTest, words_are_quoted_as_systemd_reads_them) {
  EXPECT_EQ("/srv/a", unit_word("/srv/a").value_or(""));
  EXPECT_EQ("\"/srv/my shop\"", unit_word("/srv/my shop").value_or(""));
  EXPECT_EQ("/srv/100%%", unit_word("/srv/100%").value_or(""));
  EXPECT_EQ("/srv/$$x", unit_word("/srv/$x").value_or(""));
  EXPECT_EQ("\"a\\\"b\\\\\"", unit_word("a\"b\\").value_or(""));
  EXPECT_FALSE(unit_word("a\nExecStartPre=/bin/evil"));
}

}  // namespace
}  // namespace hearth::cli
