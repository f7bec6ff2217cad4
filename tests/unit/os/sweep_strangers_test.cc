// Whom a sweep leaves alone though they show what a process of the run shows.
#include <poll.h>
#include <signal.h>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/os/container.h"
#include "unit/os/marked.h"
#include "unit/os/sweep_fixture.h"

namespace hearth::os {
namespace {

// A hearth in a container that is at the same path has the same services, and so the same names and marks.
TEST_F(SweepTest, whoever_shows_the_same_in_a_container_is_left_alone) {
  lead([&] { tell(); });
  heard();
  SweepTarget wanted = target();
  wanted.mark = sweep_mark(instance(), wanted.label);
  const std::vector<std::string> environment{"HEARTH_SLOT=shop.web.0", "HEARTH_INSTANCE=" + instance(), "HEARTH_RUN=5"};
  test::Container by_cookie([&] { test::Container::become(environment); });
  test::Container by_mark([&] { test::set_mark(::getpid(), wanted.mark); });
  if (by_cookie.inside == 0) GTEST_SKIP() << "no PID namespace can be had here";
  Sweep s(std::move(wanted));
  EXPECT_EQ(Sweep::State::done, sweep(s));
  EXPECT_FALSE(alive(leader));
  EXPECT_TRUE(alive(by_cookie.inside));
  EXPECT_TRUE(alive(by_mark.inside));
  EXPECT_EQ(1, s.killed());
}

TEST_F(SweepTest, whom_the_service_has_put_into_a_namespace_ends_with_it) {
  lead([&] { tell(); });
  heard();
  SweepTarget wanted = target();
  wanted.mark = sweep_mark(instance(), wanted.label);
  test::Container box([&] { test::Container::become({}); }, [&] { test::set_mark(::getpid(), wanted.mark); });
  if (box.inside == 0) GTEST_SKIP() << "no PID namespace can be had here";
  others.push_back(box.maker);
  Sweep s(std::move(wanted));
  EXPECT_EQ(Sweep::State::done, sweep(s));
  EXPECT_FALSE(alive(box.first));
  EXPECT_FALSE(alive(box.inside));
  EXPECT_TRUE(alive(box.maker)) << "it shows nothing";
}

// `up` between two passes: the slot's other entry does not wait for this one's sweep.
TEST_F(SweepTest, a_later_run_of_the_service_is_left_alone_with_all_that_is_below_it) {
  lead([&] { tell(); });
  heard();
  SweepTarget wanted = target();
  wanted.mark = sweep_mark(instance(), wanted.label);
  // The leader of run 6 has executed nothing yet, and one that it has put into another session shows nothing but its
  // mark.
  const pid_t next = ::fork();
  if (next == 0) {
    test::set_mark(::getpid(), wanted.mark);
    if (::fork() == 0) {
      ::setsid();
      tell();
    }
    for (;;) ::pause();
  }
  others.push_back(next);
  const pid_t below = heard();
  others.push_back(below);
  const pid_t named = ::fork();
  if (named == 0) {
    tell();
    test::Container::become({"HEARTH_SLOT=shop.web.0", "HEARTH_INSTANCE=" + instance(), "HEARTH_RUN=6"});
  }
  others.push_back(heard());
  const MonoNs end = read_mono() + seconds(30);
  while (environment_of(named, "HEARTH_RUN") != "6" && read_mono() < end) ::poll(nullptr, 0, 1);
  Sweep s(wanted);
  s.leave(6, next);
  EXPECT_EQ(Sweep::State::done, sweep(s));
  EXPECT_FALSE(alive(leader));
  for (const pid_t pid : {next, below, named}) EXPECT_TRUE(alive(pid));
  Sweep of_six(wanted);
  EXPECT_EQ(Sweep::State::done, sweep(of_six));
  for (const pid_t pid : {next, below, named}) EXPECT_FALSE(alive(pid)) << "nobody tells of a later one any more";
}

}  // namespace
}  // namespace hearth::os
