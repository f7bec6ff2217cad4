// The test of `--fail`: what a call that fails may bring about, and what not.
#include <cerrno>
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
#include "good_evidence.h"
#include "invariants.h"

namespace hearth::kill_anywhere {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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
  const auto not_up = [&](int status, long call) {
    return violations([&](Report& report) {
      report.had_waited = false;
      report.target_status = status;
      report.call_number = call;
    });
  };
  EXPECT_THAT(not_up(1 << 8, SYS_openat), IsEmpty());
  EXPECT_THAT(not_up(0, SYS_openat), ElementsAre(HasSubstr("exited with 0")));
  EXPECT_THAT(not_up(SIGABRT, SYS_openat), ElementsAre(HasSubstr("killed by signal 6")));
  EXPECT_THAT(not_up(SIGABRT, SYS_mmap), IsEmpty());
  EXPECT_THAT(not_up(SIGKILL, SYS_openat), IsEmpty()) << "its keeper was faster";
  EXPECT_THAT(not_up(SIGSEGV, SYS_mmap), ElementsAre(HasSubstr("killed by signal 11")));
  EXPECT_THAT(violations([](Report& report) {
                report.had_waited = false;
                report.target_status = SIGSEGV;
                report.call_number = SYS_mmap;
                report.trail = "dup3 close_range execveat brk ";
              }),
              IsEmpty())
      << "the loader's";
  EXPECT_THAT(violations([](Report& report) { report.call_number = SYS_brk; }), IsEmpty());
  EXPECT_THAT(violations([](Report& report) {
                report.call_number = SYS_brk;
                report.target_status = SIGSEGV;
              }),
              ElementsAre(HasSubstr("killed by signal 11")))
      << "it has not looked whether it got any";
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

TEST(FailAnywhere, a_logger_that_cannot_make_the_next_file_goes_on_in_this_one_and_nobody_else_is_why) {
  Report report;
  for (const auto& [role, left] : {std::pair("logger", 0u), std::pair("supervisor", 1u)}) {
    report.role = role;
    Verdict verdict;
    verdict.violations = {"the log of b was not rotated"};
    judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
    EXPECT_EQ(verdict.violations.size(), left) << role;
  }
}

TEST(FailAnywhere, who_waits_for_a_service_to_accept_may_be_lost_with_it_where_that_was_said) {
  const std::string directory = testing::TempDir() + "/ka-waits-" + std::to_string(getpid());
  std::filesystem::create_directories(directory + "/i");
  const auto left = [&](const char* role, const char* events) {
    std::ofstream(directory + "/i/events.jsonl", std::ios::trunc) << events;
    Report report;
    report.role = role;
    Verdict verdict;
    verdict.violations = {"who waited in the backlog of k was not answered: k: failed 11"};
    judge_failure(report, good(), directory, verdict);
    return verdict.violations.size();
  };
  const char* told = R"({"text":"and who waits for a service to accept is lost if that ends meanwhile. Start"})";
  EXPECT_EQ(0u, left("supervisor", told));
  EXPECT_EQ(1u, left("supervisor", ""));
  EXPECT_EQ(1u, left("keeper", told)) << "it looks for no socket";
  std::filesystem::remove_all(directory);
}

TEST(FailAnywhere, events_may_be_lost_as_far_as_that_is_told) {
  const auto left_of = [](std::vector<std::string> violations, std::uint32_t failed = 10) {
    Report report;
    report.role = "supervisor";
    report.failed = failed;
    Verdict verdict;
    verdict.violations = std::move(violations);
    judge_failure(report, good(), testing::TempDir() + "/ka-nowhere", verdict);
    return verdict.violations;
  };
  const auto told = [](int count) {
    return "in the event journal: " + std::to_string(count) + " events could not be written and are lost: why";
  };
  const auto times = [](int begun, int ended) {
    return "the event journal says " + std::to_string(begun) + " times that run 7 of a began, and " +
           std::to_string(ended) + " times that it ended";
  };
  const std::string gap = "in the event journal: event 20 follows 0", small = "in the event journal: event 5 follows 2";
  EXPECT_THAT(left_of({told(16), gap}), IsEmpty());
  EXPECT_THAT(left_of({gap}), ElementsAre(gap)) << "nobody has told it";
  EXPECT_EQ(left_of({told(2), gap}).size(), 2u) << "more are missing than that";
  EXPECT_EQ(left_of({told(16), gap}, 2).size(), 2u)
      << "only those that tell a loss are not counted, one for each failure";
  const std::string doubled = "in the event journal: event 25 follows 25";
  EXPECT_THAT(left_of({told(16), gap, doubled}), ElementsAre(doubled));
  EXPECT_THAT(left_of({told(16), gap, times(0, 2)}), ElementsAre(times(0, 2)));
  EXPECT_THAT(left_of({told(2), small, times(1, 0), times(0, 1)}), IsEmpty()) << "an end may be the one that was lost";
  EXPECT_THAT(left_of({told(2), small, times(0, 0), times(0, 0)}), ElementsAre(times(0, 0)))
      << "four events of runs are not among two";
}

TEST(FailAnywhere, a_refusal_tells_of_a_death_only_where_somebody_died) {
  Evidence evidence = good();
  evidence.refusals = {{R"(upgrade: 500: {"message":"the keeper died before it went on as that"})", true}};
  Report report;
  Verdict verdict;
  judge_failure(report, evidence, testing::TempDir() + "/ka-nowhere", verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("nobody died")));
}

