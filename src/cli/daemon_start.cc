#include "cli/daemon_start.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "cli/environment.h"
#include "cli/left_behind.h"
#include "cli/silent_hearth.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/keeper_successor.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

constexpr SpanNs start_limit = seconds(10);
// A hearth that ends keeps its lock while it writes its last documents and lines: for 11 s at most (keeper/ending.cc).
constexpr SpanNs lock_limit = seconds(15);
constexpr std::size_t log_lines = 10;

bool executable(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

// The last lines that the daemon wrote since `from`, for an error.
std::string end_of_log(const std::string& path, off_t from) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) < 0 || st.st_size <= from) return {};
  const off_t begin = std::max<off_t>(from, st.st_size - 16'384);
  std::string text(static_cast<std::size_t>(st.st_size - begin), '\0');
  const ssize_t n = ::pread(fd.get(), text.data(), text.size(), begin);
  if (n <= 0) return {};
  text.resize(static_cast<std::size_t>(n));
  while (text.ends_with('\n')) text.pop_back();
  std::size_t at = text.size();
  for (std::size_t lines = 0; lines < log_lines && at != std::string::npos && at > 0; ++lines) {
    at = text.rfind('\n', at - 1);
  }
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

// In the child of the first fork: a session of its own, then the keeper in the grandchild, so that it belongs to
// nobody. How the grandchild ended, if it ends soon, comes back through `report` as one int.
[[noreturn]] void detach_and_exec(char* const* command, char* const* environment, int log, int report) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  const pid_t child = ::fork();
  if (child != 0) {
    // Stays while the client may want to know: POLLERR on the pipe says that it has closed its end.
    ::close(log);
    int status = 0;
    if (child > 0) {
      pollfd gone{report, 0, 0};
      while (::waitpid(child, &status, WNOHANG) == 0) {
        if (::poll(&gone, 1, 10) == 1) ::_exit(0);
      }
    } else {
      status = 71 << 8;
    }
    (void)!::write(report, &status, sizeof status);
    ::_exit(0);
  }
  ::close(report);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(71);
  ::close_range(3, ~0u, 0);
  (void)!::chdir("/");
  ::execve(command[0], command, environment);
  ::_exit(errno == ENOENT ? 127 : 126);
}

struct Started {
  os::Fd report;  // the keeper's wait status, if it ends within the wait
  pid_t child = -1;

  Started(os::Fd fd) : report(std::move(fd)) {}
  Started(Started&& other) noexcept : report(std::move(other.report)), child(std::exchange(other.child, -1)) {}
  ~Started() {
    report.reset();
    if (child > 0) ::waitpid(child, nullptr, 0);  // it ends because the pipe is closed
  }
};

Result<Started> start(const Programs& programs, const os::Instance& instance, const std::string& log_path) {
  // A FIFO that somebody has put there would be waited for: without a reader it is an error so.
  os::Fd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log || ::fcntl(log.get(), F_SETFL, O_APPEND) < 0) return errno_failure("open", log_path, errno);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_failure("make a pipe for", "the daemon's start", errno);
  Started started{os::Fd(ends[0])};
  const os::Fd report(ends[1]);
  std::vector<std::string> words = keeper_command(programs, instance);
  const std::vector<char*> command = pointers(words);
  // Nothing of the first caller's session: least of all the cookies of a service that calls us, by which its
  // sweep would take the keeper for a stray.
  std::vector<std::string> lines = captured_environment();
  const std::vector<char*> environment = pointers(lines);
  started.child = ::fork();
  if (started.child < 0) return errno_failure("fork", "the daemon", errno);
  if (started.child == 0) {
    started.report.reset();
    detach_and_exec(command.data(), environment.data(), log.get(), report.get());
  }
  return started;
}

