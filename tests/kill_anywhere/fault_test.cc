// The test of the test: what hearth-kill-anywhere is there to find, planted, and found.
//
//   evidence  -> judge() -> violations        each kind of evidence doctored once
//   log files -> check_log() -> findings      a line taken out, doubled, moved, cut
//   program   -> exit status and words        a service that drops a line, a supervisor that takes nothing over
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fail_check.h"
#include "failures.h"
#include "invariants.h"
#include "places.h"
#include "points.h"
#include "support/lines.h"

namespace hearth::kill_anywhere {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ServiceView service(const char* state, pid_t pid, std::uint64_t run) {
  ServiceView view;
  view.state = state;
  view.ready = true;
  view.pid = pid;
  view.run = run;
  return view;
}

// What a run leaves in which nothing went wrong.
Evidence good() {
  Evidence e;
  e.ended = true;
  e.processes = {{"a", 10, 1, 0, "-", "-"},
                 {"b", 11, 2, 0, "-", "-"},
                 {"c", 12, 3, 0, "-", "-"},
                 {"d", 13, 4, 0, "-", "-"},
                 {"c", 14, 5, 0, "-", "-"},
                 {"e", 16, 7, 0, "-", "-"},
                 {"b", 15, 6, 1, "cache", "stored-as-cache"}};
  e.orders = {{"apply", {1}, "{}", "", 0}, {"restart b", {2}, "{}", "", 0}, {"shutdown", {3}, "", "", 0}};
  e.after_ready.services["b"] = service("running", 11, 2);
  e.after_ready.services["b"].status_text = "loading 1";
  e.after_exit.services["c"] = service("running", 14, 5);
  e.after_exit.services["c"].has_exit = true;
  e.after_exit.services["c"].exit_code = 7;
  e.after_exit.services["c"].restarts = 1;
  e.last.services = {{"a", service("running", 10, 1)},
                     {"b", service("running", 15, 6)},
                     {"c", service("stopped", 0, 5)},
                     {"d", service("failed", 0, 4)},
                     {"e", service("running", 16, 7)}};
  e.last.services["d"].exit_code = 9;
  e.watchdog_before = 100;
  e.watchdog_at = 200;
  e.takeovers_known = true;
  for (const char* name : {"a", "b", "c", "d", "e"}) e.logs[name].files = 3;
  return e;
}

std::vector<std::string> found(const std::function<void(Evidence&)>& doctor) {
  Evidence evidence = good();
  doctor(evidence);
  return judge(evidence).violations;
}

TEST(KillAnywhereFaults, a_run_without_fault_has_no_violation) {
  EXPECT_THAT(judge(good()).violations, IsEmpty());
}

TEST(KillAnywhereFaults, each_doctored_piece_of_evidence_is_a_violation) {
  EXPECT_THAT(found([](Evidence& e) { e.processes.push_back({"a", 20, 7, 0, "-", "-"}); }),
              testing::Contains(HasSubstr("a was started 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.push_back({"c", 20, 7, 0, "-", "-"}); }),
              ElementsAre(HasSubstr("c was started 3 times")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().listen_fds = 0; }),
              ElementsAre(HasSubstr("stored descriptor")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().content = "?"; }),
              ElementsAre(HasSubstr("stored descriptor")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["c"].exit_code.reset(); }),
              ElementsAre(HasSubstr("exit code 7")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["c"].restarts = 2; }),
              ElementsAre(HasSubstr("restarted 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["d"].exit_code = 0; }), ElementsAre(HasSubstr("exit code 9")));
  EXPECT_THAT(found([](Evidence& e) { e.after_ready.services["b"].status_text = ""; }),
              ElementsAre(HasSubstr("STATUS=")));
  EXPECT_THAT(found([](Evidence& e) { e.watchdog_at = e.watchdog_before; }), ElementsAre(HasSubstr("WATCHDOG=1")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["a"].pid = 99; }), ElementsAre(HasSubstr("status says that a")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["e"].pid = 99; }), ElementsAre(HasSubstr("status says that e")));
  EXPECT_THAT(found([](Evidence& e) { e.last.takeovers = 1; }), ElementsAre(HasSubstr("takeovers")));
  EXPECT_THAT(found([](Evidence& e) { e.orders[1].orders.insert(9); }), ElementsAre(HasSubstr("two orders")));
  EXPECT_THAT(found([](Evidence& e) { e.orders[1].report.clear(); }), ElementsAre(HasSubstr("no answer")));
  const auto failed = [](const char* name) {
    return std::string(R"({"order":1,"slots":[{"outcome":"reached","name":"b"},{"outcome":"failed","name":")") + name +
           R"("}]})";
  };
  EXPECT_THAT(found([&](Evidence& e) { e.orders[0].report = failed("d"); }), IsEmpty()) << "it ends on purpose";
  EXPECT_THAT(found([&](Evidence& e) { e.orders[0].report = failed("a"); }),
              ElementsAre(HasSubstr("\"apply\" failed")));
  EXPECT_THAT(found([&](Evidence& e) { e.orders[1].report = failed("d"); }), ElementsAre(HasSubstr("failed")));
  EXPECT_THAT(found([](Evidence& e) { e.doubled_keys = 1; }), ElementsAre(HasSubstr("twice in the decision page")));
  EXPECT_THAT(found([](Evidence& e) { e.left_over = {"o/7"}; }), ElementsAre(HasSubstr("left over: o/7")));
  EXPECT_THAT(found([](Evidence& e) { e.overlaps = {"two"}; }), ElementsAre("two"));
  EXPECT_THAT(found([](Evidence& e) { e.stuck = "x"; }), ElementsAre(HasSubstr("did not come to its end")));
  EXPECT_THAT(found([](Evidence& e) { e.keeper_status = 256; }), ElementsAre(HasSubstr("wait status")));
  EXPECT_THAT(found([](Evidence& e) { e.logs["b"].lost = 1; }), ElementsAre(HasSubstr("log of b")));
}

