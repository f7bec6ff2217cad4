// Runs that an earlier hearth has left: found again, or not, and handed to the keeper at once, or later.
#include <algorithm>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "os/run_identity.h"
#include "os/sweep.h"
#include "unit/os/adoption_fixture.h"

namespace hearth::os {
namespace {

TEST_F(AdoptionTest, a_run_that_cannot_be_opened_now_has_not_ended_and_is_adopted_later) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  wire::RunEntry& entry = left(7, service.pid, start_ticks(service.pid));
  {
    const test::FewDescriptors none(0);
    client->take_up(maker.order(0, 7));
    client->flush();
  }
  EXPECT_EQ(EntryPhase::none, entry.phase.load());
  settle();
  EXPECT_EQ(EntryPhase::none, entry.phase.load());
  EXPECT_TRUE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, a_run_of_the_list_that_cannot_be_opened_now_is_not_given_up) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  const std::uint64_t ticks = start_ticks(service.pid);
  {
    const test::FewDescriptors none(0);
    EXPECT_TRUE(client->adopt(maker.order(0, 7), service.pid, ticks));
  }
  EXPECT_EQ(service.pid, client->entry(0).pid);
  settle();
  EXPECT_TRUE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, what_could_not_be_opened_while_descriptors_were_short_is_opened_later) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  left(7, service.pid, start_ticks(service.pid));
  const Fd writer = output_with(7, "said");
  {
    const test::FewDescriptors none(0);
    client->take_up(maker.order(0, 7));
    EXPECT_TRUE(client->take_notes().empty());
  }
  {
    const test::FewDescriptors to_list(1);
    client->remove_stale_names();  // as whoever begins after the death of everything does
  }
  const MonoNs until = after(read_mono(), seconds(30));
  while (keeper.parked().find(ParkClass::output, 7) == nullptr ||
         keeper.parked().find(ParkClass::notify, 7) == nullptr) {
    ASSERT_LT(read_mono(), until);
    settle();
  }
  EXPECT_EQ(0u, keeper.parked().find(ParkClass::output, 7)->slot);
  EXPECT_EQ("said", said_in(keeper.parked().find(ParkClass::output, 7)));
  EXPECT_TRUE(client->take_notes().empty());
}

TEST_F(AdoptionTest, output_that_cannot_be_read_is_tried_again_whatever_is_wrong_and_told_of_once) {
  Child service;
  left(7, service.pid, start_ticks(service.pid));
  const std::string name = keeper.instance().directory + "/o/7";
  const Fd writer = output_with(7, "said");
  ASSERT_EQ(0, ::rename(name.c_str(), (name + ".away").c_str()));
  ASSERT_EQ(0, ::mkdir(name.c_str(), 0700));
  client->take_up(maker.order(0, 7));
  settle();
  settle();
  const std::vector<Note> notes = client->take_notes();
  ASSERT_EQ(1u, notes.size());
  EXPECT_NE(std::string::npos, notes[0].text.find("its output is not read: ")) << notes[0].text;
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::output, 7));
  ASSERT_EQ(0, ::rmdir(name.c_str()));
  ASSERT_EQ(0, ::rename((name + ".away").c_str(), name.c_str()));
  const MonoNs until = after(read_mono(), seconds(30));
  while (keeper.parked().find(ParkClass::output, 7) == nullptr) {
    ASSERT_LT(read_mono(), until);
    settle();
  }
  EXPECT_EQ("said", said_in(keeper.parked().find(ParkClass::output, 7)));
  const std::vector<Note> again = client->take_notes();
  ASSERT_EQ(1u, again.size());
  EXPECT_NE(std::string::npos, again[0].text.find("its output is read again")) << again[0].text;
}

TEST_F(AdoptionTest, one_that_ends_before_it_could_be_adopted_is_told_as_ended) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  wire::RunEntry& entry = left(7, service.pid, start_ticks(service.pid));
  {
    const test::FewDescriptors none(0);
    client->take_up(maker.order(0, 7));
  }
  service.end();
  client->flush();
  EXPECT_EQ(EntryPhase::exited, entry.phase.load());
  EXPECT_EQ(wire::wait_code_unknown, entry.wait_code);
}

