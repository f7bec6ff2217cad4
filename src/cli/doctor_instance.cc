// The checks of `hearth doctor` that are about the instance and what runs in it.
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/doctor.h"
#include "cli/left_behind.h"
#include "cli/silent_hearth.h"
#include "os/clock.h"
#include "os/found_runs.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

constexpr const char* sockets[] = {"api.sock", "keeper.sock"};
constexpr const char* name_directories[] = {"n", "o"};  // a notify socket and a FIFO per run

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(directory);
  return names;
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return errno_failure("remove", path, errno);
  return {};
}

// Whether the directory is such that a hearth would use it.
void check_directory(const std::string& path, Findings& findings) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) < 0) return;
  if (!S_ISDIR(st.st_mode)) {
    findings.push_back({Verdict::problem, "instance", path + " is not a directory", "move it away", {}});
  } else if (st.st_uid != ::geteuid()) {
    findings.push_back({Verdict::problem,
                        "instance",
                        fmt::format("{} belongs to user {}", path, st.st_uid),
                        "use another instance (--instance, --dir), or be that user",
                        {}});
  } else if ((st.st_mode & 022) != 0) {
    findings.push_back({Verdict::problem, "instance", "others may write in " + path, "`chmod go-w` of it",
                        [path, mode = st.st_mode & 07777 & ~022u]() -> Status {
                          if (::chmod(path.c_str(), mode) < 0) return errno_failure("close", path, errno);
                          return {};
                        }});
  }
}

// Its children by these names; services are its children, too.
void check_members(pid_t keeper, Findings& findings) {
  for (const pid_t pid : os::list_processes()) {
    os::ProcStat stat;
    if (!os::read_stat(pid, stat) || stat.parent != keeper || !stat.stopped()) continue;
    const bool logger = stat.name == "hearth-logger";
    if (!logger && stat.name != "hearth-spawner") continue;
    findings.push_back({Verdict::problem,
                        "instance",
                        fmt::format("its {} (PID {}) is stopped: {}", logger ? "logger" : "spawner", pid,
                                    logger ? "what services write waits in their pipes" : "starts may wait"),
                        fmt::format("`kill -CONT {}`", pid),
                        {}});
  }
}

// Who answers is the supervisor. Without the keeper nothing is started, stopped or reaped. Here their numbers may be nobody's,
// or strangers', as hearth may be in another PID namespace: they are theirs where those who have them hold its lock.
void check_keeper(const Context& context, const InstanceState& state, Findings& findings) {
  const pid_t keeper = state.keeper;
  if (keeper <= 0) return;
  const auto holds = [&](pid_t pid) { return is_of_hearth(context.instance.directory, pid); };
  os::ProcStat stat;
  const bool there = holds(keeper) && os::read_stat(keeper, stat);
  if (there && !stat.stopped()) return check_members(keeper, findings);
  if (!there && !holds(state.supervisor)) {
    findings.push_back({Verdict::note,
                        "instance",
                        "its processes cannot be seen from here, nor so whether its keeper is stopped or dead",
                        "run `hearth doctor` where hearth runs",
                        {}});
    return;
  }
  findings.push_back({Verdict::problem,
                      "instance",
                      there ? fmt::format("its keeper (PID {}) is stopped: nothing is started or stopped", keeper)
                            : fmt::format("its keeper (PID {}) is dead, and no other is there yet", keeper),
                      there ? fmt::format("`kill -CONT {}`", keeper)
                            : std::string("look again; if it stays so, the notes of `hearth status` say why"),
                      {}});
}

void check_living(const Context& context, const InstanceState& state, Findings& findings) {
  if (state.answers) {
    findings.push_back({Verdict::good, "instance", "hearth runs in " + context.instance.directory, {}, {}});
    return check_keeper(context, state, findings);
  }
  const Silence silence = silence_of(context);
  findings.push_back({Verdict::problem,
                      "instance",
                      fmt::format("hearth lives in {} and does not answer: {}", context.instance.directory,
                                  silence.who.empty() ? "who it is cannot be seen" : silence.who),
                      silence.hint,
                      {}});
}

// What is left of a hearth that ran elsewhere is its services' still, for all that can be seen from here.
bool check_elsewhere(const std::string& directory, Findings& findings) {
  const std::vector<RunElsewhere> runs = runs_elsewhere(directory);
  if (runs.empty()) return false;
  if (std::ranges::any_of(runs, &RunElsewhere::lives))
    findings.push_back({Verdict::problem,
                        "services",
                        "services run in another PID namespace and nobody watches them: " + words_of(runs),
                        "`hearth up` there takes them over; nothing of theirs is touched from here",
                        {}});
  else
    findings.push_back(
        {Verdict::note,
         "services",
         "hearth ran in another PID namespace: whether its services run cannot be seen from here: " + words_of(runs),
         "run `hearth doctor` there; when there is no such place any more, `hearth up` begins anew",
         {}});
  return true;
}

