// What an order of an upgrade is answered when the keeper does not do what it was told. The keeper is one without a process
// (unit/os/fake_keeper.h): a test writes into the slot table what it would have, and ten seconds pass at once.
#include "apps/upgrading.h"

#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "os/clock.h"
#include "unit/os/fake_keeper.h"

namespace hearth::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A supervisor that has nothing to do.
struct NoKeeper final : ports::Keeper {
  ports::EntryView entry(EntryIndex) const override { return {}; }
  void take_changed(std::vector<EntryIndex>&) override {}
  ports::SpawnAnswer spawn(const ports::SpawnOrder&) override { return {}; }
  bool signal(EntryIndex, RunId, OpId, int) override { return true; }
  bool end_tree(EntryIndex, RunId, const std::string&) override { return true; }
  bool reap(EntryIndex, RunId) override { return true; }
  void release_run(SlotIndex, RunId) override {}
  void release_slot(SlotIndex) override {}
  std::uint64_t start_ticks(EntryIndex, std::int32_t) override { return 0; }
  bool output_drained(SlotIndex, RunId) override { return true; }
  void output_ended(SlotIndex, RunId) override {}
  std::string keep_open(const ports::SpawnOrder&, bool) override { return ""; }
  const char* containment() const override { return "group"; }
  void finish(bool, bool) override {}
};
struct NoInputs final : ports::Inputs {
  void peek(std::vector<ports::Input>& inputs) override { inputs.clear(); }
  void store_descriptors(const ports::Input&, const std::string&, std::uint32_t, bool) override {}
  void remove_descriptors(SlotIndex, const std::string&) override {}
  void consume(const ports::Input&) override {}
  void answer(const ports::Input&, const Result<Accepted>&) override {}
  void breadcrumb(const ports::Input&) override {}
  void clear_breadcrumb() override {}
  bool poisonous(const ports::Input&) const override { return false; }
};
struct NoProbes final : ports::Probes {
  void begin(const ports::ProbeTry&) override {}
  void cancel(SlotIndex) override {}
};
struct NoStore final : ports::Store {
  Status put_document(const Document&) override { return {}; }
  Status keep_document(const Document&) override { return {}; }
  void drop_document(std::uint64_t) override {}
  Result<std::vector<Document>> documents(const std::vector<std::uint64_t>&) override {
    return std::vector<Document>();
  }
  void note_runs(const std::vector<ports::SlotNote>&, RunId) override {}
  bool finish(RunId) override { return true; }
};

struct UpgradeOrder : ::testing::Test {
  UpgradeOrder() {
    keeper.table().keeper_messages = wire::message_version;
    link = keeper.connect();
    auto made =
        supervisor::Supervisor::create({no_keeper, no_inputs, no_probes, no_store}, link->decisions(), {}, {}, {1, 1});
    EXPECT_TRUE(made) << made.error().text();
    supervisor = std::move(*made);
    upgrading = std::make_unique<apps::Upgrading>(
        *link, *supervisor,
        apps::Upgrading::Ways{[this](ports::Input order) { decided.push_back(order.token); },
                              [this](const ports::Input& order, Error error) {
                                refused.push_back(order.token);
                                refusal = error.text();
                              }});
  }

  // Until nothing more is to be done before the keeper says something, or 10 s are over.
  void submit(std::uint64_t token, const std::string& keeper_program = {}) {
    order(token, keeper_program);
    const MonoNs until = after(os::read_mono(), seconds(30));
    while (upgrading->step(now) < after(now, seconds(1)) && os::read_mono() < until) std::this_thread::yield();
  }
  void order(std::uint64_t token, const std::string& keeper_program = {}) {
    ports::Input order;
    order.kind = ports::InputKind::request;
    order.token = token;
    order.request.verb = Verb::upgrade;
    order.request.key[0] = static_cast<unsigned char>(token);
    order.request.supervisor_program = order.request.logger_program = other_program;
    order.request.keeper_program = keeper_program;
    upgrading->submit(std::move(order));
  }
  void lose_keeper() {
    keeper.lose();
    link->receive();
    ASSERT_TRUE(link->lost());
  }
  void replace_keeper() {
    link->hand_over_to(keeper.replace());
    keeper.announce_spawners();
    const MonoNs until = after(os::read_mono(), seconds(30));
    while (link->handing_over() && os::read_mono() < until) ASSERT_TRUE(link->continue_hand_over());
  }
  void pass_ten_seconds() {
    now = after(now, seconds(10));
    step();
  }
  // As often as it wants at once.
  void step() {
    step_unheard();
    keeper.handle();
  }
  void step_unheard() {
    while (upgrading->step(now) <= now) {
    }
  }

