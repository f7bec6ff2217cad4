// `hearth config` and what `up` reads besides hearth.toml, as a user meets them.
#include <gmock/gmock.h>

#include "hearth_command.h"

namespace hearth::cli {
namespace {

using testing::HasSubstr;

class ConfigTest : public CommandTest {
 protected:
  // Variables for the commands from here on.
  void set_variable(const char* name, const char* value) {
    ::setenv(name, value, 1);
    set_.push_back(name);
  }
  void TearDown() override {
    for (const char* name : set_) ::unsetenv(name);
    CommandTest::TearDown();
  }
  std::string file() { return text_of(project + "/hearth.toml"); }

 private:
  std::vector<const char*> set_;
};

constexpr const char* web = "# ours\n[service.web]\ncommand = [\"sleep\", \"1000\"]  # long\n";

TEST_F(ConfigTest, validate_says_what_is_read_and_starts_nothing) {
  write("hearth.toml", std::string("include = [\"more.toml\"]\n") + web);
  write("more.toml", "[service.db]\ncommand = [\"sleep\", \"1000\"]\n");
  const Finished done = hearth({"config", "validate"});
  EXPECT_EQ(done.code, 0) << done.all();
  EXPECT_EQ(done.out, "hearth.toml is valid: 2 services, with more.toml\n");
  EXPECT_FALSE(fs::exists(directory));
}

TEST_F(ConfigTest, a_problem_in_an_included_file_is_shown_with_its_line) {
  write("hearth.toml", std::string("include = [\"more.toml\"]\n") + web);
  write("more.toml", "[service.web]\nnice = 99\n");
  const Finished done = hearth({"config", "validate"});
  EXPECT_EQ(done.code, 6);
  EXPECT_EQ(done.err,
            "more.toml:2:8: service web: nice is 99, not an integer from -20 to 19\n  nice = 99\n         ^\n"
            "hearth: hearth.toml is not valid\n");
  const Finished json = hearth({"config", "validate", "--json"});
  EXPECT_EQ(json.code, 6);
  const boost::json::value value = boost::json::parse(json.out);
  EXPECT_FALSE(value.at("valid").as_bool());
  EXPECT_EQ(value.at("problems").at(0).at("file").as_string(), "more.toml");
  EXPECT_EQ(value.at("problems").at(0).at("line").as_int64(), 2);
}

TEST_F(ConfigTest, a_fifo_is_not_waited_for) {
  write("hearth.toml", std::string("include = [\"pipe\"]\n") + web);
  ASSERT_EQ(::mkfifo((project + "/pipe").c_str(), 0600), 0);
  const Finished done = hearth({"config", "validate"});
  EXPECT_EQ(done.code, 6);
  EXPECT_THAT(done.err, HasSubstr("hearth.toml:1:12: \"pipe\" cannot be read: it is no regular file"));
}

TEST_F(ConfigTest, an_account_that_is_not_there_is_told_with_its_line) {
  write("hearth.toml", std::string(web) + "user = \"nobody-of-this-name\"\n");
  for (const char* command : {"validate", "up"}) {
    const Finished done = command == std::string("up") ? hearth({"up"}) : hearth({"config", "validate"});
    EXPECT_EQ(done.code, 6);
    EXPECT_THAT(done.err, HasSubstr("hearth.toml:4:8: service web: there is no user \"nobody-of-this-name\""));
  }
}

TEST_F(ConfigTest, show_and_get_tell_values_and_where_they_come_from) {
  write("hearth.toml", std::string("[defaults]\nnice = 3\n") + web);
  fs::create_directory(project + "/hearth.d");
  write("hearth.d/10.toml", "[service.web]\numask = \"077\"\n");
  const Finished shown = hearth({"config", "show", "web", "--origin", "--set", "service.web.stop_timeout=2"});
  EXPECT_EQ(shown.code, 0) << shown.all();
  EXPECT_THAT(shown.out, HasSubstr("[service.web]\nnice = 3 "));
  EXPECT_THAT(shown.out, HasSubstr("# hearth.toml:2 (defaults)\n"));
  EXPECT_THAT(shown.out, HasSubstr("# hearth.d/10.toml:2\n"));
  EXPECT_THAT(shown.out, HasSubstr("# --set service.web.stop_timeout=2\n"));

  EXPECT_EQ(hearth({"config", "get", "service.web.umask"}).out, "077\n");
  EXPECT_EQ(hearth({"config", "get", "service.web.restart"}).out, "on-failure\n");
  EXPECT_EQ(hearth({"config", "get", "service.web.user"}).code, 1);
  const Finished mistyped = hearth({"config", "get", "service.web.umaks"});
  EXPECT_EQ(mistyped.code, 2);
  EXPECT_THAT(mistyped.err, HasSubstr("did you mean service.web.umask?"));
  EXPECT_EQ(hearth({"config", "get", "--json", "service.web.nice"}).out,
            "{\"key\":\"service.web.nice\",\"value\":3,\"origin\":\"hearth.toml:2 (defaults)\"}\n");
}

TEST_F(ConfigTest, set_changes_one_value_and_keeps_comments_mode_and_link) {
  write("real.toml", web);
  fs::permissions(project + "/real.toml", fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  fs::create_symlink("real.toml", project + "/hearth.toml");
  const Finished done = hearth({"config", "set", "service.web.nice", "-5"});
  EXPECT_EQ(done.code, 0) << done.all();
  EXPECT_EQ(file(), std::string(web) + "nice = -5\n");
  EXPECT_TRUE(fs::is_symlink(project + "/hearth.toml"));
  EXPECT_EQ(fs::status(project + "/real.toml").permissions(),
            fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  EXPECT_EQ(hearth({"config", "get", "service.web.nice"}).out, "-5\n");
}

TEST_F(ConfigTest, set_leaves_the_file_alone_when_the_result_is_not_valid) {
  write("hearth.toml", web);
  const Finished done = hearth({"config", "set", "service.web.nice", "50"});
  EXPECT_EQ(done.code, 6);
  EXPECT_THAT(done.err, HasSubstr("nice is 50"));
  EXPECT_THAT(done.err, HasSubstr("hearth.toml is as it was"));
  EXPECT_EQ(file(), web);
  EXPECT_EQ(hearth({"config", "set", "service.web..x", "1"}).code, 2);
  EXPECT_EQ(file(), web);
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(project)) ++entries;
  EXPECT_EQ(entries, 1u) << "nothing is left beside it";
}

TEST_F(ConfigTest, a_key_without_its_table_is_answered_with_the_whole_one) {
  write("hearth.toml", web);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"config", "set", "web.nice", "5"}, {"config", "get", "web.nice"}}) {
    const Finished refused = hearth(words);
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.err, HasSubstr("there is no such key"));
    EXPECT_THAT(refused.err, HasSubstr("did you mean service.web.nice?"));
  }
  EXPECT_THAT(hearth({"config", "set", "nonsense.x", "5"}).err, HasSubstr("a key is service.NAME.KEY"));
  EXPECT_EQ(file(), web);
}

