// `up --foreground`: what CI and containers use.
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

class ForegroundTest : public CommandTest {
 protected:
  bool told(const Running& up, const std::string& text) {
    return eventually([&] { return up.out().find(text) != std::string::npos; });
  }
  std::string names() {
    std::string all;
    const boost::json::value now = status();
    for (const boost::json::value& service : now.at("services").as_array())
      all += std::string(service.at("name").as_string()) + " ";
    return all;
  }
};

constexpr const char* two = R"(
[service.web]
command = ["sh", "-c", "echo web is here; exec sleep 1000"]
[service.db]
command = ["sh", "-c", "echo db is here; exec sleep 1000"]
)";

TEST_F(ForegroundTest, ctrl_c_stops_what_it_showed) {
  write("hearth.toml", two);
  Running up = start({"up", "--foreground"});
  ASSERT_TRUE(told(up, "web | web is here\n")) << up.out() << up.err();
  ASSERT_TRUE(told(up, "db  | db is here\n")) << up.out() << up.err();
  ::kill(up.pid(), SIGINT);
  const Finished finished = up.finish();
  EXPECT_EQ(finished.code, 130) << finished.all();
  EXPECT_EQ(names(), "");
}

// Where it waits, and for how long at most: the kernel tells both.
TEST_F(ForegroundTest, while_nothing_happens_it_does_nothing) {
  write("hearth.toml", two);
  Running up = start({"up", "--foreground"});
  ASSERT_TRUE(told(up, "web is here\n")) << up.out() << up.err();
  ASSERT_TRUE(told(up, "db is here\n")) << up.out() << up.err();
  const std::string proc = "/proc/" + std::to_string(up.pid());
  const auto waits = [&] { return text_of(proc + "/syscall").find(" 0x36ee80 ") != std::string::npos; };
  const auto switches = [&] {
    const std::string text = text_of(proc + "/status");
    return text.substr(std::min(text.find("voluntary_ctxt_switches"), text.size()));
  };
#if defined(__x86_64__)
  ASSERT_TRUE(eventually(waits)) << "in poll(2), for an hour: " << text_of(proc + "/syscall");
#endif
  ASSERT_TRUE(eventually([&] { return names() == "web db " && status().at("services").at(0).at("pid").is_int64(); }));
  const std::string before = switches();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(names(), "web db ");
  EXPECT_EQ(switches(), before) << "others who ask are no news";
  ASSERT_EQ(hearth({"restart", "web"}).code, 0);
  EXPECT_TRUE(eventually([&] {
    const std::string out = up.out();
    const std::size_t first = out.find("web is here\n");
    return out.find("web is here\n", first + 1) != out.npos;
  })) << up.out();
  ::kill(up.pid(), SIGINT);
  EXPECT_EQ(up.finish().code, 130);
}

TEST_F(ForegroundTest, it_goes_on_with_the_next_supervisor) {
  write("hearth.toml", std::string(two) +
                           "[service.tests]\nrestart = \"never\"\n"
                           "command = [\"sh\", \"-c\", \"echo begins; read line < end; echo $line; exit 3\"]\n");
  ASSERT_EQ(::mkfifo((project + "/end").c_str(), 0600), 0);
  Running up = start({"up", "--exit-code-from", "tests"});
  ASSERT_TRUE(told(up, "begins\n")) << up.out() << up.err();
  for (const char* round : {"first", "second"}) {
    const auto supervisor = [&] { return status().at("supervisor").at("pid").as_int64(); };
    const std::int64_t old = supervisor();
    ::kill(static_cast<pid_t>(old), SIGKILL);
    ASSERT_TRUE(eventually([&] { return supervisor() != old; })) << round;
  }
  std::ofstream(project + "/end") << "over now\n";
  const Finished finished = up.finish();
  EXPECT_EQ(finished.code, 3) << finished.all();
  EXPECT_NE(finished.out.find("tests | over now\n"), std::string::npos) << finished.out;
}

