#include "store/disk_store.h"

#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <optional>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/crash_point.h"
#include "store/run_list.h"
#include "support/refused_calls.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/few_descriptors.h"

namespace hearth::store {
namespace {

using wire::ParkClass;

// Version, project and path are enough to tell documents apart.
DocumentFormat plain_format() {
  return {[](const Document& d) { return std::to_string(d.version) + " " + d.project + " " + d.path; },
          [](std::string_view text) -> Result<Document> {
            const std::string line(text);
            Document document;
            char project[64] = {};
            char path[64] = {};
            unsigned long version = 0;
            if (std::sscanf(line.c_str(), "%lu %63s %63s", &version, project, path) != 3)
              return failure(Remedy::fix_input, "read", "document", "it is none");
            document.version = version;
            document.project = project;
            document.path = path;
            return document;
          }};
}

// Until somebody else has come so far; the deadline is for a test that fails.
void wait_for(const std::function<bool()>& condition) {
  const MonoNs until = after(os::read_mono(), seconds(30));
  while (!condition()) {
    ASSERT_LT(os::read_mono(), until);
    std::this_thread::yield();
  }
}

ports::SlotNote note(SlotIndex slot, RunId run) {
  ports::SlotNote out;
  out.slot = slot;
  out.note.label = "shop.web." + std::to_string(slot);
  out.note.document = 3;
  out.note.run = run;
  out.note.pid = 1234;
  out.note.start_ticks = 5678;
  return out;
}

// Its writer is the test itself, unless it says otherwise.
struct DiskStoreTest : ::testing::Test {
  static BehindOptions by_hand() {
    BehindOptions options;
    options.thread = false;
    return options;
  }
  static BehindOptions with_thread() {
    BehindOptions options;
    options.retry_first = milliseconds(1);
    options.retry_most = milliseconds(4);
    options.join_patience = milliseconds(1);
    return options;
  }

  test::FakeKeeper keeper;
  std::unique_ptr<os::KeeperLink> link;
  std::unique_ptr<DiskStore> store;

  DiskStoreTest() {
    std::filesystem::create_directory(path("state"));
    keeper.table().origin = wire::StateOrigin::made;
    restart_supervisor();
  }
  ~DiskStoreTest() override {
    if (os::crash_hook != nullptr) os::crash_hook = nullptr;
  }

  std::string path(const std::string& name) { return keeper.instance().directory + "/" + name; }
  void write(const std::string& name, const std::string& text) {
    const os::Fd fd(::open(path(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd && os::write_all(fd.get(), text, name));
  }
  void restart_supervisor(BehindOptions options = by_hand()) {
    store.reset();
    link.reset();
    link = keeper.connect();
    store = std::make_unique<DiskStore>(*link, keeper.instance().directory, plain_format(), options);
  }
  // The keeper, too: what was parked is gone.
  void everybody_dies() {
    store.reset();
    link.reset();
    (void)keeper.replace();
    keeper.table().continued_by = 2;
    restart_supervisor();
  }
  void without_state() {
    keeper.table().origin = wire::StateOrigin::memory;
    restart_supervisor();
  }
  Document document(std::uint64_t version) {
    Document out;
    out.version = version;
    out.project = "shop";
    out.path = "/srv/shop.toml";
    return out;
  }
  std::vector<std::uint64_t> versions(const std::vector<std::uint64_t>& asked) {
    std::vector<std::uint64_t> out;
    const Result<std::vector<Document>> found = store->documents(asked);
    EXPECT_TRUE(found);
    if (found)
      for (const Document& each : *found) out.push_back(each.version);
    return out;
  }
  bool there(const std::string& name) { return std::filesystem::exists(path(name)); }
  Now later(SpanNs span) {
    Now now = os::read_clock();
    now.mono += span;
    return now;
  }
};

using Versions = std::vector<std::uint64_t>;

TEST_F(DiskStoreTest, a_document_is_in_memory_at_once_and_on_disk_behind) {
  ASSERT_TRUE(store->put_document(document(3)));
  EXPECT_TRUE(there("state/document-3"));
  EXPECT_FALSE(there("spec/3.json"));
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_TRUE(there("spec/3.json"));
  restart_supervisor();
  EXPECT_EQ(Versions{3}, versions({3}));
  store->drop_document(3);
  link->flush();
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size());
  EXPECT_FALSE(there("state/document-3"));
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_FALSE(there("spec/3.json"));
}

TEST_F(DiskStoreTest, what_nobody_names_is_dropped_by_a_successor) {
  ASSERT_TRUE(store->put_document(document(3)));
  ASSERT_TRUE(store->put_document(document(4)));
  ASSERT_TRUE(store->mirror().pass());
  write("state/document-5.new", "of one that was killed");
  restart_supervisor();
  EXPECT_EQ(Versions{4}, versions({4}));
  store->note_runs({}, 1);
  ASSERT_TRUE(store->mirror().pass());
  link->flush();
  keeper.handle();
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::spec, 3));
  for (const char* name : {"state/document-3", "spec/3.json", "state/document-5.new"})
    EXPECT_FALSE(there(name)) << name;
  for (const char* name : {"state/document-4", "spec/4.json"}) EXPECT_TRUE(there(name)) << name;
}

TEST_F(DiskStoreTest, after_the_death_of_all_documents_are_taken_from_memory_and_the_disk_is_brought_up_to_them) {
  ASSERT_TRUE(store->put_document(document(3)));
  everybody_dies();
  write("spec/9.json", "9 shop /srv/shop.toml");
  EXPECT_EQ(Versions{3}, versions({3}));
  store->note_runs({}, 1);
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_TRUE(there("spec/3.json"));
  EXPECT_FALSE(there("spec/9.json"));
  keeper.handle();
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::spec, 3));
}

