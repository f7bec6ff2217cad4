// The test of the test: what hearth-chaos is there to find, planted, and found.
//
//   evidence  -> judge_state(), judge_exits() -> violations   each kind of evidence doctored once
//   log lines -> LogWitness -> violations                     a line taken out, doubled, moved, cut
//   program   -> exit status and words                        all plants in one run
#include <cstdio>
#include <functional>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "judge.h"
#include "log_witness.h"
#include "places.h"
#include "support/lines.h"

namespace hearth::chaos {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Plan& plan() {
  static const Plan plan(1, "/nowhere", "/nowhere/service");
  return plan;
}

// raw runs as run 5, hooked as run 6, bad has exited with 7 in run 4.
Evidence good() {
  Evidence e;
  support::ServiceView raw;
  raw.state = "running";
  raw.ready = true;
  raw.pid = 50;
  raw.run = 5;
  support::ServiceView hooked = raw;
  hooked.pid = 60;
  hooked.run = 6;
  support::ServiceView bad;
  bad.state = "failed";
  bad.run = bad.exit_run = 4;
  bad.exit_code = 7;
  e.status.services = {{"raw", raw}, {"hooked", hooked}, {"bad", bad}};
  e.living = {
      {50, 5, false, "raw"}, {60, 6, false, "hooked"}, {61, 6, false, "a child of it"}, {70, 9, true, "a probe"}};
  e.truth["raw"] = {{.run = 3, .pid = 30, .exit_code = 0}, {.run = 5, .pid = 50}};
  e.truth["hooked"] = {{.run = 6, .pid = 60, .befores = 1}};
  e.truth["bad"] = {{.run = 4, .pid = 40, .exit_code = 7}};
  e.ready_files = {{"raw", R"({"run":5,"pid":50})"}};
  return e;
}

std::vector<std::string> found(const std::function<void(Evidence&)>& doctor) {
  Evidence evidence = good();
  doctor(evidence);
  return judge_state(plan(), evidence);
}

TEST(ChaosFaults, what_is_as_status_says_is_no_violation) {
  EXPECT_THAT(judge_state(plan(), good()), IsEmpty());
}

TEST(ChaosFaults, each_doctored_piece_of_evidence_is_a_violation) {
  EXPECT_THAT(found([](Evidence& e) { e.living.push_back({90, 8, false, "stranger"}); }),
              ElementsAre(HasSubstr("PID 90 lives")));
  EXPECT_THAT(found([](Evidence& e) { e.living.push_back({90, 0, false, "stranger"}); }),
              ElementsAre(HasSubstr("PID 90 lives")));
  EXPECT_THAT(found([](Evidence& e) { e.living.push_back({30, 3, false, "its first run"}); }),
              Contains(HasSubstr("two runs of raw live")));
  EXPECT_THAT(found([](Evidence& e) { e.living.erase(e.living.begin()); }), ElementsAre(HasSubstr("does not live")));
  EXPECT_THAT(found([](Evidence& e) { e.living[0].run = 6; }), ElementsAre(HasSubstr("that process is of run 6")));
  EXPECT_THAT(found([](Evidence& e) { e.status.services["raw"].state = "stopped"; }),
              ElementsAre(HasSubstr("is stopped, and still PID 50")));
  EXPECT_THAT(found([](Evidence& e) { e.status.services["raw"].leftover = "PID 3"; }),
              ElementsAre(HasSubstr("incomplete")));
  EXPECT_THAT(found([](Evidence& e) { e.status.services["bad"].exit_code = 0; }),
              ElementsAre(HasSubstr("it said itself 7")));
  EXPECT_THAT(found([](Evidence& e) { e.truth["raw"][1].run = 2; }),
              Contains(HasSubstr("run 2 of raw came after run 3")));
  EXPECT_THAT(found([](Evidence& e) { e.truth["hooked"][0].befores = 0; }), ElementsAre(HasSubstr("before_start")));
  EXPECT_THAT(found([](Evidence& e) { e.ready_files["raw"] = ""; }), ElementsAre(HasSubstr("not there")));
  EXPECT_THAT(found([](Evidence& e) { e.ready_files["raw"] = R"({"run":3,"pid":30})"; }),
              ElementsAre(HasSubstr("speaks of run 3")));
  EXPECT_THAT(found([](Evidence& e) { e.ready_files["raw"] = "{"; }), ElementsAre(HasSubstr("not readable")));
  EXPECT_THAT(found([](Evidence& e) { e.status.services["raw"].ready = false; }),
              ElementsAre(HasSubstr("is not ready, and its ready_file is there")));
}

Deaths died(KeeperDeath keeper) {
  if (keeper.blind_since == 0) keeper.blind_since = keeper.at;
  return {.of_keeper = {keeper}};
}

ToldExit told(std::uint64_t run, int code, int signal = -1) {
  return {.slot = "bad", .run = run, .known = code >= 0 || signal >= 0, .code = code, .signal = signal};
}

std::vector<std::string> exits(const std::vector<ToldExit>& told, const Deaths& deaths = {}, std::uint64_t lost = 0,
                               const Adoptions& adoptions = {}) {
  // Run 4 exited with 7, run 5 was killed, run 6 lives.
  const Truth truth = {{"bad",
                        {{.run = 4, .pid = 40, .started = seconds(10), .exit_code = 7, .ended = seconds(20)},
                         {.run = 5, .pid = 50, .started = seconds(30)},
                         {.run = 6, .pid = 60, .started = seconds(40)}}}};
  std::set<std::uint64_t> before;
  return judge_exits(truth, told, {6}, deaths, adoptions, lost, true, before).violations;
}

TEST(ChaosFaults, each_exit_is_in_the_journal_once_and_as_it_was) {
  EXPECT_THAT(exits({told(4, 7), told(5, -1, 9)}), IsEmpty());
  EXPECT_THAT(exits({told(4, 8), told(5, -1, 9)}), ElementsAre(HasSubstr("exited with code 7; the journal says")));
  EXPECT_THAT(exits({told(4, 7), told(5, 0)}), ElementsAre(HasSubstr("did not exit by itself")));
  EXPECT_THAT(exits({told(4, 7), told(4, 7), told(5, -1, 9)}), ElementsAre(HasSubstr("has 2 exits")));
  EXPECT_THAT(exits({told(5, -1, 9)}), ElementsAre(HasSubstr("has no exit of it")));
  EXPECT_THAT(exits({told(4, -1), told(5, -1, 9)}), ElementsAre(HasSubstr("nobody knows")));
  EXPECT_THAT(exits({told(4, -1), told(5, -1, 9)}, died({.at = seconds(15)})), IsEmpty());
  EXPECT_THAT(exits({told(4, -1), told(5, -1, 9)}, died({.at = seconds(25)})), ElementsAre(HasSubstr("nobody knows")))
      << "the keeper died after it";
  EXPECT_THAT(exits({told(5, -1, 9)}, {}, 1), IsEmpty()) << "hearth says that it has lost an event";
  EXPECT_EQ(exits({}, {}, 1).size(), 2u) << "that is one, and not two";
}

// Run 4 (PID 40) is an orphan from 15 s on, when keeper 1 died, and ended at 20 s.
TEST(ChaosFaults, an_exit_status_is_unknown_only_where_no_kernel_could_tell) {
  const std::vector<ToldExit> unknown = {told(4, -1), told(5, -1, 9)};
  const Deaths one = died({.pid = 1, .at = seconds(15)});
  Adoptions a{.kernel_tells = true, .held = {}, .reaped = {{40, {seconds(20), seconds(20)}}}};
  EXPECT_THAT(exits(unknown, one, 0, a), IsEmpty()) << "nobody had a pidfd of it";
  a.held = {{40, {2, seconds(21)}}};
  EXPECT_THAT(exits(unknown, one, 0, a), IsEmpty()) << "nobody had one in time";
  a.held = {{40, {2, seconds(16)}}};
  EXPECT_THAT(exits(unknown, one, 0, a), ElementsAre(HasSubstr("keeper 2 had a pidfd of it")));
  EXPECT_THAT(exits({told(4, 7), told(5, -1, 9)}, one, 0, a), IsEmpty()) << "as it should be";
  Deaths two = one;
  two.of_keeper.push_back({2, seconds(20), seconds(20)});
  EXPECT_THAT(exits(unknown, two, 0, a), IsEmpty()) << "that one died, too";
  two.of_keeper.back() = {2, seconds(23), seconds(23)};
  EXPECT_THAT(exits(unknown, two, 0, a), ElementsAre(HasSubstr("keeper 2"))) << "later";
  two.of_keeper.back() = {2, seconds(23), seconds(19)};
  EXPECT_THAT(exits(unknown, two, 0, a), IsEmpty()) << "it was stopped before";
  a.reaped = {{40, {seconds(20), seconds(22)}}};
  EXPECT_THAT(exits(unknown, one, 0, a), IsEmpty()) << "we were late to reap it";
  a.reaped = {};
  EXPECT_THAT(exits(unknown, one, 0, a), ElementsAre(HasSubstr("it was no orphan")));
  a.kernel_tells = false;
  EXPECT_THAT(exits(unknown, one, 0, a), IsEmpty());
}

// Run 3 of raw was the one before run 5.
TEST(ChaosFaults, runs_that_overlap_while_nobody_looks_are_a_violation) {
  const auto born = [](MonoNs at) {
    return [at](Evidence& e) {
      e.truth["raw"][0].ended = seconds(20);
      e.truth["raw"][1].born = at;
    };
  };
  EXPECT_THAT(found(born(seconds(20))), IsEmpty());
  EXPECT_THAT(found(born(seconds(20) - milliseconds(10))), IsEmpty()) << "a tick of the clock";
  EXPECT_THAT(found(born(seconds(20) - milliseconds(30))), ElementsAre(HasSubstr("30 ms before run 3 had ended")));
  EXPECT_THAT(found([](Evidence& e) { e.truth["raw"][1].overlaps = 3; }),
              ElementsAre(HasSubstr("run 5 of raw (PID 50) began while run 3 lived")));
}

// Runs 7 and 8 of the storer, each with a descriptor of its own; what run 7 left, run 8 was given and had removed.
std::vector<std::string> stored(const std::function<void(std::vector<TrueRun>&, Evidence&)>& doctor) {
  Evidence e = good();
  std::vector<TrueRun>& runs = e.truth["storer"];
  runs = {{.run = 7, .pid = 71, .started = seconds(10), .keeps = 700, .kept = seconds(11)},
          {.run = 8, .pid = 81, .started = seconds(20), .got = {{700, 7}}, .keeps = 800, .kept = seconds(21)},
          {.run = 9, .pid = 91, .started = seconds(30), .got = {{800, 8}}, .keeps = 900, .kept = seconds(31)}};
  runs[1].drops[700] = seconds(22);
  runs[1].dropped[700] = seconds(23);
  doctor(runs, e);
  return judge_state(plan(), e);
}

TEST(ChaosFaults, each_run_is_given_exactly_what_was_stored) {
  using Runs = std::vector<TrueRun>;
  EXPECT_THAT(stored([](Runs&, Evidence&) {}), IsEmpty());
  EXPECT_THAT(stored([](Runs& r, Evidence&) { r[2].got.clear(); }),
              ElementsAre(HasSubstr("run 9 of storer was not given what run 8 had stored")));
  EXPECT_THAT(stored([](Runs& r, Evidence&) { r[2].got[0].inode = 801; }), Contains(HasSubstr("nobody had stored")));
  EXPECT_THAT(stored([](Runs& r, Evidence&) { r[2].got[0].run = 7; }), Contains(HasSubstr("nobody had stored")));
  EXPECT_THAT(stored([](Runs& r, Evidence&) { r[2].got.push_back({800, 8}); }), ElementsAre(HasSubstr("twice")));
  EXPECT_THAT(stored([](Runs& r, Evidence&) { r[2].got.push_back({700, 7}); }),
              ElementsAre(HasSubstr("which was removed")));
  EXPECT_THAT(stored([](Runs& r, Evidence&) {
                r[1].dropped.clear();
                r[2].got.push_back({700, 7});
              }),
              IsEmpty())
      << "hearth may not have been told";
  EXPECT_THAT(stored([](Runs& r, Evidence&) {
                r[1].kept = 0;
                r[2].got.clear();
              }),
              IsEmpty());
  EXPECT_THAT(stored([](Runs& r, Evidence& e) {
                e.gaps = {{seconds(25), seconds(26)}};
                r[2].got.clear();
              }),
              IsEmpty())
      << "all of hearth was dead";
  EXPECT_THAT(stored([](Runs& r, Evidence& e) {
                e.gaps = {{seconds(5), seconds(15)}};
                r[2].got.clear();
              }),
              ElementsAre(HasSubstr("run 9")))
      << "that was before";
  EXPECT_THAT(stored([](Runs& r, Evidence&) { r[2].keeps = 0; }), IsEmpty());
}

struct ChaosLog : testing::Test {
  void line(std::uint64_t number) { witness.take({.whole = true, .number = number, .run = 3, .where = "1.log"}); }
  void piece(const std::string& text) { witness.take({.text = text, .where = "1.log"}); }
  static std::string text(std::uint64_t number) {
    const std::string line = support::make_line(number, 3);
    return line.substr(0, line.size() - 1);
  }
  std::vector<std::string> compare(std::uint64_t finished, std::uint64_t begun = 0, const Allowance& allowance = {}) {
    const TrueRun run{.run = 3, .lines_begun = std::max(begun, finished), .lines_finished = finished};
    return witness.compare({run}, allowance, true, used).violations;
  }
  LogWitness witness{"raw"};
  std::uint64_t used = 0;  // batches
};

TEST_F(ChaosLog, is_right_when_each_line_is_there_once_and_in_order) {
  for (std::uint64_t i = 0; i < 5; ++i) line(i);
  EXPECT_THAT(compare(5), IsEmpty());
}

TEST_F(ChaosLog, a_line_that_was_only_begun_may_be_there_whole_in_part_or_not) {
  line(0);
  EXPECT_THAT(compare(1, 2), IsEmpty());
  piece(text(1).substr(0, 20));
  EXPECT_THAT(compare(1, 2), IsEmpty());
}

TEST_F(ChaosLog, finds_a_line_in_the_middle_that_is_lost) {
  line(0);
  line(2);
  EXPECT_THAT(compare(3), ElementsAre(HasSubstr("line 1 of run 3 is not there")));
  EXPECT_THAT(compare(3), IsEmpty()) << "it is told once";
}

TEST_F(ChaosLog, finds_a_line_at_the_end_that_is_lost) {
  line(0);
  EXPECT_THAT(compare(2), ElementsAre(HasSubstr("line 1 of run 3 is not there")));
}

TEST_F(ChaosLog, finds_a_line_that_is_doubled) {
  line(0);
  line(1);
  line(1);
  EXPECT_THAT(compare(2), ElementsAre(HasSubstr("stands there twice")));
}

TEST_F(ChaosLog, finds_a_line_that_is_late) {
  line(1);
  line(0);
  EXPECT_THAT(compare(2), ElementsAre(HasSubstr("after its successor")));
}

TEST_F(ChaosLog, finds_what_was_never_written) {
  line(0);
  line(1);
  EXPECT_THAT(compare(1), ElementsAre(HasSubstr("was never written")));
  piece("something else");
  EXPECT_THAT(compare(2), ElementsAre(HasSubstr("never written: \"something else\"")));
}

TEST_F(ChaosLog, a_line_that_another_runs_line_has_cut_is_there_in_pieces) {
  for (std::uint64_t i = 0; i < 7; ++i) line(i);
  piece(text(7).substr(0, 300));
  for (const std::uint64_t number : {1, 2}) witness.take({.whole = true, .number = number, .run = 4, .where = "1.log"});
  piece(text(7).substr(300, 200));
  piece(text(7).substr(500));
  for (std::uint64_t i = 8; i < 10; ++i) line(i);
  EXPECT_THAT(compare(10), IsEmpty());
  EXPECT_THAT(compare(10), IsEmpty()) << "also when it is looked at again";
}

TEST_F(ChaosLog, finds_an_object_without_its_end) {
  witness.take({.torn = true, .text = text(0), .where = "1.log"});
  EXPECT_THAT(compare(1), Contains(HasSubstr("have no end")));
}

TEST_F(ChaosLog, an_object_that_was_torn_before_its_text_is_nobodys_line) {
  line(0);
  piece("");
  line(1);
  EXPECT_THAT(compare(2), IsEmpty());
}

TEST_F(ChaosLog, what_hearth_counts_as_lost_may_be_missing_and_no_more) {
  line(0);
  piece(text(1).substr(0, 10));
  witness.take({.where = "1.log", .lost = text(1).size() + 1 - 10 + 7});
  piece(text(2).substr(7));
  line(3);
  EXPECT_THAT(compare(4), IsEmpty());
  for (std::uint64_t i = 100; i < 103; ++i) line(i);
  EXPECT_THAT(compare(103), ElementsAre(HasSubstr("counted by hearth")));
}

TEST_F(ChaosLog, the_death_of_everything_may_cost_one_batch_and_the_end_of_who_ended_unseen) {
  line(0);
  line(2);
  EXPECT_THAT(compare(3, 3, {.batches = 1}), IsEmpty());
  line(4);
  EXPECT_THAT(compare(5, 5, {.batches = 1}), ElementsAre(HasSubstr("not there"))) << "a second stretch is no batch";
  EXPECT_THAT(compare(9, 9, {.batches = 0, .ended_unseen = {3}}), IsEmpty());
}

// Exit status and output of hearth-chaos with these arguments.
std::pair<int, std::string> run_tool(const std::string& arguments) {
  FILE* tool = popen((std::string(HEARTH_BIN_DIR) + "/hearth-chaos " + arguments + " 2>&1").c_str(), "r");
  std::string output;
  char bytes[4096];
  while (const std::size_t n = std::fread(bytes, 1, sizeof bytes, tool)) output.append(bytes, n);
  return {WEXITSTATUS(pclose(tool)), output};
}

TEST(ChaosFaults, all_that_can_be_planted_is_found_in_a_real_run) {
  const auto [status, output] = run_tool(
      "--seconds 2 --seed 1 --only kill-supervisor --plant lost-line doubled-line wrong-exit stranger ready-file "
      "second-process lost-event closed-socket stored-descriptor restarted-by-upgrade overlap");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(output, HasSubstr("log of raw: line 0 of run"));
  EXPECT_THAT(output, HasSubstr("stands there twice"));
  EXPECT_THAT(output, HasSubstr("exited with code 8; the journal says that it ended with code 7"));
  EXPECT_THAT(output, HasSubstr("of run 999999, which status does not know"));
  EXPECT_THAT(output, HasSubstr("raw is ready, and its ready_file is not there"));
  EXPECT_THAT(output, HasSubstr("two runs of raw live at the same time"));
  EXPECT_THAT(output, HasSubstr("the follower was told nothing"));
  EXPECT_THAT(output, HasSubstr("server.sock of server is another one"));
  EXPECT_THAT(output, HasSubstr(":7001 of server is another one"));
  EXPECT_THAT(output, HasSubstr("of storer was given a descriptor that nobody had stored"));
  EXPECT_THAT(output, HasSubstr("an upgrade has cost run"));
  EXPECT_THAT(output, HasSubstr("began while run"));
}

// As if no keeper knew any more how those end whom it has adopted.
TEST(ChaosFaults, adopted_runs_whose_ends_nobody_knows_are_found_in_a_real_run) {
  const auto [status, output] =
      run_tool("--seconds 5 --seed 1 --only kill-keeper --least-kills 1 --plant unknown-exits");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(output, HasSubstr("had a pidfd of it, and has outlived it"));
}

TEST(ChaosFaults, a_run_that_tried_too_little_fails) {
  const auto [status, output] = run_tool("--seconds 1 --seed 1 --only flood-notify --least-kills 1");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(output, HasSubstr("too little was tried: 0 kills, 1 were asked for"));
}

}  // namespace
}  // namespace hearth::chaos
