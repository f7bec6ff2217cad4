#include "cli/upgrade_trial.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cli/daemon_start.h"
#include "config/scalars.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/proc_stat.h"
#include "os/program_file.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t most_output = 64u << 10;
constexpr int cannot_execute = 126;

struct Ended {
  std::string out;
  int status = 0;  // of waitpid(2)
  bool in_time = true;
  bool interrupted = false;
};

std::unexpected<Error> refused(const std::string& path, std::string reason, std::string hint = {}) {
  return failure(Remedy::environment, "upgrade with", path, std::move(reason), std::move(hint));
}

// By its descriptor, as the keeper does it.
[[noreturn]] void become(int program, char* const* arguments, int out) {
  ::setpgid(0, 0);  // what it leaves behind goes with it
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(null, STDERR_FILENO) < 0) ::_exit(71);
  if (::dup2(out, STDOUT_FILENO) < 0 || ::dup2(program, 3) < 0 || ::fcntl(3, F_SETFD, FD_CLOEXEC) < 0) ::_exit(71);
  ::close_range(4, ~0u, 0);
  sigset_t none;  // of ours, which wait for somebody to ask (InterruptWatch)
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::syscall(SYS_execveat, 3, "", arguments, environ, AT_EMPTY_PATH);
  ::_exit(cannot_execute);
}

// False: time is up, it has said too much, or somebody has interrupted us.
bool hear_it(const os::Fd& out, Ended& ended, MonoNs deadline, InterruptWatch& watch) {
  for (;;) {
    const SpanNs left = deadline - os::read_mono();
    ended.in_time = left > 0;
    ended.interrupted = watch.came();
    if (!ended.in_time || ended.interrupted || ended.out.size() > most_output) return false;
    pollfd polled[] = {{out.get(), POLLIN, 0}, {watch.fd(), POLLIN, 0}};
    if (::poll(polled, 2, static_cast<int>(left / ns_per_ms + 1)) <= 0 || polled[0].revents == 0) continue;
    char buffer[4096];
    const ssize_t n = ::read(out.get(), buffer, sizeof buffer);
    if (n <= 0) return true;
    ended.out.append(buffer, static_cast<std::size_t>(n));
  }
}

// It has closed its output, and may hang on its way out.
bool see_its_end(const os::Fd& process, Ended& ended, MonoNs deadline, InterruptWatch& watch) {
  for (;;) {
    const SpanNs left = deadline - os::read_mono();
    ended.in_time = left > 0;
    ended.interrupted = watch.came();
    if (!ended.in_time || ended.interrupted) return false;
    pollfd polled[] = {{process.get(), POLLIN, 0}, {watch.fd(), POLLIN, 0}};
    if (::poll(polled, 2, static_cast<int>(left / ns_per_ms + 1)) > 0 && polled[0].revents != 0) return true;
  }
}

// With what it has left behind. One that the kernel holds in a call (a disk that hangs) ends when it may: not waited for.
void end_it(pid_t child, const os::Fd& process) {
  constexpr int patience_ms = 1'000;
  os::pidfd_signal(process.get(), SIGKILL);
  ::kill(-child, SIGKILL);  // a child of ours that nobody has waited for: its number is its own
  pollfd end{process.get(), POLLIN, 0};
  ::poll(&end, 1, patience_ms);
  ::waitpid(child, nullptr, WNOHANG);
}

Result<Ended> run(const os::Fd& program, std::vector<std::string> words, SpanNs patience, InterruptWatch& watch) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_failure("make a pipe for", words[0], errno);
  const os::Fd out(ends[0]);
  os::Fd theirs(ends[1]);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return errno_failure("start", words[0], errno);
  if (child == 0) become(program.get(), arguments.data(), theirs.get());
  ::setpgid(child, child);  // whichever of us comes first
  theirs.reset();
  Ended ended;
  const MonoNs deadline = after(os::read_mono(), patience);
  const os::Fd process(os::pidfd_open(child));
  const int error = process ? 0 : errno;
  if (!process || !hear_it(out, ended, deadline, watch) || !see_its_end(process, ended, deadline, watch)) {
    end_it(child, process);
    if (!process) return errno_failure("watch", words[0], error);
    return ended;
  }
  while (::waitpid(child, &ended.status, 0) < 0 && errno == EINTR) {
  }
  return ended;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const json::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string(text->data(), text->size()) : std::string();
}