TEST_F(DiskStoreTest, a_document_that_memory_has_lost_is_looked_for_on_the_disk) {
  write("spec/3.json", "3 shop /srv/shop.toml");
  EXPECT_EQ(Versions{3}, versions({3}));
  EXPECT_TRUE(there("state/document-3"));
  restart_supervisor();
  std::filesystem::remove(path("spec/3.json"));
  EXPECT_EQ(Versions{3}, versions({3}));
}

TEST_F(DiskStoreTest, without_DIR_state_a_document_is_with_the_keeper) {
  without_state();
  ASSERT_TRUE(store->put_document(document(3)));
  EXPECT_FALSE(there("state/document-3"));
  restart_supervisor();
  EXPECT_EQ(Versions{3}, versions({3}));
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_TRUE(there("spec/3.json"));
}

TEST_F(DiskStoreTest, a_state_directory_that_somebody_removes_costs_no_document_while_a_keeper_lives) {
  std::filesystem::remove_all(path("state"));
  ASSERT_TRUE(store->put_document(document(3)));
  restart_supervisor();
  EXPECT_EQ(Versions{3}, versions({3}));
  store->note_runs({}, 1);
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_TRUE(there("spec/3.json"));
}

TEST_F(DiskStoreTest, a_document_for_which_memory_has_no_room_any_more_stays_on_the_disk) {
  write("spec/3.json", "3 shop /srv/shop.toml");
  std::filesystem::create_directory(path("state/document-3.new"));  // nothing can be written there
  EXPECT_EQ(Versions{3}, versions({3}));
  store->note_runs({}, 1);
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_TRUE(there("spec/3.json"));
  restart_supervisor();
  EXPECT_EQ(Versions{3}, versions({3}));
}

// "Cannot be read now" was taken for "is not there", and what was there was removed.
TEST_F(DiskStoreTest, while_descriptors_are_short_nobody_says_that_a_document_is_lost) {
  HEARTH_SKIP_IF_SANITIZED();
  write("spec/3.json", "3 shop /srv/shop.toml");
  std::optional<test::FewDescriptors> none(0);
  const Result<std::vector<Document>> found = store->documents({3});
  none.reset();
  ASSERT_FALSE(found);
  EXPECT_EQ(EMFILE, found.error().code);
  EXPECT_TRUE(there("spec/3.json"));
  restart_supervisor();
  EXPECT_EQ(Versions{3}, versions({3}));
}

