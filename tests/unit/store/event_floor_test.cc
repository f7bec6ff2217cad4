// Numbers of events where neither DIR/state nor the copy on the disk says how far they had come: the list of runs does.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/syscall.h>
#include <thread>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "store/disk_store.h"
#include "store/run_list.h"
#include "support/refused_calls.h"
#include "unit/os/fake_keeper.h"

namespace hearth::store {
namespace {

DocumentFormat no_format() {
  return {[](const Document&) { return std::string(); },
          [](std::string_view) -> Result<Document> {
            return failure(Remedy::fix_input, "read", "a document", "there is none in these tests");
          }};
}

// Its writer is the test itself.
struct EventFloorTest : ::testing::Test {
  test::FakeKeeper keeper;
  std::unique_ptr<os::KeeperLink> link;
  std::unique_ptr<DiskStore> store;

  EventFloorTest() {
    keeper.table().origin = wire::StateOrigin::made;
    (void)mark_without_state();
  }
  std::string path(const std::string& name) { return keeper.instance().directory + "/" + name; }
  std::string text_of(const std::string& name) { return os::read_file(path(name)).value_or(""); }
  void write(const std::string& name, const std::string& text) {
    const os::Fd fd(::open(path(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd && os::write_all(fd.get(), text, name));
  }
  // With which a hearth goes on that comes when DIR/state is lost. `refused`: by the kernel, with EIO.
  ports::JournalMark mark_without_state(int refused = -1) {
    store.reset();
    link.reset();
    std::filesystem::remove_all(path("state"));
    std::filesystem::create_directory(path("state"));
    link = keeper.connect();
    BehindOptions by_hand;
    by_hand.thread = false;
    store = std::make_unique<DiskStore>(*link, keeper.instance().directory, no_format(), by_hand);
    Result<ports::JournalMark> mark;
    std::thread([&] {
      if (refused >= 0) support::refuse({refused, EIO});
      mark = store->continue_journal(std::nullopt);
    }).join();
    EXPECT_TRUE(mark);
    return mark.value_or(ports::JournalMark{});
  }
  void commit(EventId id) {
    EventRecord event;
    event.id = id;
    const Result<std::uint64_t> end = store->append_events({event});
    ASSERT_TRUE(end);
    store->events_committed({id, *end});
    ASSERT_TRUE(store->mirror().pass());
  }
  EventId floor_in_list() {
    const Result<RunList> list = parse_run_list(text_of("runs.json"));
    return list ? list->event_floor : no_event;
  }
};

// A million numbers were left out at each of three restarts of the machine, so that no other file has any of them.
TEST_F(EventFloorTest, no_event_has_a_number_twice_where_the_newest_ones_cannot_be_read) {
  constexpr EventId given = 3'000'010;
  store->note_runs({}, 10);
  commit(given);
  write("events.jsonl", "whatever\n");
  const ports::JournalMark next = mark_without_state(SYS_pread64);
  EXPECT_TRUE(next.of_copy);
  EXPECT_LE(next.last, given) << "those after it may be lost";
  EXPECT_GT(next.last + ports::ids_left_out, given + ports::ids_left_out / 2);
  store->note_runs({}, 10);
  const EventId first = next.last + ports::ids_left_out + 1;
  commit(first);
  EXPECT_GT(mark_without_state(SYS_pread64).last + ports::ids_left_out, first);
}

TEST_F(EventFloorTest, a_copy_that_somebody_has_removed_gives_no_number_again) {
  commit(7);
  (void)store->finish(12);
  ASSERT_TRUE(store->mirror().pass());
  ASSERT_TRUE(std::filesystem::remove(path("events.jsonl")));
  EXPECT_EQ(7u, mark_without_state().last);
}

TEST_F(EventFloorTest, the_list_is_not_written_for_each_event_nor_before_its_runs_are_known) {
  write("runs.json", "of the hearth before");
  commit(200'000);
  EXPECT_EQ("of the hearth before", text_of("runs.json"));
  store->note_runs({}, 10);
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_EQ(196'608u, floor_in_list());
  write("runs.json", "untouched");
  commit(200'001);
  EXPECT_EQ("untouched", text_of("runs.json"));
  commit(262'144);
  EXPECT_EQ(262'144u, floor_in_list());
}

}  // namespace
}  // namespace hearth::store
