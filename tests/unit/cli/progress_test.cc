#include "cli/progress.h"

#include <sstream>

#include <gtest/gtest.h>

#include "config/text.h"

namespace hearth::cli {
namespace {

SlotNews slot(std::string name, std::string outcome, std::string state, std::string reason = {}) {
  SlotNews s;
  s.project = "app";
  s.name = std::move(name);
  s.outcome = std::move(outcome);
  s.state = std::move(state);
  s.reason_text = std::move(reason);
  s.has_readiness = true;
  s.ready = s.outcome == "done";
  return s;
}

// What a terminal shows: cursor movements obeyed, colors dropped.
std::vector<std::string> screen(const std::vector<std::string>& writes) {
  std::vector<std::string> lines(1);
  std::size_t row = 0, column = 0;
  for (const std::string& text : writes) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\x1b') {
        const std::size_t end = text.find_first_of("AmK", i);
        if (text[end] == 'A') row -= std::stoul(text.substr(i + 2, end - i - 2));
        if (text[end] == 'K') lines[row].resize(column);
        i = end;
      } else if (text[i] == '\r') {
        column = 0;
      } else if (text[i] == '\n') {
        if (++row == lines.size()) lines.emplace_back();
        column = 0;
      } else {
        if (lines[row].size() <= column) lines[row].resize(column + 1, ' ');
        lines[row][column++] = text[i];
      }
    }
  }
  for (std::string& line : lines) line.resize(line.find_last_not_of(' ') + 1);
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

TEST(Progress, piped_says_each_change_once) {
  Progress progress;
  OrderNews news;
  news.slots = {slot("db", "pending", "starting"), slot("web", "pending", "waiting", "waits for db to be ready")};
  EXPECT_EQ(progress.changes(news, milliseconds(10)), "db: starting\nweb: waiting: waits for db to be ready\n");
  EXPECT_EQ(progress.changes(news, milliseconds(20)), "");
  news.slots[0] = slot("db", "done", "running");
  EXPECT_EQ(progress.changes(news, milliseconds(1250)), "db: ready after 1.3s\n");
  news.slots[1] = slot("web", "failed", "backoff", "exited with code 1");
  EXPECT_EQ(progress.changes(news, seconds(12)), "web: backoff (failed) after 12s: exited with code 1\n");
}

TEST(Progress, what_happened_is_told_with_its_own_time_and_not_with_that_of_the_look) {
  const WallNs began = seconds(1'000'000);
  Progress progress(began);
  OrderNews news;
  news.slots = {slot("db", "done", "running"), slot("old", "done", "running"), slot("set-back", "done", "running"),
                slot("silent", "done", "running")};
  news.slots[0].since = began + milliseconds(310);
  news.slots[1].since = began - seconds(60);
  news.slots[2].since = began + seconds(60);
  EXPECT_EQ(progress.changes(news, milliseconds(1250)),
            "old: ready after 0ms\ndb: ready after 310ms\nset-back: ready after 1.3s\nsilent: ready after 1.3s\n");
}