Evidence good_change() {
  Evidence e;
  e.story = Story::change;
  e.ended = true;
  std::uint64_t run = 0;
  for (const char* name : {"x", "w", "t", "p", "r", "h", "j", "d", "l", "n", "f", "k", "f", "k"}) {
    const pid_t pid = static_cast<pid_t>(100 + ++run);
    e.processes.push_back({name, pid, run, 0, "-", "-"});
    e.last.services[name] = service("running", pid, run);
    ++e.events.begun[run];
    ++e.events.ended[run];
  }
  e.events.checked = true;
  e.last.services["d"].exit_code = 9;
  e.last.services["h"].state = "stopped";
  e.last.services.erase("l");
  e.after_exit.services["j"] = service("completed", 0, 7);
  e.after_exit.services["j"].exit_code = 0;
  e.hooks = "before_start\nafter_start\nbefore_stop\nafter_stop\n";
  e.hangups = "1";
  e.caller_heard = "pong";
  return e;
}

Evidence good_upgrade() {
  Evidence e = good();
  e.story = Story::upgrade;
  std::erase_if(e.processes, [](const SeenProcess& process) { return process.name == "c" || process.name == "e"; });
  e.upgraded = true;
  e.last.takeovers = 1;
  return e;
}

Evidence good_exec() {
  Evidence e = good_upgrade();
  e.story = Story::keeper;
  e.last.takeovers = 0;
  return e;
}