// Both directories each time: the hearth that ended meanwhile may have taken them along, or somebody else.
Result<Started> make_and_start(const Context& context, const Programs& programs, const std::string& log) {
  if (const Result<os::Fd> made = os::make_instance(context.instance, context.host); !made)
    return failure(made.error());
  // Best effort: without it the keeper says so, and status.
  (void)os::make_state_directory(context.instance, context.host);
  return start(programs, context.instance, log);
}

std::string status_words(int status) {
  if (WIFSIGNALED(status)) return fmt::format("it was killed by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126) return "it cannot be executed";
  return fmt::format("it exited with code {}", WEXITSTATUS(status));
}

Error start_error(const os::Instance& instance, const std::string& reason, const std::string& log, off_t from,
                  std::string hint = {}) {
  const std::string lines = end_of_log(log, from);
  hint += lines.empty() ? "look into " + log : "it wrote into " + log + ":\n" + lines;
  return Error{Remedy::environment, "start hearth in", instance.directory, reason, std::move(hint), 0};
}

// Nothing is started twice: the next hearth here would take those for ended. Whose hearth has just died in there may be
// ending with it, a container for one.
Status check_elsewhere(const Context& context, InterruptWatch* watch) {
  const MonoNs end = after(os::read_mono(), seconds(2));
  for (;;) {
    const std::vector<RunElsewhere> runs = runs_elsewhere(context.instance.directory);
    if (std::ranges::none_of(runs, &RunElsewhere::lives)) return {};
    if (os::read_mono() >= end || (watch != nullptr && watch->came()))
      return failure(
          Remedy::conflict, "start hearth in", context.instance.directory,
          "services of an earlier one run in another PID namespace: " + words_of(runs),
          fmt::format("run `hearth {}up` there, which takes them over, or end them first", context.place_option));
    pollfd polled{watch != nullptr ? watch->fd() : -1, POLLIN, 0};
    ::poll(&polled, 1, 50);
  }
}

Error silent_error(const Context& context, const std::string& log, off_t from) {
  const Silence silence = silence_of(context);
  std::string reason = "another one has its lock and does not answer after 15 s";
  if (!silence.who.empty()) reason += ": " + silence.who;
  return start_error(context.instance, reason, log, from, silence.hint + "; ");
}

}  // namespace