TEST_F(DiskStoreTest, DIR_state_that_could_not_be_opened_for_lack_of_descriptors_may_have_had_the_document) {
  HEARTH_SKIP_IF_SANITIZED();
  ASSERT_TRUE(store->put_document(document(3)));
  everybody_dies();
  store.reset();
  {
    const test::FewDescriptors none(0);
    store = std::make_unique<DiskStore>(*link, keeper.instance().directory, plain_format(), by_hand());
  }
  EXPECT_FALSE(store->has_directories());
  EXPECT_FALSE(store->documents({3}));
  restart_supervisor();
  EXPECT_TRUE(store->has_directories());
  EXPECT_EQ(Versions{3}, versions({3}));
}

// In the list it would be of no boot, and all that runs would have ended for the next hearth.
TEST_F(DiskStoreTest, a_supervisor_that_could_not_ask_which_boot_this_is_gives_way_to_the_next) {
  constexpr unsigned by_path = 1u << 31;  // of AT_FDCWD, and of no descriptor
  store.reset();
  std::thread([&] {
    support::refuse({SYS_openat, EMFILE, 0, by_path});
    store = std::make_unique<DiskStore>(*link, keeper.instance().directory, plain_format(), by_hand());
    const Status held = store->has_directories();
    ASSERT_FALSE(held);
    EXPECT_EQ(EMFILE, held.error().code);
  }).join();
  restart_supervisor();
  EXPECT_TRUE(store->has_directories());
}

TEST_F(DiskStoreTest, a_document_that_is_there_and_cannot_be_read_stays_there) {
  std::filesystem::create_symlink("/nowhere", path("spec/3.json"));  // ELOOP: links are not followed
  EXPECT_EQ(Versions{}, versions({3}));
  store->note_runs({}, 1);
  ASSERT_TRUE(store->mirror().pass());
  EXPECT_TRUE(std::filesystem::is_symlink(path("spec/3.json")));
}

// The take-over goes on without it, and its first list of runs had the only copies removed.
TEST_F(DiskStoreTest, a_document_of_an_earlier_hearth_stays_where_it_is_when_memory_has_no_room_for_it) {
  for (const char* name : {"spec/3.json", "state/document-4", "spec/5.json"})
    write(name, std::string(1, name[std::string(name).find_first_of("345")]) + " shop /srv/shop.toml");
  for (const std::uint64_t version : {3u, 4u}) {
    std::filesystem::create_directory(path("state/" + state_name(version) + ".new"));  // nothing can be written there
    EXPECT_FALSE(store->keep_document(document(version)));
  }
  store->note_runs({}, 1);
  ASSERT_TRUE(store->mirror().pass());
  for (const char* name : {"spec/3.json", "state/document-4", "spec/4.json"}) EXPECT_TRUE(there(name)) << name;
  EXPECT_FALSE(there("spec/5.json")) << "nobody wants it";
  restart_supervisor();
  EXPECT_EQ((Versions{3, 4}), versions({3, 4}));
}

TEST_F(DiskStoreTest, without_room_in_memory_a_document_is_refused_and_leaves_nothing) {
  std::filesystem::create_directory(path("state/document-3"));  // what no rename replaces
  const Status refused = store->put_document(document(3));
  ASSERT_FALSE(refused);
  EXPECT_NE(std::string::npos, refused.error().text().find(path("state")));
  EXPECT_FALSE(there("state/document-3.new"));
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size());
  EXPECT_FALSE(store->mirror().wants(3));
}

TEST_F(DiskStoreTest, a_document_that_comes_while_there_is_no_keeper_is_accepted_and_goes_to_the_next_one) {
  keeper.lose();
  ASSERT_TRUE(store->put_document(document(3)));
  ASSERT_TRUE(link->lost());
  link->hand_over_to(keeper.replace());
  ASSERT_TRUE(link->continue_hand_over());
  ASSERT_TRUE(store->put_document(document(4)));
  keeper.announce_spawners();
  Result<bool> done = link->continue_hand_over();
  ASSERT_TRUE(done && *done);
  link->flush();
  keeper.handle();
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::spec, 3));
  EXPECT_NE(nullptr, keeper.parked().find(ParkClass::spec, 4));
}

