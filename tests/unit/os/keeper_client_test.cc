#include "os/keeper_client.h"

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/inputs.h"
#include "os/listeners.h"
#include "os/proc_stat.h"
#include "unit/os/client_fixture.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/few_descriptors.h"
#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

using ports::SpawnOutcome;
using wire::ParkClass;

struct KeeperClientTest : test::ClientFixture {
  int kill_at_each_step(RunId stride);
  // Without what is made ahead, which is nobody's.
  std::size_t parked_for_slots() const {
    std::size_t count = 0;
    for (ParkClass type : {ParkClass::output, ParkClass::notify, ParkClass::listen, ParkClass::store})
      for (const Parked& parked : keeper.parked().all(type)) count += parked.slot != no_slot;
    return count;
  }
  std::string path(const std::string& name) { return keeper.instance().directory + "/" + name; }
  std::vector<EntryIndex> changed() {
    std::vector<EntryIndex> entries;
    client->take_changed(entries);
    return entries;
  }
};

bool exists(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}

std::uint64_t inode_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

TEST_F(KeeperClientTest, a_spawn_makes_everything_parks_it_and_sends_one_plan) {
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  EXPECT_TRUE(exists(path("o/7")));
  EXPECT_TRUE(exists(path("n/7")));
  keeper.handle();
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::output, 7));
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::notify, 7));
  EXPECT_EQ(7u, keeper.table().entry[0].run);
  EXPECT_EQ(15u, keeper.table().entry[0].stop_signal);
  EXPECT_EQ(10'000u, keeper.table().entry[0].stop_grace_ms);
  EXPECT_STREQ("shop.web.0", keeper.logs().stream[0].directory);
  keeper.spawn_all();
  ASSERT_EQ(1u, keeper.taken().size());
  const test::TakenPlan& plan = keeper.taken()[0];
  EXPECT_EQ(2u, plan.descriptors.size());
  EXPECT_EQ(nullptr, wire::plan_problem(plan.bytes.data(), plan.bytes.size(), 2));
  EXPECT_EQ((std::vector<EntryIndex>{0}), changed());
  EXPECT_GT(client->entry(0).pid, 0);
  EXPECT_TRUE(client->entry(0).watched);
}

// When the turn is done: one that hangs in it is not taken for one that works.
TEST_F(KeeperClientTest, whoever_is_asked_by_its_keeper_answers_once_with_the_next_flush) {
  keeper.ask();
  link->receive();
  keeper.handle();
  EXPECT_EQ(0u, keeper.ups());
  for (int turn = 0; turn < 2; ++turn) client->flush();
  keeper.handle();
  EXPECT_EQ(1u, keeper.ups());
}