// Of a hearth that is dead. What its services still need stays: they are named by check_strays.
void check_leftovers(const Context& context, Findings& findings) {
  const std::string& directory = context.instance.directory;
  if (check_elsewhere(directory, findings)) return;
  const bool services = !left_runs(directory).empty();
  for (const char* socket : sockets) {
    const std::string path = directory + "/" + socket;
    if (::access(path.c_str(), F_OK) == 0)
      findings.push_back({Verdict::warning, "instance", path + " is left of a hearth that died",
                          "the next hearth replaces it; --fix removes it", [path] { return remove_file(path); }});
  }
  if (services) return;
  if (os::state_is_left(directory))
    findings.push_back({Verdict::warning, "instance", "the state of a hearth that died is left, and nothing of it runs",
                        "the next `up` goes on from it; --fix forgets it", [directory]() -> Status {
                          if (!left_runs(directory).empty())  // of a hearth that has come and died meanwhile
                            return failure(Remedy::try_later, "forget the state in", directory, "services run",
                                           "look again");
                          const os::Fd at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                          if (!at) return errno_failure("open", directory, errno);
                          os::remove_state(at.get());
                          return {};
                        }});
  for (const char* name : name_directories) {
    const std::string path = directory + "/" + name;
    const std::vector<std::string> names = names_in(path);
    if (names.empty()) continue;
    findings.push_back({Verdict::warning, "instance",
                        fmt::format("{} names of runs that are over are left in {}", names.size(), path),
                        "the next hearth removes them, and so does --fix", [path, names]() -> Status {
                          for (const std::string& one : names)
                            if (const Status removed = remove_file(path + "/" + one); !removed) return removed;
                          return {};
                        }});
  }
}

}  // namespace

InstanceState look_at_instance(const Context& context) {
  InstanceState state;
  state.exists = ::access(context.instance.directory.c_str(), F_OK) == 0;
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/instance"}, after(os::read_mono(), seconds(3)));
  state.answers = answer.has_value();
  // Who takes a connection lives, and who has the lock.
  const bool taken = state.answers || answer.error().trouble == Trouble::timeout ||
                     answer.error().trouble == Trouble::cut || answer.error().trouble == Trouble::broken;
  state.lives = state.exists && (taken || instance_lives(context.instance));
  if (!answer) return state;
  if (const Result<InstanceNews> instance = instance_news(*answer)) {
    state.version = instance->version;
    state.supervisor = static_cast<pid_t>(instance->supervisor_pid);
    state.keeper = static_cast<pid_t>(instance->keeper_pid);
  }
  return state;
}

void check_instance(const Context& context, const InstanceState& state, Findings& findings) {
  if (!state.exists) {
    findings.push_back(
        {Verdict::note, "instance", context.instance.directory + " is not there yet: no hearth has run in it", {}, {}});
    return;
  }
  for (const std::string& path : {context.instance.directory, context.instance.log_directory})
    check_directory(path, findings);
  if (state.lives) return check_living(context, state, findings);
  findings.push_back({Verdict::note, "instance", "hearth does not run in " + context.instance.directory, {}, {}});
  check_leftovers(context, findings);
}

void check_strays(const Context& context, const InstanceState& state, Findings& findings) {
  if (!state.exists) return;
  if (!state.lives) {
    const std::vector<LeftRun> left = left_runs(context.instance.directory);
    if (!left.empty())
      findings.push_back({Verdict::problem,
                          "services",
                          "services run and nobody watches them: " + words_of(left),
                          fmt::format("`hearth {0}up` or `hearth {0}daemon --detach` takes them over, `hearth "
                                      "{0}shutdown` stops them, `hearth {0}reset` kills them",
                                      context.place_option),
                          {}});
    return;
  }
  if (!state.answers) return;
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/status"}, after(os::read_mono(), seconds(10)));
  const Result<std::vector<SlotNews>> services =
      answer ? services_news(*answer) : Result<std::vector<SlotNews>>(failure(answer.error().error));
  if (!services) return;
  std::set<std::int64_t> known;
  for (const SlotNews& slot : *services) known.insert(slot.pid);
  const auto runs = os::find_runs(context.instance.directory);
  if (!runs) {
    findings.push_back(
        {Verdict::note, "services", "whether other runs are left cannot be told: " + runs.error().text(), {}, {}});
    return;
  }
  for (const auto& [run, found] : *runs) {
    if (known.contains(found.pid)) continue;
    findings.push_back({Verdict::note,
                        "services",
                        fmt::format("PID {} is of run {} of {}, which is not its present one: {}", found.pid, run,
                                    found.label, os::command_of(found.pid)),
                        "a run that is ending, or a probe, is gone when you look again",
                        {}});
  }
}

}  // namespace hearth::cli
