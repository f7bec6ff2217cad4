#include "cli/follow.h"

#include <filesystem>
#include <fstream>
#include <signal.h>

#include "cli/failures.h"
#include "cli/log_lines.h"
#include "unit/cli/fake_server.h"
#include "unit/os/temp_directory.h"

namespace hearth::cli {
namespace {

constexpr const char* accepted =
    R"({"order":1,"key":"k","repeated":false,"notes":["db is already running"],"slots":[0,1]})";

std::string report(bool settled, const std::string& seen, const std::string& slots) {
  return http(200, std::string("{\"order\":1,\"verb\":\"apply\",\"settled\":") + (settled ? "true" : "false") +
                       ",\"seen\":\"" + seen + "\",\"slots\":[" + slots + "]}");
}

std::string slot(const std::string& name, const std::string& outcome, const std::string& state) {
  return R"({"project":"app","name":")" + name + R"(","index":0,"outcome":")" + outcome + R"(","state":")" + state +
         R"(","reason_text":"exited with code 1","log_directory":"/nonexistent"})";
}

class FollowTest : public testing::Test {
 protected:
  // Follows and concludes; what was printed is in out and err.
  void follow_with(FakeServer& server, Order order = {}) {
    Context context;
    context.instance.directory = server.directory;
    context.json = json;
    context.place_option = place_option;
    InterruptWatch watch;
    Client client(server.path, &watch);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    if (interrupt) ::raise(SIGINT);
    order.body = "{}";
    order.stands_after = never;  // who looks asks, too, and that is in no script
    outcome = follow(context, client, watch, order);
    code = conclude(context, outcome, order, "up");
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
  }
  bool json = false, interrupt = false;
  std::string place_option;
  Outcome outcome;
  int code = -1;
  std::string out, err;
};

TEST_F(FollowTest, shows_notes_and_changes_and_a_summary) {
  FakeServer server({{http(202, accepted),
                      report(false, "01", slot("db", "done", "running") + "," + slot("web", "pending", "starting")),
                      report(true, "02", slot("db", "done", "running") + "," + slot("web", "done", "running"))}});
  follow_with(server);
  EXPECT_EQ(code, 0);
  EXPECT_NE(out.find("db: running as before\n"), out.npos) << out;
  EXPECT_EQ(out.find("note:"), out.npos) << out;
  EXPECT_NE(out.find("web: starting"), out.npos);
  EXPECT_NE(out.find("up: 2 running, after "), out.npos);
  EXPECT_EQ(err, "");
}

TEST_F(FollowTest, what_has_left_the_file_is_told_also_when_it_was_forgotten_before_the_first_look) {
  const char* with_removed =
      R"({"order":1,"key":"k","repeated":false,"notes":[],"slots":[0],"removed":["app.old.0","app.gone.0"]})";
  const std::vector<std::string> lives = {
      http(202, with_removed),
      report(false, "01", slot("db", "pending", "starting") + "," + slot("old", "pending", "stopping")),
      report(true, "02", slot("db", "done", "running"))};
  Order order;
  order.tells_removed = order.applies_a_file = true;
  {
    FakeServer server({lives});
    follow_with(server, order);
  }
  EXPECT_EQ(code, 0) << err;
  EXPECT_NE(out.find("gone: removed after "), out.npos) << out;
  EXPECT_NE(out.find("old: removed after "), out.npos) << out;
  EXPECT_NE(out.find(": it has left the file\n"), out.npos) << out;
  EXPECT_NE(out.find("up: 1 running, 2 removed, after "), out.npos) << out;
  {
    FakeServer server({{http(202, with_removed)}});
    order.wait = false;
    follow_with(server, order);
  }
  EXPECT_NE(out.find("note: old has left the file: it is stopped and removed\n"), out.npos) << out;
  json = order.wait = true;
  FakeServer server({lives});
  follow_with(server, order);
  EXPECT_TRUE(out.ends_with(",\"removed\":[\"app.old.0\",\"app.gone.0\"]}")) << out;
}

TEST_F(FollowTest, down_of_what_was_not_running_says_that_it_is_forgotten) {
  Order order;
  order.tells_removed = true;
  FakeServer server({{http(202, R"({"order":1,"notes":["web was not running"],"slots":[0],"removed":["app.web.0"]})"),
                      report(true, "01", "")}});
  follow_with(server, order);
  EXPECT_EQ(code, 0) << err;
  EXPECT_NE(out.find("web: stopped as before; now it is forgotten\n"), out.npos) << out;
}