TEST_F(KeeperClientTest, tells_how_far_the_output_of_a_service_is_and_nothing_of_the_one_before_it) {
  wire::LogStream& stream = keeper.logs().stream[0];
  std::string_view("shop.before.0").copy(stream.directory, sizeof stream.directory);
  stream.written = 1'000;
  EXPECT_EQ(1'000u, client->log_status(0, "shop.before.0").written);
  EXPECT_EQ(0u, client->log_status(0, "shop.web.0").written);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  EXPECT_EQ(0u, client->log_status(0, "shop.web.0").written);
  stream.written = 100;
  stream.discarded = 20;
  stream.gaps = 1;
  stream.error = ENOSPC;
  LogStatus log = client->log_status(0, "shop.web.0");
  EXPECT_EQ(100u, log.written);
  EXPECT_EQ(20u, log.discarded);
  EXPECT_EQ(1u, log.gaps);
  EXPECT_EQ("No space left on device", log.waiting);
  stream.error = 0;
  EXPECT_EQ("", client->log_status(0, "shop.web.0").waiting);
  stream.file = 7;
  wire::LogPolicy& policy = keeper.logs().policy[0];
  policy.sink_dropped = 3;
  policy.tidy_error = EROFS;
  log = client->log_status(0, "shop.web.0");
  EXPECT_EQ(7u, log.file);
  EXPECT_EQ(3u, log.dropped);
  EXPECT_EQ("", log.dropped_reason) << "an earlier logger did not say";
  EXPECT_EQ("Read-only file system", log.untidied);
  policy.sink_error = ECONNREFUSED;
  EXPECT_EQ("Connection refused", client->log_status(0, "shop.web.0").dropped_reason);
  policy.sink_error = EAGAIN;
  EXPECT_EQ("it is full, and nobody reads it", client->log_status(0, "shop.web.0").dropped_reason);
}

TEST_F(KeeperClientTest, fifo_and_notify_socket_are_parked_with_one_message) {
  const std::size_t before = keeper.messages();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.handle();
  EXPECT_EQ(before + 1, keeper.messages());
  EXPECT_EQ(2u, keeper.parked().size());
}

TEST_F(KeeperClientTest, a_plan_that_is_too_long_for_a_message_goes_as_a_memfd) {
  const std::string big(wire::short_plan_max, 'x');
  maker.spec().env = {{"BIG", big}};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  ASSERT_EQ(1u, keeper.taken().size());
  const test::TakenPlan& plan = keeper.taken()[0];
  EXPECT_EQ(nullptr, wire::plan_problem(plan.bytes.data(), plan.bytes.size(), 2));
  EXPECT_NE(std::string::npos, plan.bytes.find("BIG=" + big));
}

TEST_F(KeeperClientTest, what_the_next_run_needs_is_made_when_nothing_is_on_its_way) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  client->flush();
  EXPECT_FALSE(exists(path("o/8"))) << "a plan is on its way";
  keeper.spawn_all();
  client->flush();
  EXPECT_TRUE(exists(path("o/8")));
  EXPECT_TRUE(exists(path("n/8")));
  keeper.handle();
  ASSERT_NE(nullptr, keeper.parked().find(ParkClass::notify, 8));
  EXPECT_EQ(no_slot, keeper.parked().find(ParkClass::output, 8)->slot) << "it is nobody's";
  const std::uint64_t inode = inode_of(path("o/8"));
  const std::size_t told = keeper.messages();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 8)).outcome);
  keeper.handle();
  EXPECT_EQ(told, keeper.messages()) << "nobody is woken before the spawner";
  EXPECT_EQ(inode, inode_of(path("o/8")));
  keeper.spawn_all();
  changed();
  client->flush();
  keeper.handle();
  EXPECT_EQ(2u, keeper.parked().find(ParkClass::output, 8)->slot);
  EXPECT_EQ(2u, keeper.parked().find(ParkClass::notify, 8)->slot);
}

TEST_F(KeeperClientTest, what_a_spare_has_been_told_before_it_is_anybodys_is_heard_for_its_run) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  client->flush();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 8)).outcome);
  keeper.spawn_all();
  Fd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{AF_UNIX, {}};
  path("n/8").copy(to.sun_path, sizeof to.sun_path - 1);
  ASSERT_EQ(7, ::sendto(sender.get(), "READY=1", 7, 0, reinterpret_cast<sockaddr*>(&to), sizeof to));
  Inbox inbox(*link, {});
  std::vector<ports::Input> inputs;
  inbox.peek(inputs);
  EXPECT_TRUE(inputs.empty()) << "nobody knows yet whose it is";
  changed();
  inbox.peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ(8u, inputs[0].run);
  EXPECT_EQ(2u, inputs[0].slot);
}

