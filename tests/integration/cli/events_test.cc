// events and explain, on a real hearth.
#include <set>

#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

class EventsCommand : public CommandTest {
 protected:
  std::vector<boost::json::value> events(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"events", "--json", "-n", "all"};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<boost::json::value> all;
    std::istringstream lines(hearth(words).out);
    for (std::string line; std::getline(lines, line);) all.push_back(boost::json::parse(line));
    return all;
  }
};

TEST_F(EventsCommand, an_end_and_who_ordered_it_are_told_and_explained) {
  write("hearth.toml", "[service.web]\ncommand = [\"sh\", \"-c\", \"echo no disk; exit 7\"]\nrestart = \"never\"\n");
  (void)hearth({"up"});
  ASSERT_TRUE(eventually([&] { return hearth({"status", "web"}).code == 151; }));
  const Finished told = hearth({"events"});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_NE(told.out.find("exited with code 7 (ran "), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("up of project project from "), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("hearth --dir " + directory + " up"), std::string::npos) << told.out;
  bool measured = false;
  for (const boost::json::value& event : events({"web"}))
    if (event.at("kind").as_string() == "exit") {
      measured = true;
      EXPECT_EQ(event.at("exit").at("code").as_int64(), 7);
      EXPECT_GT(event.at("statistics").at("max_rss_kib").as_int64(), 0);
    }
  EXPECT_TRUE(measured);

  const Finished nobody = hearth({"events", "wbe"});
  EXPECT_EQ(nobody.code, 2) << nobody.out;
  EXPECT_EQ(
      nobody.err,
      "hearth: cannot show events of wbe: no service of that name is known, and no event of one is kept; did you mean "
      "\"web\"?\n");
  EXPECT_EQ(hearth({"events", "web.7"}).err,
            "hearth: cannot show events of web.7: no event of a replica of that index is kept; there is web.0 alone\n");
  for (const auto& both : {std::vector<std::string>{"events", "wbe", "web"}, {"events", "web", "wbe"}}) {
    const Finished refused = hearth(both);
    EXPECT_EQ(refused.code, 2);
    EXPECT_EQ(refused.out, "") << "nothing of the other";
  }

  const Finished why = hearth({"explain", "web"});
  EXPECT_EQ(why.code, 0) << why.err;
  EXPECT_TRUE(why.out.starts_with("web is failed: exited with code 7\n")) << why.out;
  EXPECT_NE(why.out.find("  because  "), std::string::npos) << why.out;
  EXPECT_NE(why.out.find("What it wrote last:\n  | no disk\n"), std::string::npos) << why.out;
  EXPECT_NE(why.out.find("hearth --dir " + directory + " start web"), std::string::npos) << why.out;
  const boost::json::value json = boost::json::parse(hearth({"explain", "--json", "web"}).out);
  EXPECT_TRUE(json.at("complete").as_bool());
  EXPECT_EQ(json.at("last_lines").as_array().size(), 1u);
  const boost::json::array& chain = json.at("chain").as_array();
  EXPECT_EQ(chain.front().at("to").as_string(), "failed");
  EXPECT_EQ(chain.back().at("kind").as_string(), "order");
}

TEST_F(EventsCommand, of_who_waits_it_is_explained_for_what_since_when_and_what_that_lacks) {
  write("hearth.toml",
        "[service.db]\ncommand = [\"sleep\", \"1000\"]\nready = { type = \"file\", path = \"ready\" }\n"
        "[service.cache]\ncommand = [\"sleep\", \"1000\"]\ndepends_on = [\"db\"]\n"
        "[service.web]\ncommand = [\"sleep\", \"1000\"]\ndepends_on = [\"cache\"]\n");
  ASSERT_EQ(hearth({"up", "--no-wait"}).code, 0);
  ASSERT_TRUE(eventually([&] { return hearth({"explain", "web"}).out.find("db is starting") != std::string::npos; }));
  const Finished why = hearth({"explain", "web"});
  EXPECT_NE(why.out.find("\nWhat it waits for:\n  cache is waiting for "), std::string::npos) << why.out;
  const std::size_t db = why.out.find("\n    db is starting for ");
  ASSERT_NE(db, std::string::npos) << why.out;
  EXPECT_NE(why.out.find(", since 20", db), std::string::npos) << why.out;
  EXPECT_NE(why.out.find("not ready", db), std::string::npos) << why.out;
  const boost::json::value json = boost::json::parse(hearth({"explain", "--json", "web"}).out);
  const boost::json::array& needed = json.at("waits_for").as_array();
  ASSERT_EQ(needed.size(), 2u);
  EXPECT_TRUE(needed[1].at("service").as_string().ends_with(".db.0"));
  EXPECT_EQ(needed[1].at("state").as_string(), "starting");
}

TEST_F(EventsCommand, a_stop_signal_of_KILL_is_no_stop_that_took_too_long) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\nstop_signal = \"KILL\"\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  ASSERT_EQ(hearth({"stop", "web"}).code, 0);
  const Finished told = hearth({"events", "web"});
  EXPECT_NE(told.out.find("running -> stopping: is ended with KILL"), std::string::npos) << told.out;
  EXPECT_EQ(told.out.find("had not ended"), std::string::npos) << told.out;
}

TEST_F(EventsCommand, who_follows_misses_none_when_the_supervisor_is_killed) {
  ASSERT_EQ(hearth({"run", "--name", "nap", "--", "sleep", "1000"}).code, 0);
  Running follower = start({"events", "-f", "--json", "-n", "all"});
  ASSERT_TRUE(eventually([&] { return !follower.out().empty(); })) << "it has begun";
  for (int i = 0; i < 3; ++i) {
    const auto supervisor = static_cast<pid_t>(pid_of("supervisor"));
    ASSERT_EQ(::kill(supervisor, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] { return hearth({"restart", "nap"}).code == 0; }));
  }
  ASSERT_EQ(hearth({"shutdown"}).code, 0);
  const Finished followed = follower.finish();
  EXPECT_EQ(followed.code, 0) << followed.err;
  std::istringstream lines(followed.out);
  std::int64_t last = 0;
  int takeovers = 0;
  for (std::string line; std::getline(lines, line);) {
    const boost::json::value event = boost::json::parse(line);
    EXPECT_EQ(event.at("id").as_int64(), last + 1);
    last = event.at("id").as_int64();
    takeovers += event.at("kind").as_string() == "takeover";
  }
  EXPECT_EQ(takeovers, 3);
  // And the disk, which is read when nobody answers, has the same.
  std::int64_t on_disk = 0;
  for (const boost::json::value& event : events()) EXPECT_EQ(event.at("id").as_int64(), ++on_disk);
  EXPECT_GE(on_disk, last);
}

TEST_F(EventsCommand, ids_go_on_after_a_shutdown) {
  ASSERT_EQ(hearth({"run", "--name", "nap", "--", "sleep", "1000"}).code, 0);
  ASSERT_EQ(hearth({"shutdown"}).code, 0);
  const std::size_t before = events().size();
  ASSERT_EQ(hearth({"run", "--name", "nap", "--", "sleep", "1000"}).code, 0);
  const std::vector<boost::json::value> all = events();
  EXPECT_GT(all.size(), before);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].at("id").as_int64(), static_cast<std::int64_t>(i + 1));
  EXPECT_EQ(events({"--since", "1d"}).size(), all.size());
  EXPECT_EQ(events({"--since", "2100-01-01"}).size(), 0u);
  EXPECT_EQ(hearth({"events", "--since", "never"}).code, 2);
}

}  // namespace
}  // namespace hearth::cli