TEST_F(DiskStoreTest, a_keeper_that_takes_nothing_holds_up_no_document_that_is_in_DIR_state) {
  // Always the same one, until its socket is full.
  while (link->park(os::park_record(ParkClass::listen, 0, 1), std::move(*os::make_eventfd()))) {
  }
  ASSERT_TRUE(store->put_document(document(3)));
  restart_supervisor();
  EXPECT_EQ(Versions{3}, versions({3}));
}

struct Crash {};
int crash_countdown = 0;
void crash_when_due(const char*) {
  if (--crash_countdown == 0) throw Crash{};
}

// Of put and drop together; also when all of hearth dies there.
TEST_F(DiskStoreTest, killed_at_any_step_the_committed_document_is_there_and_nothing_else) {
  for (const bool everybody : {false, true}) {
    int steps = 0;
    for (int at = 1;; ++at, ++steps) {
      // 3 is committed, 4 is about to take its place: it is put, committed, then 3 is dropped.
      ASSERT_TRUE(store->put_document(document(3)));
      std::uint64_t committed = 3;
      crash_countdown = at;
      os::crash_hook = crash_when_due;
      bool crashed = false;
      try {
        ASSERT_TRUE(store->put_document(document(4)));
        (void)store->mirror().pass();
        committed = 4;
        store->drop_document(3);
        (void)store->mirror().pass();
      } catch (const Crash&) {
        crashed = true;
      }
      os::crash_hook = nullptr;
      if (!crashed) break;
      if (everybody)
        everybody_dies();
      else
        restart_supervisor();
      EXPECT_EQ(Versions{committed}, versions({committed})) << "step " << at;
      store->note_runs({}, 1);
      EXPECT_TRUE(store->mirror().pass()) << "step " << at;
      for (const std::uint64_t version : {3u, 4u}) {
        EXPECT_EQ(version == committed, there("spec/" + std::to_string(version) + ".json")) << "step " << at;
        EXPECT_EQ(version == committed, there("state/" + state_name(version))) << "step " << at;
        EXPECT_FALSE(there("spec/" + std::to_string(version) + ".json.new")) << "step " << at;
        EXPECT_FALSE(there("state/" + state_name(version) + ".new")) << "step " << at;
      }
      store->drop_document(committed);
      EXPECT_TRUE(store->mirror().pass());
    }
    EXPECT_GE(steps, 7);
    store->drop_document(4);
    EXPECT_TRUE(store->mirror().pass());
  }
}

TEST_F(DiskStoreTest, the_list_of_runs_is_written_by_the_thread_and_reads_back) {
  restart_supervisor(with_thread());
  store->note_runs({note(0, 9), note(1, 10)}, 11);
  store->note_runs({note(0, 11), {1, {}}}, 12);
  ASSERT_TRUE(store->settle(seconds(30)));
  const Result<RunList> list = parse_run_list(*os::read_file(path("runs.json")));
  ASSERT_TRUE(list);
  EXPECT_EQ(12u, list->next_run);
  EXPECT_EQ(keeper.instance().directory, list->instance);
  ASSERT_EQ(1u, list->runs.size());
  EXPECT_EQ(note(0, 11).note, list->runs[0]);
  EXPECT_EQ(never, store->ensure_writer(seconds(1)));
  EXPECT_EQ(std::nullopt, store->trouble());
}

TEST_F(DiskStoreTest, changes_that_come_faster_than_they_are_written_end_with_the_newest) {
  restart_supervisor(with_thread());
  for (std::uint64_t version = 1; version <= 300; ++version) {
    ASSERT_TRUE(store->put_document(document(version)));
    store->note_runs({note(0, version), note(static_cast<SlotIndex>(version), version)}, version + 1);
    if (version > 1) store->drop_document(version - 1);
    link->flush();
    keeper.handle();
  }
  ASSERT_TRUE(store->settle(seconds(30)));
  const Result<RunList> list = parse_run_list(*os::read_file(path("runs.json")));
  ASSERT_TRUE(list);
  EXPECT_EQ(301u, list->next_run);
  EXPECT_EQ(301u, list->runs.size());
  EXPECT_TRUE(there("spec/300.json"));
  EXPECT_EQ(1, std::distance(std::filesystem::directory_iterator(path("spec")), {}));
}