// Of a service that does not hear TERM, and has been sent it.
struct StoppingForLong : ForegroundTest {
  void SetUp() override {
    ForegroundTest::SetUp();
    write("hearth.toml",
          "[service.web]\nstop_timeout = \"60s\"\n"
          "command = [\"sh\", \"-c\", \"trap '' TERM; echo here; while :; do sleep 1; done\"]\n");
    up.emplace(start({"up", "--foreground"}));
    ASSERT_TRUE(told(*up, "here")) << up->out() << up->err();
    ::kill(up->pid(), SIGINT);
    ASSERT_TRUE(eventually([&] { return hearth({"status"}).out.find("stopping") != std::string::npos; }));
  }
  std::optional<Running> up;
};

TEST_F(StoppingForLong, a_second_ctrl_c_kills) {
  ::kill(up->pid(), SIGINT);
  const Finished finished = up->finish();
  EXPECT_EQ(finished.code, 130) << finished.all();
  EXPECT_EQ(names(), "");
}

// Nobody answers: it need not be waited out.
TEST_F(StoppingForLong, a_third_ctrl_c_does_not_wait_for_that) {
  const auto supervisor = static_cast<pid_t>(pid_of("supervisor"));
  ASSERT_EQ(::kill(supervisor, SIGSTOP), 0);
  ::kill(up->pid(), SIGINT);
  EXPECT_TRUE(eventually([&] { return up->err().find("they are killed") != std::string::npos; }));
  ::kill(up->pid(), SIGINT);
  const Finished finished = up->finish();
  EXPECT_EQ(::kill(supervisor, SIGCONT), 0);
  EXPECT_EQ(finished.code, 130) << finished.all();
  EXPECT_NE(finished.err.find("interrupted before they had ended; `hearth --dir " + directory + " status` tells"),
            std::string::npos)
      << finished.err;
}

// Whoever should read what it shows does not: a pager that waits for a key, a log driver that is stuck.
struct UnreadOutput : ForegroundTest {
  // The service writes more than a pipe and all buffers hold, then does `last`.
  Running start_unread(const std::string& last) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader = os::Fd(ends[0]);
    writer = os::Fd(ends[1]);
    write("hearth.toml",
          "[service.web]\nrestart = \"never\"\ncommand = [\"sh\", \"-c\", "
          "\"seq 1000000 1200000; touch written; " +
              last + "\"]\n");
    stdout_of_next = writer.get();
    Running up = start({"up", "--foreground"});
    EXPECT_TRUE(eventually([&] { return fs::exists(project + "/written") && is_full(); }));
    return up;
  }
  bool is_full() const {
    pollfd polled{writer.get(), POLLOUT, 0};
    return ::poll(&polled, 1, 0) == 0;
  }
  os::Fd reader, writer;
};

TEST_F(UnreadOutput, does_not_make_it_deaf_and_is_counted) {
  Running up = start_unread("exec sleep 1000");
  ::kill(up.pid(), SIGINT);
  const Finished finished = up.finish();
  EXPECT_EQ(finished.code, 130) << finished.err;
  EXPECT_EQ(names(), "");
  EXPECT_NE(finished.err.find("hearth: nobody reads stdout: "), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find(" bytes of output were not shown; the logs in " + directory), std::string::npos)
      << finished.err;
}