// What the program says of itself; its own refusal is the error. `file`: which one that was.
Result<json::object> ask(const std::string& path, const char* name, std::vector<std::string> words, SpanNs patience,
                         std::string& file, InterruptWatch& watch) {
  const Result<os::Fd> program = os::open_program(path);
  if (!program) return failure(program.error());
  if (const Status whole = os::check_whole(*program, path); !whole) return failure(whole.error());
  file = os::program_identity(program->get());
  words.insert(words.begin(), {name, "--trial"});
  const Result<Ended> ended = run(*program, std::move(words), patience, watch);
  if (!ended) return failure(ended.error());
  if (ended->interrupted) return failure(Remedy::try_later, "upgrade with", path, "interrupted in its trial");
  if (!ended->in_time)
    return refused(path, "its trial gave no answer within " + config::duration_text(patience / ns_per_ms * ns_per_ms));
  if (ended->out.size() > most_output) return refused(path, "its trial said more than any answer has");
  json::error_code error;
  const json::value value = json::parse(ended->out, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object != nullptr && object->contains("trial") && text_of(*object, "program") == name) {
    if (const std::string reason = text_of(*object, "refused"); !reason.empty())
      return refused(path, "hearth " + text_of(*object, "version") + " " + reason);
    if (WIFEXITED(ended->status) && WEXITSTATUS(ended->status) == 0) return *object;
  }
  if (WIFSIGNALED(ended->status))
    return refused(path, fmt::format("it was killed by signal {} in its trial", WTERMSIG(ended->status)));
  if (WEXITSTATUS(ended->status) == cannot_execute)
    return refused(path, "this machine cannot execute it",
                   "is it a program, and of this processor? A script cannot be one");
  return refused(path, fmt::format("it knows no trial (it exited with code {})", WEXITSTATUS(ended->status)),
                 fmt::format("is it a {} that can be upgraded to?", name));
}

// -1: it does not say.
std::int64_t format_of(const json::object& object, std::string_view name) {
  const json::value* formats = object.if_contains("formats");
  const json::object* list = formats != nullptr ? formats->if_object() : nullptr;
  const json::value* number = list != nullptr ? list->if_contains(name) : nullptr;
  return number != nullptr && number->is_int64() ? number->get_int64() : -1;
}

// Of one build with its supervisor: what they say to each other, or read both, is of one version.
Status check_same(const std::string& path, const json::object& program, const json::object& supervisor,
                  std::initializer_list<const char*> formats) {
  for (const char* format : formats)
    if (format_of(supervisor, format) != format_of(program, format))
      return refused(path, fmt::format("it is not of one build with hearth-supervisor: another version of {}", format));
  return {};
}

std::string absolute(const std::string& path) {
  char whole[PATH_MAX];
  if (::realpath(path.c_str(), whole) != nullptr) return whole;
  std::error_code no_directory;  // the working directory may be gone: then it is named as it was given
  const std::filesystem::path full = std::filesystem::absolute(path, no_directory);
  return no_directory ? path : full.string();
}

}  // namespace

Result<Trial> try_programs(const std::string& directory, const std::string& instance_directory, pid_t keeper,
                           SpanNs patience, InterruptWatch& watch) {
  Trial trial;
  if (directory.empty()) {
    const Result<Programs> programs = find_programs();
    if (!programs) return failure(programs.error());
    trial.supervisor = programs->supervisor;
    trial.logger = programs->logger;
    trial.keeper = programs->keeper;
  } else {
    trial.supervisor = directory + "/hearth-supervisor";
    trial.logger = directory + "/hearth-logger";
    trial.keeper = directory + "/hearth-keeper";
  }
  for (std::string* path : {&trial.supervisor, &trial.logger, &trial.keeper}) *path = absolute(*path);
  const Result<json::object> its_keeper = ask(trial.keeper, "hearth-keeper", {}, patience, trial.keeper_file, watch);
  if (!its_keeper) return failure(its_keeper.error());
  const Result<json::object> supervisor =
      ask(trial.supervisor, "hearth-supervisor", {"--dir", instance_directory, "--keeper", std::to_string(keeper)},
          patience, trial.supervisor_file, watch);
  if (!supervisor) return failure(supervisor.error());
  const Result<json::object> logger = ask(trial.logger, "hearth-logger", {}, patience, trial.logger_file, watch);
  if (!logger) return failure(logger.error());
  if (Status same = check_same(trial.logger, *logger, *supervisor, {"messages", "log_page"}); !same)
    return failure(same.error());
  if (Status same = check_same(trial.keeper, *its_keeper, *supervisor, {"messages", "slot_table", "plan"}); !same)
    return failure(same.error());
  trial.version = text_of(*supervisor, "version");
  trial.report = json::serialize(*supervisor);
  trial.keeper_report = json::serialize(*its_keeper);
  return trial;
}

}  // namespace hearth::cli