TEST(KillAnywhereFaults, so_is_each_of_the_story_of_change) {
  const auto found = [](const std::function<void(Evidence&)>& doctor) {
    Evidence evidence = good_change();
    doctor(evidence);
    return judge(evidence).violations;
  };
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  for (const char* name : {"x", "w", "t", "f", "p", "r", "k", "n"}) {
    EXPECT_THAT(found([&](Evidence& e) { e.last.services[name].ready = false; }), ElementsAre(HasSubstr("not ready")));
    EXPECT_THAT(found([&](Evidence& e) { e.last.services[name].restarts = 1; }), ElementsAre(HasSubstr("restarts")));
  }
  EXPECT_THAT(found([](Evidence& e) { e.hooks += "after_stop\n"; }), ElementsAre(HasSubstr("hooks")));
  EXPECT_THAT(found([](Evidence& e) { e.hooks = "before_start\n"; }), ElementsAre(HasSubstr("hooks")));
  EXPECT_THAT(found([](Evidence& e) { e.hangups = "2"; }), ElementsAre(HasSubstr("SIGHUP 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.caller_heard = "k: failed 11"; }), ElementsAre(HasSubstr("backlog")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["l"] = {}; }), ElementsAre(HasSubstr("left the document")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["j"].exit_code = 1; }),
              ElementsAre(HasSubstr("exit code 0 of j")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["j"].state = "failed"; }),
              ElementsAre(HasSubstr("the task j is failed")));
  EXPECT_THAT(found([](Evidence& e) { e.events.begun[3] = 2; }),
              ElementsAre(HasSubstr("2 times that run 3 of t began")));
  EXPECT_THAT(found([](Evidence& e) { e.events.ended.erase(3); }), ElementsAre(HasSubstr("0 times that it ended")));
  EXPECT_THAT(found([](Evidence& e) { e.events.wrong = {"x"}; }), ElementsAre(HasSubstr("in the event journal: x")));
}

TEST(KillAnywhereFaults, so_is_each_of_the_story_of_an_upgrade) {
  const auto found = [](const std::function<void(Evidence&)>& doctor) {
    Evidence evidence = good_upgrade();
    doctor(evidence);
    return judge(evidence).violations;
  };
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  EXPECT_THAT(found([](Evidence& e) { e.upgraded = false; }), ElementsAre(HasSubstr("the programs before")));
  EXPECT_THAT(found([](Evidence& e) { e.last.returns = 1; }), ElementsAre(HasSubstr("taken back")));
  EXPECT_THAT(found([](Evidence& e) { e.orders[1].orders.insert(9); }), ElementsAre(HasSubstr("two orders")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().listen_fds = 0; }),
              ElementsAre(HasSubstr("stored descriptor")));
}