TEST_F(DiskStoreTest, a_disk_that_takes_nothing_is_told_in_status_until_it_does) {
  std::filesystem::create_directory(path("runs.json"));  // what no rename replaces
  restart_supervisor(with_thread());
  ASSERT_TRUE(store->put_document(document(3)));
  store->note_runs({note(0, 9)}, 10);
  wait_for([this] { return store->trouble().has_value(); });
  const std::string trouble = store->trouble().value_or("");
  for (const std::string& part : {"cannot write " + path("runs.json"), std::string("Is a directory"),
                                  std::string("since"), std::string("reboot")})
    EXPECT_NE(std::string::npos, trouble.find(part)) << trouble;
  ASSERT_TRUE(store->put_document(document(4)));
  std::filesystem::remove(path("runs.json"));
  ASSERT_TRUE(store->settle(seconds(30)));
  EXPECT_EQ(std::nullopt, store->trouble());
  EXPECT_TRUE(there("runs.json"));
}

// The FIFO stands for a disk that does not answer: its open() returns when somebody reads.
struct HungDiskTest : DiskStoreTest {
  os::Fd reader;
  Now before = os::read_clock();
  HungDiskTest() {
    EXPECT_EQ(0, ::mkfifo(path("spec/3.json.new").c_str(), 0600));
    restart_supervisor(with_thread());
    EXPECT_TRUE(store->put_document(document(3)));
    wait_for([this] { return !store->mirror().condition().doing.empty(); });
  }
  void answer() {
    reader = os::Fd(::open(path("spec/3.json.new").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(reader);
  }
};

TEST_F(HungDiskTest, a_write_that_does_not_return_holds_up_nothing_and_is_told) {
  EXPECT_EQ(std::nullopt, store->trouble_at(before)) << "it has had no time";
  const std::string trouble = store->trouble_at(later(seconds(40))).value_or("");
  EXPECT_NE(std::string::npos, trouble.find("write " + path("spec/3.json"))) << trouble;
  EXPECT_NE(std::string::npos, trouble.find("has not returned for")) << trouble;
  EXPECT_TRUE(store->put_document(document(4)));
  store->note_runs({note(0, 9)}, 10);
  store->drop_document(4);
  EXPECT_EQ(never, store->ensure_writer(seconds(1)));
  EXPECT_FALSE(store->settle(0));
  EXPECT_FALSE(there("runs.json"));
  answer();
  EXPECT_TRUE(store->settle(seconds(30)));
  EXPECT_EQ(std::nullopt, store->trouble_at(later(seconds(40))));
  EXPECT_TRUE(there("runs.json"));
}

TEST_F(HungDiskTest, an_end_leaves_a_write_behind_that_does_not_return) {
  EXPECT_FALSE(store->finish(10));
  store.reset();
  EXPECT_FALSE(there("runs.json"));
  answer();
  // The thread goes on to its end with what is its own.
  wait_for([this] { return there("runs.json"); });
}

TEST_F(DiskStoreTest, a_deliberate_end_leaves_no_run_and_no_document) {
  restart_supervisor(with_thread());
  ASSERT_TRUE(store->put_document(document(3)));
  store->note_runs({note(0, 9)}, 10);
  store->drop_document(3);
  ASSERT_TRUE(store->continue_journal(std::nullopt));
  EventRecord event;
  event.id = 7;
  const Result<std::uint64_t> end = store->append_events({event});
  ASSERT_TRUE(end);
  store->events_committed({7, *end});
  wait_for([this] { return store->finish(12); });
  EXPECT_TRUE(store->settle(0));
  const Result<RunList> list = parse_run_list(*os::read_file(path("runs.json")));
  ASSERT_TRUE(list);
  EXPECT_EQ(12u, list->next_run);
  EXPECT_EQ(7u, list->last_event);
  EXPECT_TRUE(list->runs.empty());
  EXPECT_TRUE(std::filesystem::is_empty(path("spec")));
}

}  // namespace
}  // namespace hearth::store
