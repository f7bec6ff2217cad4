// The story `upgrade`: the same programs, as other files, go on in the place of those that run.
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>

#include "os/program_file.h"
#include "scenario.h"

namespace hearth::kill_anywhere {
namespace {

std::string path_of(pid_t pid) {
  char buffer[4096];
  const ssize_t n = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), buffer, sizeof buffer);
  return std::string(buffer, n <= 0 ? 0 : static_cast<std::size_t>(n));
}

bool has_child(pid_t parent, const std::string& program) {
  const std::string number = std::to_string(parent);
  std::ifstream in("/proc/" + number + "/task/" + number + "/children");
  for (pid_t child = 0; in >> child;)
    if (path_of(child) == program) return true;
  return false;
}

// As `hearth upgrade` names what it has tried.
std::string programs_json(const std::string& directory) {
  const auto file = [&](const char* name) {
    const std::string path = directory + "/hearth-" + name;
    const os::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return fmt::format(R"("{}":"{}","{}_file":"{}")", name, path, name, os::program_identity(fd.get()));
  };
  return "{" + file("supervisor") + "," + file("logger") + "}";
}

}  // namespace

void Scenario::begin_upgrade() {
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
}

// What is asked of all deaths but that of everything: an order that was answered is carried out. After that one hearth
// begins with the programs of its command line.
void Scenario::upgrade() {
  Order& upgrading = order("upgrade", "/v1/orders",
                           fmt::format(R"({{"verb":"upgrade","programs":{}}})", programs_json(options_.next)));
  command("a", "write 200");
  command("b", "write 10");
  settle(upgrading);
  const auto upgraded = [&](const StatusView& view) {
    return path_of(view.supervisor) == options_.next + "/hearth-supervisor" &&
           has_child(view.keeper, options_.next + "/hearth-logger");
  };
  (void)status_when("the other programs run", [&](const StatusView& view) {
    evidence_.upgraded = upgraded(view);
    return evidence_.upgraded || loss() == Loss::all_of_hearth;
  });
}

void Scenario::go_on_after_it() {
  restart_b();
  end_d();
  look_at_the_end();
}

}  // namespace hearth::kill_anywhere