TEST_F(ConfigTest, set_says_when_another_layer_goes_over_it) {
  write("hearth.toml", web);
  fs::create_directory(project + "/hearth.d");
  write("hearth.d/10.toml", "[service.web]\nnice = 1\n");
  const Finished done = hearth({"config", "set", "service.web.nice", "2"});
  EXPECT_EQ(done.code, 0) << done.all();
  EXPECT_THAT(done.out, HasSubstr("note: hearth.d/10.toml:2 goes over it: 1\n"));
}

TEST_F(ConfigTest, unset_takes_out_what_set_has_put_in_and_says_who_has_a_word_now) {
  write("hearth.toml", web);
  ASSERT_EQ(hearth({"config", "set", "service.web.nice", "5"}).code, 0);
  const Finished done = hearth({"config", "unset", "service.web.nice"});
  EXPECT_EQ(done.code, 0) << done.all();
  EXPECT_THAT(done.out, HasSubstr("hearth.toml: service.web.nice is not set any more; `hearth --dir " + directory +
                                  " reload` applies it\n"));
  EXPECT_EQ(file(), web);
  const Finished again = hearth({"config", "unset", "service.web.nice"});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("the file does not set it"));
  EXPECT_EQ(hearth({"config", "unset", "service.web.command"}).code, 6) << "it cannot do without";
  EXPECT_EQ(file(), web);
  fs::create_directory(project + "/hearth.d");
  write("hearth.d/10.toml", "[service.web]\nnice = 1\n");
  ASSERT_EQ(hearth({"config", "set", "service.web.nice", "2"}).code, 0);
  EXPECT_THAT(hearth({"config", "unset", "service.web.nice"}).out,
              HasSubstr("note: hearth.d/10.toml:2 says it now: 1\n"));
}

TEST_F(ConfigTest, misuse_is_answered_with_what_to_write) {
  EXPECT_EQ(hearth({"config"}).code, 2);
  EXPECT_THAT(hearth({"config", "vaildate"}).err,
              HasSubstr("did you mean `hearth --dir " + directory + " config validate`?"));
  EXPECT_THAT(hearth({"config", "set", "a"}).err, HasSubstr("write hearth config set KEY VALUE"));
  EXPECT_EQ(hearth({"config", "validate"}).code, 6) << "there is no file";
}

TEST_F(ConfigTest, the_environment_and_arguments_reach_what_runs) {
  const char* line = "echo \"$(nice) $MODE $TOKEN $${HEARTH__SERVICE__web__NICE-none}\"; exec sleep 1000";
  write("hearth.toml", "[vars]\nWORDS = \"now\"\n[service.web]\nshell = true\ncommand = '''" + std::string(line) +
                           "'''\nenv_files = [\"secret.env\"]\nenv = { MODE = \"${WORDS}\" }\n");
  write("secret.env", "# ours\nexport TOKEN='s3 cret'\n");
  set_variable("HEARTH__SERVICE__web__NICE", "3");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const auto says = [&](const std::string& text) {
    return eventually([&] { return hearth({"logs", "web"}).out.find(text) != std::string::npos; });
  };
  EXPECT_TRUE(says("3 now s3 cret none"));
  EXPECT_EQ(hearth({"status", "--json"}).out.find("s3 cret"), std::string::npos);
  EXPECT_EQ(hearth({"config", "show"}).out.find("s3 cret"), std::string::npos);
  ASSERT_EQ(hearth({"up", "--set", "service.web.nice=4"}).code, 0);
  EXPECT_TRUE(says("4 now s3 cret none")) << "an argument goes over the environment";
  write("secret.env", "TOKEN=new\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  EXPECT_TRUE(says("3 now new none")) << "a changed file is a change";
}

}  // namespace
}  // namespace hearth::cli
