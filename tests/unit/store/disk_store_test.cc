#include "store/disk_store.h"

#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "store/run_list.h"
#include "unit/os/fake_keeper.h"

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

struct DiskStoreTest : ::testing::Test {
  test::FakeKeeper keeper;
  std::unique_ptr<os::KeeperLink> link = keeper.connect();
  std::unique_ptr<DiskStore> store = std::make_unique<DiskStore>(*link, keeper.instance().directory, plain_format());
  std::string path(const std::string& name) { return keeper.instance().directory + "/" + name; }
  void write(const std::string& name, const std::string& text) {
    const os::Fd fd(::open(path(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd && os::write_all(fd.get(), text, name));
  }
  void restart_supervisor() {
    store.reset();
    link.reset();
    link = keeper.connect();
    store = std::make_unique<DiskStore>(*link, keeper.instance().directory, plain_format());
  }
  Document document(std::uint64_t version) {
    Document out;
    out.version = version;
    out.project = "shop";
    out.path = "/srv/shop.toml";
    return out;
  }
};

TEST_F(DiskStoreTest, a_document_is_on_disk_and_with_the_keeper_and_a_successor_reads_it) {
  ASSERT_TRUE(store->put_document(document(3)));
  EXPECT_TRUE(std::filesystem::exists(path("spec/3.json")));
  EXPECT_FALSE(std::filesystem::exists(path("spec/3.json.new")));
  restart_supervisor();
  ASSERT_EQ(1u, store->documents().size());
  EXPECT_EQ("shop", store->documents()[0].project);
  store->drop_document(3);
  link->flush();
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size());
  EXPECT_FALSE(std::filesystem::exists(path("spec/3.json")));
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
  EXPECT_EQ(2u, store->documents().size());
}

TEST_F(DiskStoreTest, a_successor_reads_no_disk) {
  ASSERT_TRUE(store->put_document(document(3)));
  write("spec/4.json", "4 shop /srv/shop.toml");
  restart_supervisor();
  ASSERT_EQ(1u, store->documents().size());
  EXPECT_EQ(3u, store->documents()[0].version);
}

TEST_F(DiskStoreTest, after_the_death_of_all_the_disk_is_read_once) {
  write("spec/3.json", "3 shop /srv/shop.toml");
  keeper.table().continued_by = 2;
  ASSERT_EQ(1u, store->documents().size());
  write("spec/4.json", "4 shop /srv/shop.toml");
  restart_supervisor();
  ASSERT_EQ(1u, store->documents().size());
  EXPECT_EQ(3u, store->documents()[0].version);
}

TEST_F(DiskStoreTest, what_the_keeper_has_not_taken_is_read_again) {
  write("spec/3.json", "3 shop /srv/shop.toml");
  keeper.table().continued_by = 2;
  // Always the same one, until its socket is full.
  while (link->park(os::park_record(ParkClass::listen, 0, 1), std::move(*os::make_eventfd()))) {
  }
  ASSERT_EQ(1u, store->documents().size());
  restart_supervisor();
  ASSERT_EQ(1u, store->documents().size());
  EXPECT_NE(nullptr, link->parked().find(ParkClass::spec, 3));
}

TEST_F(DiskStoreTest, a_document_that_cannot_be_written_is_refused_and_leaves_nothing) {
  std::filesystem::remove_all(path("spec"));
  const Status refused = store->put_document(document(3));
  ASSERT_FALSE(refused);
  EXPECT_NE(std::string::npos, refused.error().text().find("spec/3.json"));
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().size());
}

TEST_F(DiskStoreTest, the_list_of_runs_is_written_at_most_every_100_ms_and_reads_back) {
  ports::RunNote note;
  note.label = "shop.web.0";
  note.document = 3;
  note.run = 9;
  note.pid = 1234;
  note.start_ticks = 5678;
  EXPECT_EQ(never, store->flush(seconds(1)));
  store->note_runs({note}, 10);
  EXPECT_EQ(never, store->flush(seconds(1)));
  note.run = 11;
  store->note_runs({note}, 12);
  EXPECT_EQ(seconds(1) + DiskStore::write_every, store->flush(seconds(1) + 5));
  Result<RunList> early = parse_run_list(*os::read_file(path("runs.json")));
  ASSERT_TRUE(early);
  EXPECT_EQ(9u, early->runs.at(0).run);
  EXPECT_EQ(never, store->flush(seconds(1) + DiskStore::write_every));
  Result<RunList> list = parse_run_list(*os::read_file(path("runs.json")));
  ASSERT_TRUE(list);
  EXPECT_EQ(12u, list->next_run);
  EXPECT_EQ(keeper.instance().directory, list->instance);
  ASSERT_EQ(1u, list->runs.size());
  EXPECT_EQ("shop.web.0", list->runs[0].label);
  EXPECT_EQ(1234, list->runs[0].pid);
  EXPECT_EQ(5678u, list->runs[0].start_ticks);
  EXPECT_TRUE(list->runs[0].want_up);
}

TEST_F(DiskStoreTest, a_full_disk_is_counted_and_tried_again) {
  store->note_runs({}, 1);
  std::filesystem::create_directory(path("runs.json"));  // what no rename replaces
  EXPECT_EQ(seconds(1) + DiskStore::write_every, store->flush(seconds(1)));
  EXPECT_EQ(1u, store->failures());
  std::filesystem::remove(path("runs.json"));
  EXPECT_EQ(never, store->flush(seconds(2)));
  EXPECT_TRUE(std::filesystem::exists(path("runs.json")));
}

TEST(RunListTest, a_list_that_ends_early_gives_what_is_whole) {
  RunList list{"boot", 7, "/dir", 30, {}};
  for (RunId run : {1, 2, 3}) {
    ports::RunNote note;
    note.label = "a \"quoted\"\nname";
    note.run = run;
    list.runs.push_back(note);
  }
  const std::string text = run_list_text(list);
  Result<RunList> whole = parse_run_list(text);
  ASSERT_TRUE(whole);
  ASSERT_EQ(3u, whole->runs.size());
  EXPECT_EQ("a \"quoted\"\nname", whole->runs[2].label);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    Result<RunList> part = parse_run_list(text.substr(0, cut));
    if (part) {
      EXPECT_LE(part->runs.size(), 3u);
      EXPECT_EQ(30u, part->next_run);
    }
  }
}

TEST(RunListTest, text_that_is_no_list_is_refused) {
  for (const char* text : {"", "{", "[]", "{\"format\":2}", "{\"format\":1,\"x\":{}}", "\xff\xff"})
    EXPECT_FALSE(parse_run_list(text)) << text;
}

}  // namespace
}  // namespace hearth::store