TEST_F(UnreadOutput, is_all_there_for_somebody_who_comes_late) {
  Running up = start_unread("exit 0");
  EXPECT_TRUE(eventually([&] { return up.err().find("web is completed") != std::string::npos; })) << up.err();
  writer.reset();
  std::string all;
  char buffer[64u << 10];
  for (ssize_t n = 0; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, std::size_t(n));
  EXPECT_EQ(up.finish().code, 0);
  EXPECT_TRUE(all.starts_with("web | 1000000\nweb | 1000001\n")) << all.substr(0, 100);
  EXPECT_TRUE(all.ends_with("web | 1199999\nweb | 1200000\n"));
  EXPECT_EQ(all.size(), 200'001u * 14);
}

TEST_F(ForegroundTest, the_exit_code_is_that_of_the_service_that_was_named) {
  write("hearth.toml", std::string(two) +
                           "[service.tests]\nrestart = \"never\"\ndepends_on = [\"db\"]\n"
                           "command = [\"sh\", \"-c\", \"echo tested; exit 3\"]\n");
  const Finished up = hearth({"up", "--exit-code-from", "tests"});
  EXPECT_EQ(up.code, 3) << up.all();
  EXPECT_NE(up.out.find("tests | tested\n"), std::string::npos) << up.out;
  EXPECT_EQ(names(), "");
  const Finished unknown = hearth({"up", "--exit-code-from", "test"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean tests?"), std::string::npos) << unknown.err;
}

TEST_F(ForegroundTest, any_end_ends_it_where_that_is_wished) {
  write("hearth.toml",
        std::string(two) + "[service.short]\nrestart = \"never\"\ncommand = [\"sh\", \"-c\", \"exit 5\"]\n");
  EXPECT_EQ(hearth({"up", "--abort-on-exit"}).code, 5);
  EXPECT_EQ(names(), "");
}

TEST_F(ForegroundTest, it_ends_when_nothing_is_left_to_wait_for) {
  write("hearth.toml", "[service.a]\nrestart = \"never\"\ncommand = [\"echo\", \"done\"]\n");
  const Finished up = hearth({"up", "--foreground"});
  EXPECT_EQ(up.code, 0) << up.all();
  EXPECT_NE(up.out.find("a | done\n"), std::string::npos) << up.out;
}

TEST_F(ForegroundTest, who_was_to_end_with_a_service_that_has_done_its_work_has_not_failed) {
  write("hearth.toml",
        "[service.tests]\nrestart = \"never\"\n"
        "command = [\"sh\", \"-c\", \"until test -e helped; do sleep 0.01; done; echo tested\"]\n"
        "[service.helper]\ncommand = [\"sh\", \"-c\", \"touch helped; exec sleep 1000\"]\n"
        "depends_on = { tests = { stop = true } }\n");
  const Finished up = hearth({"up", "--foreground"});
  EXPECT_EQ(up.code, 0) << up.all();
  EXPECT_NE(up.out.find("tests  | tested\n"), std::string::npos) << up.out;
  EXPECT_EQ(names(), "");
}

TEST_F(ForegroundTest, an_instance_of_its_own_leaves_nothing) {
  write("hearth.toml",
        "[service.a]\nrestart = \"never\"\n"
        "command = [\"sh\", \"-c\", \"echo $HEARTH_INSTANCE; exit 4\"]\n");
  const Finished up = start_plain({"--instance", "auto", "up", "--exit-code-from", "a"}).finish();
  EXPECT_EQ(up.code, 4) << up.all();
  const std::size_t at = up.out.find("/tmp/hearth-auto-");
  ASSERT_NE(at, std::string::npos) << up.all();
  EXPECT_FALSE(fs::exists(up.out.substr(at, up.out.find('\n', at) - at)));
  EXPECT_EQ(start_plain({"--instance", "auto", "status"}).finish().code, 2);
}

TEST_F(ForegroundTest, what_is_up_already_survives_a_refusal) {
  write("hearth.toml", two);
  ASSERT_EQ(hearth({"up"}).code, 0);
  fs::create_directory(project + "/other");
  write("other/hearth.toml", std::string("[project]\nname = \"project\"\n") + two);
  EXPECT_EQ(hearth({"up", "--foreground", "-f", "other/hearth.toml"}).code, 1);
  EXPECT_EQ(names(), "web db ") << "as the file has them";
}

}  // namespace
}  // namespace hearth::cli
