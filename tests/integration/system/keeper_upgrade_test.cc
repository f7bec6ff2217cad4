// `hearth upgrade --keeper`: the keeper executes another program in its own place, or refuses to; and no service notices.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "upgrading.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using ::testing::HasSubstr;
using ::testing::Not;

struct UpgradeOfKeeper : Upgrading {
  Output upgrade_all(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"--keeper"};
    words.insert(words.end(), more.begin(), more.end());
    return upgrade(words);
  }
  Command begin_upgrade_of_all() { return begin({"upgrade", "--from", from, "--keeper"}); }
  std::string program_of_keeper() { return program_of(status().keeper); }
  std::string offered() const { return from + "/hearth-keeper"; }
  json::value keeper_facts() { return json::parse(hearth({"status", "--json"}).out).at("keeper"); }
  // Not the trial of the client, which is the same file.
  bool keeper_tries() {
    const pid_t pid = process_of(offered());
    const std::string words = os::read_file("/proc/" + std::to_string(pid) + "/cmdline").value_or("");
    return pid != 0 && words.find("--dry-run") != std::string::npos;
  }
  // And waits for the next one.
  void kill_keeper() {
    const pid_t keeper = status().keeper;
    EXPECT_EQ(0, ::kill(keeper, SIGKILL));
    EXPECT_TRUE(until([&] { return status().keeper != keeper && status().answered; }));
  }
  // A whole life of a run, of which the keeper has a part at each end.
  void expect_work() {
    const Output output = hearth({"restart", "web"});
    EXPECT_EQ(0, output.code) << output.all();
    EXPECT_TRUE(stage->enter().here());
  }
  // Nothing has changed, but that it was tried.
  void expect_refused_by_keeper(const Output& output, const std::string& why, pid_t web) {
    EXPECT_EQ(1, output.code) << output.all();
    EXPECT_THAT(output.err, HasSubstr(why));
    EXPECT_THAT(output.err, HasSubstr("nothing was changed"));
    EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
    EXPECT_EQ("0.1.0", running());
    EXPECT_EQ(0u, status().takeovers);
    EXPECT_EQ(web, service().pid);
    EXPECT_EQ(0, keeper_facts().at("execs").to_number<int>());
    EXPECT_THAT(std::string(keeper_facts().at("refusal_reason").as_string()), HasSubstr(why));
    EXPECT_THAT(events(), HasSubstr(why));
  }
  // POST /v1/orders, as a client of the API does it. The answer, with its head.
  std::string order(const std::string& body, const std::string& key = "000102030405060708090a0b0c0d0e0f") {
    const os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (directory + "/api.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(0, ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    const std::string request = "POST /v1/orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\nIdempotency-Key: " + key +
                                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    EXPECT_EQ(static_cast<ssize_t>(request.size()), ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL));
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(n));
    return answer;
  }
};

TEST_F(UpgradeOfKeeper, all_three_are_replaced_and_no_line_is_lost) {
  Actor web = start();
  offer("hearth-test-newer-supervisor");
  const pid_t keeper = status().keeper;
  const std::vector<pid_t> loggers = members("hearth-logger");
  web.order("lines 20000");
  const Output output = upgrade_all();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("hearth 99.0.0 goes on in the place of 0.1.0"));
  EXPECT_THAT(output.out, HasSubstr("the keeper (PID " + std::to_string(keeper) + ") has executed " + offered()));
  EXPECT_EQ("ok", web.hear());
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(keeper, status().keeper);
  EXPECT_EQ(offered(), program_of(keeper));
  EXPECT_EQ(1, keeper_facts().at("generation").to_number<int>());
  EXPECT_EQ(1, keeper_facts().at("execs").to_number<int>());
  EXPECT_TRUE(keeper_facts().at("refusal_reason").is_null());
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0u, service().restarts);
  EXPECT_TRUE(until([&] { return program_of_logger() == from + "/hearth-logger"; }));
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected);
  EXPECT_THAT(events(), HasSubstr("executed another program in its own place"));
  expect_work();
  expect_clean_shutdown();
}

