#include "probe/looker.h"

#include <cerrno>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <poll.h>

#include <gtest/gtest.h>

#include "os/clock.h"

namespace hearth::probe {
namespace {

// A looker one of whose paths hangs until the test lets it go.
struct LookerTest : ::testing::Test {
  std::mutex mutex;
  std::condition_variable changed;
  bool let_go = false;
  int begun = 0, entered = 0, done = 0;
  int no_thread = 0;  // errno for whoever wants one
  std::unique_ptr<Looker> looker = std::move(*Looker::create(
      [this](Look&& order) {
        std::unique_lock lock(mutex);
        ++entered;
        changed.notify_all();
        if (order.path == "hangs") changed.wait(lock, [this] { return let_go; });
        ++done;
        changed.notify_all();
        Seen seen;
        seen.id = order.id;
        return seen;
      },
      Looker::hangs_after,
      [this](std::function<void()> body) {
        return no_thread != 0 ? no_thread : Looker::start_detached(std::move(body));
      }));

  ~LookerTest() override {
    let_it_go();
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done == begun; });
  }
  // An hour after all that is at work has begun.
  std::string begin(std::uint64_t id, const std::string& path) {
    Look order;
    order.id = id;
    order.path = path;
    const std::string problem = looker->begin(std::move(order), after(os::read_mono(), seconds(3600)));
    if (problem.empty()) ++begun;
    return problem;
  }
  void wait_until_entered(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return entered >= count; });
  }
  // 1 hangs, and is not yet known to, as its thread may not have begun; 2 is behind it.
  void one_waits_behind_one_that_hangs() {
    EXPECT_EQ("", begin(1, "hangs"));
    Look order;
    order.id = 2;
    EXPECT_EQ("", looker->begin(std::move(order), 0));
    ++begun;
    wait_until_entered(1);
  }
  void let_it_go() {
    const std::lock_guard lock(mutex);
    let_go = true;
    changed.notify_all();
  }
  std::vector<std::uint64_t> seen(std::size_t count) {
    std::vector<std::uint64_t> ids;
    while (ids.size() < count) {
      pollfd polled{looker->wake(), POLLIN, 0};
      if (::poll(&polled, 1, 10'000) <= 0) break;
      for (const Seen& one : looker->take()) ids.push_back(one.id);
    }
    return ids;
  }
};

TEST_F(LookerTest, what_hangs_holds_up_nobody_else) {
  EXPECT_EQ("", begin(1, "hangs"));
  wait_until_entered(1);
  EXPECT_EQ("", begin(2, "quick"));
  EXPECT_EQ((std::vector<std::uint64_t>{2}), seen(1));
}

TEST_F(LookerTest, who_waited_behind_what_hangs_is_seen_all_the_same) {
  one_waits_behind_one_that_hangs();
  EXPECT_EQ("", begin(3, "quick"));
  EXPECT_EQ((std::vector<std::uint64_t>{2, 3}), seen(2));
}

TEST_F(LookerTest, who_waited_behind_what_hangs_is_not_forgotten_when_there_is_no_thread_just_then) {
  one_waits_behind_one_that_hangs();
  no_thread = EAGAIN;
  EXPECT_EQ("no thread to look at paths: Resource temporarily unavailable", begin(3, "quick"));
  no_thread = 0;
  EXPECT_EQ("", begin(4, "quick"));
  EXPECT_EQ((std::vector<std::uint64_t>{2, 4}), seen(2));
}

TEST_F(LookerTest, without_a_thread_who_waits_behind_what_hangs_is_seen_when_it_comes_back) {
  one_waits_behind_one_that_hangs();
  no_thread = EAGAIN;
  EXPECT_NE("", begin(3, "quick"));
  EXPECT_TRUE(looker->cancel(2)) << "it is still there";  // and the fifth is done in its place
  Look order;
  order.id = 5;
  EXPECT_EQ("", looker->begin(std::move(order), 0));
  let_it_go();
  EXPECT_EQ((std::vector<std::uint64_t>{1, 5}), seen(2));
}

TEST_F(LookerTest, what_was_left_behind_is_seen_when_it_comes_back) {
  EXPECT_EQ("", begin(1, "hangs"));
  wait_until_entered(1);
  EXPECT_EQ("", begin(2, "quick"));
  EXPECT_EQ((std::vector<std::uint64_t>{2}), seen(1));
  let_it_go();
  EXPECT_EQ((std::vector<std::uint64_t>{1}), seen(1));
}

TEST_F(LookerTest, what_waits_can_be_cancelled_and_what_is_at_work_cannot) {
  EXPECT_EQ("", begin(1, "hangs"));
  wait_until_entered(1);
  for (const std::uint64_t id : {2, 3}) {
    Look order;
    order.id = id;
    EXPECT_EQ("", looker->begin(std::move(order), 0));
  }
  EXPECT_FALSE(looker->cancel(1));
  EXPECT_TRUE(looker->cancel(2));
  EXPECT_FALSE(looker->cancel(2));
  ++begun;  // the third one
  let_it_go();
  EXPECT_EQ((std::vector<std::uint64_t>{1, 3}), seen(2));
}

TEST_F(LookerTest, at_most_four_threads_are_left_behind) {
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ("", begin(static_cast<std::uint64_t>(i), "hangs"));
    wait_until_entered(i);
  }
  EXPECT_EQ("4 other probes look at paths that do not answer", begin(6, "quick"));
}

}  // namespace
}  // namespace hearth::probe
