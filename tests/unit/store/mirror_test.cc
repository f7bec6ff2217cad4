#include "store/mirror.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "support/refused_calls.h"
#include "unit/os/temp_directory.h"

namespace hearth::store {
namespace {

struct Crash {};
int crash_countdown = 0;
void crash_when_due(const char*) {
  if (--crash_countdown == 0) throw Crash{};
}

std::function<void(std::string_view)> at_place;
void call_at_place(const char* place) {
  at_place(place);
}

ports::SlotNote note(SlotIndex slot, RunId run) {
  ports::SlotNote out;
  out.slot = slot;
  out.note.label = "shop.web." + std::to_string(slot);
  out.note.document = 3;
  out.note.run = run;
  return out;
}

struct MirrorTest : ::testing::Test {
  test::TempDirectory directory;
  std::unique_ptr<Mirror> mirror;

  MirrorTest() {
    ::mkdir((directory / "spec").c_str(), 0700);
    ::mkdir((directory / "state").c_str(), 0700);
    restart();
  }
  ~MirrorTest() override { os::crash_hook = nullptr; }

  void restart() {
    Mirror::Place place;
    place.directory = directory.path();
    place.instance = os::Fd(::open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    place.state = os::Fd(::open((directory / "state").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    place.boot_id = "boot";
    place.pid_namespace = 7;
    mirror = std::make_unique<Mirror>(std::move(place));
  }
  void write(const std::string& name, const std::string& text) { std::ofstream(directory / name) << text; }
  void want(std::uint64_t version, const std::string& text) {
    write("state/" + state_name(version), text);
    mirror->want(version, {});
  }
  std::string read(const std::string& name) { return os::read_file(directory / name).value_or("none"); }
  std::set<std::string> spec() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory / "spec"))
      names.insert(entry.path().filename());
    return names;
  }
  std::uint64_t inode(const std::string& name) {
    struct stat st{};
    return ::stat((directory / name).c_str(), &st) == 0 ? st.st_ino : 0;
  }
};

TEST_F(MirrorTest, the_disk_becomes_what_is_wanted) {
  write("spec/1.json", "of a predecessor");
  write("spec/4.json.new", "of one that was killed");
  write("spec/README", "of somebody else");
  want(3, "three");
  mirror->want(4, std::move(*os::make_sealed_memfd("d", std::string(100'000, '4'))));
  EXPECT_TRUE(mirror->note({note(0, 9)}, 10));
  EXPECT_FALSE(mirror->settled());
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(mirror->settled());
  EXPECT_EQ((std::set<std::string>{"3.json", "4.json", "README"}), spec());
  EXPECT_EQ("three", read("spec/3.json"));
  EXPECT_EQ(std::string(100'000, '4'), read("spec/4.json"));
  const Result<RunList> list = parse_run_list(read("runs.json"));
  ASSERT_TRUE(list);
  EXPECT_EQ(directory.path(), list->instance);
  EXPECT_EQ(10u, list->next_run);
  ASSERT_EQ(1u, list->runs.size());
  EXPECT_EQ(note(0, 9).note, list->runs[0]);
}

TEST_F(MirrorTest, before_runs_are_noted_nothing_is_taken_for_unwanted) {
  write("spec/1.json", "of a predecessor");
  want(3, "three");
  EXPECT_TRUE(mirror->pass());
  EXPECT_EQ((std::set<std::string>{"1.json", "3.json"}), spec());
}

TEST_F(MirrorTest, a_document_that_is_there_is_not_written_again_unless_it_is_another_one) {
  write("spec/3.json", "three");
  const std::uint64_t before = inode("spec/3.json");
  want(3, "three");
  EXPECT_TRUE(mirror->pass());
  EXPECT_EQ(before, inode("spec/3.json"));
  want(3, "THREE");
  EXPECT_TRUE(mirror->pass());
  EXPECT_EQ("THREE", read("spec/3.json"));
}

TEST_F(MirrorTest, a_document_that_was_dropped_meanwhile_is_never_written) {
  want(3, "three");
  mirror->drop(3);
  os::crash_hook = [](const char* place) { ADD_FAILURE() << place; };
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(spec().empty());
}

TEST_F(MirrorTest, a_document_that_is_dropped_while_it_is_written_goes_with_the_same_pass) {
  want(3, "three");
  at_place = [this](std::string_view place) {
    if (place == "document copied") mirror->drop(3);
  };
  os::crash_hook = call_at_place;
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(spec().empty());
  EXPECT_TRUE(mirror->settled());
}

TEST_F(MirrorTest, a_document_that_is_replaced_while_it_is_written_is_written_again) {
  want(3, "three");
  bool done = false;
  at_place = [&](std::string_view place) {
    if (place == "document copied" && !std::exchange(done, true)) {
      write("state/new", "THREE");
      std::filesystem::rename(directory / "state/new", directory / ("state/" + state_name(3)));
      mirror->want(3, {});
    }
  };
  os::crash_hook = call_at_place;
  EXPECT_TRUE(mirror->pass());
  EXPECT_FALSE(mirror->settled());
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(mirror->settled());
  EXPECT_EQ("THREE", read("spec/3.json"));
}

TEST_F(MirrorTest, runs_that_change_while_the_list_is_written_are_in_the_next_one) {
  (void)mirror->note({note(0, 9)}, 10);
  at_place = [this](std::string_view place) {
    if (place == "runs written") (void)mirror->note({note(0, 11), note(1, 12)}, 13);
  };
  os::crash_hook = call_at_place;
  EXPECT_TRUE(mirror->pass());
  EXPECT_FALSE(mirror->settled());
  os::crash_hook = nullptr;
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(mirror->settled());
  const Result<RunList> list = parse_run_list(read("runs.json"));
  ASSERT_TRUE(list);
  EXPECT_EQ(13u, list->next_run);
  EXPECT_EQ(2u, list->runs.size());
}

TEST_F(MirrorTest, a_list_of_many_runs_is_whole_and_a_slot_that_is_empty_has_no_line) {
  std::vector<ports::SlotNote> notes;
  for (SlotIndex slot = 0; slot < 1000; ++slot) notes.push_back(note(slot, slot + 1));
  EXPECT_TRUE(mirror->note(notes, 1001));
  EXPECT_FALSE(mirror->note(notes, 1001));
  EXPECT_TRUE(mirror->note({{7, {}}}, 1001));
  EXPECT_TRUE(mirror->pass());
  const Result<RunList> list = parse_run_list(read("runs.json"));
  ASSERT_TRUE(list);
  ASSERT_EQ(999u, list->runs.size());
  EXPECT_EQ("shop.web.8", list->runs[7].label);
  EXPECT_EQ("shop.web.999", list->runs[998].label);
}

TEST_F(MirrorTest, what_cannot_be_written_is_told_until_it_can) {
  std::filesystem::create_directory(directory / "runs.json");  // what no rename replaces
  want(3, "three");
  (void)mirror->note({note(0, 9)}, 10);
  EXPECT_FALSE(mirror->pass());
  EXPECT_FALSE(mirror->pass());
  const Mirror::Condition condition = mirror->condition();
  EXPECT_EQ("write", condition.failed);
  EXPECT_EQ(directory / "runs.json", condition.failed_subject);
  EXPECT_EQ(EISDIR, condition.error);
  EXPECT_EQ(2u, condition.tries);
  EXPECT_NE(0, condition.failing_since);
  EXPECT_EQ("three", read("spec/3.json")) << "one failure is no reason to leave out the rest";
  EXPECT_FALSE(std::filesystem::exists(directory / "runs.json.new"));
  std::filesystem::remove(directory / "runs.json");
  EXPECT_TRUE(mirror->pass());
  EXPECT_EQ("", mirror->condition().failed);
  EXPECT_TRUE(mirror->settled());
}

TEST_F(MirrorTest, what_was_there_stays_until_what_replaces_it_is_written) {
  want(3, "three");
  (void)mirror->note({note(0, 9)}, 10);
  EXPECT_TRUE(mirror->pass());
  std::filesystem::create_directory(directory / "spec/4.json");  // what no rename replaces
  want(4, "four");
  mirror->drop(3);
  EXPECT_FALSE(mirror->pass());
  EXPECT_EQ("three", read("spec/3.json")) << "a next hearth would go on with it";
  std::filesystem::remove(directory / "spec/4.json");
  EXPECT_TRUE(mirror->pass());
  EXPECT_FALSE(std::filesystem::exists(directory / "spec/3.json"));
  EXPECT_EQ("four", read("spec/4.json"));
}

TEST_F(MirrorTest, a_directory_that_cannot_be_read_now_is_not_taken_for_an_empty_one) {
  want(3, "three");
  (void)mirror->note({note(0, 9)}, 10);
  EXPECT_TRUE(mirror->pass());
  mirror->drop(3);
  std::thread([&] {
    support::refuse({SYS_getdents64, EIO});
    EXPECT_FALSE(mirror->pass());
  }).join();
  EXPECT_EQ("remove", mirror->condition().failed);
  EXPECT_EQ(EIO, mirror->condition().error);
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(spec().empty());
}

TEST_F(MirrorTest, an_end_on_a_full_disk_leaves_no_list_by_which_the_next_hearth_would_start_what_was_stopped) {
  want(3, "three");
  (void)mirror->note({note(0, 9)}, 10);
  EXPECT_TRUE(mirror->pass());
  std::filesystem::create_directory(directory / "runs.json.new");  // cannot be written to
  mirror->finish(11, no_event);
  (void)mirror->note({note(0, 12)}, 13);
  EXPECT_TRUE(mirror->pass());
  EXPECT_TRUE(mirror->settled());
  EXPECT_FALSE(std::filesystem::exists(directory / "runs.json"));
  EXPECT_TRUE(spec().empty());
}

TEST_F(MirrorTest, killed_at_any_step_a_successor_ends_with_the_same) {
  const auto wanted = [this] {
    want(3, "three");
    want(4, "four");
    (void)mirror->note({note(0, 9)}, 10);
  };
  int steps = 0;
  for (int at = 1;; ++at, ++steps) {
    for (const std::string& name : spec()) std::filesystem::remove(directory / ("spec/" + name));
    write("spec/1.json", "one");
    write("spec/2.json", "two");
    write("spec/4.json", "another");
    std::filesystem::remove(directory / "runs.json");
    restart();
    wanted();
    crash_countdown = at;
    os::crash_hook = crash_when_due;
    bool crashed = false;
    try {
      EXPECT_TRUE(mirror->pass());
    } catch (const Crash&) {
      crashed = true;
    }
    os::crash_hook = nullptr;
    for (const char* name : {"spec/3.json", "spec/4.json"}) {
      const std::string text = read(name);
      EXPECT_TRUE(text == "three" || text == "four" || text == "another" || text == "none") << text;
    }
    if (!crashed) break;
    restart();
    wanted();
    EXPECT_TRUE(mirror->pass()) << "step " << at;
    EXPECT_EQ((std::set<std::string>{"3.json", "4.json"}), spec()) << "step " << at;
    EXPECT_EQ("four", read("spec/4.json"));
    EXPECT_TRUE(parse_run_list(read("runs.json"))) << "step " << at;
    EXPECT_FALSE(std::filesystem::exists(directory / "runs.json.new"));
  }
  EXPECT_GE(steps, 8);
}

TEST(MirrorNamesTest, versions_are_read_from_our_names_only) {
  EXPECT_EQ(3u, version_of("3.json"));
  EXPECT_EQ(3u, version_of("3.json.new"));
  EXPECT_EQ(3u, version_of("document-3"));
  EXPECT_EQ(3u, version_of("document-3.new"));
  for (const char* name :
       {"", ".", "..", "x.json", "3", "3.json.put-aside", "-3.json", "3x.json", "slot-table", ".json"})
    EXPECT_EQ(0u, version_of(name)) << name;
}

}  // namespace
}  // namespace hearth::store
