// Which processes belong to which service, and what they use.
#include "cli/processes.h"

#include <gtest/gtest.h>

#include "cli/top_table.h"

namespace hearth::cli {
namespace {

SlotNews slot(const std::string& name, std::int64_t pid, std::uint64_t run) {
  SlotNews news;
  news.project = "p";
  news.name = name;
  news.state = pid != 0 ? "running" : "stopped";
  news.pid = pid;
  news.run = run;
  return news;
}

struct World {
  Snapshot snapshot;
  void add(pid_t pid, pid_t parent, pid_t session, std::uint64_t ticks = 0) {
    os::ProcStat process;
    process.parent = parent;
    process.session = session;
    process.ticks = ticks;
    process.threads = 2;
    process.resident_kib = 100;
    process.start_ticks = static_cast<std::uint64_t>(pid);
    snapshot.processes[pid] = process;
  }
};

TEST(Processes, session_descent_and_the_run_in_the_environment_say_whose_it_is) {
  World world;
  world.add(1, 0, 1);
  world.add(50, 1, 50);      // the keeper
  world.add(100, 50, 100);   // leader of web
  world.add(101, 100, 100);  // child
  world.add(102, 101, 102);  // grandchild with a session of its own
  world.add(103, 50, 100);   // orphan in the leader's session
  world.add(104, 50, 104);   // orphan with its own, known by its run
  world.add(105, 104, 104);  // its child
  world.add(200, 50, 200);   // leader of db
  world.add(300, 50, 300);   // somebody else's
  world.add(301, 1, 301);
  const std::vector<SlotNews> slots = {slot("web", 100, 7), slot("db", 200, 8), slot("off", 0, 9)};
  const auto members = members_of(world.snapshot, slots, 50, [](pid_t pid) { return pid == 104 ? 7u : 0u; });
  EXPECT_EQ(members[0], std::vector<pid_t>({100, 101, 102, 103, 104, 105}));
  EXPECT_EQ(members[1], std::vector<pid_t>({200}));
  EXPECT_TRUE(members[2].empty());
}

TEST(Processes, use_is_what_came_since_the_last_look) {
  World before, now;
  before.add(100, 1, 100, 500);
  before.add(101, 1, 100, 900);
  now.add(100, 1, 100, 600);
  now.add(101, 1, 100, 10);
  now.snapshot.processes[101].start_ticks = 77;  // the number was used again
  now.snapshot.at = seconds(2);
  const Use use = use_of({100, 101, 102}, before.snapshot, now.snapshot, 100);
  EXPECT_DOUBLE_EQ(use.cpu_percent, 55.0);
  EXPECT_EQ(use.memory_kib, 200u);
  EXPECT_EQ(use.threads, 4u);
  EXPECT_EQ(use.processes, 2u);
}

TEST(Top, rows_are_sorted_and_fit) {
  const std::vector<SlotNews> slots = {slot("a", 1, 1), slot("b", 2, 2), slot("c", 0, 3)};
  std::vector<TopRow> rows(3);
  for (std::size_t i = 0; i < 3; ++i) {
    rows[i].slot = &slots[i];
    rows[i].name = slots[i].name;
  }
  rows[1].use.cpu_percent = 12.34;
  rows[0].use.memory_kib = 20'480;
  sort_rows(rows, TopOrder::cpu);
  EXPECT_EQ(rows[0].name, "b");
  sort_rows(rows, TopOrder::memory);
  EXPECT_EQ(rows[0].name, "a");
  const std::string table = top_table(rows, 0, 0);
  EXPECT_NE(table.find("20 MiB"), std::string::npos) << table;
  EXPECT_NE(table.find("12.3"), std::string::npos) << table;
  const std::string small = top_table(rows, 40, 3);
  EXPECT_TRUE(small.ends_with("... and 2 more\n")) << small;
  for (std::size_t at = 0, end = 0; (end = small.find('\n', at)) != small.npos; at = end + 1) EXPECT_LE(end - at, 40u);
  EXPECT_NE(top_json(rows, true).find("\"memory\":\"pss\""), std::string::npos);
}

}  // namespace
}  // namespace hearth::cli