TEST_F(UpgradeOfKeeper, who_dies_when_its_file_is_gone_is_succeeded_by_the_same_program) {
  use_copies_of_programs();
  const Actor web = start();
  const std::string gone = " (deleted)";
  const std::string keeper = bin("hearth-keeper"), supervisor = bin("hearth-supervisor"), logger = bin("hearth-logger");
  ASSERT_TRUE(until([&] { return program_of_logger() == logger; }));
  for (const std::string& path : {keeper, supervisor, logger}) std::filesystem::remove(path);
  const InstanceView before = status();
  ASSERT_EQ(0, ::kill(before.keeper, SIGKILL));
  EXPECT_TRUE(until([&] { return status().keeper != before.keeper; }));
  EXPECT_EQ(keeper + gone, program_of(status().keeper));
  EXPECT_TRUE(until([&] { return process_of(logger + gone) != 0; }));
  ASSERT_EQ(0, ::kill(before.supervisor, SIGKILL));
  EXPECT_TRUE(until([&] { return status().supervisor != before.supervisor && status().answered; }));
  EXPECT_EQ(supervisor + gone, program_of(status().supervisor));
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

TEST_F(UpgradeOfKeeper, that_dies_soon_after_it_was_executed_is_succeeded_by_the_program_before) {
  const Actor web = start();
  offer("hearth-supervisor");
  EXPECT_THAT(order(R"({"verb":"upgrade","programs":{"keeper":")" + offered() + R"("}})"), HasSubstr(" 202 "));
  const pid_t keeper = status().keeper;
  EXPECT_EQ(offered(), program_of(keeper));
  kill_keeper();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  // Which is not on trial itself.
  kill_keeper();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
}

// The supervisor that has seen it executed has given way to the next one by then.
TEST_F(UpgradeOfKeeper, that_dies_soon_after_all_three_were_replaced_is_succeeded_by_the_program_before) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  const Output output = upgrade_all();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(offered(), program_of_keeper());
  kill_keeper();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

// Of an upgrade without --keeper, and the death of the keeper that stayed.
TEST_F(UpgradeOfKeeper, an_older_keeper_is_succeeded_by_its_program_without_what_that_does_not_know) {
  use_copies_of_programs();
  put("hearth-test-older-keeper", bin("hearth-keeper"));
  const Actor web = start();
  kill_keeper();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

TEST_F(UpgradeOfKeeper, where_its_program_cannot_be_executed_any_more_the_file_beside_the_supervisor_is) {
  use_copies_of_programs();
  const Actor web = start();
  put("hearth-keeper", bin("hearth-keeper"));
  ASSERT_EQ(0, ::chmod(("/proc/" + std::to_string(status().keeper) + "/exe").c_str(), 0600));
  kill_keeper();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

TEST_F(UpgradeOfKeeper, a_logger_file_that_is_replaced_is_not_executed_by_the_next_keeper) {
  use_copies_of_programs();
  const Actor web = start();
  const std::string logger = bin("hearth-logger");
  ASSERT_TRUE(until([&] { return program_of_logger() == logger; }));
  const pid_t before = members("hearth-logger").at(0);
  put("hearth-logger", logger);
  kill_keeper();
  EXPECT_TRUE(until([&] {
    const pid_t now = process_of(logger + " (deleted)");
    return now != 0 && now != before;
  }));
  EXPECT_EQ(0, process_of(logger));
  EXPECT_EQ(web.pid, service().pid);
  expect_clean_shutdown();
}

// The keeper finds the order and the death together, in whichever order it looks.
TEST_F(UpgradeOfKeeper, an_exit_in_the_middle_is_known_with_its_code) {
  const Actor web = start("restart = \"never\"\n");
  offer("hearth-test-newer-supervisor");
  const pid_t keeper = status().keeper, supervisor = members("hearth-supervisor").at(0);
  ASSERT_EQ(0, ::kill(keeper, SIGSTOP));
  Command upgrading = begin_upgrade_of_all();
  ASSERT_TRUE(until([&] { return has_open(supervisor, offered()); }));
  web.order("exit 42");
  ASSERT_TRUE(web.wait_end());
  ASSERT_EQ(0, ::kill(keeper, SIGCONT));
  const Output output = upgrading.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_EQ(42, service().exit_code);
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(keeper, status().keeper);
  EXPECT_EQ(offered(), program_of(keeper));
}

TEST_F(UpgradeOfKeeper, what_is_no_keeper_is_refused_with_the_reason) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  offer_bad_keeper("nothing");
  expect_refused_by_keeper(upgrade_all(), "the dry run of the program exited with code 0: is it a hearth-keeper?",
                           web.pid);
  offer_bad_keeper("crashes");
  expect_refused_by_keeper(upgrade_all(), "the dry run of the program was killed by signal 6", web.pid);
  offer_bad_keeper("refuses");
  expect_refused_by_keeper(upgrade_all(), "it knows another version of the slot table", web.pid);
  put("hearth-test-keeper-without-luck", offered());
  expect_refused_by_keeper(upgrade_all(), "the program was executed and gave way to the one before", web.pid);
  expect_work();
  // And a good one has its chance after them.
  offer("hearth-test-newer-supervisor");
  const Output output = upgrade_all();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(offered(), program_of_keeper());
  expect_clean_shutdown();
}

TEST_F(UpgradeOfKeeper, what_does_not_belong_together_is_refused_before_it_is_ordered) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  const auto expect_nothing = [&](const std::string& why) {
    for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--keeper"}}) {
      expect_refused(upgrade(more), why);
      EXPECT_TRUE(keeper_facts().at("refusal_reason").is_null());
    }
  };
  offer_bad_keeper("speaks-otherwise");
  expect_nothing("hearth-keeper: it is not of one build with hearth-supervisor: another version of messages");
  offer_bad_keeper("silent-in-trial");
  expect_nothing("hearth-keeper: it knows no trial");
  ::unlink(offered().c_str());
  write_file(offered(), "Lorem ipsum", 0755);
  expect_nothing("hearth-keeper: this machine cannot execute it");
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(UpgradeOfKeeper, one_that_hangs_in_its_dry_run_is_given_up_and_supervision_goes_on) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  offer_bad_keeper("hangs");
  bool meanwhile = false;
  // A busy machine may need longer for the work than the keeper has patience: then once more.
  for (int i = 0; i < 5 && !meanwhile; ++i) {
    Command upgrading = begin_upgrade_of_all();
    ASSERT_TRUE(until([&] { return keeper_tries() || upgrading.ended(); }));
    expect_work();
    const pid_t next = service().pid;
    meanwhile = !upgrading.ended();
    expect_refused_by_keeper(upgrading.wait(), "the dry run of the program had no end within 5 s", next);
  }
  EXPECT_TRUE(meanwhile) << "no work was done while it was tried";
  EXPECT_TRUE(until([&] { return process_of(offered()) == 0; }));
}