TEST_F(FollowTest, a_supervisor_killed_in_the_middle_is_not_noticed) {
  FakeServer server({{http(202, accepted), report(false, "01", slot("web", "pending", "starting")), ""},
                     {report(true, "02", slot("web", "done", "running"))}});
  follow_with(server);
  // Nobody holds this instance's lock, so the successor must be there at once; it is.
  EXPECT_EQ(code, 0) << err;
}

TEST_F(FollowTest, a_failure_says_which_service_and_why_and_ends_with_1) {
  FakeServer server({{http(202, accepted), report(true, "01", slot("web", "failed", "failed"))}});
  follow_with(server);
  EXPECT_EQ(code, 1);
  EXPECT_NE(err.find("hearth: web failed: exited with code 1\n"), err.npos);
  EXPECT_NE(err.find("it wrote nothing"), err.npos);
  EXPECT_NE(err.find("hearth has given up on it; `hearth start web` tries again\n"), err.npos);
  EXPECT_EQ(err.find("start_timeout"), err.npos);
}

// What hearth is for takes longer than a minute to load, which is the default.
TEST_F(FollowTest, a_start_that_took_too_long_says_how_it_is_given_longer) {
  std::string late = slot("web", "failed", "backoff");
  late.insert(1, R"("reason":"start_timeout",)");
  FakeServer server({{http(202, accepted), report(true, "01", late)}});
  follow_with(server);
  EXPECT_EQ(code, 1);
  EXPECT_NE(err.find("hearth config set service.web.start_timeout TIME"), err.npos) << err;
}

// A user with two instances copies the command that is shown: it has to talk to this one.
TEST_F(FollowTest, commands_that_the_supervisor_names_are_called_as_this_hearth_is) {
  place_option = "--dir /x ";
  const std::string web =
      R"({"project":"app","name":"web","index":0,"outcome":"failed","state":"waiting","want_up":true,)"
      R"("reason":"dependency_missing","reason_text":"waits for db, which is stopped: `hearth start db`"})";
  FakeServer server({{http(202, R"({"order":1,"notes":["a has completed: `hearth start a` does that"],"slots":[0]})"),
                      report(true, "01", web)}});
  follow_with(server);
  EXPECT_NE(out.find("note: a has completed: `hearth --dir /x start a` does that\n"), out.npos) << out;
  EXPECT_NE(out.find("waits for db, which is stopped: `hearth --dir /x start db`"), out.npos) << out;
  EXPECT_NE(err.find("waits for db, which is stopped: `hearth --dir /x start db`\n"), err.npos) << err;

  FakeServer refusing({{http(404, R"({"error":{"operation":"find","subject":"wbe","reason":"no service has that name",)"
                                  R"("hint":"`hearth status` lists them","remedy":"not_found","errno":null}})")}});
  follow_with(refusing);
  EXPECT_NE(err.find("`hearth --dir /x status` lists them"), err.npos) << err;
}

TEST_F(FollowTest, a_failure_that_is_tried_again_says_how_to_end_that_and_where_the_log_is) {
  const test::TempDirectory logs;
  const std::string directory = logs / "app.web.0";
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/00000001.log") << "no such table\n";
  const std::string web =
      R"({"project":"app","name":"web","index":0,"outcome":"failed","state":"backoff","want_up":true,)"
      R"("reason":"exited","reason_text":"exited with code 1","log_directory":")" +
      directory + "\"}";
  const std::string front =
      R"({"project":"app","name":"front","index":0,"outcome":"failed","state":"waiting","want_up":true,)"
      R"("reason":"dependency_missing","reason_text":"waits for web","log_directory":"/nonexistent"})";
  FakeServer server({{http(202, accepted), report(true, "01", web + "," + front)}});
  follow_with(server);
  EXPECT_EQ(code, 1);
  EXPECT_EQ(err,
            "hearth: web failed: exited with code 1\n"
            "  the last line it wrote:\n"
            "  | no such table\n"
            "  all of it: `hearth logs -n all web`, or the files in " +
                directory +
                "\n"
                "  hearth goes on trying; `hearth stop web` ends that\n"
                "hearth: front failed: waits for web\n");
  EXPECT_NE(out.find("not all up: 1 backoff (failed), 1 waiting (failed), after "), out.npos) << out;
}

