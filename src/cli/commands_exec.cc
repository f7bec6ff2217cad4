// exec: a command in the surroundings of a service, as a child of the caller and with his terminal.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <expected>
#include <grp.h>
#include <signal.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "config/document_json.h"
#include "os/clock.h"
#include "os/plan_builder.h"
#include "os/preparation.h"
#include "os/privileges.h"
#include "os/sandbox.h"

namespace hearth::cli {
namespace {

// As of a shell: a command that is not there, and one that cannot be executed.
constexpr int not_found_code = 127, not_executable_code = 126;

Error wrong(std::string subject, std::string reason, std::string hint) {
  return {Remedy::fix_input, "execute", std::move(subject), std::move(reason), std::move(hint), 0};
}

// "NAME=VALUE"; of equal names the one that was added last holds.
std::vector<std::string> environment_of(const Document& document) {
  std::vector<std::string> all;
  const auto add = [&](const std::string& line) {
    const std::string_view name = std::string_view(line).substr(0, line.find('=') + 1);
    std::erase_if(all, [&](const std::string& other) { return other.starts_with(name); });
    all.push_back(line);
  };
  for (const std::string& line : document.environment) add(line);
  for (const auto& [name, value] : document.services[0].env) add(name + "=" + value);
  return all;
}

Status become_user(const ProcessSettings& settings) {
  const bool same = (!settings.uid || *settings.uid == ::geteuid()) && (!settings.gid || *settings.gid == ::getegid());
  if (::geteuid() != 0) {
    if (same) return {};
    return failure(Remedy::no_access, "become", settings.user, "the service runs as another user", "call it as root");
  }
  if (!settings.uid && !settings.gid) return {};
  const std::vector<gid_t> groups(settings.groups.begin(), settings.groups.end());
  if (::setgroups(groups.size(), groups.data()) < 0) return errno_failure("set", "groups", errno);
  if (settings.gid && ::setresgid(*settings.gid, *settings.gid, *settings.gid) < 0)
    return errno_failure("become", "group " + settings.group, errno);
  if (settings.uid && ::setresuid(*settings.uid, *settings.uid, *settings.uid) < 0)
    return errno_failure("become", settings.user, errno);
  return {};
}

// In the order of keeper/child.cc: what needs privileges comes before they go.
Status enter(const ServiceSpec& spec, const std::string& instance_directory) {
  const ProcessSettings& settings = *spec.process;
  for (const ResourceLimit& limit : settings.limits) {
    const std::optional<std::uint32_t> resource = os::resource_of(limit.name);
    const rlimit value{limit.soft, limit.hard};
    if (!resource || ::setrlimit(static_cast<int>(*resource), &value) < 0)
      return errno_failure("set the limit", limit.name, errno);
  }
  if (settings.nice && ::setpriority(PRIO_PROCESS, 0, *settings.nice) < 0) return errno_failure("set", "nice", errno);
  ::umask(static_cast<mode_t>(settings.umask.value_or(022)));
  const Sandbox& sandbox = *settings.sandbox;
  const os::SandboxSupport& support = os::sandbox_support();
  if (const Status held = os::sandbox_refusal(sandbox, support, spec.name); !held) return held;
  const os::ServiceRoots roots = os::service_roots(instance_directory);
  const Result<os::Fd> ruleset = os::make_ruleset(sandbox, os::own_paths_of(*spec.around, roots), support, spec.name);
  if (!ruleset) return failure(ruleset.error());
  const Result<os::PrivilegePlan> privileges = os::plan_privileges(settings, os::own_privileges(), spec.name);
  if (!privileges) return failure(privileges.error());
  if (const Status begun = os::begin_privileges(*privileges); !begun) return begun;
  if (const Status user = become_user(settings); !user) return user;
  if (const Status finished = os::finish_privileges(*privileges); !finished) return finished;
  if (!spec.cwd.empty() && ::chdir(spec.cwd.c_str()) < 0) return errno_failure("go to", spec.cwd, errno);
  return os::enter_sandbox(*ruleset, support.seccomp ? os::deny_filter(sandbox.deny_syscalls) : os::SeccompFilter());
}

// Can a file of that name be seen in one of its directories? execvp(3) says "Permission denied" for a directory that the user
// may not enter, too: as if it were not in PATH, nothing is there then.
bool stands_in_path(const std::string& program) {
  const char* const value = ::getenv("PATH");
  const std::string path = value != nullptr ? value : "/bin:/usr/bin";
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    const std::string directory = at == end ? "." : path.substr(at, end - at);
    struct stat st{};
    if (::lstat((directory + "/" + program).c_str(), &st) == 0) return true;
    at = end + 1;
  }
  return false;
}

Error execute(std::vector<std::string> command, std::vector<std::string> environment) {
  std::vector<char*> arguments, variables;
  for (std::string& word : command) arguments.push_back(word.data());
  for (std::string& line : environment) variables.push_back(line.data());
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  // PATH is the service's, as it is for the service itself.
  ::environ = variables.data();
  ::execvp(arguments[0], arguments.data());
  const int code = errno;
  const bool hidden = code == EACCES && command[0].find('/') == std::string::npos && !stands_in_path(command[0]);
  return errno_error("execute", command[0], hidden ? ENOENT : code);
}

// With it ends the watch: the command gets the signals itself.
std::expected<Answer, ClientError> ask_for(const Context& context, const std::string& name) {
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation question(client, &watch, patience_for(context));
  return question.get("/v1/specification?name=" + escaped(name), after(os::read_mono(), seconds(30)));
}

}  // namespace

int command_exec(const Context& context) {
  const Arguments& arguments = context.arguments;
  if (arguments.words.size() != 1 || arguments.after.empty() || arguments.after[0].empty())
    return complain(context,
                    wrong(arguments.after.empty() ? "nothing" : arguments.after[0],
                          arguments.after.empty() ? "the command is missing" : "one service is named before the dashes",
                          "hearth exec NAME -- COMMAND..."),
                    exit_code::usage);
  const auto answer = ask_for(context, arguments.words[0]);
  if (!answer) return complain(context, answer.error());
  if (answer->status >= 400) return complain(context, refusal(*answer));
  const Result<Document> document = config::document_from_json(answer->body);
  if (!document) return complain(context, document.error());
  if (document->services.empty()) return complain(context, wrong(arguments.words[0], "it has no specification", ""));
  if (const Status entered = enter(document->services[0], context.instance.directory); !entered)
    return complain(context, entered.error(), not_executable_code);
  ::signal(SIGPIPE, SIG_DFL);
  const Error error = execute(arguments.after, environment_of(*document));
  return complain(context, error, error.code == ENOENT ? not_found_code : not_executable_code);
}

}  // namespace hearth::cli
