// Which processes belong to which service, and what they use.
#include "cli/processes.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "cli/top_screen.h"
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

// In each line stands what belongs to its headings, whole, and nothing else.
TEST(Top, a_table_that_is_too_wide_leaves_whole_columns_out_and_cuts_no_number) {
  const std::vector<SlotNews> slots = {slot("web", 30684, 1),
                                       slot("a-name-that-is-longer-than-a-third-of-it", 4194303, 2)};
  std::vector<TopRow> rows(2);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].slot = &slots[i];
    rows[i].name = slots[i].name;
    rows[i].use = Use{.cpu_percent = 6399.9, .memory_kib = 9999, .threads = 71234, .processes = 61235};
    rows[i].uptime = seconds(86'000);
  }
  const std::vector<std::string> words = {"running", "6399.9", "9999 KiB", "23h 53m", "0", "71234", "61235", "PID"};
  const std::vector<std::string> headings = {"STATE",    "CPU%",    "MEMORY", "UPTIME",
                                             "RESTARTS", "THREADS", "PROCS",  "PID"};
  const auto ends_at = [](const std::string& line, const std::string& word) {
    return (" " + line + " ").find(" " + word + " ");
  };
  std::size_t before = 0;
  for (const std::size_t columns : {8, 40, 60, 80, 120}) {
    const std::string table = top_table(rows, columns, 0);
    std::vector<std::string> lines;
    for (std::size_t at = 0, end = 0; (end = table.find('\n', at)) != table.npos; at = end + 1)
      lines.push_back(table.substr(at, end - at));
    ASSERT_EQ(lines.size(), 3u);
    std::size_t count = 0;
    for (std::size_t i = 0; i < headings.size(); ++i) {
      const bool there = ends_at(lines[0], headings[i]) != std::string::npos;
      count += there ? 1 : 0;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::string word = headings[i] == "PID" ? std::to_string(slots[row].pid) : words[i];
        EXPECT_EQ(ends_at(lines[row + 1], word) != std::string::npos, there) << word << " in\n" << table;
      }
    }
    EXPECT_GE(count, before) << table;
    before = count;
    EXPECT_EQ(ends_at(lines[0], "PID") != std::string::npos, columns >= 60) << table;
  }
  EXPECT_EQ(before, headings.size()) << "all of them in 120 columns";
}

struct TopScreenTest : testing::Test {
  std::vector<SlotNews> slots = {slot("a", 1, 1), slot("b", 2, 2), slot("c", 0, 3)};
  Terminal terminal{true, false, 80, 24};
  TopScreen screen{TopOrder::name};
  std::string draw(const std::vector<const char*>& names = {"a", "b", "c"}) {
    std::vector<TopRow> rows;
    for (const SlotNews& slot : slots)
      if (std::ranges::find(names, slot.name) != names.end()) {
        rows.emplace_back();
        rows.back().slot = &slot;
        rows.back().name = slot.name;
      }
    return screen.frame(rows, terminal, [](const SlotNews& slot, std::size_t) {
      if (slot.name == "c") return std::vector<std::string>();
      return std::vector<std::string>{"said by " + slot.name + "\x1b[2J", "and more"};
    });
  }
  static bool has(const std::string& text, const std::string& what) { return text.find(what) != text.npos; }
};

TEST_F(TopScreenTest, a_service_that_is_chosen_stays_so_wherever_its_row_goes) {
  EXPECT_FALSE(has(draw(), "\x1b[7m"));
  EXPECT_FALSE(screen.type("\x1b[B\x1bOBk"));  // down, down, up
  EXPECT_TRUE(has(draw(), "\x1b[7ma "));
  EXPECT_FALSE(screen.type("jj"));
  EXPECT_TRUE(has(draw(), "\x1b[7mc "));
  EXPECT_FALSE(screen.type("jr"));  // no further down
  const std::string sorted = draw();
  EXPECT_TRUE(has(sorted, "\x1b[7mc "));
  terminal.rows = 6;
  EXPECT_TRUE(has(draw(), "\x1b[7mc ")) << "it is in view on a small terminal, too";
  EXPECT_FALSE(has(draw({"a", "b"}), "\x1b[7m")) << "it has gone";
  EXPECT_FALSE(has(draw(), "\x1b[7m"));
  EXPECT_FALSE(screen.type("j\x1b"));
  EXPECT_FALSE(has(draw(), "\x1b[7m"));
  EXPECT_TRUE(screen.type("q"));
}