TEST_F(KeeperClientTest, what_a_run_on_a_spare_said_before_its_end_is_heard_in_the_turn_that_learns_of_it) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  client->flush();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 8)).outcome);
  keeper.spawn_all();
  Fd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{AF_UNIX, {}};
  path("n/8").copy(to.sun_path, sizeof to.sun_path - 1);
  ASSERT_EQ(7, ::sendto(sender.get(), "READY=1", 7, 0, reinterpret_cast<sockaddr*>(&to), sizeof to));
  keeper.exit_run(4, CLD_EXITED, 0);
  EXPECT_FALSE(client->entry(4).exited) << "nobody could have heard it yet";
  const std::vector<EntryIndex> entries = changed();
  EXPECT_NE(entries.end(), std::find(entries.begin(), entries.end(), 4u));
  EXPECT_TRUE(client->entry(4).exited);
  Inbox inbox(*link, {});
  std::vector<ports::Input> inputs;
  inbox.peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ(8u, inputs[0].run);
}

TEST_F(KeeperClientTest, a_successor_uses_the_spare_and_assigns_the_one_that_is_in_use) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  client->flush();
  const std::uint64_t inode = inode_of(path("o/8"));
  restart_supervisor();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 8)).outcome);
  EXPECT_EQ(inode, inode_of(path("o/8")));
  keeper.spawn_all();
  restart_supervisor();  // before it has been assigned
  client->flush();
  keeper.handle();
  EXPECT_EQ(2u, keeper.parked().find(ParkClass::output, 8)->slot);
  EXPECT_EQ(2u, keeper.parked().find(ParkClass::notify, 8)->slot);
}

TEST_F(KeeperClientTest, an_output_is_not_dropped_before_the_logger_has_heard_of_it) {
  HEARTH_SKIP_IF_SANITIZED();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  client->flush();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 8)).outcome);
  keeper.spawn_all();
  keeper.taken().clear();
  keeper.exit_run(4, CLD_EXITED, 0);
  {
    test::FewDescriptors few(0);
    changed();
    EXPECT_FALSE(client->entry(4).exited) << "it could not be parked for its slot";
    EXPECT_FALSE(client->reap(4, 8));
    client->release_run(2, 8);
    client->flush();
    EXPECT_TRUE(exists(path("o/8")));
  }
  keeper.handle();
  EXPECT_EQ(8u, keeper.table().entry[4].run);
  restart_supervisor();
  EXPECT_TRUE(client->reap(4, 8));
  client->flush();
  keeper.handle();
  EXPECT_TRUE(exists(path("o/8"))) << "its leader's end is not the end of its output";
  EXPECT_EQ(2u, keeper.parked().find(ParkClass::output, 8)->slot);
}

TEST_F(KeeperClientTest, of_two_spares_that_a_kill_has_left_a_successor_keeps_the_newer) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  changed();
  client->flush();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 9)).outcome);
  keeper.spawn_all();
  changed();
  static bool parked;
  parked = false;
  crash_hook = [](const char* place) {
    parked = parked || place == std::string_view("spare parked");
    if (parked) throw 0;
  };
  EXPECT_THROW(client->flush(), int);
  crash_hook = nullptr;
  restart_supervisor();
  client->flush();
  keeper.handle();
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::output, 8));
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::notify, 8));
  EXPECT_FALSE(exists(path("o/8")));
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::output, 10));
}

TEST_F(KeeperClientTest, what_was_made_ahead_is_removed_when_its_number_is_passed_over_or_all_ends) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  changed();
  client->flush();
  ASSERT_TRUE(exists(path("o/8")));
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 9)).outcome);
  keeper.spawn_all();
  changed();
  client->flush();
  EXPECT_FALSE(exists(path("o/8")));
  EXPECT_FALSE(exists(path("n/8")));
  EXPECT_TRUE(exists(path("o/10")));
  client->finish(true, false);
  EXPECT_FALSE(exists(path("o/10")));
  EXPECT_FALSE(exists(path("n/10")));
}

TEST_F(KeeperClientTest, what_a_killed_supervisor_had_made_ahead_is_gone_at_the_end) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  client->flush();
  ASSERT_TRUE(exists(path("o/8")));
  restart_supervisor();
  client->finish(false, false);
  client->remove_names();
  EXPECT_FALSE(exists(path("o/8")));
  EXPECT_FALSE(exists(path("n/8")));
}

