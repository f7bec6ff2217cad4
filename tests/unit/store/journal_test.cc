#include "store/journal.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "store/event_line.h"
#include "store/journal_copy.h"
#include "support/refused_calls.h"
#include "unit/os/temp_directory.h"

namespace hearth::store {
namespace {

struct Crash {};
int crash_countdown = 0;
void crash_when_due(const char*) {
  if (--crash_countdown == 0) throw Crash{};
}

EventRecord event(EventId id) {
  EventRecord record;
  record.id = id;
  record.service = "shop.web.0";
  record.text = "event " + std::to_string(id);
  return record;
}

std::vector<EventId> ids_in(const std::string& text) {
  std::vector<EventId> ids;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) ids.push_back(event_id_of(line));
  return ids;
}

std::vector<EventId> range(EventId first, EventId last) {
  std::vector<EventId> ids;
  for (EventId id = first; id <= last; ++id) ids.push_back(id);
  return ids;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct JournalTest : ::testing::Test {
  test::TempDirectory directory;
  os::Fd state;
  std::unique_ptr<Journal> journal;
  ports::JournalMark mark;

  JournalTest() { reopen(std::nullopt); }
  ~JournalTest() override { os::crash_hook = nullptr; }

  void reopen(std::optional<ports::JournalMark> from, EventId floor = 0, std::uint64_t segment = 1'000) {
    state = os::Fd(::open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    journal = std::make_unique<Journal>(state.get(), segment);
    const Result<ports::JournalMark> found = journal->resume(from, floor);
    EXPECT_TRUE(found) << found.error().text();
    mark = found.value_or(ports::JournalMark{});
  }
  // Whoever cannot make this call fails, and says so.
  void fails_without(support::Refusal refusal, int error, std::optional<ports::JournalMark> from) {
    std::thread([&] {
      refusal.error = error;
      support::refuse(refusal);
      const Result<ports::JournalMark> found = Journal(state.get(), 1'000).resume(from, 0);
      ASSERT_FALSE(found) << refusal.call;
      EXPECT_EQ(error, found.error().code) << found.error().text();
    }).join();
  }
  ports::JournalMark append(EventId first, EventId last) {
    std::vector<EventRecord> events;
    for (EventId id = first; id <= last; ++id) events.push_back(event(id));
    const Result<std::uint64_t> end = journal->append(events);
    EXPECT_TRUE(end) << end.error().text();
    return {last, *end};
  }
  void commit(EventId first, EventId last) {
    mark = append(first, last);
    journal->committed(mark);
  }
  std::vector<EventId> all(EventId after = 0, std::size_t most = 500) {
    std::vector<EventId> ids;
    for (;;) {
      const ports::EventLines lines = journal->read(after, most);
      if (lines.text.empty()) return ids;
      const std::vector<EventId> some = ids_in(lines.text);
      ids.insert(ids.end(), some.begin(), some.end());
      after = ids.back();
    }
  }
};

TEST_F(JournalTest, what_is_committed_is_read_in_order_from_any_id) {
  commit(1, 3);
  commit(4, 4);
  EXPECT_EQ(all(), range(1, 4));
  EXPECT_EQ(all(2), range(3, 4));
  EXPECT_EQ(all(4), std::vector<EventId>());
  EXPECT_EQ(all(99), std::vector<EventId>());
}

TEST_F(JournalTest, what_is_not_committed_is_seen_by_nobody_and_cut_away) {
  commit(1, 2);
  append(3, 5);
  EXPECT_EQ(all(), range(1, 2));
  reopen(mark);
  EXPECT_EQ(all(), range(1, 2));
  commit(3, 3);
  EXPECT_EQ(all(), range(1, 3));
  reopen(std::nullopt);
  EXPECT_EQ(mark.last, 3u);
}

TEST_F(JournalTest, what_an_uncommitted_turn_left_in_a_segment_is_cut_when_another_follows) {
  while (journal->segments().empty() || journal->segments().back().size < 900) commit(mark.last + 1, mark.last + 1);
  append(mark.last + 1, mark.last + 9);
  while (journal->segments().size() < 2) commit(mark.last + 1, mark.last + 1);
  const EventId last = mark.last;
  reopen(mark);
  EXPECT_EQ(all(), range(1, last));
}

TEST_F(JournalTest, segments_follow_each_other_and_the_oldest_goes) {
  for (EventId id = 1; id <= 100; ++id) commit(id, id);
  EXPECT_EQ(journal->segments().size(), segments_kept);
  const EventId oldest = journal->read(0, 1).oldest;
  EXPECT_GT(oldest, 1u);
  EXPECT_EQ(all(), range(oldest, 100));
  for (EventId after = 0; after <= 100; ++after) EXPECT_EQ(all(after), range(std::max(after + 1, oldest), 100));
  reopen(mark);
  EXPECT_EQ(all(), range(oldest, 100));
}

TEST_F(JournalTest, a_segment_that_an_uncommitted_turn_began_goes) {
  while (journal->segments().empty() || journal->segments().back().size < 1'000) commit(mark.last + 1, mark.last + 1);
  const EventId last = mark.last;
  append(last + 1, last + 1);
  EXPECT_EQ(journal->segments().size(), 2u);
  reopen(mark);
  EXPECT_EQ(journal->segments().size(), 1u);
  commit(last + 1, last + 2);
  EXPECT_EQ(all(), range(1, last + 2));
}

TEST_F(JournalTest, without_a_page_it_goes_on_behind_the_last_whole_line) {
  commit(1, 3);
  std::ofstream(directory / "events-1", std::ios::app) << "{\"id\":4,\"time\":";
  reopen(std::nullopt, 2);
  EXPECT_EQ(mark.last, 3u);
  EXPECT_FALSE(mark.of_copy);
  commit(4, 4);
  EXPECT_EQ(all(), range(1, 4));
}

TEST_F(JournalTest, ids_go_on_behind_what_the_disk_has) {
  reopen(std::nullopt, 41);
  EXPECT_EQ(mark.last, 41u);
  EXPECT_TRUE(mark.of_copy) << "the disk is behind";
  EXPECT_EQ(journal->read(0, 1).oldest, 42u);
  commit(42, 42);
  EXPECT_EQ(all(), range(42, 42));
}

TEST_F(JournalTest, without_a_directory_it_is_kept_in_memory) {
  journal = std::make_unique<Journal>(-1, 1'000);
  mark = journal->resume(std::nullopt, 0).value();
  for (EventId id = 1; id <= 100; ++id) commit(id, id);
  EXPECT_EQ(all().back(), 100u);
  EXPECT_EQ(journal->segments().size(), segments_kept);
}

TEST_F(JournalTest, what_cannot_be_seen_or_read_now_is_neither_missing_nor_cut) {
  for (EventId id = 1; id <= 20; ++id) commit(id, id);
  ASSERT_GT(journal->segments().size(), 1u);
  const ports::JournalMark end = mark;
  append(21, 22);
  const support::Refusal segments{SYS_openat, 0, 2, O_NOFOLLOW};
  for (const support::Refusal& refusal : {segments, {SYS_openat, 0}, {SYS_getdents64, 0}, {SYS_newfstatat, 0}}) {
    for (const int error : {EMFILE, EIO}) fails_without(refusal, error, end);
    reopen(end);
    ASSERT_EQ(all(), range(1, 20)) << refusal.call;
  }
}

TEST_F(JournalTest, without_a_page_a_segment_that_cannot_be_read_now_is_not_emptied) {
  commit(1, 3);
  fails_without({SYS_pread64, 0}, EIO, std::nullopt);
  reopen(std::nullopt);
  EXPECT_EQ(mark.last, 3u);
  EXPECT_EQ(all(), range(1, 3));
}

TEST_F(JournalTest, no_segment_is_cut_by_the_mark_of_one_that_somebody_has_given_a_second_name) {
  while (journal->segments().size() < 2 || journal->segments()[1].size == 0) commit(mark.last + 1, mark.last + 1);
  const EventId last = mark.last;
  const std::string newest = directory / ("events-" + std::to_string(last));
  const std::uint64_t size = journal->segments()[0].size;
  std::filesystem::create_hard_link(newest, directory / "mine");
  reopen(mark);
  EXPECT_EQ(mark.last, last);
  ASSERT_EQ(journal->segments()[0].size, size);
  EXPECT_EQ(all(), range(1, last - 1));
  reopen(mark);
  commit(last + 1, last + 1);
  EXPECT_EQ(all(last - 1), range(last + 1, last + 1));
  EXPECT_EQ(journal->segments().size(), 2u);
  std::filesystem::remove(directory / "mine");
  reopen(mark);
  EXPECT_EQ(all(), range(1, last + 1));
}

TEST_F(JournalTest, a_write_that_fails_leaves_all_as_it_was) {
  while (journal->segments().empty() || journal->segments().back().size < 1'000) commit(mark.last + 1, mark.last + 1);
  std::filesystem::remove_all(directory.path());
  EXPECT_FALSE(journal->append({event(mark.last + 1)}));
  EXPECT_EQ(journal->segments().size(), 1u);
  EXPECT_EQ(all(), range(1, mark.last));
}

TEST_F(JournalTest, every_line_is_found_in_a_long_segment) {
  reopen(std::nullopt, 0, 1u << 20);
  std::vector<EventRecord> events;
  for (EventId id = 1; id <= 2'000; ++id) {
    events.push_back(event(id));
    events.back().text.append(id * 7 % 900, 'x');
  }
  const Result<std::uint64_t> end = journal->append(events);
  ASSERT_TRUE(end);
  journal->committed({2'000, *end});
  const int file = journal->segments()[0].file->get();
  for (EventId id = 0; id < 2'000; ++id) {
    const std::uint64_t at = find_line(file, *end, id);
    char head[32] = {};
    ASSERT_TRUE(read_exactly(file, head, 20, at));
    ASSERT_EQ(event_id_of(head), id + 1);
  }
  EXPECT_EQ(find_line(file, *end, 2'000), *end);
}

TEST_F(JournalTest, the_longest_line_is_a_line) {
  EventRecord hostile = event(1);
  for (std::string* text : {&hostile.text, &hostile.by.command, &hostile.operation}) text->assign(100'000, '"');
  hostile.by.pid = 1;
  hostile.text += "\n\x01\xff";
  std::string line;
  append_event_line(line, hostile);
  EXPECT_LE(line.size(), event_line_max);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

// ---- on the disk -------------------------------------------------------------------------------------------

struct CopyTest : JournalTest {
  test::TempDirectory instance;
  os::Fd place;
  std::unique_ptr<JournalCopy> copy;

  CopyTest() { again(); }
  void again(std::uint64_t most = 8u << 20) {
    place = os::Fd(::open(instance.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    copy = std::make_unique<JournalCopy>(place.get(), most);
  }
  void bring_up() {
    copy->offer(journal->segments());
    EXPECT_FALSE(copy->settled());
    EXPECT_TRUE(copy->pass());
    EXPECT_TRUE(copy->settled());
  }
  std::vector<EventId> on_disk() {
    return ids_in(text_of(instance / events_file_before) + text_of(instance / events_file));
  }
};

TEST_F(CopyTest, the_disk_has_each_event_once) {
  commit(1, 3);
  bring_up();
  commit(4, 30);
  bring_up();
  bring_up();
  EXPECT_EQ(on_disk(), range(1, 30));
  again();
  commit(31, 31);
  bring_up();
  EXPECT_EQ(on_disk(), range(1, 31));
  EXPECT_EQ(last_event_on_disk(place.get()).value(), 31u);
}

TEST_F(CopyTest, whoever_cannot_read_the_disk_does_not_say_that_it_has_none) {
  commit(1, 3);
  bring_up();
  for (const int call : {SYS_openat, SYS_newfstatat, SYS_pread64})
    std::thread([&] {
      support::refuse({call, EIO});
      const Result<EventId> last = last_event_on_disk(place.get());
      EXPECT_FALSE(last) << call;
      again();
      copy->offer(journal->segments());
      EXPECT_FALSE(copy->pass()) << call;
    }).join();
  EXPECT_EQ(last_event_on_disk(place.get()).value(), 3u);
}

TEST_F(CopyTest, where_the_newest_file_cannot_be_read_there_is_at_least_what_the_one_before_has) {
  EXPECT_EQ(least_event_on_disk(place.get()), 1u) << "there may be some: none is no answer";
  commit(1, 3);
  bring_up();
  std::filesystem::rename(instance / events_file, instance / events_file_before);
  EXPECT_EQ(least_event_on_disk(place.get()), 3u);
}

TEST_F(CopyTest, what_is_no_file_has_no_events) {
  for (const char* name : {events_file, events_file_before}) {
    ::mkdir((instance / name).c_str(), 0700);
    EXPECT_EQ(last_event_on_disk(place.get()).value(), no_event);
    ::rmdir((instance / name).c_str());
    std::filesystem::create_symlink("nowhere", instance / name);
    EXPECT_EQ(last_event_on_disk(place.get()).value(), no_event);
  }
}

TEST_F(CopyTest, a_line_that_was_torn_is_written_again) {
  commit(1, 3);
  bring_up();
  std::ofstream(instance / events_file, std::ios::app) << "{\"id\":4,\"ti";
  again();
  commit(4, 4);
  bring_up();
  EXPECT_EQ(on_disk(), range(1, 4));
}

TEST_F(CopyTest, what_the_disk_does_not_let_it_read_is_neither_cut_off_nor_put_aside) {
  commit(1, 3);
  bring_up();
  EventId last = 3;
  for (const int call : {SYS_pread64, SYS_newfstatat}) {
    again();
    ++last;
    commit(last, last);
    copy->offer(journal->segments());
    std::thread([&] {
      support::refuse({call, EIO});
      for (int i = 0; i < 2; ++i) EXPECT_FALSE(copy->pass()) << call;
    }).join();
    EXPECT_TRUE(copy->pass());
    EXPECT_EQ(range(1, last), on_disk());
    EXPECT_FALSE(std::filesystem::exists(instance / events_file_before));
  }
}

TEST_F(CopyTest, a_file_that_is_long_enough_is_put_aside_once) {
  again(2'000);
  for (EventId id = 1; id <= 60; ++id) {
    commit(id, id);
    bring_up();
  }
  const std::vector<EventId> kept = on_disk();
  EXPECT_EQ(kept, range(kept.front(), 60));
  EXPECT_GT(kept.front(), 1u);
}

TEST_F(CopyTest, somebody_moves_the_file_away) {
  commit(1, 3);
  bring_up();
  std::filesystem::rename(instance / events_file, instance / "mine");
  commit(4, 5);
  bring_up();
  EXPECT_EQ(on_disk(), range(4, 5));
}

TEST_F(CopyTest, whoever_dies_when_the_disk_has_each_event_once) {
  for (int nth = 1;; ++nth) {
    std::filesystem::remove(instance / events_file);
    std::filesystem::remove(instance / events_file_before);
    again(2'000);
    std::filesystem::remove_all(directory.path());
    ::mkdir(directory.path().c_str(), 0700);
    reopen(std::nullopt, 0, 100'000);
    commit(1, 10);
    bring_up();
    commit(11, 40);
    crash_countdown = nth;
    os::crash_hook = crash_when_due;
    bool died = false;
    try {
      for (EventId id = 41; id <= 50; ++id) {
        commit(id, id);
        bring_up();
      }
    } catch (const Crash&) {
      died = true;
    }
    os::crash_hook = nullptr;
    reopen(mark, 0, 100'000);
    again(2'000);
    bring_up();
    const std::vector<EventId> kept = on_disk();
    ASSERT_FALSE(kept.empty());
    EXPECT_EQ(kept, range(kept.front(), mark.last)) << "at point " << nth;
    if (!died) break;
  }
}

}  // namespace
}  // namespace hearth::store
