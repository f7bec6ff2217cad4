// This version goes on from what each released one has left (tests/formats): in memory after the death of all of hearth, on
// the disk after a reboot, and in a trial, as an upgrade does it.
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "instance.h"
#include "os/instance.h"
#include "os/proc_stat.h"
#include "samples.h"
#include "store/run_list.h"
#include "wire/decision_page.h"
#include "wire/keeper_messages.h"
#include "wire/slot_table.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct GoesOn : Machine, ::testing::WithParamInterface<std::string> {
  GoesOn() { sample = place_of(GetParam()); }

  // What there was, by the list of runs: nothing but that list knows it for every version.
  store::RunList noted() const {
    const Result<store::RunList> list = store::parse_run_list(read_sample(sample, "instance/runs.json"));
    EXPECT_TRUE(list) << list.error().text();
    return list.value_or(store::RunList{});
  }
  ports::RunNote noted(const std::string& service) const {
    for (const ports::RunNote& note : noted().runs)
      if (note.label == "shop." + service + ".0") return note;
    ADD_FAILURE() << "runs.json does not know " << service;
    return {};
  }

  // Who this hearth takes for itself: a real one says so of its own table.
  wire::StateIdentity ours() {
    project("[service.nobody]\nautostart = false\n" + puppet("nobody"));
    EXPECT_EQ(0, up().code);
    kill_everything();
    wire::StateIdentity identity{};
    const std::string table = os::read_file(directory + "/state/slot-table", 16u << 20).value_or("");
    EXPECT_EQ(sizeof(wire::SlotTable), table.size());
    if (table.size() == sizeof(wire::SlotTable))
      std::memcpy(&identity, table.data() + offsetof(wire::SlotTable, identity), sizeof identity);
    return identity;
  }

  // Everything of that hearth goes, and the sample comes. `same_boot`: as if its processes had died a moment ago, here.
  // `web`: that one lives on.
  void fill(bool same_boot, Actor* web = nullptr) {
    const wire::StateIdentity identity = ours();
    for (const char* name : {"runs.json", "events.jsonl", "spec", "logs"}) fs::remove_all(directory + "/" + name);
    fs::remove(directory + "/lock");  // it names the pair of the hearth that has made the directories
    // But whose it is: without that, and a slot table, it is what an earlier version has left, and goes when any hearth starts.
    for (const auto& entry : fs::directory_iterator(directory + "/state/"))
      if (entry.path().filename() != "instance") fs::remove(entry);
    filling.texts = {{placeholder::bin, bin("").substr(0, bin("").size() - 1)}, {placeholder::base, base}};
    filling.narrow = {{placeholder::uid, ::geteuid()}, {placeholder::gid, ::getegid()}};
    if (same_boot) {
      filling.texts.emplace_back(placeholder::boot_id, identity.boot_id);
      filling.wide = {{placeholder::pid_namespace, identity.pid_namespace},
                      {placeholder::device, identity.device},
                      {placeholder::inode, identity.inode},
                      {placeholder::birth, static_cast<std::uint64_t>(identity.birth_ns)}};
    }
    if (web != nullptr) {
      *web = survivor();
      os::ProcStat stat;
      ASSERT_TRUE(os::read_stat(web->pid, stat));
      filling.narrow[static_cast<std::uint32_t>(noted("web").pid)] = static_cast<std::uint32_t>(web->pid);
      filling.wide[noted("web").start_ticks] = stat.start_ticks;
    }
    filling.wide[placeholder::journal_end] = filled("state/events-1").size();
    for (const std::string& name : files_below(sample + "/instance"))
      if (same_boot || !name.starts_with("state/")) put(name);
  }
  void put(const std::string& name) {
    const bool page = name == "state/slot-table.zst" || name == "state/decision-page.zst";
    const std::string target = directory + "/" + (page ? name.substr(0, name.size() - 4) : name);
    const std::string bytes = read_sample(sample + "/instance", page ? name.substr(0, name.size() - 4) : name);
    if (fs::create_directories(fs::path(target).parent_path()))
      fs::permissions(fs::path(target).parent_path(), fs::perms(0700));
    write_file(target,
               page                        ? fill_page(bytes, filling)
               : name.starts_with("logs/") ? bytes
                                           : fill_text(bytes, filling),
               0600);
  }
  std::string filled(const std::string& name) const {
    return fill_text(read_sample(sample + "/instance", name), filling);
  }

  // A run that has survived: as the service of the sample it has its name in its environment, and its output in the FIFO.
  Actor survivor() {
    const std::string run = std::to_string(noted("web").run);
    const std::string fifo = directory + "/" + os::fifo_name(noted("web").run);
    fs::create_directories(fs::path(fifo).parent_path());
    EXPECT_EQ(0, ::mkfifo(fifo.c_str(), 0600));
    survivor_ = execute({bin("hearth-test-puppet"), stage->path(), "web"}, [&] {
      ::setsid();
      ::setenv("HEARTH_INSTANCE", directory.c_str(), 1);
      ::setenv("HEARTH_RUN", run.c_str(), 1);
      ::setenv("HEARTH_SLOT", "shop.web.0", 1);
      const int out = ::open(fifo.c_str(), O_RDWR);
      ::dup2(out, 1);
      ::dup2(out, 2);
      ::close(out);
    });
    return stage->enter();
  }
  // Some order that says nothing of those that were there.
  Actor next_hearth() {
    const Output output = hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"});
    EXPECT_EQ(0, output.code) << output.all();
    return enter("other");
  }
  Actor enter(const std::string& label) {
    for (std::size_t i = 0; i < others_.size(); ++i) {
      if (others_[i].label != label) continue;
      Actor actor = std::move(others_[i]);
      others_.erase(others_.begin() + static_cast<std::ptrdiff_t>(i));
      return actor;
    }
    for (;;) {
      Actor actor = stage->enter();
      if (!actor.here() || actor.label == label) return actor;
      others_.push_back(std::move(actor));
    }
  }
  // Pages go on from a build of the same numbers only. Who reads more than those says so here.
  bool can_go_on_with_pages() const {
    const std::string table = read_sample(sample, "instance/state/slot-table");
    const std::string page = read_sample(sample, "instance/state/decision-page");
    return number_at(table, offsetof(wire::SlotTable, version)) == wire::slot_table_version &&
           number_at(page, offsetof(wire::DecisionPage, version)) == wire::decision_page_version &&
           number_at(page, offsetof(wire::DecisionPage, record_version)) == wire::decision_record_version;
  }

  // From the disk alone: behind what it has nobody knows how many there were.
  void expect_events_go_on(bool from_disk = false) {
    const std::string before = filled("events.jsonl");
    const std::string now = hearth({"events", "-n", "all", "--json"}).out;
    EXPECT_TRUE(now.starts_with(before)) << "what had happened is told as it was, and not\n" << now;
    std::uint64_t id = 0;
    for (std::size_t at = 0; at < now.size(); at = now.find('\n', at) + 1) {
      const json::value event = json::parse(now.substr(at, now.find('\n', at) - at));
      if (from_disk && at == before.size()) {
        EXPECT_EQ("loss", event.at("kind"));
        id += ports::ids_left_out;
      }
      ASSERT_EQ(++id, event.at("id").to_number<std::uint64_t>());
    }
    EXPECT_GT(now.size(), before.size()) << "nothing has happened since";
  }
  void expect_old_lines() {
    std::string first, then;
    for (int i = 1; i <= 300; ++i) first += "line " + std::to_string(i) + "\n";
    for (int i = 1; i <= 20; ++i) then += "line " + std::to_string(i) + "\n";
    EXPECT_THAT(lines_of("web"), StartsWith(first + then));
    EXPECT_THAT(lines_of("task"), StartsWith("the task is done\n"));
    EXPECT_THAT(lines_of("crash"), HasSubstr("about to fail\n"));
    EXPECT_THAT(lines_of("db"), HasSubstr("first life"));
    EXPECT_THAT(lines_of("db"), HasSubstr("second life"));
    // By the time index: there are no times in the log of web. `off` was stopped between its two files.
    EXPECT_EQ(first, lines_of("web", {"--until", stop_of_off()}));
    EXPECT_THAT(lines_of("web", {"--since", stop_of_off()}), StartsWith(then));
  }
  std::string stop_of_off() const {
    const std::string events = read_sample(sample, "instance/events.jsonl");
    for (std::size_t at = 0; at < events.size(); at = events.find('\n', at) + 1) {
      const json::object event = json::parse(events.substr(at, events.find('\n', at) - at)).as_object();
      if (event.contains("service") && event.at("service") == "shop.off.0" && event.contains("to") &&
          event.at("to") == "stopped")
        return std::string(event.at("time").as_string());
    }
    ADD_FAILURE() << "it has not been stopped";
    return "";
  }
  std::string lines_of(const std::string& service, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"logs", "-n", "all", service};
    words.insert(words.end(), more.begin(), more.end());
    return hearth(words).out;
  }
  Output trial() { return execute({bin("hearth-supervisor"), "--trial", "--dir", directory, "--keeper", "0"}).wait(); }

  std::string sample;
  Filling filling;
  Command survivor_;
  std::vector<Actor> others_;
};

