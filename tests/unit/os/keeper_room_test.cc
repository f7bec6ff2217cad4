// What a keeper can hold, and what becomes of a start when that is little; and whose output is held by somebody unknown.
#include <cstdint>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/keeper_client.h"
#include "os/proc_stat.h"
#include "unit/os/client_fixture.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/hidden_environment.h"

namespace hearth::os {
namespace {

using ports::SpawnOutcome;
using wire::ParkClass;

// Somebody whose limit of descriptors is the keeper's.
class Holder {
 public:
  explicit Holder(wire::SlotTable& table) : pid_(::fork()) {
    if (pid_ == 0)
      for (;;) ::pause();
    table.keeper_pid = pid_;
  }
  ~Holder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  // Beyond its reserve.
  void holds(std::size_t descriptors) const {
    rlimit limit{};
    EXPECT_EQ(0, ::prlimit(pid_, RLIMIT_NOFILE, nullptr, &limit));
    limit.rlim_cur = wire::keeper_reserved_descriptors + descriptors;
    EXPECT_EQ(0, ::prlimit(pid_, RLIMIT_NOFILE, &limit, nullptr));
  }

 private:
  pid_t pid_;
};

struct KeeperRoom : test::ClientFixture {
  std::string path(const std::string& name) const { return keeper.instance().directory + "/" + name; }
  static bool exists(const std::string& path) {
    struct stat st{};
    return ::lstat(path.c_str(), &st) == 0;
  }
};

TEST_F(KeeperRoom, a_start_is_refused_when_the_keeper_could_not_hold_all_that_it_needs_listeners_too) {
  const Holder holder(keeper.table());
  for (int i = 0; i < 8; ++i) {
    const std::string name = "s" + std::to_string(i);
    maker.spec().listen.push_back({.name = name, .address = "unix:" + path(name)});
  }
  // Eight listeners, output, notify socket and the pidfd; and what leaves room for a spare.
  constexpr std::size_t needed = 8 + 3 + 4;
  holder.holds(needed - 1);
  const ports::SpawnAnswer answer = client->spawn(maker.order(0, 7));
  EXPECT_EQ(SpawnOutcome::refused, answer.outcome);
  EXPECT_EQ(Remedy::try_later, answer.error.remedy);
  EXPECT_EQ(EMFILE, answer.error.code);
  EXPECT_NE(std::string::npos, answer.error.text().find("prlimit --pid")) << answer.error.text();
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size()) << "listeners neither";
  holder.holds(needed);
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.handle();
  EXPECT_EQ(10u, keeper.parked().size());
  // The next one finds its spare, without which it would have to wait until what this one had is let go of.
  keeper.spawn_all();
  client->flush();
  keeper.handle();
  EXPECT_EQ(12u, keeper.parked().size());
  EXPECT_EQ(SpawnOutcome::refused, client->spawn(maker.order(1, 9)).outcome);
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 8, 1)).outcome);
}

TEST_F(KeeperRoom, no_spare_is_made_that_the_keeper_would_refuse) {
  const Holder holder(keeper.table());
  holder.holds(7);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  holder.holds(5);
  client->flush();
  EXPECT_FALSE(exists(path("o/8")));
}

TEST_F(KeeperRoom, the_keepers_places_are_counted_too) {
  keeper.table().keeper_pid = INT32_MAX;  // nobody: there is no limit that could be asked for
  EXPECT_TRUE(link->keeper_has_room(wire::max_parked));
  EXPECT_FALSE(link->keeper_has_room(wire::max_parked + 1));
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  EXPECT_FALSE(link->keeper_has_room(wire::max_parked));
}

// Its plan was lost with the spawner, or with us.
TEST_F(KeeperRoom, a_run_that_has_all_it_needs_starts_however_little_room_the_keeper_has_by_then) {
  const Holder holder(keeper.table());
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.handle();
  holder.holds(1);
  restart_supervisor();
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  EXPECT_EQ(1u, keeper.taken().size());
}

TEST_F(KeeperRoom, a_run_that_was_ordered_and_lacks_something_says_what_it_waits_for) {
  const Holder holder(keeper.table());
  holder.holds(1);
  keeper.table().entry[0].run = 7;
  const ports::SpawnAnswer answer = client->spawn(maker.order(0, 7));
  EXPECT_EQ(SpawnOutcome::later, answer.outcome);
  EXPECT_NE(std::string::npos, answer.error.reason.find("another try: cannot")) << answer.error.reason;
  EXPECT_NE(std::string::npos, answer.error.reason.find("Too many open files")) << answer.error.reason;
  holder.holds(100);
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
}

TEST_F(KeeperRoom, what_a_keeper_without_room_refused_is_offered_once_more) {
  keeper.has_room = false;
  ASSERT_TRUE(link->park(park_record(ParkClass::store, 0, store_key(0, true), "state"), *make_memfd("s", 0)));
  ASSERT_TRUE(link->park(park_record(ParkClass::output, 0, 7), *make_memfd("o", 0)));
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size());
  keeper.has_room = true;
  client->flush();
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size());
  link->offer_again();
  client->flush();
  keeper.handle();
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::store, store_key(0, true), "state"));
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::output, 7)) << "without a reader its run stands still";
}

// In the middle of an execve(2) that hangs: whose it is nobody knows, and nobody says so.
TEST_F(KeeperRoom, who_holds_the_output_and_cannot_be_asked_is_named_as_that_and_the_stop_is_incomplete) {
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
  keeper.spawn_all();
  int ready[2];
  ASSERT_EQ(0, ::pipe2(ready, O_CLOEXEC));
  const pid_t somebody = ::fork();
  if (somebody == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setsid();
    const Fd held(::open(path("o/7").c_str(), O_WRONLY | O_CLOEXEC));
    test::hide_environment();
    (void)!::write(ready[1], "", 1);
    for (;;) ::pause();
  }
  pollfd polled{ready[0], POLLIN, 0};
  ASSERT_EQ(1, ::poll(&polled, 1, 10'000));
  // The leader has gone; it began with us.
  keeper.table().entry[0].start_ticks = start_ticks(::getpid());
  while (!client->sweep_tree(0, 7)) {
    pollfd woken{link->epoll(), POLLIN, 0};
    ASSERT_EQ(1, ::poll(&woken, 1, 10'000));
    link->timer_fired();
  }
  const std::string pid = "(PID " + std::to_string(somebody) + ")";
  EXPECT_NE(std::string::npos, client->take_leftover(7).find(pid));
  std::string notes;
  for (const Note& note : client->take_notes()) notes += note.text + "\n";
  EXPECT_NE(std::string::npos, notes.find(pid + " holds its output, and whose it is could not be told")) << notes;
  EXPECT_EQ(std::string::npos, notes.find("belongs to another run")) << notes;
  ::kill(somebody, SIGKILL);
  ::waitpid(somebody, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace hearth::os