  const std::string other_program = std::filesystem::canonical("/bin/sh").string();
  const std::string own_program = std::filesystem::canonical("/proc/self/exe").string();
  FakeKeeper keeper;
  NoKeeper no_keeper;
  NoInputs no_inputs;
  NoProbes no_probes;
  NoStore no_store;
  std::unique_ptr<os::KeeperLink> link;
  std::unique_ptr<supervisor::Supervisor> supervisor;
  std::unique_ptr<apps::Upgrading> upgrading;
  std::vector<std::uint64_t> decided, refused;
  std::string refusal;
  MonoNs now = seconds(100);
};

constexpr std::uint32_t both = 2, one = 1, taken_back = 0;  // records of a message

TEST_F(UpgradeOrder, is_given_up_when_the_keeper_does_not_answer_and_taken_back) {
  submit(1);
  pass_ten_seconds();
  EXPECT_THAT(refused, ElementsAre(1));
  EXPECT_THAT(refusal, HasSubstr("its keeper gave no answer within 10 s, and is told to forget the programs"));
  EXPECT_THAT(refusal, HasSubstr("nothing was changed"));
  EXPECT_THAT(keeper.programs(), ElementsAre(both, taken_back));
}

TEST_F(UpgradeOrder, has_not_the_answer_of_one_before_it_that_was_given_up) {
  submit(1);
  pass_ten_seconds();
  submit(2);
  step();
  EXPECT_THAT(keeper.programs(), ElementsAre(both, taken_back)) << "the keeper is told of one at a time";
  ++keeper.table().upgrades_refused;  // the first one, by a keeper that goes on
  step();
  EXPECT_THAT(keeper.programs(), ElementsAre(both, taken_back, both));
  EXPECT_THAT(refused, ElementsAre(1));
  ++keeper.table().upgrades;
  step();
  EXPECT_THAT(decided, ElementsAre(2));
}

TEST_F(UpgradeOrder, is_not_taken_for_decided_because_one_before_it_was_taken) {
  submit(1);
  pass_ten_seconds();
  submit(2);
  ++keeper.table().upgrades;
  step();
  EXPECT_THAT(decided, ElementsAre());
  ++keeper.table().upgrades_refused;
  step();
  EXPECT_THAT(decided, ElementsAre());
  EXPECT_THAT(refused, ElementsAre(1, 2));
  EXPECT_THAT(refusal, HasSubstr("it has no descriptors left"));
}

TEST_F(UpgradeOrder, that_the_keeper_was_never_told_of_is_given_up_too) {
  submit(1);
  pass_ten_seconds();
  submit(2);
  pass_ten_seconds();
  EXPECT_THAT(refused, ElementsAre(1, 2));
  EXPECT_THAT(refusal, HasSubstr("nor one to an upgrade before this"));
  EXPECT_THAT(keeper.programs(), ElementsAre(both, taken_back)) << "there is nothing to forget";
}

TEST_F(UpgradeOrder, is_given_to_the_next_keeper_however_long_that_took) {
  submit(1);
  keeper.handle();
  ASSERT_NO_FATAL_FAILURE(lose_keeper());
  now = after(now, seconds(20));
  EXPECT_EQ(never, upgrading->step(now));
  ASSERT_NO_FATAL_FAILURE(replace_keeper());
  step();
  EXPECT_THAT(keeper.programs(), ElementsAre(both, both)) << "it knows nothing of what the one before was given";
  ++keeper.table().upgrades;
  step();
  EXPECT_THAT(refused, ElementsAre());
  EXPECT_THAT(decided, ElementsAre(1));
}