TEST_P(GoesOn, in_its_memory_with_who_runs_and_what_was_decided) {
  if (!can_go_on_with_pages()) GTEST_SKIP() << "its pages are of other versions";
  Actor web;
  ASSERT_NO_FATAL_FAILURE(fill(true, &web));
  Actor other = next_hearth();
  EXPECT_FALSE(exists(directory + "/state/slot-table.put-aside")) << status().notes_text();
  EXPECT_EQ("running", service("web").state);
  EXPECT_EQ(web.pid, service("web").pid) << "it was not touched";
  EXPECT_EQ(noted("web").run, service("web").run);
  EXPECT_EQ(0u, service("web").restarts);
  EXPECT_EQ("failed", service("crash").state);
  EXPECT_EQ(7, service("crash").exit_code);
  EXPECT_EQ(1u, service("crash").restarts);
  EXPECT_EQ("completed", service("task").state);
  EXPECT_EQ(0, service("task").exit_code);
  EXPECT_EQ("stopped", service("off").state);
  EXPECT_EQ("stopped", service("full").state);
  // It has died with hearth: its end is unknown, and it comes back.
  Actor db = enter("db");
  ASSERT_TRUE(other.here() && db.here()) << hearth({"status"}).out;
  EXPECT_TRUE(until_state("db", "running"));
  EXPECT_EQ(2u, service("db").restarts);
  EXPECT_GE(std::stoull(db.run), noted().next_run);
  EXPECT_GE(std::stoull(other.run), noted().next_run);
  expect_events_go_on();
  expect_old_lines();
  EXPECT_EQ("ok", web.ask("print still here"));
  EXPECT_TRUE(until([&] { return logged("web").ends_with("line 20\nstill here\n"); })) << logged("web");
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_TRUE(web.wait_end());
}

