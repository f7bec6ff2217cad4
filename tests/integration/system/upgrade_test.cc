// `hearth upgrade`: another version goes on, or is refused, or gives way again; and no service notices.
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "model/slot_state.h"
#include "supervisor/head.h"
#include "upgrading.h"
#include "wire/decision_page.h"
#include "wire/slot_table.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using ::testing::HasSubstr;
using ::testing::Not;

struct Upgrade : Upgrading {};

TEST_F(Upgrade, another_version_goes_on_and_no_line_is_lost) {
  Actor web = start();
  offer("hearth-test-newer-supervisor");
  const std::vector<pid_t> loggers = members("hearth-logger");
  web.order("lines 20000");
  const Output output = upgrade();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("hearth 99.0.0 goes on in the place of 0.1.0"));
  EXPECT_THAT(output.out, Not(HasSubstr("goes on with the program"))) << "a keeper of the same bytes";
  EXPECT_EQ("ok", web.hear());
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0u, service().restarts);
  EXPECT_NE(members("hearth-logger"), loggers);
  EXPECT_EQ(from + "/hearth-logger", program_of_logger()) << "the command waits for it";
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected);
  EXPECT_THAT(events(), HasSubstr("hearth 99.0.0 goes on in the place of hearth 0.1.0"));
  expect_clean_shutdown();
}

TEST_F(Upgrade, which_version_and_which_files_run_is_told_by_version_and_doctor) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  const pid_t keeper = members("hearth-keeper").at(0);
  const std::string keeper_file = program_of(keeper);
  ASSERT_EQ(0, upgrade().code);
  const pid_t supervisor = members("hearth-supervisor").at(0);
  std::string told = hearth({"version"}).out;
  EXPECT_THAT(told, HasSubstr("hearth 99.0.0 runs in " + directory));
  EXPECT_THAT(told, HasSubstr("supervisor (PID " + std::to_string(supervisor) + "): " + from + "/hearth-supervisor\n"));
  EXPECT_THAT(told, HasSubstr("keeper (PID " + std::to_string(keeper) + "): " + keeper_file + "\n"));
  fs::remove(from + "/hearth-supervisor");
  const json::value answer = json::parse(hearth({"version", "--json"}).out);
  EXPECT_EQ(supervisor, answer.at("supervisor").at("pid").as_int64());
  EXPECT_EQ(from + "/hearth-supervisor (deleted)", answer.at("supervisor").at("file").as_string());
  EXPECT_EQ(keeper_file, answer.at("keeper").at("file").as_string());
  const pid_t logger = members("hearth-logger").at(0);
  EXPECT_THAT(told, HasSubstr("logger (PID " + std::to_string(logger) + "): " + from + "/hearth-logger\n"));
  EXPECT_EQ(logger, answer.at("logger").at("pid").as_int64());
  EXPECT_EQ(from + "/hearth-logger", answer.at("logger").at("file").as_string());
  const json::array& spawners = answer.at("spawners").as_array();
  ASSERT_EQ(2u, spawners.size());
  for (const json::value& spawner : spawners) {
    EXPECT_THAT(told, HasSubstr("spawner (PID " + std::to_string(spawner.at("pid").as_int64()) + "): " + keeper_file));
    EXPECT_EQ(keeper_file, spawner.at("file").as_string());
  }
  EXPECT_THAT(hearth({"doctor"}).out,
              HasSubstr("upgrade` has this one go on, without touching a service; it is the older one"));
}

TEST_F(Upgrade, programs_that_cannot_be_found_are_named_though_the_working_directory_is_gone) {
  const Actor web = start();
  const std::string gone = base + "/gone";
  ASSERT_TRUE(fs::create_directory(gone));
  const auto lose_directory = [&] {
    if (::chdir(gone.c_str()) < 0 || ::rmdir(gone.c_str()) < 0) ::_exit(95);
  };
  const Output output =
      execute({bin("hearth"), "--dir", directory, "upgrade", "--from", "nowhere"}, lose_directory).wait();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("nowhere/hearth-keeper"));
  EXPECT_THAT(output.err, Not(HasSubstr("filesystem error")));
}

