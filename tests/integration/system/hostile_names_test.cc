// What somebody has put in the place of hearth's own names, before it came or while it runs: links, a directory that has
// something in it, a FIFO, the second name of a file. In every directory that it uses, and for each what becomes of it:
// replaced, refused with its name and the reason, or told while all else goes on. Never is anything written through it,
// and nobody waits for it.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

enum class Plant : std::uint8_t { link, dangling, directory, fifo, second_name };
constexpr Plant plants[] = {Plant::link, Plant::dangling, Plant::directory, Plant::fifo, Plant::second_name};
const char* name_of(Plant plant) {
  switch (plant) {
    case Plant::link: return "link";
    case Plant::dangling: return "dangling";
    case Plant::directory: return "directory";
    case Plant::fifo: return "fifo";
    case Plant::second_name: return "second_name";
  }
  return "?";
}
std::string plant_name(const ::testing::TestParamInfo<Plant>& info) {
  return name_of(info.param);
}

enum class Fate : std::uint8_t {
  goes_on,  // as if it were not there
  told,     // hearth runs, and status says what it cannot do
  refused,  // hearth is not started
};
struct Expected {
  Fate fate;
  const char* words = "";  // of what is said
};
struct Name {
  const char* name;
  bool is_directory;  // where hearth has one
  Expected of[5];     // by Plant
};

constexpr Expected well{Fate::goes_on};
constexpr const char* no_directory = "it is a symbolic link or no directory; remove it";
constexpr Expected not_entered{Fate::refused, no_directory};