// Which the supervisor heals, as any death of a keeper; and what may have killed it is not given to the next one.
TEST_F(UpgradeOfKeeper, one_that_dies_when_it_is_executed_is_replaced_and_the_order_refused) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  offer("hearth-test-newer-supervisor");
  offer_bad_keeper("dies");
  const Output output = upgrade_all();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("the keeper died before it went on as that"));
  EXPECT_TRUE(until([&] { return status().keeper != keeper && runs(status().keeper); }));
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(0u, status().takeovers);
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

TEST_F(UpgradeOfKeeper, a_keeper_killed_while_it_tries_is_replaced_and_the_order_refused) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  offer("hearth-test-newer-supervisor");
  offer_bad_keeper("hangs");
  Command upgrading = begin_upgrade_of_all();
  ASSERT_TRUE(until([&] { return keeper_tries(); }));
  ASSERT_EQ(0, ::kill(keeper, SIGKILL));
  const Output output = upgrading.wait();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("the keeper died before it went on as that"));
  EXPECT_TRUE(until([&] { return process_of(offered()) == 0; })) << "its dry run goes with it";
  EXPECT_TRUE(until([&] { return status().keeper != keeper; }));
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

// Its client repeats the order, and the next one takes it.
TEST_F(UpgradeOfKeeper, a_supervisor_killed_in_the_middle_loses_no_order) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  const pid_t keeper = status().keeper, supervisor = members("hearth-supervisor").at(0);
  ASSERT_EQ(0, ::kill(keeper, SIGSTOP));
  Command upgrading = begin_upgrade_of_all();
  ASSERT_TRUE(until([&] { return has_open(supervisor, offered()); }));
  ASSERT_EQ(0, ::kill(supervisor, SIGKILL));
  ASSERT_EQ(0, ::kill(keeper, SIGCONT));
  const Output output = upgrading.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(keeper, status().keeper);
  EXPECT_EQ(offered(), program_of(keeper));
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0u, service().restarts);
  expect_work();
}

