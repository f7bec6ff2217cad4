#include "cli/silent_hearth.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "os/holders.h"
#include "os/proc_stat.h"

namespace hearth::cli {
namespace {

// A keeper without room for them cannot start a supervisor: a pair of sockets, a pidfd, what a start opens for a moment.
constexpr std::uint64_t needed_descriptors = 8;
constexpr std::uint64_t plenty = 65'536;

// Its limit was set by somebody (prlimit(2)): hearth raises its own as far as it may.
std::optional<os::DescriptorUse> without_descriptors(pid_t pid) {
  std::optional<os::DescriptorUse> use = os::descriptor_use(pid);
  return use && use->open + needed_descriptors > use->limit ? use : std::nullopt;
}

std::string remedy(pid_t pid, const os::DescriptorUse& use) {
  return use.limit < use.most ? fmt::format("`prlimit --pid {} --nofile={}:` gives it descriptors", pid, use.most)
                              : fmt::format("`prlimit --pid {} --nofile={}`, as root, gives it descriptors", pid,
                                            std::max(plenty, 2 * use.open));
}

// A command line is long, and cut; and whose processes these are is known.
std::string program_of(const std::string& command) {
  const std::string path = command.substr(0, command.find(' '));
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

Silence silence_of(const Context& context) {
  Silence silence;
  std::string stopped;
  for (const os::Holder& holder : os::holders_of(context.instance.directory + "/lock")) {
    silence.who += fmt::format("{}{} (PID {}", silence.who.empty() ? "" : ", ", program_of(holder.command), holder.pid);
    os::ProcStat stat;
    if (os::read_stat(holder.pid, stat) && stat.stopped()) {
      silence.who += ", stopped";
      stopped += fmt::format(" {}", holder.pid);
    }
    if (const std::optional<os::DescriptorUse> use = without_descriptors(holder.pid)) {
      silence.who += fmt::format(", may have {} descriptors and has {}", use->limit, use->open);
      silence.hint += remedy(holder.pid, *use) + "; ";
    }
    silence.who += ")";
  }
  silence.stopped = !stopped.empty();
  if (silence.stopped) silence.hint += fmt::format("`kill -CONT{}` lets it go on; ", stopped);
  if (silence.who.empty())
    silence.hint += "ask where hearth runs, if that is another PID namespace, or as root";
  else if (silence.stopped)
    silence.hint += fmt::format("`hearth {}reset` ends all of it", context.place_option);
  else
    silence.hint += fmt::format(
        "is the machine overloaded? Try again; `hearth {0}doctor` looks into it, and `hearth {0}reset` ends all of it, "
        "its "
        "services, too",
        context.place_option);
  return silence;
}

Error with_silence(const Context& context, Error error) {
  Silence silence = silence_of(context);
  if (silence.who.empty()) return error;
  error.reason += ": " + silence.who;
  error.hint = std::move(silence.hint);
  return error;
}

bool is_of_hearth(const std::string& instance_directory, std::int64_t pid) {
  return pid > 0 && os::holds_file(static_cast<pid_t>(pid), instance_directory + "/lock");
}

}  // namespace hearth::cli