TEST_F(KeeperClientTest, nothing_is_made_ahead_under_a_number_that_exists) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 8)).outcome);
  const std::uint64_t inode = inode_of(path("n/8"));
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 7)).outcome);
  restart_supervisor();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(2, 7)).outcome);
  keeper.spawn_all();
  changed();
  client->flush();
  EXPECT_EQ(inode, inode_of(path("n/8")));
}

TEST_F(KeeperClientTest, a_known_run_is_sent_and_nothing_is_done_twice) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  EXPECT_EQ(1u, keeper.taken().size());
  EXPECT_EQ(0u, keeper.dropped_plans());
}

TEST_F(KeeperClientTest, an_entry_that_holds_another_run_is_waited_for) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  EXPECT_EQ(SpawnOutcome::later, client->spawn(maker.order(0, 8)).outcome);
  EXPECT_FALSE(exists(path("o/8")));
}

TEST_F(KeeperClientTest, the_window_holds_64_plans_and_opens_as_they_are_taken) {
  for (SlotIndex slot = 0; slot < KeeperClient::window_max; ++slot)
    ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(slot, 100 + slot)).outcome);
  EXPECT_EQ(SpawnOutcome::full, client->spawn(maker.order(64, 200)).outcome);
  keeper.handle();
  keeper.spawn_all();
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(64, 200)).outcome);
}

TEST_F(KeeperClientTest, a_spawner_that_dies_with_an_unread_plan_has_it_sent_again_to_another) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.handle();
  keeper.replace_spawner(0);
  EXPECT_EQ((std::vector<EntryIndex>{0}), changed());
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  EXPECT_EQ(1u, keeper.taken().size());
}

TEST_F(KeeperClientTest, spawners_that_are_announced_while_descriptors_are_short_are_asked_for_again) {
  HEARTH_SKIP_IF_SANITIZED();
  keeper.replace_spawner(0);
  keeper.replace_spawner(1);
  const std::uint32_t unheard = keeper.spawner_generation(0);
  {
    const test::FewDescriptors none(0);
    changed();
  }
  const MonoNs deadline = after(read_mono(), seconds(10));
  while (keeper.spawner_generation(0) == unheard && read_mono() < deadline) {
    client->flush();
    keeper.handle();
    ::poll(nullptr, 0, 1);
  }
  EXPECT_NE(unheard, keeper.spawner_generation(0));
  changed();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  EXPECT_EQ(1u, keeper.taken().size());
}

TEST_F(KeeperClientTest, a_spawner_stuck_in_an_exec_is_replaced_and_the_spare_one_works) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(1, 8)).outcome);
  wire::SlotTable& table = keeper.table();
  const std::uint32_t stuck = keeper.spawner_generation(0);
  table.entry[0].claim = stuck;
  table.entry[0].pid = 1u << 22;
  table.work[0].since_ns = 1;  // since the machine was started
  table.work[0].entry_plus_1 = 1;
  EXPECT_GT(client->stuck_for(0, seconds(41)), seconds(40));
  EXPECT_EQ(0, client->stuck_for(2, seconds(41)));
  client->flush();
  keeper.handle();
  EXPECT_NE(stuck, keeper.spawner_generation(0));
  EXPECT_EQ((std::vector<EntryIndex>{2}), changed());
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(1, 8)).outcome);
  keeper.spawn_all();
  ASSERT_EQ(1u, keeper.taken().size());
  EXPECT_EQ(8u, keeper.taken()[0].run);
}

TEST_F(KeeperClientTest, a_refused_spawn_leaves_nothing_behind) {
  maker.spec().command = {"/bin/echo", "{fd:http}"};
  ports::SpawnAnswer answer = client->spawn(maker.order(0, 7));
  EXPECT_EQ(SpawnOutcome::refused, answer.outcome);
  EXPECT_EQ(Remedy::fix_input, answer.error.remedy);
  client->flush();
  keeper.handle();
  EXPECT_FALSE(exists(path("o/7")));
  EXPECT_FALSE(exists(path("n/7")));
  EXPECT_EQ(0u, keeper.parked().size());
  EXPECT_EQ(0u, keeper.table().entry[0].run);
}