// Under "exec of pythn3 failed" stood what a healthy run had written the day before.
TEST_F(FollowTest, a_failure_is_told_with_the_lines_of_its_own_runs) {
  const test::TempDirectory logs;
  const std::string directory = logs / "app.web.0";
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/00000001.log") << "2020-01-01T00:00:00.000000Z all is well\n"
                                                "2099-01-01T00:00:00.000000Z no such table\n";
  const auto told = [&](const std::string& exit) {
    const std::string web =
        R"({"project":"app","name":"web","index":0,"outcome":"failed","state":"failed","want_up":true,)"
        R"("reason":"exited","reason_text":"it failed","log_directory":")" +
        directory + R"(","exit":)" + exit + "}";
    FakeServer server({{http(202, accepted), report(true, "01", web)}});
    follow_with(server);
    return err;
  };
  const std::string crash = told(R"({"code":1,"signal":null,"stage":null,"at":"2099-01-01T00:00:01.000Z","run":7})");
  EXPECT_NE(crash.find("  the last line it wrote:\n  | 2099-01-01T00:00:00.000000Z no such table\n"), crash.npos)
      << crash;
  const std::string exec = told(R"({"code":null,"signal":null,"stage":12,"at":"2099-01-01T00:00:01.000Z","run":7})");
  EXPECT_NE(exec.find("  it wrote nothing; its log is in " + directory + "\n"), exec.npos) << exec;
  const std::string before = told(R"({"code":1,"signal":null,"stage":null,"at":"2020-01-01T00:00:01.000Z","run":7})");
  EXPECT_NE(before.find("all is well"), before.npos) << "it had failed before the order: " << before;
}

TEST_F(FollowTest, replicas_that_fail_alike_are_told_once) {
  std::string slots;
  for (const char* index : {"0", "1", "2"})
    slots += std::string(slots.empty() ? "" : ",") + R"({"project":"app","name":"worker","index":)" + index +
             R"(,"replicas":3,"outcome":"failed","state":"backoff","want_up":true,"reason":"exited",)"
             R"("reason_text":"exited with code 1","log_directory":"/nonexistent/app.worker.)" +
             index + "\"}";
  FakeServer server({{http(202, accepted), report(true, "01", slots)}});
  follow_with(server);
  EXPECT_EQ(err,
            "hearth: worker.0-2 failed: exited with code 1\n"
            "  each wrote nothing; their logs are in /nonexistent/app.worker.0 and those beside it\n"
            "  hearth goes on trying; `hearth stop worker` ends that\n");
}

TEST(Failures, name_replicas_by_the_spans_of_their_indices) {
  EXPECT_EQ(replicas_text("worker", {0, 1, 2, 5, 7, 8}), "worker.0-2, worker.5, worker.7-8");
  EXPECT_EQ(replicas_text("shop.worker", {3}), "shop.worker.3");
}

TEST(InterruptWatch, remembers_the_first_signal_and_lets_the_second_end_the_process) {
  const auto blocked = [] {
    sigset_t now;
    ::sigprocmask(SIG_BLOCK, nullptr, &now);
    return ::sigismember(&now, SIGINT) == 1 && ::sigismember(&now, SIGTERM) == 1;
  };
  InterruptWatch watch;
  EXPECT_FALSE(watch.came());
  EXPECT_TRUE(blocked());
  ::raise(SIGINT);
  EXPECT_TRUE(watch.came());
  EXPECT_TRUE(watch.came()) << "it stays so";
  EXPECT_FALSE(blocked());
}