TEST_F(Upgrade, an_exit_in_the_middle_is_known_with_its_code) {
  const Actor web = start("restart = \"never\"\n");
  offer("hearth-test-newer-supervisor");
  Command upgrading = begin({"upgrade", "--from", from});
  web.order("exit 42");
  EXPECT_EQ(0, upgrading.wait().code);
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_EQ(42, service().exit_code);
  EXPECT_EQ("99.0.0", running());
}

TEST_F(Upgrade, the_new_version_is_kept_when_it_is_killed_and_the_next_upgrade_goes_back_to_it) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  ASSERT_EQ(0, upgrade().code);
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_EQ("99.0.0", running());
  offer("hearth-test-successor", "dies");
  EXPECT_EQ(1, upgrade().code);
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, the_keeper_may_die_after_it) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  // Another build of it, as far as can be seen: nobody reads what stands behind the sections of a program.
  std::ofstream(from + "/hearth-keeper", std::ios::app) << "another build";
  const Output output = upgrade();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("goes on with the program that it was started from"));
  const pid_t keeper = status().keeper;
  ASSERT_EQ(0, ::kill(keeper, SIGKILL));
  EXPECT_TRUE(until([&] { return status().keeper != keeper; }));
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_EQ("99.0.0", running());
  expect_clean_shutdown();
}

// Only a keeper that has read it will execute the new program: until then the supervisor stays, being the one who can start
// another keeper, and that one is told again.
TEST_F(Upgrade, a_keeper_killed_before_it_has_the_programs_is_replaced_and_the_order_stands) {
  const Actor web = start();
  const pid_t keeper = status().keeper, supervisor = members("hearth-supervisor").at(0);
  Command upgrading = upgrade_under_a_stopped_keeper(keeper, supervisor);
  EXPECT_TRUE(runs(supervisor));
  ASSERT_EQ(0, ::kill(keeper, SIGKILL));
  const Output output = upgrading.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("99.0.0", running());
  EXPECT_NE(keeper, status().keeper);
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0u, service().restarts);
  expect_clean_shutdown();
}

TEST_F(Upgrade, a_keeper_that_was_stopped_goes_on_with_it) {
  const Actor web = start();
  const pid_t keeper = status().keeper, supervisor = members("hearth-supervisor").at(0);
  Command upgrading = upgrade_under_a_stopped_keeper(keeper, supervisor);
  EXPECT_EQ(web.pid, service().pid) << "supervision goes on meanwhile";
  ASSERT_EQ(0, ::kill(keeper, SIGCONT));
  EXPECT_EQ(0, upgrading.wait().code);
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

// Its order was not committed: the client repeats it, and whoever goes on takes it.
TEST_F(Upgrade, a_supervisor_killed_between_giving_the_programs_and_its_commit_loses_no_order) {
  const Actor web = start();
  const pid_t keeper = status().keeper, supervisor = members("hearth-supervisor").at(0);
  Command upgrading = upgrade_under_a_stopped_keeper(keeper, supervisor);
  ASSERT_EQ(0, ::kill(supervisor, SIGKILL));
  ASSERT_EQ(0, ::kill(keeper, SIGCONT));
  const Output output = upgrading.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(until([&] { return running() == "99.0.0"; }));
  EXPECT_EQ(keeper, status().keeper);
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, an_order_that_is_refused_installs_nothing) {
  const Actor web = start("stop_timeout = \"60s\"\n");
  offer("hearth-test-newer-supervisor");
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command ending = begin({"shutdown"});
  EXPECT_EQ("signal 15", web.hear());
  const Output output = upgrade();
  EXPECT_NE(0, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("shutting down"));
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_EQ("0.1.0", running());
  ::kill(web.pid, SIGKILL);
  (void)ending.wait();
}

TEST_F(Upgrade, a_file_that_is_replaced_after_its_trial_is_not_executed) {
  const Actor web = start();
  offer("hearth-test-successor", "is-replaced-in-trial");
  put("hearth-test-newer-supervisor", from + "/next");
  const Output output = upgrade();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("it is another file by now than the one that was tried"));
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(0u, status().takeovers);
  // That one may be tried in its turn.
  EXPECT_EQ(0, upgrade().code);
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, a_dry_run_only_tells) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  const Output output = upgrade({"--dry-run"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("hearth 99.0.0"));
  EXPECT_THAT(output.out, HasSubstr("nothing was changed"));
  const json::value report = json::parse(upgrade({"--dry-run", "--json"}).out);
  EXPECT_EQ(report.at("upgraded"), false);
  EXPECT_EQ(report.at("to"), "99.0.0");
  EXPECT_EQ(report.at("trial").at("slots"), 1);
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(0u, status().takeovers);
}

