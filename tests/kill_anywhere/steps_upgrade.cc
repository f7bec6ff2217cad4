// The stories `upgrade` and `keeper`: the same programs, as other files, go on in the place of those that run; supervisor
// and logger as their successors, the keeper as the same process.
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>

#include "os/clock.h"
#include "os/program_file.h"
#include "scenario.h"
#include "wire/slot_table.h"

namespace hearth::kill_anywhere {
namespace {

std::size_t children_of(pid_t parent, const std::string& program) {
  const std::string number = std::to_string(parent);
  std::ifstream in("/proc/" + number + "/task/" + number + "/children");
  std::size_t count = 0;
  for (pid_t child = 0; in >> child;) count += path_of(child) == program ? 1 : 0;
  return count;
}

// As `hearth upgrade` names what it has tried.
std::string upgrade_json(const std::string& directory, std::initializer_list<const char*> names) {
  std::vector<std::string> files;
  for (const char* name : names) {
    const std::string path = directory + "/hearth-" + name;
    const os::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    files.push_back(fmt::format(R"("{}":"{}","{}_file":"{}")", name, path, name, os::program_identity(fd.get())));
  }
  return fmt::format(R"({{"verb":"upgrade","programs":{{{}}}}})", fmt::join(files, ","));
}

}  // namespace

void Scenario::begin_upgrade() {
  start_load();
  const std::string services =
      service_json("a", options_.service_mode, R"(,"log":{"max_size":32768,"max_files":1000})") + "," +
      service_json("b", "", R"(,"ready":{"type":"notify"},"log":{"format":"stamped"})") + "," +
      service_json("d", "", R"(,"restart":"never")");
  Order& apply = order("apply", "/v1/apply", apply_json(project_, services));
  for (const char* name : {"a", "b", "d"}) await_greeting(name, apply);
  command("a", "write 100");
  command("b", "notify READY=1\nSTATUS=loading 1");
  settle(apply);
  command("b", "fdstore cache");
  command("b", "barrier");
  (void)status();  // from here on the slot table is known
}

// What is asked of all deaths but that of everything: an order that was answered is carried out. After that one hearth
// begins with the programs of its command line.
void Scenario::upgrade() {
  upgrading_ = true;
  Order& upgrading = order("upgrade", "/v1/orders", upgrade_json(options_.next, {"supervisor", "logger"}));
  command("a", "write 200");
  command("b", "write 10");
  settle(upgrading);
  const auto upgraded = [&](const StatusView& view) {
    if (path_of(view.supervisor) != options_.next + "/hearth-supervisor") return false;
    next_answers_ = true;
    return children_of(view.keeper, options_.next + "/hearth-logger") == 1;
  };
  (void)status_when("the other programs run", [&](const StatusView& view) {
    evidence_.upgraded = upgraded(view);
    return evidence_.upgraded || loss() == Loss::all_of_hearth;
  });
  upgrading_ = false;
}

void Scenario::go_on_after_it() {
  restart_b();
  end_d();
  look_at_the_end();
}

// Given until it is done, as a user does who has read why it was refused. A keeper that was killed before the order that
// succeeded has a successor, which executes the program; one that is killed as the next program is succeeded by the one of before.
void Scenario::execute_keeper() {
  const std::string next = options_.next + "/hearth-keeper", before = options_.programs + "/hearth-keeper";
  const std::string upgrade = upgrade_json(options_.next, {"keeper"});
  const MonoNs deadline = after(os::read_mono(), options_.deadline);
  for (bool done = false; !done;) {
    if (os::read_mono() > deadline) throw Stuck("the order \"upgrade\" was refused for too long");
    evidence_.done_after_death = tracer_->reached();
    Order& upgrading = order("upgrade", "/v1/orders", upgrade, Refused::is_an_answer);
    command("a", "write 200");
    command("b", "write 10");
    settle(upgrading);
    done = !upgrading.refused();
    if (done) continue;
    const StatusView view =
        status_when("a keeper goes on", [](const StatusView& now) { return !path_of(now.keeper).empty(); });
    if (const std::string path = path_of(view.keeper); path != before)
      evidence_.refused_and_done.push_back(path + ": " + upgrading.refusals().back().reason);
  }
  (void)status_when("the keeper and both spawners run the other program", [&](const StatusView& view) {
    const bool executed = path_of(view.keeper) == next && children_of(view.keeper, next) == wire::spawner_count;
    const bool succeeded = !evidence_.done_after_death && died_as_next_.load() && path_of(view.keeper) == before;
    return executed || succeeded;
  });
}

void Scenario::go_on_after_exec() {
  restart_b();
  end_d();
  look_at_the_end();
  evidence_.upgraded = path_of(evidence_.last.keeper) == options_.next + "/hearth-keeper";
}

}  // namespace hearth::kill_anywhere