TEST_F(AdoptionTest, what_a_full_socket_does_not_take_goes_out_when_there_is_room) {
  Child service;
  left(7, service.pid, start_ticks(service.pid));
  fill_the_socket();
  client->take_up(maker.order(0, 7));
  EXPECT_NE(nullptr, link->parked().find(ParkClass::output, 7));
  EXPECT_FALSE(keeper.adopted().contains(7));
  settle();
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::output, 7));
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::notify, 7));
  EXPECT_TRUE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, what_the_dead_keeper_had_watched_is_handed_over_when_there_is_room) {
  Child service;
  left(7, service.pid, start_ticks(service.pid)).phase = EntryPhase::watched;
  fill_the_socket();
  client->take_up(maker.order(0, 7));
  EXPECT_FALSE(keeper.adopted().contains(7));
  settle();
  EXPECT_TRUE(keeper.adopted().contains(7));
}

// Its limit was lowered: it was sent a descriptor, and got none.
TEST_F(AdoptionTest, whom_the_keeper_had_no_room_to_watch_is_handed_over_again_when_it_has) {
  Child service;
  left(7, service.pid, start_ticks(service.pid)).phase = EntryPhase::watched;
  client->take_up(maker.order(0, 7));
  settle();
  ASSERT_EQ(1u, keeper.adopted().erase(7));
  settle();
  EXPECT_FALSE(keeper.adopted().contains(7));
  client->offer_again();
  settle();
  EXPECT_TRUE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, what_a_killed_supervisor_could_not_hand_over_its_successor_does) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  left(7, service.pid, start_ticks(service.pid)).phase = EntryPhase::watched;
  {
    const test::FewDescriptors none(0);
    client->take_up(maker.order(0, 7));
  }
  keeper.handle();
  ASSERT_FALSE(keeper.adopted().contains(7));
  restart_supervisor();
  settle();
  EXPECT_TRUE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, what_the_keeper_had_no_room_for_outlives_the_supervisor_that_held_it) {
  Child service;
  left(7, service.pid, start_ticks(service.pid)).phase = EntryPhase::watched;
  keeper.has_room = false;
  client->take_up(maker.order(0, 7));
  const Fd writer = output_with(7, "said");
  restart_supervisor();
  ASSERT_EQ(nullptr, link->parked().find(ParkClass::output, 7));
  keeper.has_room = true;
  EXPECT_EQ("notify socket", client->keep_open(maker.order(0, 7), true))
      << "what it notified meanwhile nobody has heard";
  settle();
  EXPECT_EQ("said", said_in(keeper.parked().find(ParkClass::output, 7)));
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::notify, 7));
  EXPECT_EQ("", client->keep_open(maker.order(0, 7), true)) << "nothing is lacking";
}

TEST_F(AdoptionTest, a_readiness_pipe_and_a_terminal_that_nobody_holds_any_more_are_told_as_lost) {
  Child service;
  left(7, service.pid, start_ticks(service.pid)).phase = EntryPhase::watched;
  maker.spec().ready.edit().type = ProbeType::fd;
  maker.spec().ready.edit().descriptor = 9;
  maker.spec().around.edit().stdin_from = StdinFrom::pty;
  client->take_up(maker.order(0, 7));  // all but these two, which have no name
  settle();
  ASSERT_NE(nullptr, keeper.parked().find(ParkClass::notify, 7));
  restart_supervisor();
  EXPECT_EQ("readiness pipe", client->keep_open(maker.order(0, 7), true));
  const std::vector<Note> notes = client->take_notes();
  ASSERT_EQ(1u, notes.size());
  EXPECT_NE(std::string::npos, notes[0].text.find("terminal")) << notes[0].text;
  EXPECT_EQ("", client->keep_open(maker.order(0, 7), false)) << "of another specification";
  EXPECT_TRUE(client->take_notes().empty());
}

TEST_F(AdoptionTest, what_a_run_has_no_more_is_not_made_anew) {
  Child service;
  left(7, service.pid, start_ticks(service.pid)).phase = EntryPhase::exited;
  EXPECT_EQ("", client->keep_open(maker.order(0, 7), true));
  left(7, 0, 0).phase = EntryPhase::none;
  EXPECT_EQ("", client->keep_open(maker.order(0, 7), true)) << "it is still to be spawned";
  settle();
  EXPECT_TRUE(keeper.parked().all(ParkClass::output).empty());
  EXPECT_TRUE(keeper.parked().all(ParkClass::notify).empty());
}