TEST_F(Upgrade, one_that_dies_gives_way_and_everybody_is_told_why) {
  const Actor web = start();
  offer("hearth-test-successor", "dies");
  const Output output = upgrade();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("exited with code 3 before it was up"));
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_THAT(status().notes_text(), HasSubstr("the upgrade was taken back: the new program exited with code 3"));
  EXPECT_THAT(events(), HasSubstr("\"kind\":\"upgrade\""));
  // And a good one has its chance after it.
  offer("hearth-test-newer-supervisor");
  EXPECT_EQ(0, upgrade().code);
  EXPECT_EQ("99.0.0", running());
}

TEST_F(Upgrade, one_that_hangs_gives_way) {
  shorten_trial();
  const Actor web = start();
  offer("hearth-test-successor", "hangs");
  const Output output = upgrade();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("did not take over in time"));
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

// It was up, and answers nobody.
TEST_F(Upgrade, one_that_hangs_once_it_is_up_gives_way_with_its_logger) {
  shorten_trial();
  const Actor web = start();
  const std::string logger = program_of_logger();
  offer("hearth-test-successor", "hangs-once-up");
  const Output output = upgrade();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("was up, and then gave no sign of life"));
  EXPECT_EQ("0.1.0", running());
  EXPECT_TRUE(until([&] { return program_of_logger() == logger; })) << program_of_logger();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_THAT(events(), HasSubstr("gave no sign of life"));
  expect_clean_shutdown();
}

TEST_F(Upgrade, a_logger_that_hangs_once_it_is_up_gives_way_and_no_line_is_lost) {
  shorten_trial();
  Actor web = start();
  const std::string logger = program_of_logger();
  offer("hearth-test-newer-supervisor");
  offer_bad_logger("hangs-once-up");
  EXPECT_EQ(0, upgrade().code);
  EXPECT_TRUE(until([&] { return program_of_logger() == from + "/hearth-logger"; }));
  web.order("lines 20000");
  EXPECT_EQ("ok", web.hear());
  EXPECT_TRUE(until([&] { return program_of_logger() == logger; })) << program_of_logger();
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected);
  EXPECT_THAT(events(),
              HasSubstr("the logger of the upgrade was taken back: the new program was up, and then gave no"));
  EXPECT_EQ("99.0.0", running()) << "its supervisor is well";
  EXPECT_EQ(web.pid, service().pid);
  expect_clean_shutdown();
}

// The second one is up, the third one no good at once, and then the second one is not, either.
TEST_F(Upgrade, loggers_go_back_one_after_the_other_and_no_line_is_lost) {
  Actor web = start();
  const std::string first = program_of_logger();
  const std::string second = from + "/hearth-logger";
  offer("hearth-test-newer-supervisor");
  const std::string other = base + "/other", next = std::exchange(from, other);
  fs::create_directory(other);
  offer("hearth-test-newer-supervisor");
  offer_bad_logger("dies");
  from = next;
  ASSERT_EQ(0, upgrade().code);
  ASSERT_TRUE(until([&] { return program_of_logger() == second; }));
  // From here on at once: a logger that has lived for ten seconds is sound, and there is no way back to the first one.
  web.order("lines 20000");
  from = other;
  const Output output = upgrade();
  ASSERT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr(other + "/hearth-logger"));
  EXPECT_THAT(output.err, HasSubstr("exited with code 3 before it was up"));
  EXPECT_THAT(output.err, HasSubstr("the logger before goes on"));
  EXPECT_TRUE(until([&] { return events().find("exited with code 3 before it was up") != std::string::npos; }));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(until([&] { return program_of_logger() == second; })) << program_of_logger();
    const std::vector<pid_t> dies = members("hearth-logger");
    kill_members("hearth-logger", SIGTERM);
    ASSERT_TRUE(until([&] { return members("hearth-logger") != dies && !members("hearth-logger").empty(); }));
  }
  EXPECT_TRUE(until([&] { return program_of_logger() == first; })) << program_of_logger();
  EXPECT_EQ("ok", web.hear());
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected);
  EXPECT_THAT(events(), HasSubstr("the logger of the upgrade was taken back: the new program died again and again"));
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
  expect_clean_shutdown();
}