// For a link, one that leads nowhere, a directory, a FIFO, a second name.
constexpr Name first_names[] = {
    {"api.sock", false, {well, well, well, well, well}},
    {"api.sock.new", false, {well, well, well, well, well}},
    {"keeper.sock", false, {well, well, well, well, well}},
    {"keeper.sock.new", false, {well, well, well, well, well}},
    // It is locked; what is no ordinary file with one name is not written to.
    {"lock",
     false,
     {{Fate::refused, "cannot open the lock file"},
      {Fate::refused, "cannot open the lock file"},
      {Fate::refused, "cannot open the lock file"},
      well,
      well}},
    {"runs.json",
     false,
     {{Fate::told, "runs.json: Too many levels of symbolic links"},
      {Fate::told, "runs.json: Too many levels of symbolic links"},
      {Fate::told, "runs.json: Is a directory"},
      {Fate::told, "runs.json: it is no regular file"},
      {Fate::told, "runs.json: it is no list of runs"}}},
    // A FIFO is as a disk that hangs (Disk.what_does_not_return_holds_up_neither_orders_nor_services_nor_the_end).
    {"runs.json.new", false, {well, well, {Fate::told, "cannot write"}, {Fate::told, "the disk hangs"}, well}},
    {"events.jsonl",
     false,
     {{Fate::told, "events.jsonl: Too many levels of symbolic links"},
      {Fate::told, "events.jsonl: Too many levels of symbolic links"},
      {Fate::told, "events.jsonl: Is a directory"},
      well,
      well}},
    {"events.1.jsonl", false, {well, well, well, well, well}},
    {"state",
     true,
     {well,
      well,
      {Fate::told, "are kept in memory only"},
      {Fate::told, "are kept in memory only"},
      {Fate::told, "are kept in memory only"}}},
    {"spec", true, {not_entered, not_entered, well, not_entered, not_entered}},
    {"n", true, {not_entered, not_entered, well, not_entered, not_entered}},
    {"o", true, {not_entered, not_entered, well, not_entered, not_entered}},
    {"logs", true, {not_entered, not_entered, well, not_entered, not_entered}},
};

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct HostileNames : Machine, ::testing::WithParamInterface<Plant> {
  HostileNames() {
    write_file(precious, "precious", 0640);
    fs::create_directory(base + "/theirs");
    write_file(base + "/theirs/file", "precious", 0640);
    ::chmod((base + "/theirs").c_str(), 0750);
  }
  // `plant` in the place of a file or directory. What is there already stays.
  void put(const std::string& path, Plant plant, bool is_directory = false) {
    if (exists(path)) return;
    std::error_code error;
    switch (plant) {
      case Plant::link: fs::create_symlink(is_directory ? base + "/theirs" : precious, path, error); break;
      case Plant::dangling: fs::create_symlink(base + "/made-through-a-link", path, error); break;
      case Plant::directory:
        fs::create_directory(path, error);
        if (!error && !is_directory) write_file(path + "/kept", "kept");
        if (!error && is_directory) ::chmod(path.c_str(), 0755);
        break;
      case Plant::fifo: EXPECT_EQ(0, ::mkfifo(path.c_str(), 0600)) << path; break;
      case Plant::second_name:
        // On another file system there cannot be one.
        if (::link(precious.c_str(), path.c_str()) < 0) {
          EXPECT_EQ(EXDEV, errno) << path;
        }
        break;
    }
    EXPECT_FALSE(error) << path << ": " << error.message();
  }
  void expect_untouched() const {
    EXPECT_EQ("precious", content(precious));
    EXPECT_EQ("precious", content(base + "/theirs/file"));
    struct stat of_file{}, of_directory{};
    ASSERT_EQ(0, ::stat(precious.c_str(), &of_file));
    ASSERT_EQ(0, ::stat((base + "/theirs").c_str(), &of_directory));
    EXPECT_EQ(0640u, of_file.st_mode & 07777);
    EXPECT_EQ(0750u, of_directory.st_mode & 07777);
    EXPECT_EQ(::geteuid(), of_file.st_uid);
    EXPECT_EQ(1, std::distance(fs::directory_iterator(base + "/theirs"), fs::directory_iterator()));
    EXPECT_FALSE(exists(base + "/made-through-a-link"));
  }
  Actor start(const std::string& more = "") {
    project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + more + puppet());
    const Output output = up();
    EXPECT_EQ(0, output.code) << output.all();
    return stage->enter();
  }
  // A crash, a restart that is ordered, the death of the supervisor, and a change of the project: all as ever.
  void expect_all_well(Actor& web) {
    const pid_t supervisor = status().supervisor;
    web.order("exit 3");
    EXPECT_TRUE(web.wait_end());
    web = stage->enter();
    ASSERT_TRUE(web.here());
    kill_members("hearth-supervisor", SIGKILL);
    EXPECT_TRUE(until([&] {
      const InstanceView now = status();
      return now.answered && now.supervisor != supervisor;
    }));
    EXPECT_TRUE(until([&] { return service().pid == web.pid; }));
    EXPECT_EQ("ok", web.ask("print well"));
    EXPECT_TRUE(until([&] { return logged().find("well\n") != std::string::npos; }));
    project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\nstop_timeout = \"9s\"\n" + puppet());
    const Output changed = up();
    EXPECT_EQ(0, changed.code) << changed.all();
    EXPECT_EQ(web.pid, service().pid);
  }
  void expect_told(const std::string& words) {
    EXPECT_TRUE(until([&] { return status().notes_text().find(words) != std::string::npos; }))
        << words << " is not in:\n"
        << status().notes_text();
  }
  void expect_end() {
    const Output ended = hearth({"shutdown"});
    EXPECT_EQ(0, ended.code) << ended.all();
    EXPECT_THAT(ended.out, HasSubstr("Shutdown complete"));
    expect_untouched();
  }

  std::string precious = base + "/precious";
};
INSTANTIATE_TEST_SUITE_P(, HostileNames, ::testing::ValuesIn(plants), plant_name);

Expected expected(const Name& name, Plant plant) {
  return name.of[static_cast<std::size_t>(plant)];
}

TEST_P(HostileNames, that_it_replaces_keep_it_from_nothing) {
  fs::create_directory(directory);
  for (const Name& name : first_names)
    if (expected(name, GetParam()).fate == Fate::goes_on)
      put(directory + "/" + name.name, GetParam(), name.is_directory);
  Actor web = start();
  ASSERT_TRUE(web.here());
  expect_all_well(web);
  expect_untouched();
  expect_clean_shutdown();
  expect_untouched();
  // What was in directories is kept, beside.
  if (GetParam() == Plant::directory)
    for (const char* name : {"api.sock", "keeper.sock"}) {
      EXPECT_EQ("kept", content(directory + "/" + name + ".put-aside/kept")) << name;
    }
}