TEST(Progress, spans_are_rounded_and_not_cut) {
  EXPECT_EQ(elapsed_text(milliseconds(799)), "799ms");
  EXPECT_EQ(elapsed_text(milliseconds(999) + 600'000), "1.0s");
  EXPECT_EQ(elapsed_text(milliseconds(1799)), "1.8s");
  EXPECT_EQ(elapsed_text(milliseconds(9960)), "10s");
  EXPECT_EQ(elapsed_text(milliseconds(59'600)), "1m 0s");
}

TEST(Progress, piped_tells_tries_that_fail_alike_once) {
  Progress progress;
  OrderNews news;
  const auto next = [&](const char* outcome, const char* state, const char* reason, std::int64_t ms) {
    news.slots = {slot("web", outcome, state, reason)};
    news.slots[0].has_readiness = false;
    return progress.changes(news, milliseconds(ms));
  };
  EXPECT_EQ(next("pending", "starting", "", 0), "web: starting\n");
  EXPECT_EQ(next("pending", "running", "", 10), "") << "it may still prove to be none";
  EXPECT_EQ(next("pending", "backoff", "exited with code 3", 20), "web: backoff: exited with code 3\n");
  EXPECT_EQ(next("pending", "starting", "the run before exited with code 3", 120), "");
  EXPECT_EQ(next("pending", "backoff", "exited with code 3", 130), "");
  EXPECT_EQ(next("pending", "starting", "the run before exited with code 3", 330), "");
  EXPECT_EQ(next("pending", "backoff", "exited with code 4", 340), "web: backoff: exited with code 4\n");
  EXPECT_EQ(next("failed", "backoff", "exited with code 4", 700),
            "web: backoff (failed) after 700ms: exited with code 4\n");
}

TEST(Progress, what_ends_after_it_has_settled_is_told_with_its_own_time) {
  Progress progress;
  OrderNews news;
  news.slots = {slot("migrate", "done", "running")};
  news.slots[0].has_readiness = false;
  EXPECT_EQ(progress.changes(news, milliseconds(100)), "migrate: running after 100ms\n");
  news.slots[0].state = "completed";
  EXPECT_EQ(progress.changes(news, milliseconds(310)), "migrate: completed after 310ms\n");
}

TEST(Progress, what_a_service_said_while_it_was_up_is_not_told_of_its_stop) {
  Progress progress;
  OrderNews news;
  news.slots = {slot("db", "pending", "stopping")};
  news.slots[0].status = "accepting connections";
  EXPECT_EQ(progress.changes(news, milliseconds(3)), "db: stopping\n");
}

TEST(Progress, what_ran_before_is_told_so) {
  Progress progress;
  progress.ran_before("db");
  OrderNews news;
  news.slots = {slot("db", "done", "running"), slot("web", "pending", "starting")};
  news.slots[0].pid = 42;
  EXPECT_EQ(progress.changes(news, milliseconds(3)), "db: ready as before (PID 42)\nweb: starting\n");
}

TEST(Progress, of_what_was_not_running_down_says_what_it_has_done) {
  Progress progress;
  progress.ran_before("db");
  OrderNews news;
  news.slots = {slot("db", "done", "stopped"), slot("web", "done", "stopped")};
  for (SlotNews& each : news.slots) each.forgotten = true;
  EXPECT_EQ(progress.changes(news, milliseconds(3)),
            "db: stopped as before; now it is forgotten\nweb: stopped after 3ms\n");
  const Terminal terminal{.interactive = true, .color = false, .columns = 60, .rows = 24};
  EXPECT_EQ(screen({progress.region(news, milliseconds(3), terminal)}),
            (std::vector<std::string>{"db   stopped  as before  now forgotten", "web  stopped  3ms"}));
}

TEST(Progress, replicas_that_ran_before_are_told_from_those_that_are_new) {
  Progress progress;
  progress.ran_before("web.0");
  OrderNews news;
  news.slots = {slot("web", "done", "running"), slot("web", "done", "running")};
  news.slots[0].pid = 42;
  news.slots[1].index = 1;
  for (SlotNews& each : news.slots) each.replicas = 2;
  EXPECT_EQ(progress.changes(news, milliseconds(3)), "web.0: ready as before (PID 42)\nweb.1: ready after 3ms\n");
  const Terminal terminal{.interactive = true, .color = false, .columns = 60, .rows = 24};
  EXPECT_EQ(screen({progress.region(news, milliseconds(3), terminal)}),
            (std::vector<std::string>{"web.0  ready  as before", "web.1  ready  3ms"}));
}

TEST(Progress, one_of_several_replicas_has_its_own_name) {
  Progress progress;
  OrderNews news;
  news.slots = {slot("web", "done", "stopped")};
  news.slots[0].replicas = 3;
  EXPECT_EQ(progress.changes(news, milliseconds(3)), "web.0: stopped after 3ms\n");
}

TEST(Progress, on_a_terminal_rewrites_its_lines) {
  Progress progress;
  const Terminal terminal{.interactive = true, .color = true, .columns = 60, .rows = 24};
  OrderNews news;
  news.slots = {slot("db", "pending", "starting"), slot("web", "pending", "waiting", "waits for db to be ready")};
  std::vector<std::string> writes = {progress.region(news, milliseconds(300), terminal)};
  EXPECT_EQ(screen(writes),
            (std::vector<std::string>{"db   starting  300ms", "web  waiting   300ms  waits for db to be ready"}));
  news.slots[0] = slot("db", "done", "running");
  news.slots[1] = slot("web", "pending", "starting");
  writes.push_back(progress.region(news, milliseconds(900), terminal));
  writes.push_back(progress.region(news, milliseconds(1900), terminal));
  EXPECT_EQ(screen(writes), (std::vector<std::string>{"db   ready     900ms", "web  starting  1.9s"}));
}

TEST(Progress, on_a_terminal_leaves_what_was_written_in_its_midst) {
  Progress progress;
  const Terminal terminal{.interactive = true, .color = false, .columns = 60, .rows = 24};
  OrderNews news;
  news.slots = {slot("db", "pending", "stopping"), slot("web", "pending", "stopping")};
  std::vector<std::string> writes = {progress.region(news, milliseconds(300), terminal), "hearth: the keeper\n"};
  progress.leave_region();
  news.slots[0] = slot("db", "done", "stopped");
  writes.push_back(progress.region(news, milliseconds(900), terminal));
  writes.push_back(progress.region(news, milliseconds(1900), terminal));
  EXPECT_EQ(screen(writes),
            (std::vector<std::string>{"db   stopping  300ms", "web  stopping  300ms", "hearth: the keeper",
                                      "db   stopped   900ms", "web  stopping  1.9s"}));
}

TEST(Progress, never_grows_beyond_the_terminal_and_shows_what_is_not_done) {
  Progress progress;
  const Terminal terminal{.interactive = true, .color = false, .columns = 40, .rows = 10};
  OrderNews news;
  for (int i = 0; i < 100; ++i) news.slots.push_back(slot("service-" + std::to_string(i), "done", "running"));
  news.slots[70] = slot("the-slow-one", "pending", "starting", std::string(200, 'x'));
  news.slots[80] = slot("the-broken-one", "failed", "failed", "exec of /x failed");
  const std::vector<std::string> lines = screen({progress.region(news, seconds(3), terminal)});
  ASSERT_LE(lines.size(), 9u);
  EXPECT_TRUE(lines[0].starts_with("the-broken-one"));
  EXPECT_TRUE(lines[1].starts_with("the-slow-one"));
  EXPECT_EQ(lines.back(), "... and 94 more");
  for (const std::string& line : lines) EXPECT_LT(config::character_count(line), 40u) << line;
}

TEST(Progress, of_any_width_fits_it) {
  for (std::size_t columns = 28; columns < 100; ++columns) {
    Progress progress;
    OrderNews news;
    news.slots = {
        slot("a-service-with-quite-a-long-name", "pending", "starting", "größer, länger, öfter, and more of it"),
        slot("db", "failed", "backoff", "exited with code 1")};
    for (const std::string& line : screen({progress.region(news, seconds(3), {true, true, columns, 24})})) {
      EXPECT_LE(config::character_count(line), columns) << columns << ": " << line;
    }
  }
}

TEST(Progress, a_service_cannot_move_the_cursor) {
  EXPECT_EQ(shown("a\x1b[2Jb\xc2\x9b"
                  "c\n",
                  0),
            "a [2Jb c ");
  EXPECT_EQ(shown("\xff\xfe", 0), "??");
  EXPECT_EQ(shown("größer", 4), "grö…");
}

TEST(Progress, replicas_and_projects_are_told_apart_only_where_there_are_several) {
  std::vector<SlotNews> slots = {slot("web", "done", "running"), slot("db", "done", "running")};
  EXPECT_EQ(Labels(slots).of(slots[0]), "web");
  slots.push_back(slots[0]);
  slots[2].index = 1;
  EXPECT_EQ(Labels(slots).of(slots[0]), "web.0");
  EXPECT_EQ(Labels(slots).of(slots[1]), "db");
  slots[1].project = "other";
  EXPECT_EQ(Labels(slots).of(slots[1]), "other.db");
}

TEST(Progress, runs_of_hearth_itself_leave_the_names_of_services_alone) {
  std::vector<SlotNews> slots = {slot("upgrade", "done", "completed"), slot("web", "done", "running")};
  slots[0].project = "_hearth";
  EXPECT_EQ(Labels(slots).of(slots[0]), "_hearth.upgrade");
  EXPECT_EQ(Labels(slots).of(slots[1]), "web");
}

TEST(Progress, the_summary_counts_by_state) {
  OrderNews news;
  news.slots = {slot("a", "done", "running"), slot("b", "done", "completed"), slot("c", "done", "running")};
  EXPECT_EQ(summary(news), "2 ready, 1 completed");
}

}  // namespace
}  // namespace hearth::cli
