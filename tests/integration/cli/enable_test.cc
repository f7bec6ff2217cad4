// enable and disable: what is written, what is left alone. systemd is not asked: --unit-dir.
#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

struct Enable : CommandTest {
  void SetUp() override {
    CommandTest::SetUp();
    write("hearth.toml",
          "[project]\nname = \"shop\"\n[service.web]\ncommand = [\"sleep\", \"1000\"]\n"
          "[service.extra]\nautostart = false\ncommand = [\"sleep\", \"1000\"]\n");
  }
  // A unit names an instance, never a directory.
  Finished on_units(std::vector<std::string> words) {
    words.insert(words.end(), {"--instance", "enable-test"});
    return start_plain(std::move(words)).finish();
  }
  std::string unit(const std::string& name) const { return text_of(project + "/units/" + name); }
};

TEST_F(Enable, writes_a_unit_for_hearth_and_one_for_the_project_as_often_as_it_is_asked) {
  for (int i = 0; i < 2; ++i) {
    const Finished enabled = on_units({"enable", "--unit-dir", "units"});
    ASSERT_EQ(enabled.code, 0) << enabled.all();
    EXPECT_NE(enabled.out.find("after a boot: web\n"), std::string::npos) << enabled.out;
    EXPECT_NE(enabled.out.find("not started (autostart = false): extra\n"), std::string::npos) << enabled.out;
    EXPECT_NE(unit("hearth@enable-test.service").find(" --instance enable-test daemon\n"), std::string::npos);
    EXPECT_NE(unit("hearth-shop.service").find("/project/hearth.toml\n"), std::string::npos)
        << unit("hearth-shop.service");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(project + "/units"), {}), 2) << "nothing else is left there";
}

TEST_F(Enable, systemd_finds_nothing_wrong_with_the_units) {
  ASSERT_EQ(std::system("command -v systemd-analyze >/dev/null 2>&1"), 0) << "it is in the package systemd";
  ASSERT_EQ(on_units({"enable", "--unit-dir", "units"}).code, 0);
  const std::string at = project + "/units", said = project + "/said";
  const int code = std::system(("SYSTEMD_UNIT_PATH=" + at + ": systemd-analyze verify --man=no --recursive-errors=no " +
                                at + "/*.service >" + said + " 2>&1")
                                   .c_str());
  EXPECT_EQ(code, 0) << text_of(said);
  EXPECT_EQ(text_of(said), "");
}

TEST_F(Enable, a_unit_of_somebody_else_stays_as_it_is) {
  fs::create_directory(project + "/units");
  write("units/hearth@enable-test.service", "[Service]\n# mine\n");
  const Finished enabled = on_units({"enable", "--unit-dir", "units"});
  EXPECT_EQ(enabled.code, 0) << enabled.all();
  EXPECT_EQ(unit("hearth@enable-test.service"), "[Service]\n# mine\n");
  write("units/hearth-shop.service", "[Service]\n# mine, too\n");
  EXPECT_EQ(on_units({"disable", "--unit-dir", "units"}).code, 1);
  EXPECT_EQ(unit("hearth-shop.service"), "[Service]\n# mine, too\n");
}

TEST_F(Enable, disable_removes_the_projects_unit_alone) {
  ASSERT_EQ(on_units({"enable", "--unit-dir", "units"}).code, 0);
  EXPECT_EQ(on_units({"disable", "--unit-dir", "units"}).code, 0);
  EXPECT_FALSE(fs::exists(project + "/units/hearth-shop.service"));
  EXPECT_TRUE(fs::exists(project + "/units/hearth@enable-test.service"));
  const Finished again = on_units({"disable", "--unit-dir", "units"});
  EXPECT_EQ(again.code, 0) << again.all();
}

TEST_F(Enable, a_project_of_the_same_name_elsewhere_is_refused) {
  ASSERT_EQ(on_units({"enable", "--unit-dir", "units"}).code, 0);
  const std::string first = unit("hearth-shop.service");
  fs::create_directory(project + "/other");
  write("other/hearth.toml", text_of(project + "/hearth.toml"));
  const Finished second = on_units({"enable", "-f", "other/hearth.toml", "--unit-dir", "units"});
  EXPECT_EQ(second.code, 1) << second.all();
  EXPECT_NE(second.err.find("the unit of another project"), std::string::npos) << second.err;
  EXPECT_EQ(on_units({"disable", "-f", "other/hearth.toml", "--unit-dir", "units"}).code, 1);
  EXPECT_EQ(unit("hearth-shop.service"), first);
}

TEST_F(Enable, print_changes_nothing_and_what_no_unit_can_say_is_refused) {
  const Finished printed = on_units({"enable", "--print", "--unit-dir", "units"});
  EXPECT_EQ(printed.code, 0) << printed.all();
  EXPECT_NE(printed.out.find("Requires=hearth@enable-test.service\n"), std::string::npos) << printed.out;
  EXPECT_FALSE(fs::exists(project + "/units"));
  EXPECT_EQ(hearth({"enable", "--print"}).code, 2) << "an instance by --dir has no name";
  write("hearth.toml", "[service.web]\ncommand = [1]\n");
  EXPECT_EQ(on_units({"enable", "--unit-dir", "units"}).code, 6);
  EXPECT_FALSE(fs::exists(project + "/units"));
}

}  // namespace
}  // namespace hearth::cli