TEST_F(Upgrade, an_interrupt_ends_the_trial_and_nothing_has_changed) {
  const Actor web = start();
  for (const int signal : {SIGINT, SIGTERM}) {
    offer("hearth-test-successor", "hangs-in-trial");
    Command upgrading = begin({"upgrade", "--from", from});
    pid_t trial = 0;
    ASSERT_TRUE(until([&] { return (trial = process_of(from + "/hearth-supervisor")) != 0; }));
    ASSERT_EQ(0, ::kill(upgrading.pid(), signal));
    const Output output = upgrading.wait();
    EXPECT_EQ(130, output.code) << output.all();
    EXPECT_THAT(output.err, HasSubstr("interrupted"));
    EXPECT_THAT(output.err, HasSubstr("nothing was changed"));
    EXPECT_FALSE(runs(trial));
  }
  EXPECT_EQ("0.1.0", running());
  EXPECT_EQ(0u, status().takeovers);
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, what_is_no_good_is_refused) {
  const Actor web = start();
  expect_refused(upgrade(), "No such file");
  offer("hearth-test-successor", "hangs-in-trial");
  expect_refused(upgrade({"--timeout", "1s"}), "gave no answer within ");
  offer("hearth-test-successor", "stays-in-trial");
  expect_refused(upgrade({"--timeout", "1s"}), "gave no answer within ");
  offer("hearth-test-successor", "silent-in-trial");
  expect_refused(upgrade(), "it knows no trial");
  ::unlink((from + "/hearth-keeper").c_str());
  expect_refused(upgrade(), "hearth-keeper");
  offer("hearth-test-newer-supervisor");
  const std::string program = from + "/hearth-supervisor";
  ::chmod(program.c_str(), 0644);
  expect_refused(upgrade(), "it is not executable");
  ::chmod(program.c_str(), 0777);
  expect_refused(upgrade(), "others may write it");
  ::unlink(program.c_str());
  write_file(program, "Lorem ipsum", 0755);
  expect_refused(upgrade(), "this machine cannot execute it");
  ::unlink(program.c_str());
  ASSERT_EQ(0, ::mkdir(program.c_str(), 0755));
  expect_refused(upgrade(), "it is not a file");
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, a_program_of_somebody_else_is_refused) {
  if (!root()) GTEST_SKIP() << "only root can give a file away";
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  ASSERT_EQ(0, ::chown((from + "/hearth-supervisor").c_str(), 65534, 65534));
  expect_refused(upgrade(), "it belongs to user 65534");
}