TEST_F(AdoptionTest, what_the_keeper_is_the_parent_of_it_finds_itself) {
  Child service;
  keeper.table().keeper_pid = ::getpid();
  wire::RunEntry& entry = left(7, service.pid, start_ticks(service.pid));
  ::kill(service.pid, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(0, ::waitid(P_PID, static_cast<id_t>(service.pid), &ended, WEXITED | WNOWAIT));
  restart_supervisor();
  settle();
  EXPECT_FALSE(keeper.adopted().contains(7));
  EXPECT_EQ(EntryPhase::none, entry.phase.load()) << "its status is the keeper's to tell";
}

TEST_F(AdoptionTest, one_that_has_gone_before_a_successor_looks_is_told_as_ended) {
  Child service;
  wire::RunEntry& entry = left(7, service.pid, start_ticks(service.pid));
  service.end();
  restart_supervisor();
  settle();
  EXPECT_EQ(EntryPhase::exited, entry.phase.load());
  EXPECT_EQ(wire::wait_code_unknown, entry.wait_code);
}

TEST_F(AdoptionTest, one_whose_number_is_of_another_child_of_the_keeper_is_told_as_ended) {
  Child other;
  keeper.table().keeper_pid = ::getpid();
  wire::RunEntry& entry = left(7, other.pid, start_ticks(other.pid) - 1);
  restart_supervisor();
  settle();
  EXPECT_EQ(EntryPhase::exited, entry.phase.load());
}

TEST_F(AdoptionTest, one_that_a_successor_cannot_look_at_now_is_adopted_later) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  left(7, service.pid, start_ticks(service.pid));
  make_client_without_descriptors();
  settle();
  EXPECT_TRUE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, a_child_of_the_keeper_that_a_successor_cannot_look_at_now_stays_the_keepers_to_find) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  keeper.table().keeper_pid = ::getpid();
  wire::RunEntry& entry = left(7, service.pid, 0);
  make_client_without_descriptors();
  settle();
  EXPECT_FALSE(keeper.adopted().contains(7));
  EXPECT_EQ(EntryPhase::none, entry.phase.load());
}

TEST_F(AdoptionTest, nothing_is_said_of_an_entry_that_the_keeper_frees) {
  Child service;
  wire::RunEntry& entry = left(7, service.pid, start_ticks(service.pid));
  service.end();
  entry.claim = wire::claim_keeper;
  restart_supervisor();
  settle();
  EXPECT_EQ(EntryPhase::none, entry.phase.load());
}

TEST_F(AdoptionTest, a_young_run_that_is_still_a_copy_of_the_keeper_is_adopted_and_has_not_started) {
  Child service(-1, "/bin/sleep");
  Child program;
  keeper.table().keeper_pid = program.pid;
  wire::RunEntry& entry = left(7, service.pid, 0);
  client->take_up(maker.order(0, 7));
  keeper.handle();
  EXPECT_TRUE(keeper.adopted().contains(7));
  EXPECT_EQ(start_ticks(service.pid), entry.start_ticks.load());
  entry.phase = EntryPhase::adopted;
  EXPECT_FALSE(client->entry(0).watched);
  entry.exec_over = 7;
  EXPECT_TRUE(client->entry(0).watched);
}

TEST_F(AdoptionTest, a_stranger_with_the_number_and_the_start_time_that_the_table_says_is_not_adopted_and_told) {
  Child stranger;
  test::unmark(stranger.pid);
  wire::RunEntry& entry = left(7, stranger.pid, start_ticks(stranger.pid));
  client->take_up(maker.order(0, 7));
  settle();
  EXPECT_FALSE(keeper.adopted().contains(7));
  EXPECT_EQ(EntryPhase::exited, entry.phase.load());
  EXPECT_EQ(wire::wait_code_unknown, entry.wait_code);
  const std::vector<Note> notes = client->take_notes();
  ASSERT_EQ(1u, notes.size());
  EXPECT_NE(std::string::npos, notes[0].text.find("run 7 is PID " + std::to_string(stranger.pid))) << notes[0].text;
  // A successor finds it once more, as a run that nobody watches.
  entry.phase = EntryPhase::none;
  restart_supervisor();
  settle();
  EXPECT_FALSE(keeper.adopted().contains(7));
  EXPECT_EQ(1u, client->take_notes().size());
}