TEST(KillAnywhereFaults, so_is_each_of_the_story_of_a_keeper_that_executes_another_program) {
  const auto found = [](const std::function<void(Evidence&)>& doctor) {
    Evidence evidence = good_exec();
    doctor(evidence);
    return judge(evidence).violations;
  };
  const std::string of_dry_run = R"(upgrade: 500: {"message":"the dry run of the program was killed by signal 9"})";
  const std::string of_keeper = R"(upgrade: 500: {"message":"the keeper died before it went on as that"})";
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  EXPECT_THAT(found([](Evidence& e) { e.processes.push_back({"a", 20, 7, 0, "-", "-"}); }),
              testing::Contains(HasSubstr("a was started 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().listen_fds = 0; }),
              ElementsAre(HasSubstr("stored descriptor")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["d"].exit_code.reset(); }),
              ElementsAre(HasSubstr("exit code 9")));
  EXPECT_THAT(found([](Evidence& e) { e.last.takeovers = 1; }), ElementsAre(HasSubstr("takeovers")));
  EXPECT_THAT(found([](Evidence& e) { e.upgraded = false; }), ElementsAre(HasSubstr("the program before")));
  EXPECT_THAT(found([](Evidence& e) {
                e.upgraded = false;
                e.loss = Loss::keeper;
              }),
              IsEmpty())
      << "its successor has the program before";
  EXPECT_THAT(found([](Evidence& e) {
                e.upgraded = false;
                e.loss = Loss::keeper;
                e.done_after_death = true;
              }),
              ElementsAre(HasSubstr("the program before")))
      << "that was given to the successor";
  EXPECT_THAT(found([](Evidence& e) { e.refused_and_done = {"x"}; }), ElementsAre(HasSubstr("refused, and yet")));
  EXPECT_THAT(found([&](Evidence& e) { e.refusals = {of_dry_run}; }), ElementsAre(HasSubstr("without a death")));
  EXPECT_THAT(found([&](Evidence& e) { e.refusals = {of_keeper}; }), ElementsAre(HasSubstr("without a death")));
  EXPECT_THAT(found([&](Evidence& e) {
                e.refusals = {of_keeper};
                e.loss = Loss::keeper;
              }),
              IsEmpty());
  const auto of_killed_dry_run = [&](std::vector<std::string> refusals) {
    return found([&](Evidence& e) {
      e.dry_run_killed = e.killed_alone = true;
      e.refusals = std::move(refusals);
    });
  };
  EXPECT_THAT(of_killed_dry_run({of_dry_run}), IsEmpty());
  EXPECT_THAT(of_killed_dry_run({}), ElementsAre(HasSubstr("refused 0 times")));
  EXPECT_THAT(of_killed_dry_run({of_dry_run, of_dry_run}), ElementsAre(HasSubstr("refused 2 times")));
  EXPECT_THAT(of_killed_dry_run({of_keeper}), ElementsAre(HasSubstr("without a death")));
}

TEST(KillAnywhereFaults, a_journal_that_lost_doubled_or_cut_an_event_is_noticed) {
  const std::string one = R"({"id":1,"time":"t","kind":"order","text":"x"})"
                          "\n";
  const std::string two = R"({"id":2,"time":"t","kind":"run","cause":1,"run":7,"text":"x"})"
                          "\n";
  const std::string three = R"({"id":3,"time":"t","kind":"exit","cause":2,"run":7,"text":"x"})"
                            "\n";
  const EventFindings whole = check_event_lines(one + two + three);
  EXPECT_THAT(whole.wrong, IsEmpty());
  EXPECT_EQ(whole.begun.at(7), 1u);
  EXPECT_EQ(whole.ended.at(7), 1u);
  EXPECT_THAT(check_event_lines(one + three).wrong, ElementsAre("event 3 follows 1"));
  EXPECT_THAT(check_event_lines(one + two + two + three).wrong, ElementsAre("event 2 follows 2"));
  EXPECT_FALSE(check_event_lines(two + one).wrong.empty());
  EXPECT_FALSE(check_event_lines(one + two.substr(0, 30)).wrong.empty());
  EXPECT_THAT(check_event_lines(R"({"id":1,"time":"t","kind":"loss","text":"3 are lost"})"
                                "\n")
                  .wrong,
              ElementsAre("3 are lost"));
}

TEST(KillAnywhereFaults, what_only_the_death_of_everything_may_cost_is_tolerated_only_then) {
  Evidence evidence = good();
  evidence.logs["a"].lost = 3;
  evidence.logs["a"].gaps = 1;
  evidence.loss = Loss::keeper;
  EXPECT_EQ(judge(evidence).violations.size(), 1u);
  evidence.loss = Loss::all_of_hearth;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
  evidence.logs["a"].gaps = 2;
  EXPECT_EQ(judge(evidence).violations.size(), 1u) << "one batch has no two gaps";
}

class LogCheck : public testing::Test {
 protected:
  LogCheck() { std::filesystem::create_directories(directory); }
  ~LogCheck() override { std::filesystem::remove_all(directory); }
  LogFindings check(const std::string& text) {
    std::ofstream(directory + "/00000001.log") << text;
    return check_log(directory, "raw", {5, 5});
  }
  static std::string lines(std::initializer_list<std::uint64_t> numbers) {
    std::string text;
    for (const std::uint64_t number : numbers) text += support::make_line(number, 3);
    return text;
  }
  std::string directory = testing::TempDir() + "/ka-log-" + std::to_string(getpid());
};

TEST_F(LogCheck, finds_lines_that_are_lost_doubled_moved_and_damaged) {
  EXPECT_TRUE(check(lines({0, 1, 2, 3, 4})).exact());
  EXPECT_EQ(check(lines({0, 1, 3, 4})).lost, 1u);
  EXPECT_EQ(check(lines({0, 1, 1, 2, 3, 4})).doubled, 1u);
  EXPECT_EQ(check(lines({0, 2, 1, 3, 4})).disordered, 1u);
  EXPECT_EQ(check(lines({0, 1, 2, 3}) + lines({4}).substr(3)).damaged, 1u);
  EXPECT_EQ(check(lines({0, 1, 2, 3, 4, 5})).damaged, 1u) << "a line that was never written";
  std::string flipped = lines({0, 1, 2, 3, 4});
  flipped[30] = flipped[30] == 'x' ? 'y' : 'x';
  EXPECT_EQ(check(flipped).damaged, 1u);
}

TEST(KillAnywhereFaults, points_are_read_as_they_are_written) {
  for (const char* text :
       {"1:17:entry", "1:openat#4:exit", "2:stop/openat#4:exit", "0:launch/3:entry:all", "2:call999#0:entry:all",
        "0:3:exit", "2:5:exit:all", "1:9:entry:with-keeper", "1:upgrade/9:exit:with-logger", "0:9:exit:with-supervisor",
        "commit:3:120", "1:up/write#2:fail-EIO", "2:down/splice#0:fail-shortx10"}) {
    const std::optional<Point> point = parse_point(text);
    ASSERT_TRUE(point) << text;
    EXPECT_EQ(text_of(*point), text);
  }
  for (const char* text : {"", "1:2", "1:2:before", "commit:0:1", "1:x:entry", "1:x#3:entry",
                           "1:nowhere/openat#3:entry", "1:2:exit:some", "1:2:exit:with-some", "1:up/write#2:fail-",
                           "1:up/write#2:fail-EWHAT", "1:up/write#2:fail-EIOx1", "1:up/write#2:fail-EIOx"})
    EXPECT_FALSE(parse_point(text)) << text;
}

TEST(KillAnywhereFaults, points_are_only_at_calls_that_every_clean_run_had) {
  const auto call = [](long kind, Phase phase, bool returned = true) { return Call{kind, phase, returned}; };
  const std::vector<Call> common = common_calls(
      {{call(1, Phase::up), call(2, Phase::up), call(1, Phase::up), call(1, Phase::stop), call(9, Phase::down)},
       {call(1, Phase::up, false), call(2, Phase::up), call(3, Phase::up), call(9, Phase::down, false)}});
  ASSERT_EQ(common.size(), 3u);
  EXPECT_EQ(common[0].kind, 1);
  EXPECT_FALSE(common[0].returned) << "in one of the runs it did not";
  EXPECT_EQ(common[1].kind, 2);
  EXPECT_TRUE(common[1].returned);
  EXPECT_EQ(common[2].kind, 9);
  EXPECT_EQ(common[2].phase, Phase::down);
  EXPECT_TRUE(common_calls({}).empty());
}

TEST(FailAnywhere, a_call_meets_what_its_man_page_says_of_what_it_is_about) {
  CallFacts call;
  call.kind = SYS_write;
  call.object = Object::pipe;
  call.args[2] = 100;
  EXPECT_THAT(failures_of(call), ElementsAre(EINTR));
  call.nonblocking = true;
  EXPECT_THAT(failures_of(call), ElementsAre(EAGAIN)) << "a small write to a pipe is whole or not at all";
  call.object = Object::file;
  EXPECT_THAT(failures_of(call), ElementsAre(ENOSPC, EDQUOT, EIO, short_count));
  call.object = Object::other;
  EXPECT_THAT(failures_of(call), IsEmpty()) << "an eventfd has no disk";
  call.kind = SYS_epoll_ctl;
  call.args[1] = EPOLL_CTL_DEL;
  EXPECT_THAT(failures_of(call), IsEmpty());
  call.args[1] = EPOLL_CTL_ADD;
  EXPECT_THAT(failures_of(call), ElementsAre(ENOMEM, ENOSPC));
  call.kind = SYS_sendmsg;
  call.passes_descriptors = true;
  EXPECT_THAT(failures_of(call), testing::Contains(ETOOMANYREFS));
}

TEST(FailAnywhere, a_process_that_ends_of_it_is_a_violation_unless_it_was_not_up_or_has_no_memory) {
  const std::string nowhere = testing::TempDir() + "/ka-nowhere";
  const auto violations = [&](const std::function<void(Report&)>& doctor) {
    Report report;
    report.target_ended = report.had_waited = true;
    report.target_status = SIGABRT;
    report.call_number = SYS_openat;
    report.role = "supervisor";
    doctor(report);
    Verdict verdict;
    judge_failure(report, good(), nowhere, verdict);
    return verdict.violations;
  };
  EXPECT_THAT(violations([](Report&) {}), ElementsAre(HasSubstr("killed by signal 6")));
  EXPECT_THAT(violations([](Report& report) { report.target_ended = false; }), IsEmpty());
  EXPECT_THAT(violations([](Report& report) { report.had_waited = false; }), IsEmpty());
  EXPECT_THAT(violations([](Report& report) { report.call_number = SYS_brk; }), IsEmpty());
  EXPECT_THAT(violations([](Report& report) {
                report.call_number = SYS_brk;
                report.role = "keeper";
              }),
              ElementsAre(HasSubstr("killed by signal 6")))
      << "it has no heap";
  EXPECT_THAT(violations([](Report& report) { report.target_status = 0; }), ElementsAre(HasSubstr("exited with 0")))
      << "as one does that takes its keeper for dead";
}

TEST(FailAnywhere, nobody_else_may_end_of_it) {
  Evidence evidence = good();
  evidence.last.takeovers = 1;
  Report report;
  report.role = "keeper";
  report.had_waited = true;
  Verdict verdict;
  judge_failure(report, evidence, testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("a supervisor ended")));
}