// One at a time: of two that are told the same way one might hide the other.
TEST_P(HostileNames, that_it_cannot_use_are_told_and_it_runs) {
  const std::string first = directory;
  for (const Name& name : first_names) {
    const Expected told = expected(name, GetParam());
    if (told.fate != Fate::told) continue;
    SCOPED_TRACE(name.name);
    directory = first + "-" + name.name;
    fs::create_directory(directory);
    put(directory + "/" + name.name, GetParam(), name.is_directory);
    Actor web = start();
    ASSERT_TRUE(web.here());
    expect_told(told.words);
    expect_all_well(web);
    expect_end();
  }
}

TEST_P(HostileNames, that_it_cannot_do_without_are_refused_by_name_until_they_are_gone) {
  fs::create_directory(directory);
  for (const Name& name : first_names) {
    const Expected refusal = expected(name, GetParam());
    if (refusal.fate != Fate::refused) continue;
    SCOPED_TRACE(name.name);
    const std::string path = directory + "/" + name.name;
    fs::remove_all(path);  // an earlier refusal may have come after it was made
    put(path, GetParam(), name.is_directory);
    project("[service.web]\n" + puppet());
    const Output refused = up();
    EXPECT_NE(0, refused.code);
    EXPECT_THAT(refused.all(), HasSubstr(refusal.words));
    EXPECT_THAT(refused.all(), HasSubstr(name.is_directory ? path : directory));
    expect_untouched();
    fs::remove_all(path);
  }
  Actor web = start();
  ASSERT_TRUE(web.here());
  expect_clean_shutdown();
  expect_untouched();
}

// A run's names are its number. What is in their place is replaced, or that start is refused, with the name and the reason;
// the next has another number, and so the service comes.
TEST_P(HostileNames, of_the_runs_to_come_cost_a_start_at_most) {
  Actor web = start();
  ASSERT_TRUE(web.here());
  const std::uint64_t run = std::stoull(web.run);
  for (const char* part : {"/n/", "/o/"})
    for (std::uint64_t next = run + 1; next < run + 6; ++next) put(directory + part + std::to_string(next), GetParam());
  while (std::stoull(web.run) < run + 6) {
    web.order("exit 3");
    ASSERT_TRUE(web.wait_end());
    web = stage->enter();
    ASSERT_TRUE(web.here());
  }
  // A FIFO is taken for what a start that was broken off has left.
  const std::string told = hearth({"status"}).out;
  EXPECT_EQ(GetParam() != Plant::fifo, told.find("the start before: cannot open the pipe o/") != std::string::npos)
      << told;
  EXPECT_EQ("running", service().state);
  expect_untouched();
  expect_end();
}

// The next documents, on the disk and in DIR/state.
TEST_P(HostileNames, of_the_documents_to_come_are_replaced_or_told) {
  Actor web = start();
  ASSERT_TRUE(web.here());
  const Plant plant = GetParam();
  // Beside the disk's own names: Disk.what_does_not_return... has the FIFO in whose place a write hangs.
  const bool hangs = plant == Plant::fifo;
  for (int version = 2; version < 4; ++version) {
    const std::string number = std::to_string(version);
    put(directory + "/spec/" + number + ".json", plant);
    if (!hangs) put(directory + "/spec/" + number + ".json.new", plant);
    put(directory + "/state/document-" + number, plant == Plant::directory ? Plant::link : plant);
    if (plant != Plant::directory) put(directory + "/state/document-" + number + ".new", plant);
  }
  project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\nstop_timeout = \"8s\"\n" + puppet());
  const Output changed = up();
  EXPECT_EQ(0, changed.code) << changed.all();
  EXPECT_EQ(web.pid, service().pid);
  if (plant == Plant::directory)
    expect_told("spec/2.json: Is a directory");
  else
    EXPECT_TRUE(until([&] { return content(directory + "/spec/2.json").find("8") != std::string::npos; }));
  expect_all_well(web);
  expect_end();
}