TEST(HeldInterrupts, a_signal_between_two_watches_is_the_next_ones_and_none_ends_the_process) {
  EXPECT_EXIT(
      {
        {
          const HeldInterrupts held;
          {
            InterruptWatch watch;
          }
          ::raise(SIGTERM);
          for (int time = 0; time < 2; ++time) {
            InterruptWatch watch;
            if (!watch.came()) ::_exit(1);
            ::raise(SIGTERM);
            ::raise(SIGINT);
          }
        }
        // What nobody has looked at is over with it; from here on all is as ever.
        ::raise(SIGTERM);
        ::_exit(2);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST_F(FollowTest, a_timeout_says_what_is_missing_and_that_it_goes_on) {
  FakeServer server({{http(202, accepted), report(false, "01", slot("web", "pending", "starting")),
                      report(false, "01", slot("web", "pending", "starting"))}});
  Order order;
  order.timeout = 1;
  follow_with(server, order);
  EXPECT_EQ(code, 1);
  EXPECT_NE(err.find("not done after"), err.npos);
  EXPECT_NE(err.find("the start goes on"), err.npos);
}

TEST_F(FollowTest, ctrl_c_stops_the_waiting_and_says_that_the_start_goes_on) {
  FakeServer server({{std::string("HTTP/1.1 202 Accepted\r\n"), std::string()}});
  interrupt = true;
  follow_with(server);
  EXPECT_EQ(code, 130);
  EXPECT_NE(err.find("the start goes on"), err.npos);
}

TEST_F(FollowTest, without_waiting_asks_nothing_more) {
  FakeServer server({{http(202, accepted)}});
  Order order;
  order.wait = false;
  follow_with(server, order);
  EXPECT_EQ(code, 0);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(FollowTest, json_is_the_last_answer_and_nothing_else) {
  json = true;
  const std::string last = report(true, "02", slot("web", "failed", "failed"));
  FakeServer server({{http(202, accepted), last}});
  follow_with(server);
  EXPECT_EQ(code, 1);
  EXPECT_EQ(out, last.substr(last.find("\r\n\r\n") + 4));
  EXPECT_EQ(err, "");
}

TEST_F(FollowTest, a_refusal_is_told_by_its_remedy) {
  const std::string error =
      R"x({"error":{"operation":"run","subject":"web","reason":"it is already there (PID 7)","hint":"","remedy":")x";
  for (const auto& [remedy, expected] : std::vector<std::pair<std::string, int>>{{"conflict", 1},
                                                                                 {"not_found", 2},
                                                                                 {"fix_input", 2},
                                                                                 {"no_access", 4},
                                                                                 {"try_later", 1},
                                                                                 {"environment", 1}}) {
    FakeServer server({{http(400, error + remedy + "\"}}")}});
    follow_with(server);
    EXPECT_EQ(code, expected) << remedy;
    EXPECT_EQ(err, "hearth: cannot run web: it is already there (PID 7)\n");
  }
}

TEST_F(FollowTest, a_service_that_down_has_forgotten_has_ended_well) {
  FakeServer server({{http(202, accepted),
                      report(false, "01", slot("web", "pending", "stopping") + "," + slot("db", "pending", "stopping")),
                      report(true, "02", "")}});
  follow_with(server);
  EXPECT_EQ(code, 0);
  EXPECT_NE(out.find("2 stopped"), out.npos) << out;
}

TEST_F(FollowTest, a_name_that_means_services_of_two_projects_is_told_once_with_the_name_of_each) {
  const auto both = [](const std::string& end, const std::string& state) {
    std::string other = slot("a", end, state);
    other.replace(other.find("\"app\""), 5, "\"run\"");
    return slot("a", end, state) + "," + other + "," + slot("b", end, state);
  };
  FakeServer server({{http(202, accepted), report(false, "01", both("pending", "stopping")),
                      report(true, "02", both("done", "stopped"))}});
  Order order;
  order.names = {"a", "b"};
  follow_with(server, order);
  EXPECT_EQ(code, 0);
  const std::string note = "note: a is a service in each of 2 projects; to name one of them alone: app.a, run.a\n";
  const std::size_t at = out.find(note);
  ASSERT_NE(at, out.npos) << out;
  EXPECT_EQ(out.find("in each of", at + note.size()), out.npos) << out;
}

TEST(Follow, a_name_that_says_the_project_or_is_a_pattern_is_no_accident) {
  std::vector<SlotNews> slots(2);
  slots[0].project = "app";
  slots[1].project = "run";
  slots[0].name = slots[1].name = "a";
  EXPECT_EQ(shared_names({"app.a", "*", "@x", "run.a.0"}, slots), std::vector<std::string>());
  EXPECT_EQ(shared_names({"a"}, slots).size(), 1u);
  EXPECT_EQ(
      shared_names({"a.0"}, slots),
      std::vector<std::string>{"a.0 is a service in each of 2 projects; to name one of them alone: app.a.0, run.a.0"});
}

TEST(LineCutter, delivers_lines_whatever_the_pieces) {
  const std::string text = "one\ntwo\n\nlast";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    LineCutter cutter;
    std::vector<std::string> lines;
    const auto keep = [&](std::string_view line) { lines.emplace_back(line); };
    for (std::size_t at = 0; at < text.size(); at += step) cutter.add(std::string_view(text).substr(at, step), keep);
    cutter.finish(keep);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "", "last"})) << step;
  }
}

TEST(LineCutter, a_line_without_end_does_not_fill_the_memory) {
  LineCutter cutter;
  std::size_t longest = 0, total = 0;
  const auto count = [&](std::string_view line) {
    longest = std::max(longest, line.size());
    total += line.size();
  };
  for (int i = 0; i < 100; ++i) cutter.add(std::string(100'000, 'x'), count);
  cutter.finish(count);
  EXPECT_EQ(total, 10'000'000u);
  EXPECT_LT(longest, 2u << 20);
}

}  // namespace
}  // namespace hearth::cli