TEST_F(KeeperClientTest, running_out_of_descriptors_refuses_the_start_and_says_what_to_do) {
  HEARTH_SKIP_IF_SANITIZED();
  keeper.table().keeper_pid = INT32_MAX;  // nobody, whose limit is not ours
  ports::SpawnAnswer answer;
  {
    const test::FewDescriptors none(0);
    answer = client->spawn(maker.order(0, 7));
  }
  EXPECT_EQ(SpawnOutcome::refused, answer.outcome);
  EXPECT_EQ(Remedy::try_later, answer.error.remedy);
  EXPECT_NE(std::string::npos, answer.error.text().find("ulimit"));
  EXPECT_FALSE(exists(path("o/7")));
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
}

TEST_F(KeeperClientTest, who_began_without_free_descriptors_starts_services_when_there_are_some) {
  HEARTH_SKIP_IF_SANITIZED();
  client.reset();
  {
    const test::FewDescriptors none(0);
    client = make_client();
  }
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
}

TEST_F(KeeperClientTest, what_hearth_lacks_itself_is_no_fault_of_the_service) {
  ASSERT_EQ(0, ::rename(path("o").c_str(), path("away").c_str()));
  const ports::SpawnAnswer answer = client->spawn(maker.order(0, 7));
  EXPECT_EQ(SpawnOutcome::refused, answer.outcome);
  EXPECT_EQ(ENOENT, answer.error.code);
  EXPECT_EQ(Remedy::try_later, answer.error.remedy) << "and not not_found, which would count as a failed start";
  ASSERT_EQ(0, ::rename(path("away").c_str(), path("o").c_str()));
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
}

TEST_F(KeeperClientTest, signals_go_out_before_reaps_and_once_per_operation) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  EXPECT_TRUE(client->signal(0, 7, 3, SIGTERM));
  EXPECT_TRUE(client->signal(0, 7, 3, SIGTERM));
  client->flush();
  keeper.handle();
  EXPECT_EQ(1u, keeper.signals().size());
  EXPECT_EQ(3u, client->entry(0).last_op);
  keeper.exit_run(0, CLD_EXITED, 0);
  EXPECT_TRUE(client->reap(0, 7));
  EXPECT_TRUE(client->end_tree(0, 7, "shop.web.0"));
  client->flush();
  keeper.handle();
  ASSERT_EQ(2u, keeper.signals().size());
  EXPECT_EQ(SIGKILL, keeper.signals()[1].signal);
  EXPECT_TRUE(keeper.reaped().contains(7));
}

TEST_F(KeeperClientTest, orders_about_a_run_that_the_entry_no_longer_holds_are_done) {
  EXPECT_TRUE(client->signal(0, 7, 1, SIGTERM));
  EXPECT_TRUE(client->end_tree(0, 7, "x"));
  EXPECT_TRUE(client->reap(0, 7));
  client->flush();
  keeper.handle();
  EXPECT_EQ(0u, keeper.messages());
}

TEST_F(KeeperClientTest, what_a_released_run_had_is_dropped_once_its_output_is_read_and_nobody_writes) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  Fd service = std::move(keeper.taken()[0].descriptors[1]);
  keeper.taken().clear();
  ASSERT_EQ(5, ::write(service.get(), "hello", 5));
  keeper.exit_run(0, CLD_EXITED, 0);
  client->reap(0, 7);
  client->flush();
  keeper.handle();
  client->release_run(0, 7);
  client->flush();
  keeper.handle();
  EXPECT_FALSE(exists(path("n/7")));
  EXPECT_TRUE(exists(path("o/7"))) << "a descendant may still write";
  service.reset();
  Inbox inbox(*link, {});
  std::vector<ports::Input> inputs;
  inbox.peek(inputs);
  client->flush();
  EXPECT_TRUE(exists(path("o/7"))) << "five bytes are not read";
  char bytes[8];
  ASSERT_EQ(5, ::read(link->parked().find(ParkClass::output, 7)->fd, bytes, sizeof bytes));
  restart_supervisor();  // which need not be told again
  client->flush();
  keeper.handle();
  EXPECT_FALSE(exists(path("o/7")));
  EXPECT_EQ(0u, parked_for_slots());
}