TEST_F(UpgradeOrder, that_comes_while_the_keeper_is_dead_waits_for_the_next_one) {
  ASSERT_NO_FATAL_FAILURE(lose_keeper());
  order(1);
  EXPECT_EQ(never, upgrading->step(now));
  ASSERT_NO_FATAL_FAILURE(replace_keeper());
  const MonoNs until = after(os::read_mono(), seconds(30));
  while (keeper.programs().empty() && os::read_mono() < until) step();
  EXPECT_THAT(keeper.programs(), ElementsAre(both));
  EXPECT_THAT(refused, ElementsAre());
}

TEST_F(UpgradeOrder, is_refused_by_a_keeper_of_a_version_that_takes_none) {
  keeper.table().keeper_messages = 0;
  submit(1);
  EXPECT_THAT(refused, ElementsAre(1));
  EXPECT_THAT(refusal, HasSubstr("takes no upgrades"));
}

// Nor can it be told anything else: it is stopped.
TEST_F(UpgradeOrder, that_waits_for_one_that_cannot_be_taken_back_is_given_up_too) {
  submit(1);
  const os::Fd program(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  while (link->give_keeper(program.get())) {
  }
  now = after(now, seconds(10));
  step_unheard();
  EXPECT_THAT(refused, ElementsAre(1));
  order(2);
  step_unheard();
  now = after(now, seconds(10));
  step_unheard();
  EXPECT_THAT(refused, ElementsAre(1, 2));
  EXPECT_THAT(refusal, HasSubstr("nor one to an upgrade before this"));
}

TEST_F(UpgradeOrder, names_the_keeper_that_hangs_once_it_has_executed_its_program) {
  submit(1, own_program);
  step();
  keeper.table().keeper_pid = ::getpid();
  ++keeper.table().keeper_execs;
  step();
  EXPECT_THAT(keeper.programs(), ElementsAre(one, both));
  pass_ten_seconds();
  EXPECT_THAT(refused, ElementsAre(1));
  const std::string pid = std::to_string(::getpid());
  EXPECT_THAT(refusal, HasSubstr("the keeper (PID " + pid + ") has executed it, and has given no answer within 10 s"));
  EXPECT_THAT(refusal, HasSubstr("`kill -KILL " + pid + "`"));
  EXPECT_THAT(refusal, Not(HasSubstr("nothing was changed")));
  EXPECT_THAT(refusal, Not(HasSubstr("goes on as the new program")));
}

TEST_F(UpgradeOrder, names_the_keeper_that_hangs_while_it_executes_its_program) {
  submit(1, own_program);
  keeper.table().keeper_pid = ::getpid();
  pass_ten_seconds();
  EXPECT_THAT(refusal, HasSubstr("`kill -KILL " + std::to_string(::getpid()) + "`"));
  EXPECT_THAT(keeper.programs(), ElementsAre(one, taken_back));
}

// Of a supervisor before this one: whoever waits for another program has no reason to kill it.
TEST_F(UpgradeOrder, does_not_take_the_program_of_another_order_for_its_own) {
  keeper.table().keeper_pid = ::getpid();
  submit(1, other_program);
  ++keeper.table().keeper_execs;
  step();
  EXPECT_THAT(refused, ElementsAre());
  pass_ten_seconds();
  EXPECT_THAT(refused, ElementsAre(1));
  EXPECT_THAT(refusal, HasSubstr("the keeper gave no answer within 10 s, and is told to forget it"));
  EXPECT_THAT(refusal, Not(HasSubstr("kill -KILL")));
  EXPECT_THAT(keeper.programs(), ElementsAre(one, taken_back));
}

}  // namespace
}  // namespace hearth::test