Result<Programs> find_programs() {
  char own[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", own, sizeof own);
  if (n <= 0) return errno_failure("find", "hearth-keeper", errno);
  const std::string path(own, static_cast<std::size_t>(n));
  const std::string directory = path.substr(0, path.rfind('/'));
  const std::string parent = directory.substr(0, directory.rfind('/'));
  for (const std::string& place : {directory, parent + "/libexec/hearth"}) {
    Programs programs{place + "/hearth-keeper", place + "/hearth-supervisor", place + "/hearth-logger"};
    if (executable(programs.keeper)) return programs;
  }
  return failure(Remedy::environment, "find", "hearth-keeper",
                 fmt::format("it is neither in {} nor in {}/libexec/hearth", directory, parent),
                 "install hearth completely");
}

std::vector<std::string> keeper_command(const Programs& programs, const os::Instance& instance) {
  return {programs.keeper,     "--dir",    instance.directory, "--logs", instance.log_directory, "--supervisor",
          programs.supervisor, "--logger", programs.logger};
}

Result<bool> ensure_daemon(const Context& context, Client& client, InterruptWatch* watch) {
  const MonoNs begin = os::read_mono();
  const auto answers = [&](MonoNs until) { return client.ask({.target = "/v1/health"}, until); };
  auto health = answers(after(begin, start_limit));
  if (health) return false;
  if (health.error().trouble == Trouble::timeout) return failure(with_silence(context, health.error().error));
  if (health.error().trouble != Trouble::not_running && health.error().trouble != Trouble::cut) {
    return failure(health.error().error);
  }
  const Result<Programs> programs = find_programs();
  if (!programs) return failure(programs.error());
  const std::string log = context.instance.directory + "/hearth.log";
  struct stat st{};
  const off_t log_from = ::stat(log.c_str(), &st) == 0 ? st.st_size : 0;

  // Whoever has the lock is starting, and will answer, or ending, and then it is our turn. instance_lives() sees the
  // lock go, but it may err: so a keeper is tried all the same, now and then.
  bool held = instance_lives(context.instance);
  if (const Status alone = held ? Status() : check_elsewhere(context, watch); !alone) return failure(alone.error());
  MonoNs try_at = held ? after(begin, milliseconds(250)) : begin;
  MonoNs deadline = after(begin, lock_limit);
  std::optional<Started> started;
  bool finished_another = false;
  SpanNs pause = milliseconds(2);
  for (MonoNs now = os::read_mono(); now < deadline; now = os::read_mono()) {
    if (!started && (now >= try_at || (held && !instance_lives(context.instance)))) {
      Result<Started> tried = make_and_start(context, *programs, log);
      if (!tried) return failure(tried.error());
      started.emplace(std::move(*tried));
      deadline = after(now, start_limit);
      pause = milliseconds(2);
    }
    pollfd polled[2] = {{started ? started->report.get() : -1, POLLIN, 0},
                        {watch != nullptr ? watch->fd() : -1, POLLIN, 0}};
    const timespec span{0, static_cast<long>(pause)};
    ::ppoll(polled, 2, &span, nullptr);
    pause = std::min(pause * 3 / 2, milliseconds(50));
    if (watch != nullptr && watch->came()) {
      return failure(Remedy::try_later, "wait for", "hearth", "interrupted", started ? "it goes on starting" : "");
    }
    health = answers(deadline);
    if (health) return started.has_value();
    if (!started || (polled[0].revents & (POLLIN | POLLHUP)) == 0) continue;
    int status = 0;
    const bool told = ::read(started->report.get(), &status, sizeof status) == static_cast<ssize_t>(sizeof status);
    if (!told) {
      started->report.reset();  // whoever was to tell was killed; the keeper may answer all the same
      continue;
    }
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == exit_code::runs_already) {
      held = instance_lives(context.instance);
      try_at = after(os::read_mono(), held ? seconds(1) : milliseconds(100));
      deadline = after(begin, lock_limit);
    } else if (code == 0 && !finished_another) {
      finished_another = true;  // an end that its predecessor had begun
      try_at = 0;
    } else {
      return failure(start_error(context.instance, status_words(status), log, log_from));
    }
    started.reset();
  }
  if (started) return failure(start_error(context.instance, "it does not answer after 10 s", log, log_from));
  return failure(silent_error(context, log, log_from));
}

int complain_of_start(const Context& context, const Error& error, InterruptWatch& watch) {
  return complain(context, error, watch.came() ? exit_code::interrupted : exit_code::failed);
}

Error become_daemon(const Context& context) {
  const Result<Programs> programs = find_programs();
  if (!programs) return programs.error();
  if (const Result<os::Fd> made = os::make_instance(context.instance, context.host); !made) return made.error();
  if (const Status alone = instance_lives(context.instance) ? Status() : check_elsewhere(context, nullptr); !alone)
    return alone.error();
  (void)os::make_state_directory(context.instance, context.host);
  for (const char* name : {"HEARTH_RUN", "HEARTH_SLOT", "HEARTH_INSTANCE"}) ::unsetenv(name);
  std::vector<std::string> words = keeper_command(*programs, context.instance);
  const os::Offer offer = os::offer_as_keeper(context.instance.directory);
  if (offer.ignored)
    return {Remedy::try_later,
            "become the keeper of",
            context.instance.directory,
            "its supervisor has no keeper, or stands still, and does not answer",
            "try again when it goes on (is it stopped?)",
            0};
  if (offer.socket) {
    words.emplace_back("--take-over");
    words.push_back(std::to_string(offer.socket.get()));
  }
  const std::vector<char*> command = pointers(words);
  ::execv(command[0], command.data());
  return errno_error("execute", programs->keeper, errno);
}

}  // namespace hearth::cli