// A document that is needed for what runs, read by the hearth that comes after everybody's death.
TEST_P(HostileNames, of_documents_that_a_next_hearth_reads_are_not_waited_for) {
  Actor web = start();
  ASSERT_TRUE(web.here());
  EXPECT_TRUE(until([&] { return exists(directory + "/spec/1.json") && exists(directory + "/runs.json"); }));
  kill_everything();
  // Also the state is lost: as after a reboot, all comes from the disk.
  for (const char* file : {"slot-table", "decision-page", "document-1"})
    ::unlink((directory + "/state/" + file).c_str());
  const std::string path = directory + "/spec/1.json";
  ASSERT_EQ(0, ::unlink(path.c_str()));
  put(path, GetParam());
  const Output again = hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"});
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_EQ("other", stage->enter().label);
  expect_told("web");  // whose specification is lost
  EXPECT_TRUE(web.alive()) << "it is left alone";
  expect_untouched();
  web.order("exit 0");
  EXPECT_TRUE(web.wait_end());
  expect_end();
}

// Log files have numbers, too; what else there is does not keep anybody from reading the log.
TEST_P(HostileNames, of_log_files_to_come_are_replaced_or_passed_over_and_the_log_is_read) {
  Actor web = start("log = { max_size = \"4KiB\", max_files = 1000 }\n");
  ASSERT_TRUE(web.here());
  EXPECT_EQ("ok", web.ask("print first"));
  EXPECT_TRUE(until([&] { return logged() == "first\n"; }));
  const std::string logs = service().log_directory;
  for (int file = 2; file < 5; ++file)
    for (const char* ending : {".log", ".idx", ".tmp"})
      put(logs + "/0000000" + std::to_string(file) + ending, GetParam());
  put(logs + "/current.new", GetParam());
  // A regular file that comes later is taken for the log's: nothing tells it from one.
  if (GetParam() != Plant::second_name)
    for (const char* name : {"/00000099.log", "/00000098.log.zst"}) put(logs + name, GetParam());
  EXPECT_EQ("ok", web.ask("lines 2000"));
  EXPECT_TRUE(until([&] { return hearth({"logs", "web", "-n", "1"}).out == "line 2000\n"; }))
      << hearth({"logs", "web", "-n", "3"}).all();
  expect_untouched();
  fs::remove_all(logs + "/00000099.log");
  expect_end();
}

// What is made for a service: its runtime directory, and the directory of its credentials.
TEST_P(HostileNames, of_what_is_made_for_a_service_cost_that_service_its_start) {
  const std::string name = base.substr(base.rfind('/') + 1);
  const std::string root = ::geteuid() == 0 ? "/run/" : directory + "/run/";
  write_file(base + "/key", "secret", 0600);
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  ASSERT_TRUE(web.here());
  std::error_code none;
  fs::create_directory(root, none);
  const std::string places[] = {root + name, directory + "/c", directory + "/state/c"};
  for (const std::string& place : places) put(place, GetParam(), true);
  // On another file system there is no second name.
  std::vector<std::string> refused;
  if (GetParam() != Plant::directory && exists(places[0])) refused.emplace_back("kept");
  if (GetParam() != Plant::directory && exists(places[2])) refused.emplace_back("secret");
  project("[service.web]\n" + puppet() + "[service.kept]\nrestart = \"never\"\nruntime_directories = [\"" + name +
          "/inner\"]\n" + puppet("kept") +
          "[service.secret]\nrestart = \"never\"\ncredentials = { key = \"@BASE@/key\" }\n" + puppet("secret"));
  const Output all = up();
  EXPECT_EQ(!refused.empty(), all.code != 0) << all.all();
  std::vector<Actor> started;
  while (started.size() + refused.size() < 2) started.push_back(stage->enter());
  for (const std::string& service : refused) {
    EXPECT_THAT(hearth({"status", service}).all(), HasSubstr("cannot make")) << service;
  }
  expect_untouched();
  EXPECT_TRUE(web.alive());
  EXPECT_EQ(web.pid, service("web").pid);
  if (!refused.empty())
    for (const std::string& place : places) fs::remove(place, none);
  for (const std::string& service : refused) {
    (void)hearth({"stop", service});
    const Output again = hearth({"start", service});
    EXPECT_EQ(0, again.code) << again.all();
    started.push_back(stage->enter());
    EXPECT_EQ(service, started.back().label);
  }
  expect_end();
  fs::remove_all(root + name, none);
}

}  // namespace
}  // namespace hearth::test
