#include "api/timer.h"

#include <optional>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "unit/os/few_descriptors.h"

namespace hearth::api {
namespace {

using Clock = Timer::Clock;
using std::chrono::hours;
using std::chrono::milliseconds;

struct TimerTest : testing::Test {
  boost::asio::io_context io;
  int first = 0, second = 0;
};

TEST_F(TimerTest, what_is_due_passes_once) {
  Timer timer(io);
  timer.set(Clock::now(), [&] { ++first; });
  io.run_one();
  EXPECT_EQ(first, 1);
  io.restart();
  EXPECT_EQ(io.poll(), 0u);
  EXPECT_EQ(first, 1);
}

TEST_F(TimerTest, a_later_time_is_waited_for_on_the_clock_of_its_kind) {
  Timer timer(io);
  const auto due = Clock::now() + milliseconds(5);
  std::optional<Clock::time_point> passed;
  timer.set(due, [&] { passed = Clock::now(); });
  while (!passed) io.run_one();
  EXPECT_GE(*passed, due);
}

TEST_F(TimerTest, the_time_that_is_set_last_counts) {
  Timer timer(io);
  timer.set(Clock::now() + hours(1), [&] { ++first; });
  timer.set(Clock::now() - hours(1), [&] { ++second; });
  while (second == 0) io.run_one();
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
}

TEST_F(TimerTest, one_that_passes_may_set_the_next) {
  Timer timer(io);
  timer.set(Clock::now(), [&] { timer.set(Clock::now(), [&] { ++second; }); });
  while (second == 0) io.run_one();
  EXPECT_EQ(second, 1);
}

TEST_F(TimerTest, what_is_cleared_or_destroyed_never_passes) {
  {
    Timer gone(io);
    gone.set(Clock::now(), [&] { ++first; });
  }
  Timer timer(io);
  timer.set(Clock::now(), [&] { ++first; });
  timer.clear();
  timer.set(Clock::now(), [&] { ++second; });
  while (second == 0) io.run_one();
  EXPECT_EQ(first, 0);
}

TEST_F(TimerTest, without_a_free_descriptor_it_passes_all_the_same) {
  HEARTH_SKIP_IF_SANITIZED();
  Timer timer(io);
  {
    const test::FewDescriptors none(0);
    timer.set(Clock::now(), [&] { ++first; });
  }
  while (first == 0) io.run_one();
  EXPECT_EQ(first, 1);
}

}  // namespace
}  // namespace hearth::api
