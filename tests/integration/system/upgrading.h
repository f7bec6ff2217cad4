// Hearth that is upgraded: what is offered to it, and who runs then.
#pragma once

#include <filesystem>
#include <signal.h>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "instance.h"
#include "places.h"

namespace hearth::test {

struct Upgrading : Machine {
  Upgrading() { std::filesystem::create_directory(from); }

  Actor start(const std::string& more = "") {
    project("[service.web]\n" + puppet() + more);
    const Output output = up();
    EXPECT_EQ(0, output.code) << output.all();
    return stage->enter();
  }
  // What `upgrade --from` finds: a supervisor that is this program, and our own logger.
  void offer(const std::string& supervisor, const std::string& role = "") {
    put(supervisor, from + "/hearth-supervisor");
    put("hearth-logger", from + "/hearth-logger");
    put("hearth-keeper", from + "/hearth-keeper");
    if (role.empty()) return;
    write_file(from + "/role", role);
    write_file(from + "/real", bin("hearth-supervisor"));
  }
  // What is no keeper, or none that can go on (nasty/successor.cc).
  void offer_bad_keeper(const std::string& role) {
    put("hearth-test-successor", from + "/hearth-keeper");
    write_file(from + "/keeper-role", role);
    write_file(from + "/keeper-real", bin("hearth-keeper"));
  }
  void offer_bad_logger(const std::string& role) {
    put("hearth-test-successor", from + "/hearth-logger");
    write_file(from + "/logger-role", role);
    write_file(from + "/logger-real", bin("hearth-logger"));
  }
  // The path that it was executed from; "" = it is gone.
  static std::string program_of(pid_t pid) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).string();
  }
  std::string program_of_logger() {
    const std::vector<pid_t> all = members("hearth-logger");
    return all.empty() ? "" : program_of(all[0]);
  }
  // Under its name in one step, as a package manager does it.
  void put(const std::string& program, const std::string& path) {
    std::filesystem::copy_file(std::string(HEARTH_BIN_DIR) + "/" + program, path + ".new",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::permissions(path + ".new", std::filesystem::perms(0755));
    std::filesystem::rename(path + ".new", path);
  }
  Output upgrade(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"upgrade", "--from", from};
    words.insert(words.end(), more.begin(), more.end());
    return hearth(words);
  }
  std::string running() {
    (void)status();  // which waits for the next supervisor
    const boost::json::value answer = boost::json::parse(hearth({"version", "--json"}).out);
    const boost::json::value& version = answer.at("running");
    return version.is_string() ? std::string(version.get_string()) : "none";
  }
  // The keeper has an option for this, and what stands under its name gives it. Before start().
  void shorten_trial() {
    use_copies_of_programs();
    const std::string keeper = bin("hearth-keeper");
    std::filesystem::rename(keeper, keeper + ".real");
    write_file(keeper, "#!/bin/sh\nexec " + keeper + ".real \"$@\" --up-within 3000\n", 0755);
  }
  static bool has_open(pid_t pid, const std::string& path) {
    std::error_code error;
    for (const std::filesystem::directory_entry& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error))
      if (std::filesystem::read_symlink(entry.path(), error).string() == path) return true;
    return false;
  }
  // Until the supervisor has the new programs open, which nobody takes from it.
  Command upgrade_under_a_stopped_keeper(pid_t keeper, pid_t supervisor) {
    offer("hearth-test-newer-supervisor");
    EXPECT_EQ(0, ::kill(keeper, SIGSTOP));
    Command upgrading = begin({"upgrade", "--from", from});
    EXPECT_TRUE(until([&] { return has_open(supervisor, from + "/hearth-supervisor") || !runs(supervisor); }));
    return upgrading;
  }
  // The zombie of a keeper that is stopped has no program.
  static bool runs(pid_t pid) { return !program_of(pid).empty(); }
  // Which has been executed from that file; 0 = none.
  static pid_t process_of(const std::string& path) {
    std::error_code error;
    for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator("/proc", error)) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path() / "exe", gone).string() == path)
        return static_cast<pid_t>(std::stol(entry.path().filename().string()));
    }
    return 0;
  }
  std::string events() { return hearth({"events", "-n", "all", "--json"}).out; }
  // Nothing has changed: who runs, and what is told.
  void expect_refused(const Output& output, const std::string& why) {
    EXPECT_EQ(1, output.code) << output.all();
    EXPECT_THAT(output.err, ::testing::HasSubstr(why));
    EXPECT_THAT(output.err, ::testing::HasSubstr("nothing was changed"));
    EXPECT_EQ(0u, status().takeovers);
  }

  std::string from = base + "/next";
};

}  // namespace hearth::test