TEST_F(KeeperClientTest, listening_sockets_are_bound_once_and_stay_between_runs) {
  maker.spec().listen = {{.name = "http", .address = "unix:" + path("web.sock")}};
  maker.spec().command = {"/bin/server", "--fd={fd:http}"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  ASSERT_EQ(1u, keeper.taken().size());
  const int door = keeper.taken()[0].descriptors[2].get();
  const std::uint64_t first = file_identity(door);
  EXPECT_EQ(0, ::fcntl(door, F_GETFL) & O_NONBLOCK);
  ASSERT_EQ(0, ::fcntl(door, F_SETFL, O_NONBLOCK)) << "as a service may have it, for all who share the socket";
  keeper.exit_run(0, CLD_EXITED, 0);
  client->reap(0, 7);
  client->flush();
  keeper.handle();
  restart_supervisor();
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 8)).outcome);
  keeper.spawn_all();
  ASSERT_EQ(2u, keeper.taken().size());
  EXPECT_EQ(first, file_identity(keeper.taken()[1].descriptors[2].get()));
  EXPECT_EQ(0, ::fcntl(keeper.taken()[1].descriptors[2].get(), F_GETFL) & O_NONBLOCK) << "each run begins as the first";
  EXPECT_NE(std::string::npos, keeper.taken()[1].bytes.find("--fd=3"));
  client->release_slot(0);
  client->flush();
  keeper.handle();
  EXPECT_FALSE(exists(path("web.sock")));
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::listen, 0, "http"));
}

TEST_F(KeeperClientTest, adoption_fills_the_entry_and_hands_over_the_process) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  ProcStat stat;
  ASSERT_TRUE(read_stat(child, stat));
  EXPECT_FALSE(client->adopt(maker.order(0, 7), child, stat.start_ticks + 1));
  EXPECT_TRUE(client->adopt(maker.order(0, 7), child, stat.start_ticks));
  keeper.handle();
  EXPECT_TRUE(keeper.adopted().contains(7));
  EXPECT_EQ(child, client->entry(0).pid);
  EXPECT_EQ(stat.start_ticks, client->entry(0).start_ticks);
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::output, 7));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

// Repeats spawn() in one successor after another, each killed at the next place, until one gets through.
struct Crash {};
int crash_countdown = 0;
void crash_when_due(const char*) {
  if (--crash_countdown == 0) throw Crash{};
}

// `stride` between run numbers: with 1 each run finds what was made ahead, with 2 none does. Returns the steps there are.
int KeeperClientTest::kill_at_each_step(RunId stride) {
  maker.spec().listen = {{.name = "http", .address = "unix:" + path("web.sock")}};
  int steps = 0;
  for (int at = 1;; ++at) {
    const RunId run = 1000 * stride + stride * static_cast<RunId>(at);
    crash_countdown = at;
    crash_hook = crash_when_due;
    bool crashed = false;
    try {
      client->spawn(maker.order(0, run));
    } catch (const Crash&) {
      crashed = true;
    }
    crash_hook = nullptr;
    // The spawner may take what it has before or after the successor comes.
    if (at % 2 == 0) keeper.spawn_all();
    if (crashed) {
      restart_supervisor();
      EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, run)).outcome) << "step " << at;
    }
    keeper.handle();
    keeper.spawn_all();
    EXPECT_EQ(1u, keeper.taken().size()) << "step " << at;
    if (keeper.taken().empty()) return 0;
    EXPECT_EQ(run, keeper.taken()[0].run);
    EXPECT_EQ(3u, keeper.taken()[0].descriptors.size());
    EXPECT_LE(3u, keeper.parked().size());
    keeper.taken().clear();
    keeper.exit_run(0, CLD_KILLED, 9);
    client->end_tree(0, run, "shop.web.0");
    client->reap(0, run);
    client->flush();
    keeper.handle();
    client->release_run(0, run);
    client->flush();
    keeper.handle();
    EXPECT_EQ(1u, parked_for_slots()) << "only the listening socket stays";
    steps = at;
    if (!crashed) break;
  }
  return steps;
}