TEST_F(UpgradeOfKeeper, a_supervisor_killed_while_the_keeper_tries_is_succeeded_by_one_that_tells_the_truth) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  offer_bad_keeper("hangs");
  Command upgrading = begin_upgrade_of_all();
  ASSERT_TRUE(until([&] { return keeper_tries(); }));
  kill_members("hearth-supervisor", SIGKILL);
  const Output output = upgrading.wait();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("had no end within 5 s"));
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ(web.pid, service().pid);
}

// It has been told everything before it has begun, and finds another program by then; nobody orders that one again.
TEST_F(UpgradeOfKeeper, a_supervisor_that_comes_while_the_keeper_tries_knows_the_program_before) {
  const Actor web = start();
  offer("hearth-supervisor");
  offer_bad_keeper("waits");
  const std::string real = from + "/real-keeper", go = from + "/go";
  put("hearth-keeper", real);
  write_file(from + "/keeper-real", real);
  ASSERT_EQ(0, ::mkfifo(go.c_str(), 0600));
  const pid_t keeper = status().keeper, supervisor = status().supervisor;
  Command upgrading = begin_upgrade_of_all();
  ASSERT_TRUE(until([&] { return keeper_tries(); }));
  const pid_t tried = process_of(offered());
  upgrading.signal(SIGKILL);
  ASSERT_EQ(0, ::kill(keeper, SIGSTOP));
  ASSERT_EQ(0, ::kill(supervisor, SIGKILL));
  const os::Fd opened(::open(go.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(until([&] { return !runs(tried) && !runs(supervisor); }));
  ASSERT_EQ(0, ::kill(keeper, SIGCONT));
  ASSERT_TRUE(until([&] { return status().answered && program_of(keeper) == real; }));
  kill_keeper();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

// It would read the order when it goes on, long after its client was told that nothing has changed.
TEST_F(UpgradeOfKeeper, a_keeper_that_does_not_answer_forgets_what_it_was_given) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  offer("hearth-test-newer-supervisor");
  ASSERT_EQ(0, ::kill(keeper, SIGSTOP));
  const Output output = upgrade_all();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("the keeper gave no answer within 10 s"));
  EXPECT_THAT(output.err, HasSubstr("nothing was changed"));
  EXPECT_EQ(web.pid, service().pid) << "supervision goes on meanwhile";
  ASSERT_EQ(0, ::kill(keeper, SIGCONT));
  expect_work();
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ(0, keeper_facts().at("execs").to_number<int>());
  EXPECT_TRUE(keeper_facts().at("refusal_reason").is_null());
  EXPECT_EQ(0, upgrade_all().code);
  EXPECT_EQ(offered(), program_of(keeper));
}

TEST_F(UpgradeOfKeeper, a_file_that_is_replaced_after_its_trial_is_not_executed) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  offer_bad_keeper("is-replaced-in-trial");
  put("hearth-keeper", from + "/next");
  const Output output = upgrade_all();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("it is another file by now than the one that was tried"));
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0, upgrade_all().code);
  EXPECT_EQ(offered(), program_of_keeper());
}