TEST(FailAnywhere, without_memory_a_keeper_may_end_while_it_executes_another_program_and_at_no_other_time) {
  Evidence evidence = good_exec();
  Report report;
  report.role = "keeper";
  report.target_ended = report.had_waited = report.executing = true;
  report.target_status = SIGSEGV;
  report.call_number = SYS_mmap;
  report.failure = ENOMEM;
  const auto violations = [&] {
    Verdict verdict;
    verdict.violations = {"exit code 9 of d is not known"};
    judge_failure(report, evidence, testing::TempDir() + "/ka-nowhere", verdict);
    return verdict.violations;
  };
  EXPECT_THAT(violations(), IsEmpty());
  report.executing = false;
  EXPECT_EQ(violations().size(), 2u);
  report.executing = true;
  report.failure = EIO;
  EXPECT_EQ(violations().size(), 2u);
}

TEST(FailAnywhere, an_exit_code_may_stand_in_the_events_of_the_service_whose_start_was_refused_since) {
  const std::string directory = testing::TempDir() + "/ka-fail-events-" + std::to_string(getpid());
  std::filesystem::create_directories(directory + "/i");
  const auto violations = [&](const std::string& events) {
    std::ofstream(directory + "/i/events.jsonl", std::ios::trunc) << events;
    Verdict verdict;
    verdict.violations = {"exit code 7 of c is not known: status says something else"};
    judge_failure(Report{}, good(), directory, verdict);
    return verdict.violations;
  };
  const auto ended = [](const char* service) {
    return std::string(R"({"kind":"exit","service":"ka.)") + service + ".0\",\"exit\":{\"code\":7}}\n";
  };
  const std::string refused = R"({"kind":"exit","service":"ka.c.0","exit":{"started":false,"errno":11}})"
                              "\n";
  EXPECT_THAT(violations(ended("c") + refused), IsEmpty());
  EXPECT_EQ(violations(ended("c")).size(), 1u) << "no start was refused";
  EXPECT_EQ(violations(ended("b") + refused).size(), 1u) << "it is another one's";
  EXPECT_EQ(violations(refused + ended("c")).size(), 1u) << "it was refused before";
  std::filesystem::remove_all(directory);
}

TEST(FailAnywhere, a_hook_before_a_start_may_be_run_again_when_that_start_was_refused) {
  const std::string directory = testing::TempDir() + "/ka-fail-hooks-" + std::to_string(getpid());
  std::filesystem::create_directories(directory + "/i");
  const auto violations = [&](const std::string& hooks, const std::string& events) {
    std::ofstream(directory + "/i/events.jsonl", std::ios::trunc) << events;
    Verdict verdict;
    verdict.violations = {"the hooks were not run once each: " + hooks};
    judge_failure(Report{}, good_change(), directory, verdict);
    return verdict.violations.size();
  };
  const std::string refused = R"({"kind":"exit","service":"ka.h.0","exit":{"started":false,"errno":5}})"
                              "\n";
  const std::string rest = "after_start\nbefore_stop\nafter_stop\n", twice = "before_start\nbefore_start\n" + rest;
  EXPECT_EQ(violations(twice, refused), 0u);
  EXPECT_EQ(violations(twice, ""), 1u) << "no start was refused";
  EXPECT_EQ(violations("before_start\n" + twice, refused + refused), 1u);
  EXPECT_EQ(violations("before_start\nafter_start\n" + rest, refused), 1u) << "another hook is doubled";
  std::filesystem::remove_all(directory);
}

