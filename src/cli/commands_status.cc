// status, version, help, completion: commands that ask and change nothing.
#include <climits>
#include <cstring>
#include <set>
#include <string>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/placed.h"
#include "cli/answers.h"
#include "cli/command_table.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/project_file.h"
#include "cli/silent_hearth.h"
#include "config/effective.h"
#include "os/clock.h"
#include "os/proc_stat.h"

namespace hearth::cli {
namespace {

constexpr SpanNs patience = seconds(3);

// `place_option`: how this hearth is called; commands that the table names are to be called so, too.
std::string text_target(const std::string& place_option) {
  const Terminal terminal = look_at_terminal(STDOUT_FILENO);
  std::string target = "/v1/status?format=text&columns=" + std::to_string(terminal.columns);
  if (terminal.color) target += "&color=1";
  if (!place_option.empty()) target += "&place=" + escaped(place_option);
  return target;
}

}  // namespace

std::optional<int> fast_status(int argc, char** argv) {
  std::string directory;
  int at = 1;
  if (at + 1 < argc && std::strcmp(argv[at], "--dir") == 0) {
    directory = argv[at + 1];
    at += 2;
  }
  if (at + 1 != argc || std::strcmp(argv[at], "status") != 0) return std::nullopt;
  // host_facts() would read the user database and the machine's id; root's place needs neither, nor does --dir.
  os::HostFacts host;
  host.uid = ::geteuid();
  if (host.uid != 0 && directory.empty()) host = os::host_facts();
  const Result<os::Instance> instance = os::find_instance("default", directory, host);
  if (!instance) return std::nullopt;
  const std::string place_option = directory.empty() ? "" : "--dir " + shell_word(directory) + " ";
  Client client(instance->directory + "/api.sock");
  const auto answer = client.ask({.target = text_target(place_option)}, after(os::read_mono(), patience));
  if (!answer || answer->status != 200 || answer->exit_code < 0) return std::nullopt;
  write_out(answer->body);
  return answer->exit_code;
}

int command_status(const Context& context) {
  std::string target = context.json ? "/v1/status?format=json" : text_target(context.place_option);
  std::string names;
  for (const std::string& name : context.arguments.words) names += (names.empty() ? "" : ",") + escaped(name);
  if (!names.empty()) target += "&names=" + names;

  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation question(client, &watch, patience_for(context));
  const auto answer = question.get(target, after(os::read_mono(), patience));
  if (!answer) {
    const Trouble trouble = answer.error().trouble;
    if (trouble == Trouble::timeout)
      return complain(context, with_silence(context, answer.error().error), exit_code::no_permission);
    if (trouble != Trouble::not_running) return complain(context, answer.error().error, exit_code::no_permission);
    return complain(context,
                    Error{Remedy::not_found, "ask", "hearth in " + context.instance.directory, "it is not running",
                          hint_without_hearth(context), 0},
                    exit_code::nothing_runs);
  }
  if (answer->status != 200) return complain(context, refusal(*answer), exit_code::no_permission);
  write_out(answer->body);
  return answer->exit_code >= 0 ? answer->exit_code : exit_code::no_permission;
}

namespace {

// Keeper and supervisor have the lock of their instance; the others are the keeper's children. A number may be another's
// here, seen from another PID namespace.
bool is_there(const Context& context, const InstanceNews& news, std::int64_t pid) {
  const std::string& directory = context.instance.directory;
  os::ProcStat stat;
  return is_of_hearth(directory, pid) || (os::read_stat(static_cast<pid_t>(pid), stat) &&
                                          stat.parent == news.keeper_pid && is_of_hearth(directory, news.keeper_pid));
}

// Which file a process of hearth runs, with the kernel's " (deleted)" behind one that was replaced or removed since; "" = who
// asks may not see it.
std::string program_file(const Context& context, const InstanceNews& news, std::int64_t pid) {
  if (!is_there(context, news, pid)) return {};
  char file[PATH_MAX];
  const ssize_t n = ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), file, sizeof file);
  return n > 0 ? std::string(file, static_cast<std::size_t>(n)) : std::string();
}

std::string program_line(const Context& context, const InstanceNews& news, const char* name, std::int64_t pid) {
  const std::string file = program_file(context, news, pid);
  return fmt::format("  {} (PID {}): {}\n", name, pid, file.empty() ? "a file that cannot be seen" : file);
}

std::string program_json(const Context& context, const InstanceNews& news, std::int64_t pid) {
  const std::string file = program_file(context, news, pid);
  return fmt::format("{{\"pid\":{},\"file\":{}}}", pid, file.empty() ? "null" : json_text(file));
}