// Whatever its numbers: nobody reads another one's pages, and nobody stumbles over them.
TEST_P(GoesOn, from_the_list_of_runs_when_its_memory_is_of_another_version) {
  Actor web;
  ASSERT_NO_FATAL_FAILURE(fill(true, &web));
  const std::string table = directory + "/state/slot-table";
  if (can_go_on_with_pages()) {
    const std::uint32_t another = wire::slot_table_version + 1;
    const os::Fd file(::open(table.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(4, ::pwrite(file.get(), &another, sizeof another, offsetof(wire::SlotTable, version)));
  }
  next_hearth();
  EXPECT_TRUE(exists(table + ".put-aside"));
  EXPECT_THAT(status().notes_text(), HasSubstr("of another version"));
  EXPECT_EQ("running", service("web").state);
  EXPECT_EQ(web.pid, service("web").pid);
  EXPECT_EQ("stopped", service("off").state);
  expect_events_go_on();
  expect_old_lines();
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_TRUE(web.wait_end());
}

TEST_P(GoesOn, from_its_disk_after_a_reboot) {
  ASSERT_NO_FATAL_FAILURE(fill(false));
  next_hearth();
  const Actor web = enter("web"), db = enter("db");
  ASSERT_TRUE(web.here() && db.here()) << hearth({"status"}).out;
  EXPECT_GE(std::stoull(web.run), noted().next_run) << "no number twice";
  EXPECT_GE(std::stoull(db.run), noted().next_run);
  EXPECT_TRUE(until_state("web", "running"));
  EXPECT_EQ("stopped", service("off").state);
  EXPECT_EQ("stopped", service("full").state);
  EXPECT_THAT(status().notes_text(), HasSubstr("the machine or container was restarted"));
  expect_events_go_on(true);
  expect_old_lines();
  expect_clean_shutdown();
}

TEST_P(GoesOn, and_its_events_and_logs_are_read_without_a_hearth) {
  ASSERT_NO_FATAL_FAILURE(fill(false));
  EXPECT_EQ(filled("events.jsonl"), hearth({"events", "-n", "all", "--json"}).out);
  expect_old_lines();
}

TEST_P(GoesOn, as_an_upgrade_tries_it) {
  ASSERT_NO_FATAL_FAILURE(fill(true));
  const Output output = trial();
  const json::value report = json::parse(output.out);
  // Of the keeper, which goes on as it is, the messages have to be ours, too.
  const std::string table = read_sample(sample, "instance/state/slot-table");
  if (!can_go_on_with_pages() ||
      number_at(table, offsetof(wire::SlotTable, keeper_messages)) != wire::message_version) {
    EXPECT_EQ(1, output.code) << output.all();
    EXPECT_TRUE(report.at("refused").is_string()) << output.out;
    return;
  }
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(report.at("refused").is_null()) << output.out;
  EXPECT_GE(report.at("slots").to_number<std::size_t>(), noted().runs.size()) << "probes and hooks have theirs, too";
}

INSTANTIATE_TEST_SUITE_P(Kept, GoesOn, ::testing::ValuesIn(kept_versions()),
                         [](const ::testing::TestParamInfo<std::string>& version) {
                           return test_name_of(version.param);
                         });

}  // namespace
}  // namespace hearth::test