TEST(FailAnywhere, no_more_is_left_over_than_could_not_be_removed) {
  Report report;
  report.role = "supervisor";
  report.call_number = SYS_unlinkat;
  report.failed = 1;
  Verdict verdict;
  verdict.violations = {"left over: /i/o/1", "left over: /i/o/2"};
  judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_THAT(verdict.violations, ElementsAre("left over: /i/o/2"));
  report.role = "logger";
  verdict.violations = {"left over: in runs.json: cannot open it"};
  judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("runs.json"))) << "it does not write that";
}

TEST(FailAnywhere, events_may_be_lost_as_far_as_that_is_told) {
  const std::string gap = "in the event journal: event 20 follows 0";
  Report report;
  report.role = "supervisor";
  Verdict verdict;
  verdict.violations = {"in the event journal: 16 events could not be written and are lost: why", gap};
  judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_THAT(verdict.violations, ElementsAre());
  verdict.violations = {gap};
  judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(gap)) << "nobody has told it";
  verdict.violations = {"in the event journal: 2 events could not be written and are lost: why", gap};
  judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_EQ(verdict.violations.size(), 2u) << "more are missing than that";
}

TEST(FailAnywhere, a_failed_check_of_a_keeper_that_does_not_start_is_no_reason_for_it) {
  const std::string directory = testing::TempDir() + "/ka-fail-start-" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/stderr") << "hearth: bug: it is so (false) at x.cc:1\n";
  Evidence evidence = good();
  evidence.processes.clear();
  Report report;
  report.role = "keeper";
  report.target_ended = report.keeper_exited = true;
  report.target_status = SIGABRT;
  Verdict verdict;
  judge_failure(report, evidence, directory, verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("hearth: bug:")));
  std::filesystem::remove_all(directory);
}