std::string running_text(const Context& context, const InstanceNews& news) {
  std::string text = fmt::format("hearth {} runs in {}\n", news.version, context.instance.directory) +
                     program_line(context, news, "supervisor", news.supervisor_pid) +
                     program_line(context, news, "keeper", news.keeper_pid);
  if (news.logger_pid != 0) text += program_line(context, news, "logger", news.logger_pid);
  for (const std::int64_t pid : news.spawner_pids) text += program_line(context, news, "spawner", pid);
  return text;
}

std::string running_json(const Context& context, const InstanceNews& news) {
  std::string spawners;
  for (const std::int64_t pid : news.spawner_pids)
    spawners += (spawners.empty() ? "" : ",") + program_json(context, news, pid);
  return fmt::format("\"running\":{},\"supervisor\":{},\"keeper\":{},\"logger\":{},\"spawners\":[{}]",
                     json_text(news.version), program_json(context, news, news.supervisor_pid),
                     program_json(context, news, news.keeper_pid),
                     news.logger_pid == 0 ? "null" : program_json(context, news, news.logger_pid), spawners);
}

}  // namespace

int command_version(const Context& context) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/instance"}, after(os::read_mono(), seconds(1)));
  const Result<InstanceNews> running =
      answer ? instance_news(*answer) : Result<InstanceNews>(failure(answer.error().error));
  if (context.json)
    write_out(fmt::format("{{\"version\":{},{}}}\n", json_text(context.version),
                          running ? running_json(context, *running) : "\"running\":null"));
  else
    write_out(fmt::format("hearth {}\n{}", context.version, running ? running_text(context, *running) : ""));
  return exit_code::done;
}

int command_help(const Context& context) {
  if (context.arguments.has("man")) {
    write_out(manual_page(context.version));
  } else if (context.json) {
    write_out(help_json());
  } else if (context.arguments.words.empty()) {
    write_out(help_text());
  } else {
    const CommandText* command = find_command(context.arguments.words[0]);
    if (command == nullptr) {
      const auto parsed = parse_arguments({context.arguments.words[0]});  // has the nearest one in its hint
      return complain(context, parsed ? Error{} : parsed.error(), exit_code::usage);
    }
    write_out(help_text(*command));
  }
  return exit_code::done;
}

namespace {

// For the completion scripts: each name once, one a line.
int names_for_completion(const Context& context, std::vector<std::string> (*names_of)(const SlotNews&)) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/status"}, after(os::read_mono(), seconds(2)));
  if (!answer) return exit_code::not_running;
  const Result<std::vector<SlotNews>> services = services_news(*answer);
  if (!services) return exit_code::failed;
  std::set<std::string> names;
  for (const SlotNews& slot : *services)
    for (std::string& name : names_of(slot)) names.insert(std::move(name));
  for (const std::string& name : names) write_out(name + "\n");
  return exit_code::done;
}

// Of ./hearth.toml, whether hearth runs or not.
int keys_for_completion(const Context& context, bool only_set) {
  Result<ProjectText> project = read_project(context);
  if (!project) return exit_code::not_configured;
  const config::Effective effective = config::effective_configuration(project->input(), false);
  std::vector<std::string> keys;
  if (!only_set) keys = config::all_keys(effective);
  for (const config::Setting& setting : effective.settings)
    if (only_set && setting.at.source == 0) keys.push_back(setting.key);
  for (const std::string& key : keys) write_out(key + "\n");
  return exit_code::done;
}

}  // namespace

int command_completion(const Context& context) {
  const std::string shell = context.arguments.words.empty() ? "" : context.arguments.words[0];
  if (shell == "services")
    return names_for_completion(context, [](const SlotNews& slot) { return std::vector{slot.name}; });
  if (shell == "projects")
    return names_for_completion(context, [](const SlotNews& slot) { return std::vector{slot.project}; });
  if (shell == "names")
    return names_for_completion(context, [](const SlotNews& slot) {
      std::vector names = {slot.project + "." + slot.name};
      if (slot.index > 0 || slot.replicas > 1) names.push_back(fmt::format("{}.{}", slot.name, slot.index));
      return names;
    });
  if (shell == "tags")
    return names_for_completion(context, [](const SlotNews& slot) {
      std::vector<std::string> tags;
      for (const std::string& tag : slot.tags) tags.push_back("@" + tag);
      return tags;
    });
  if (shell == "keys" || shell == "settings") return keys_for_completion(context, shell == "settings");
  const std::string script = completion_script(shell);
  if (script.empty()) {
    return complain(context,
                    Error{Remedy::fix_input, "make a completion script for", shell.empty() ? "no shell" : shell,
                          "only bash, zsh and fish are known", "hearth completion bash", 0},
                    exit_code::usage);
  }
  write_out(context.json ? fmt::format("{{\"shell\":{},\"script\":{}}}\n", json_text(shell), json_text(script))
                         : script);
  return exit_code::done;
}

}  // namespace hearth::cli
