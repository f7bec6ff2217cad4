#include "cli/context.h"

#include <cerrno>
#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>

#include "base/placed.h"
#include "base/split.h"
#include "cli/answers.h"
#include "cli/foreground.h"
#include "cli/left_behind.h"
#include "cli/progress.h"
#include "cli/silent_hearth.h"
#include "os/instance_lock.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

void write_all_of(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// --instance auto. Not below the home directory or $TMPDIR: paths of sockets must be short (unix(7)). 0700, by mkdtemp(3).
Result<std::string> make_own_directory(const Arguments& arguments) {
  if (arguments.command != "up" || !in_foreground(arguments))
    return failure(Remedy::fix_input, "use", "--instance auto", "it is an instance of one command only",
                   "it goes with `hearth up --foreground`; other commands find that hearth by --dir");
  std::string pattern = "/tmp/hearth-auto-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return errno_failure("make", pattern, errno);
  return pattern;
}

}  // namespace

Result<Context> make_context(Arguments arguments, std::string_view version) {
  Context context;
  context.version = version;
  context.json = arguments.has("json");
  context.host = os::host_facts();
  std::string directory = arguments.value("dir").value_or("");
  const std::string name = arguments.value("instance").value_or("default");
  if (const auto given = arguments.value("dir")) {
    context.place_option = fmt::format("--dir {} ", shell_word(*given));
  } else if (const auto instance = arguments.value("instance")) {
    context.place_option = fmt::format("--instance {} ", shell_word(*instance));
  }
  if (name == "auto" && directory.empty()) {
    const Result<std::string> made = make_own_directory(arguments);
    if (!made) return failure(made.error());
    directory = *made;
    context.own_instance = true;
    context.place_option = fmt::format("--dir {} ", directory);
  }
  Result<os::Instance> instance = os::find_instance(name, directory, context.host);
  if (!instance) return failure(instance.error());
  context.instance = std::move(*instance);
  context.arguments = std::move(arguments);
  return context;
}

void write_out(std::string_view text) {
  write_all_of(STDOUT_FILENO, text);
}
void write_err(std::string_view text) {
  write_all_of(STDERR_FILENO, text);
}

int complain(const Context& context, const Error& said, int code) {
  // Whoever says a hint does not know how this hearth is called: the supervisor, for one.
  Error error = said;
  error.reason = placed(said.reason, context.place_option);
  error.hint = placed(said.hint, context.place_option);
  if (context.json) {
    write_out(error_json(error));
  } else {
    const bool color = look_at_terminal(STDERR_FILENO).color;
    std::string text;  // names and paths of others may stand in it, and what they do to a terminal is theirs
    const std::string whole = error.text();
    std::string_view rest = whole;
    while (const auto line = take_line(rest)) text += shown(*line, 0) + "\n";
    write_err(fmt::format("{}hearth:{} {}", color ? "\x1b[31m" : "", color ? "\x1b[0m" : "", text));
  }
  return code;
}

int complain(const Context& context, const Error& error) {
  switch (error.remedy) {
    case Remedy::fix_input:
    case Remedy::not_found: return complain(context, error, exit_code::usage);
    case Remedy::no_access: return complain(context, error, exit_code::no_permission);
    case Remedy::conflict:
    case Remedy::try_later:
    case Remedy::environment: return complain(context, error, exit_code::failed);
  }
  return exit_code::failed;
}

std::string hint_without_hearth(const Context& context) {
  const std::string& directory = context.instance.directory;
  if (instance_lives(context.instance)) {
    const Silence silence = silence_of(context);
    if (silence.stopped) return fmt::format("it lives, {}; {}", silence.who, silence.hint);
    return "its keeper lives and tries to start a supervisor; when that fails, the last lines of " + directory +
           "/hearth.log say why";
  }
  const std::vector<LeftRun> left = left_runs(directory);
  if (left.empty() && !os::state_is_left(directory))
    return fmt::format("`hearth {}up` starts it", context.place_option);
  return fmt::format(
      "{1}: `hearth {0}up` or `hearth {0}daemon --detach` takes them over, `hearth {0}shutdown` stops "
      "them",
      context.place_option,
      left.empty() ? "services of an earlier hearth may still run"
                   : "services of an earlier hearth still run, " + words_of(left));
}

int complain(const Context& context, const ClientError& error) {
  switch (error.trouble) {
    case Trouble::not_running: {
      Error told = error.error;
      told.hint = hint_without_hearth(context);
      return complain(context, told, exit_code::not_running);
    }
    case Trouble::no_access: return complain(context, error.error, exit_code::no_permission);
    case Trouble::interrupted: return complain(context, error.error, exit_code::interrupted);
    case Trouble::timeout: return complain(context, with_silence(context, error.error), exit_code::failed);
    case Trouble::cut:
    case Trouble::broken: return complain(context, error.error, exit_code::failed);
  }
  return exit_code::failed;
}

bool instance_lives(const os::Instance& instance) {
  return os::lock_is_held(instance.directory);
}

Patience patience_for(const Context& context) {
  Patience patience;
  patience.lives = [instance = context.instance] { return instance_lives(instance); };
  patience.unfinished = [instance = context.instance] { return os::state_is_left(instance.directory); };
  return patience;
}

}  // namespace hearth::cli