TEST_F(KeeperClientTest, killed_at_any_step_of_a_spawn_successors_end_with_exactly_one_process) {
  EXPECT_GE(kill_at_each_step(2), 6);
}

TEST_F(KeeperClientTest, killed_at_any_step_of_a_spawn_that_uses_a_spare_successors_end_with_exactly_one_process) {
  EXPECT_GE(kill_at_each_step(1), 4);
}

// A child that has not become its program yet: a copy of ours, as a spawner's is of the keeper's.
struct Copy {
  explicit Copy(const char* becomes = nullptr) {
    int ends[2];
    EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC));
    go = Fd(ends[1]);
    Fd wait(ends[0]);
    pid = ::fork();
    if (pid != 0) return;
    char byte = 0;
    ::close(ends[1]);
    (void)!::read(ends[0], &byte, 1);
    if (becomes != nullptr) ::execl(becomes, becomes, "60", nullptr);
    ::_exit(0);
  }
  ~Copy() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = -1;
  Fd go;  // closed: it becomes its program
};

TEST_F(KeeperClientTest, a_run_has_started_when_its_spawner_says_that_exec_is_over) {
  client->spawn(maker.order(0, 7));
  keeper.spawn_all();
  Copy child;
  keeper.table().keeper_pid = ::getpid();
  keeper.table().entry[0].pid = child.pid;
  EXPECT_EQ((std::vector<EntryIndex>{0}), changed());
  EXPECT_FALSE(client->entry(0).watched);
  keeper.table().entry[0].exec_over = 7;
  EXPECT_TRUE(client->entry(0).watched);
}

TEST_F(KeeperClientTest, a_run_whose_spawner_died_has_started_when_it_is_another_program) {
  client->spawn(maker.order(0, 7));
  keeper.spawn_all();
  Copy child("/bin/sleep");
  keeper.table().keeper_pid = ::getpid();
  keeper.table().entry[0].pid = child.pid;
  EXPECT_EQ((std::vector<EntryIndex>{0}), changed());
  client->flush();
  EXPECT_EQ((std::vector<EntryIndex>{}), changed());
  EXPECT_GT(client->stuck_for(0, read_mono() + seconds(1)), seconds(0));
  child.go.reset();
  // Nobody tells: the client looks by itself, and wakes the supervisor for it.
  const MonoNs end = after(read_mono(), seconds(10));
  std::vector<EntryIndex> told;
  while (told.empty() && read_mono() < end) {
    pollfd polled{link->epoll(), POLLIN, 0};
    ::poll(&polled, 1, 1'000);
    link->timer_fired();
    client->flush();
    told = changed();
  }
  EXPECT_EQ((std::vector<EntryIndex>{0}), told);
  EXPECT_TRUE(client->entry(0).watched);
  EXPECT_EQ(0, client->stuck_for(0, read_mono()));
}

TEST_F(KeeperClientTest, what_nobody_has_read_of_a_forgotten_slot_reaches_no_other_service) {
  client->spawn(maker.order(0, 7));
  keeper.spawn_all();
  client->release_slot(0);
  client->flush();
  keeper.handle();
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::notify, 7));
  EXPECT_FALSE(exists(path("n/7")));
}

}  // namespace
}  // namespace hearth::os