TEST(FailAnywhere, an_order_may_fail_for_a_start_that_is_refused_and_made_later) {
  const auto left = [](const std::string& slots) {
    Verdict verdict;
    verdict.violations = {"the order \"apply\" failed: {\"slots\":[" + slots + "]}"};
    judge_failure(Report{}, good(), testing::TempDir() + "/ka-nowhere", verdict);
    return verdict.violations.size();
  };
  EXPECT_EQ(left(R"({"name":"a","outcome":"failed","state":"backoff"})"), 0u);
  EXPECT_EQ(left(R"({"name":"u","outcome":"failed","state":"starting","reason":"refused"})"), 0u);
  EXPECT_EQ(left(R"({"name":"u","outcome":"failed","state":"starting","reason":"exited"})"), 1u);
  EXPECT_EQ(
      left(R"({"name":"a","outcome":"failed","state":"failed"},{"name":"b","outcome":"reached","state":"backoff"})"),
      1u);
  const auto with_b = [](const char* failed) {
    Verdict verdict;
    verdict.violations = {std::string("the order \"x\" failed: {\"slots\":[{\"name\":\"") + failed +
                              "\",\"outcome\":\"failed\",\"state\":\"backoff\"}]}",
                          "b is starting, not ready", "the log of b was not rotated"};
    judge_failure(Report{}, good(), testing::TempDir() + "/ka-nowhere", verdict);
    return verdict.violations.size();
  };
  EXPECT_EQ(with_b("b"), 0u);
  EXPECT_EQ(with_b("a"), 2u) << "READY=1 of b is lost all the same";
}

TEST(FailAnywhere, a_keeper_that_did_not_start_has_exited_with_its_reason_and_left_nobody) {
  const std::string directory = testing::TempDir() + "/ka-fail-no-start-" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  const auto violations = [&](const std::string& said, const std::function<void(Report&, Evidence&)>& doctor) {
    std::ofstream(directory + "/stderr", std::ios::trunc) << said;
    Evidence evidence = good();
    evidence.processes.clear();
    Report report;
    report.role = "keeper";
    report.target_ended = report.keeper_exited = true;
    report.target_status = 1 << 8;
    doctor(report, evidence);
    Verdict verdict;
    verdict.violations = {"the run did not come to its end"};
    judge_failure(report, evidence, directory, verdict);
    return verdict.violations;
  };
  const std::string why = "hearth-keeper: cannot make it: no memory\n";
  EXPECT_THAT(violations(why, [](Report&, Evidence&) {}), IsEmpty());
  EXPECT_EQ(violations("something\n", [](Report&, Evidence&) {}).size(), 1u) << "that is no reason of the keeper's";
  EXPECT_EQ(violations(why, [](Report& report, Evidence&) { report.target_status = SIGSEGV; }).size(), 2u);
  EXPECT_THAT(violations(why, [](Report&, Evidence& evidence) { evidence.crashes = {"the logger died"}; }),
              ElementsAre("the logger died"));
  EXPECT_EQ(violations(why, [](Report&, Evidence& evidence) { evidence.hearth_is_left = true; }).size(), 1u);
  std::filesystem::remove_all(directory);
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
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("killed by signal 6"), HasSubstr("hearth: bug:")));
  std::filesystem::remove_all(directory);
}

TEST(FailAnywhere, a_failed_check_and_a_refusal_without_a_reason_are_violations) {
  const std::string directory = testing::TempDir() + "/ka-fail-" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/stderr") << "hearth: bug: it is so (false) at x.cc:1\n";
  Evidence evidence = good();
  evidence.refusals = {{"apply: 503: {}", false}};
  Verdict verdict;
  judge_failure(Report{}, evidence, directory, verdict);
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("without a reason"), HasSubstr("hearth: bug:")));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace hearth::kill_anywhere