TEST_F(TopScreenTest, no_part_of_another_keys_sequence_is_a_key) {
  draw();
  EXPECT_FALSE(screen.type("j\x1b[1;5Sy\x1b[15~\x1b[1;5")) << "Ctrl-F4 and y, F5, one that was cut";
  EXPECT_FALSE(screen.take_wish());
}

TEST_F(TopScreenTest, an_order_is_asked_for_and_y_alone_gives_it) {
  draw();
  EXPECT_FALSE(screen.type("Ry"));
  EXPECT_FALSE(screen.take_wish()) << "of nobody";
  EXPECT_TRUE(has(draw(), "q ends; j k choose one; sort: c CPU, m memory, r restarts, u uptime, n name\n"));
  for (const auto& [key, verb] : {std::pair{"R", "restart"}, {"S", "stop"}, {"t", "start"}}) {
    screen.type("\x1bj");
    screen.type(key);
    EXPECT_TRUE(has(draw(), std::string(verb) + (*key == 'S' ? " a, and what stops with it? y/n" : " a? y/n")))
        << draw();
    screen.type("q");  // no end: an answer
    EXPECT_FALSE(screen.take_wish());
    screen.type(key);
    screen.type("y");
    const auto wish = screen.take_wish();
    ASSERT_TRUE(wish);
    EXPECT_EQ(verb, wish->verb);
    EXPECT_EQ(full_name(slots[0]), wish->name);
    EXPECT_FALSE(screen.take_wish());
  }
}

TEST_F(TopScreenTest, of_the_keys_whole_entries_are_left_out) {
  terminal.columns = 60;
  EXPECT_TRUE(has(draw(), "q ends; j k choose one; sort: c CPU, m memory, r restarts\n")) << draw();
  terminal.columns = 24;
  EXPECT_TRUE(has(draw(), "q ends; j k choose one\n")) << draw();
  screen.type("j");
  EXPECT_TRUE(has(draw(), "a: l log, R restart\n")) << draw();
}

TEST_F(TopScreenTest, the_log_is_shown_without_what_would_move_the_cursor_until_a_key_comes) {
  draw();
  screen.type("l");
  EXPECT_TRUE(has(draw(), "choose a service first"));
  screen.type("jjl");
  const std::string log = draw();
  EXPECT_TRUE(has(log, "said by b"));
  EXPECT_FALSE(has(log, "\x1b[2J"));
  EXPECT_FALSE(has(log, "SERVICE"));
  EXPECT_FALSE(screen.type("q"));
  EXPECT_TRUE(has(draw(), "SERVICE"));
  screen.type("jl");
  EXPECT_TRUE(has(draw(), "\nc has written nothing; any key leads back\n")) << draw();
}

// Of UTF-8 a character begins with every byte that goes on with none.
std::ptrdiff_t columns_of(const std::string& line) {
  return std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; });
}

TEST_F(TopScreenTest, a_frame_has_no_more_lines_and_no_longer_ones_than_the_terminal) {
  terminal.columns = 40;
  for (const std::size_t rows : {24, 6, 5}) {
    terminal.rows = rows;
    for (const char* typed : {"", "j", "S", "n", "l", "x"}) {
      screen.type(typed);
      std::string text = draw();
      for (const char* code : {"\x1b[H\x1b[J", "\x1b[7m", "\x1b[0m"})
        if (const std::size_t at = text.find(code); at != text.npos) text.erase(at, std::string_view(code).size());
      std::size_t lines = 0;
      for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != text.npos; at = end + 1, ++lines)
        EXPECT_LE(columns_of(text.substr(at, end - at)), 40) << text;
      EXPECT_LT(lines, rows) << text;
    }
  }
}

}  // namespace
}  // namespace hearth::cli