TEST_F(UpgradeOfKeeper, two_at_once_are_both_well) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  Command one = begin_upgrade_of_all();
  Command other = begin_upgrade_of_all();
  for (Command* each : {&one, &other}) {
    const Output output = each->wait();
    EXPECT_EQ(0, output.code) << output.all();
  }
  EXPECT_TRUE(until([&] { return running() == "99.0.0"; }));  // the second one may be under way
  EXPECT_EQ(offered(), program_of_keeper());
  EXPECT_EQ(1, keeper_facts().at("execs").to_number<int>()) << "who comes second finds that it runs";
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(UpgradeOfKeeper, it_is_told_when_it_could_be_replaced_and_a_dry_run_replaces_nothing) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  // Another build of it, as far as can be seen: nobody reads what stands behind the sections of a program.
  std::ofstream(offered(), std::ios::app) << "another build";
  Output output = upgrade({"--dry-run"});
  EXPECT_THAT(output.out, HasSubstr("upgrade --from " + from + " --keeper` replaces that, too"));
  output = upgrade_all({"--dry-run"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("would be asked to go on as " + offered()));
  json::value report = json::parse(upgrade_all({"--dry-run", "--json"}).out);
  EXPECT_EQ(report.at("keeper").at("executed"), false);
  EXPECT_EQ(report.at("keeper").at("same_program"), false);
  EXPECT_EQ(report.at("programs").at("keeper"), json::string(offered()));
  EXPECT_EQ(report.at("keeper_trial").at("program"), "hearth-keeper");
  EXPECT_EQ(bin("hearth-keeper"), program_of_keeper());
  report = json::parse(upgrade_all({"--json"}).out);
  EXPECT_EQ(report.at("upgraded"), true);
  EXPECT_EQ(report.at("keeper").at("executed"), true);
  EXPECT_EQ(report.at("keeper").at("same_program"), true);
  EXPECT_EQ(offered(), program_of_keeper());
  output = upgrade_all();
  EXPECT_THAT(output.out, HasSubstr("runs " + offered() + " already"));
  EXPECT_EQ(1, keeper_facts().at("execs").to_number<int>());
  EXPECT_EQ(web.pid, service().pid);
}

// For who would not touch the others: an order of the API.
TEST_F(UpgradeOfKeeper, it_may_be_replaced_alone_and_once) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  const pid_t supervisor = status().supervisor;
  const std::string body = R"({"verb":"upgrade","programs":{"keeper":")" + offered() + R"("}})";
  std::string answer = order(body);
  EXPECT_THAT(answer, HasSubstr(" 202 "));
  EXPECT_EQ(offered(), program_of_keeper());
  EXPECT_EQ(supervisor, status().supervisor);
  EXPECT_EQ("0.1.0", running());
  EXPECT_THAT(events(), HasSubstr("upgrade of hearth's keeper with " + offered()));
  EXPECT_THAT(order(body), HasSubstr("\"repeated\":true"));
  EXPECT_THAT(order(body, "ff0102030405060708090a0b0c0d0e0f"), HasSubstr("\"repeated\":false"));
  EXPECT_EQ(1, keeper_facts().at("execs").to_number<int>()) << "that file runs already";
  offer_bad_keeper("nothing");
  answer = order(body, "fe0102030405060708090a0b0c0d0e0f");
  EXPECT_THAT(answer, Not(HasSubstr(" 202 ")));
  EXPECT_THAT(answer, HasSubstr("exited with code 0: is it a hearth-keeper?"));
  EXPECT_EQ(supervisor, status().supervisor);
  EXPECT_EQ(web.pid, service().pid);
  expect_work();
  expect_clean_shutdown();
}

// What the event tells is committed with it: whoever comes later does not tell it again.
TEST_F(UpgradeOfKeeper, it_is_told_once_whoever_dies_afterwards) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  EXPECT_EQ(0, upgrade_all().code);
  for (int i = 0; i < 2; ++i) {
    const pid_t supervisor = status().supervisor;
    kill_members("hearth-supervisor", SIGKILL);
    EXPECT_TRUE(until([&] { return status().supervisor != supervisor; }));
  }
  const std::string all = events(), text = "executed another program in its own place";
  const std::size_t first = all.find(text);
  ASSERT_NE(std::string::npos, first);
  EXPECT_EQ(std::string::npos, all.find(text, first + 1));
  EXPECT_EQ(web.pid, service().pid);
}

}  // namespace
}  // namespace hearth::test