TEST(FailAnywhere, a_failed_check_and_a_refusal_without_a_reason_are_violations) {
  const std::string directory = testing::TempDir() + "/ka-fail-" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/stderr") << "hearth: bug: it is so (false) at x.cc:1\n";
  Evidence evidence = good();
  evidence.refusals = {"apply: 503: {}"};
  Verdict verdict;
  judge_failure(Report{}, evidence, directory, verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("without a reason"), HasSubstr("hearth: bug:")));
  std::filesystem::remove_all(directory);
}

// Exit status and output of hearth-kill-anywhere with these arguments.
std::pair<int, std::string> run_tool(const std::string& arguments) {
  FILE* tool = popen((std::string(HEARTH_BIN_DIR) + "/hearth-kill-anywhere " + arguments + " 2>&1").c_str(), "r");
  std::string output;
  char bytes[4096];
  while (const std::size_t n = std::fread(bytes, 1, sizeof bytes, tool)) output.append(bytes, n);
  return {pclose(tool), output};
}

TEST(KillAnywhereFaults, a_service_that_drops_a_line_is_noticed) {
  const auto [status, output] = run_tool("--point 4:8:entry --service-mode drops-a-line");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("log of a"));
  EXPECT_THAT(output, HasSubstr("line 25 is not there"));
}

TEST(KillAnywhereFaults, a_supervisor_that_takes_nothing_over_is_noticed) {
  const auto [status, output] =
      run_tool("--point 1:700:entry --deadline 4 --supervisor " HEARTH_BIN_DIR "/hearth-ka-refusing-supervisor");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("did not come to its end"));
}

TEST(KillAnywhereFaults, a_keeper_that_goes_on_with_another_stored_descriptor_is_noticed) {
  const auto [status, output] =
      run_tool("--story keeper --point 1:after/0:entry --next-keeper " HEARTH_BIN_DIR "/hearth-ka-forgetful-keeper");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("the stored descriptor did not come back"));
}

}  // namespace
}  // namespace hearth::kill_anywhere