TEST_F(AdoptionTest, who_says_in_its_environment_that_it_is_the_run_needs_no_mark) {
  const pid_t service = ::fork();
  if (service == 0) {
    const char* const words[] = {"sleep", "600", nullptr};
    const char* const environment[] = {"HEARTH_RUN=7", nullptr};
    ::execve("/bin/sleep", const_cast<char**>(words), const_cast<char**>(environment));
    ::_exit(1);
  }
  while (environment_of(service, "HEARTH_RUN") != "7") ::sched_yield();
  left(7, service, start_ticks(service));
  client->take_up(maker.order(0, 7));
  settle();
  EXPECT_TRUE(keeper.adopted().contains(7));
  EXPECT_TRUE(may_be_of_run(service, 7));
  EXPECT_FALSE(may_be_of_run(service, 8)) << "of another run";
  ::kill(service, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(0, ::waitid(P_PID, static_cast<id_t>(service), &ended, WEXITED | WNOWAIT));
  EXPECT_TRUE(may_be_of_run(service, 8)) << "nothing can be seen of a zombie";
  ::waitpid(service, nullptr, 0);
}

TEST_F(AdoptionTest, a_stranger_with_the_number_of_a_young_run_is_not_adopted) {
  Child stranger(-1, "/bin/sleep");
  keeper.table().keeper_pid = ::getpid();
  stranger.go.reset();
  while (same_program(stranger.pid, ::getpid())) ::sched_yield();
  wire::RunEntry& entry = left(7, stranger.pid, 0);
  client->take_up(maker.order(0, 7));
  keeper.handle();
  EXPECT_FALSE(keeper.adopted().contains(7));
  EXPECT_EQ(EntryPhase::exited, entry.phase.load());
}

// redis, nginx and others write a title over it.
TEST_F(AdoptionTest, a_young_run_that_has_overwritten_its_environment_is_known_by_its_mark) {
  Child service(-1, "/bin/sleep");
  keeper.table().keeper_pid = ::getpid();
  const ports::SpawnOrder order = maker.order(0, 7);
  test::set_mark(service.pid, sweep_mark(keeper.instance().directory, order.label));
  service.go.reset();
  while (same_program(service.pid, ::getpid())) ::sched_yield();
  wire::RunEntry& entry = left(7, service.pid, 0);
  client->take_up(order);
  keeper.handle();
  EXPECT_TRUE(keeper.adopted().contains(7));
  EXPECT_EQ(start_ticks(service.pid), entry.start_ticks.load());
}

TEST_F(AdoptionTest, one_of_another_service_is_not_taken_for_a_young_run) {
  Child other(-1, "/bin/sleep");
  keeper.table().keeper_pid = ::getpid();
  test::set_mark(other.pid, sweep_mark(keeper.instance().directory, "shop.other.0"));
  other.go.reset();
  while (same_program(other.pid, ::getpid())) ::sched_yield();
  left(7, other.pid, 0);
  client->take_up(maker.order(0, 7));
  keeper.handle();
  EXPECT_FALSE(keeper.adopted().contains(7));
}

TEST_F(AdoptionTest, a_start_time_that_could_not_be_read_is_read_when_it_can) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service;
  wire::RunEntry& entry = left(7, service.pid, 0);
  entry.phase = EntryPhase::watched;
  std::vector<EntryIndex> changed;
  {
    const test::FewDescriptors none(0);
    EXPECT_EQ(0u, client->start_ticks(0, service.pid));
    client->take_changed(changed);
    EXPECT_EQ(0u, entry.start_ticks.load());
  }
  client->take_changed(changed);
  EXPECT_EQ(start_ticks(service.pid), entry.start_ticks.load());
  EXPECT_EQ(1, std::count(changed.begin(), changed.end(), 0u)) << "nobody writes it down";
  client->take_changed(changed);
  EXPECT_EQ(0, std::count(changed.begin(), changed.end(), 0u));
  entry.start_ticks = 0;
  restart_supervisor();
  client->take_changed(changed);
  EXPECT_EQ(start_ticks(service.pid), entry.start_ticks.load()) << "its predecessor could not";
}

}  // namespace
}  // namespace hearth::os
