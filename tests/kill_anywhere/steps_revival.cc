// The story `revival`: a hearth has been killed whole, its services live on, and the next one begins, which is attacked.
#include <algorithm>
#include <fstream>
#include <signal.h>

#include <fmt/format.h>

#include "os/clock.h"
#include "scenario.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {

namespace {

// The keeper's own, which have a program of hearth; services are its children, too.
std::vector<pid_t> members_of(pid_t keeper) {
  const std::string number = std::to_string(keeper);
  std::ifstream in("/proc/" + number + "/task/" + number + "/children");
  std::vector<pid_t> members;
  for (pid_t child = 0; in >> child;) {
    const std::string program = support::program_of(child);
    if (program.starts_with("hearth-") && program != "hearth-ka-service") members.push_back(child);
  }
  return members;
}

}  // namespace

// Killed when it has nothing under way: each line stands in its file, each order is settled. What is missing in the end is the
// fault of the hearth that is attacked.
void Scenario::live_before() {
  keeper_ = start_keeper();
  begin_load();
  start_load();
  const std::string services =
      service_json("a", options_.service_mode, R"(,"log":{"max_size":32768,"max_files":1000})") + "," +
      service_json("b", "", R"(,"ready":{"type":"notify"},"log":{"format":"stamped"})") + "," +
      service_json("c", "",
                   R"(,"backoff":{"initial_ns":20000000,"max_ns":1000000000,"jitter":0},"log":{"format":"json"})") +
      "," + service_json("d", "", R"(,"restart":"never")") + "," +
      service_json("k", "",
                   fmt::format(R"(,"listen":[{{"name":"door","address":"unix:{}/k.sock"}}])", options_.directory));
  Order& apply = order("apply", "/v1/apply", apply_json(project_, services));
  for (const char* name : {"a", "b", "c", "d", "k"}) await_greeting(name, apply);
  command("a", "write 200");
  command("b", "write 20");
  command("b", "notify READY=1\nSTATUS=loading 1");
  command("c", "write 20");
  settle(apply);
  (void)status_when("b is ready", [](const StatusView& view) {
    const auto b = view.services.find("b");
    return b != view.services.end() && b->second.ready;
  });
  await("an end of what is under way", [&] {
    const auto stands = [&](const auto& log) {
      const LogFindings findings = log_of(log.first, log.second);
      return findings.exact() && findings.lines >= hub_.lines_of(log.first);
    };
    return load_.unfinished().empty() && std::ranges::all_of(log_directories_, stands);
  });
  between_ = true;
  kill_all_of_hearth();
  // One that nobody sees end: its exit status is nobody's, and the next hearth starts it again.
  hub_.end_now("c", 7);
}

// The keeper stands while it is done, and so replaces nobody. Its members' numbers are theirs as long as it has not waited for
// them.
void Scenario::kill_all_of_hearth() {
  kill(keeper_, SIGSTOP);
  for (const pid_t member : members_of(keeper_)) kill(member, SIGKILL);
  kill(keeper_, SIGKILL);
  await("the death of hearth", [&] { return !hearth_lives(); });
  keeper_ended_ = false;
  committed_ = false;
  counted_revivals_ = -1;
}

// Its steps are those of a start until all that live are known, and who has ended has been started again.
void Scenario::revive() {
  const std::uint64_t before = hub_.newest("c")->run;
  launch();
  // Not late: what is waited for is the start.
  await("c to run again", [&] {
    evidence_.after_exit = status();
    const auto c = evidence_.after_exit.services.find("c");
    const bool again = hub_.newest("c")->run > before && c != evidence_.after_exit.services.end();
    return again && c->second.pid == hub_.newest("c")->pid;
  });
  std::string missing;
  await("what goes on beside the story", [&] { return (missing = load_.unfinished()).empty(); });
  between_ = false;
}

void Scenario::go_on_after_revival() {
  command("a", "write 300");
  restart_b();
  restart_k();
  end_d();
  look_at_the_end();
}

}  // namespace hearth::kill_anywhere