// On copies of what a hearth has, each with one thing that a program of another time would find.
TEST_F(Upgrade, a_trial_says_what_it_cannot_go_on_with) {
  const Actor web = start();
  const std::string other = base + "/other", table = other + "/state/slot-table", page = other + "/state/decision-page";
  const auto try_it = [&](const std::string& file = "", const std::vector<std::size_t>& offsets = {},
                          std::uint32_t value = 0) {
    fs::remove_all(other);
    fs::create_directories(other + "/state");
    fs::copy(directory + "/state/slot-table", table);
    fs::copy(directory + "/state/decision-page", page);
    for (const std::size_t offset : offsets)
      std::fstream(file).seekp(std::streamoff(offset)).write(reinterpret_cast<char*>(&value), 4);
    return execute({bin("hearth-supervisor"), "--trial", "--dir", other, "--keeper", "0"}).wait();
  };
  Output output = try_it();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("\"refused\":null"));
  const auto refused = [&](const std::string& file, const std::vector<std::size_t>& offsets, std::uint32_t value,
                           const std::string& why) {
    output = try_it(file, offsets, value);
    EXPECT_EQ(1, output.code) << output.all();
    EXPECT_THAT(output.out, HasSubstr(why));
  };
  refused(table, {offsetof(wire::SlotTable, version)}, 1, "the slot table: it is of version 1, and this program knows");
  refused(table, {offsetof(wire::SlotTable, keeper_messages)}, 0, "of a version of hearth that takes no upgrades");
  refused(table, {offsetof(wire::SlotTable, keeper_messages)}, 99, "its messages are of version 99");
  refused(page, {offsetof(wire::DecisionPage, version)}, 2, "the decision page: it is of version 2");
  refused(page, {offsetof(wire::DecisionPage, record_version)}, 99, "its records of 99");
  refused(page, {offsetof(wire::DecisionPage, commit)}, 0, "nothing has been committed");
  // What a take-over would not believe, and leave alone. Of the first slot, in both copies.
  const std::size_t first = offsetof(wire::DecisionPage, slot) + offsetof(wire::SlotCopy, bytes);
  refused(page, {first + offsetof(SlotState, parent), first + sizeof(wire::SlotCopy) + offsetof(SlotState, parent)}, 77,
          "slot 0: what the decision page has of it makes no sense");
  const std::size_t head =
      offsetof(wire::DecisionPage, head) + offsetof(wire::HeadCopy, bytes) + offsetof(supervisor::Head, slots_used);
  refused(page, {head, head + sizeof(wire::HeadCopy)}, UINT32_MAX, "its head makes no sense");
  fs::resize_file(table, 4096);
  output = execute({bin("hearth-supervisor"), "--trial", "--dir", other, "--keeper", "0"}).wait();
  EXPECT_THAT(output.out, HasSubstr("it has 4096 bytes"));
  fs::remove_all(other);
  output = execute({bin("hearth-supervisor"), "--trial", "--dir", other, "--keeper", "0"}).wait();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.out, HasSubstr("nor can they be had of its keeper"));
  EXPECT_EQ(web.pid, service().pid);
}

// Where there is no tmpfs, the trial has them of the keeper.
TEST_F(Upgrade, pages_in_memory_are_tried_too) {
  ASSERT_TRUE(fs::create_directories(directory));
  ::chmod(directory.c_str(), 0711);
  write_file(directory + "/state", "in the way");
  const Actor web = start();
  ASSERT_THAT(status().notes_text(), HasSubstr("kept in memory only"));
  offer("hearth-test-newer-supervisor");
  const Output output = upgrade();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, two_at_once_are_both_well) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  Command one = begin({"upgrade", "--from", from});
  Command other = begin({"upgrade", "--from", from});
  EXPECT_EQ(0, one.wait().code);
  EXPECT_EQ(0, other.wait().code);
  EXPECT_TRUE(until([&] { return running() == "99.0.0"; }));  // the second one may be under way
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, supervisors_killed_in_the_middle_are_no_reason_to_go_back) {
  const Actor web = start();
  offer("hearth-test-newer-supervisor");
  Command upgrading = begin({"upgrade", "--from", from});
  kill_members("hearth-supervisor", SIGKILL);
  const Output output = upgrading.wait();
  EXPECT_EQ(0, output.code) << output.all();
  // Killed before the order came, it was accepted by the next one of the same version.
  EXPECT_TRUE(until([&] { return running() != "none"; }));
  EXPECT_EQ(0, upgrade().code);
  EXPECT_EQ("99.0.0", running());
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Upgrade, a_file_that_is_replaced_waits_for_the_signal) {
  use_copies_of_programs();
  const Actor web = start();
  put("hearth-test-newer-supervisor", bin("hearth-supervisor"));
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_EQ("0.1.0", running());
  ASSERT_EQ(0, ::kill(status().keeper, SIGUSR2));
  EXPECT_TRUE(until([&] { return running() == "99.0.0"; })) << events();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_THAT(events(), HasSubstr("SIGUSR2 to hearth: it is upgraded with the programs that are installed"));
  expect_clean_shutdown();
}

TEST_F(Upgrade, without_hearth_there_is_nothing_to_upgrade) {
  offer("hearth-test-newer-supervisor");
  EXPECT_EQ(7, upgrade().code);
}

}  // namespace
}  // namespace hearth::test
