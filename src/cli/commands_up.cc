// up, down, run: documents to the supervisor.
#include <algorithm>
#include <filesystem>
#include <limits.h>
#include <optional>
#include <stdlib.h>
#include <string>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/answers.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/daemon_start.h"
#include "cli/environment.h"
#include "cli/first_process.h"
#include "cli/follow.h"
#include "cli/foreground.h"
#include "cli/interrupt.h"
#include "cli/project_file.h"
#include "config/document_json.h"
#include "config/limits.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

// How long one that ends keeps its last documents and lines waiting at most (keeper/ending.cc), and some more.
constexpr SpanNs ending_most = seconds(15);

// The hearth that was reached is ending, as somebody ordered, or has ended, and has not taken the order.
bool too_late(const Outcome& outcome) {
  if (outcome.accepted) return false;
  if (outcome.end == End::refused)
    return outcome.error.remedy == Remedy::conflict && outcome.error.reason == "hearth is shutting down";
  return outcome.end == End::broken && (outcome.trouble == Trouble::not_running || outcome.trouble == Trouble::cut);
}

// What comes before and behind the document in the body of an apply.
std::string apply_body(const Document& document, std::string_view more) {
  return "{\"document\":" + config::document_to_json(document) + std::string(more) + "}";
}

int apply(const Context& context, const Document& document, const char* done) {
  const Result<SpanNs> timeout = timeout_of(context.arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Order order;
  order.target = "/v1/apply";
  order.tells_removed = order.applies_a_file = true;
  order.body = apply_body(document, ",\"start\":true");
  order.doing = "start";
  order.wait = !context.arguments.has("no-wait");
  order.quiet = in_foreground(context.arguments);
  const MonoNs deadline = after(os::read_mono(), *timeout);
  constexpr int broken_max = 3;
  bool noted = false;
  for (int broken = 0;;) {
    const Result<bool> started = ensure_daemon(context, client, &watch);
    if (!started) return complain_of_start(context, started.error(), watch);
    order.timeout = deadline == never ? never : std::max<SpanNs>(deadline - os::read_mono(), 0);
    const Outcome outcome = follow(context, client, watch, order);
    if (!too_late(outcome)) return conclude(context, outcome, order, done);
    if (outcome.end == End::broken && ++broken > broken_max) return conclude(context, outcome, order, done);
    if (outcome.end == End::refused && !std::exchange(noted, true) && !context.json) {
      write_out("note: hearth is shutting down; this begins when it has ended\n");
    }
    // Whose connection broke need not be ending: it may have been too short of memory to take the order.
    const bool broke = outcome.end == End::broken;
    const MonoNs until = broke ? std::min(deadline, after(os::read_mono(), ending_most)) : deadline;
    if (!wait_for_end(context, client, watch, until)) {
      if (broke && !watch.came()) return conclude(context, outcome, order, done);
      const char* why = watch.came() ? "interrupted" : "it has not ended in time";
      return complain(
          context, Error{Remedy::try_later, "wait for", "the end of hearth", why, "nothing was started; repeat it", 0},
          watch.came() ? exit_code::interrupted : exit_code::failed);
    }
  }
}

// A name of what the user typed: "/opt/x/server.py" is "server-py".
std::string name_of_command(const std::string& command) {
  std::string name = fs::path(command).filename().string();
  for (char& c : name) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!good) c = '-';
  }
  while (!name.empty() && name[0] == '-') name.erase(0, 1);
  if (name.size() > config::max_name) name.resize(config::max_name);
  return name.empty() ? "command" : name;
}

Result<Document> document_of_run(const Arguments& arguments) {
  const auto bad = [](std::string subject, std::string reason, std::string hint) {
    return failure(Remedy::fix_input, "run", std::move(subject), std::move(reason), std::move(hint));
  };
  const bool no_command = arguments.after.empty() || arguments.after[0].empty();
  if (no_command && arguments.words.empty()) {
    return bad("nothing", "the command is missing", "put it behind two dashes: hearth run -- python3 server.py");
  }
  if (!arguments.words.empty()) {
    return bad(arguments.words[0], "the command stands behind two dashes",
               "hearth run -- " + arguments.words[0] + " ...");
  }
  Document document;
  document.project = "run";
  ServiceSpec spec;
  spec.command = arguments.after;
  spec.name = arguments.value("name").value_or(name_of_command(spec.command[0]));
  if (!config::valid_name(spec.name)) {
    return bad(spec.name, "a name has 1 to 48 letters, digits, - and _", "choose another --name");
  }
  std::error_code error;
  const std::string cwd = arguments.value("cwd").value_or(".");
  spec.cwd = fs::canonical(cwd, error).string();
  if (error) return bad("in " + cwd, error.message(), "choose another --cwd");
  if (const auto variables = arguments.options.find("env"); variables != arguments.options.end()) {
    for (const std::string& line : variables->second) {
      const std::size_t equals = line.find('=');
      if (equals == 0 || equals == line.npos) return bad("--env " + line, "it is not NAME=VALUE", "");
      spec.env.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  const std::string policy = arguments.value("restart").value_or("on-failure");
  if (policy == "always") {
    spec.restart = RestartPolicy::always;
  } else if (policy == "on-failure") {
    spec.restart = RestartPolicy::on_failure;
  } else if (policy == "never") {
    spec.restart = RestartPolicy::never;
  } else {
    return bad("--restart " + policy, "it is no policy", "always, on-failure or never");
  }
  document.environment = captured_environment();
  document.services.push_back(std::move(spec));
  return document;
}

// The projects of the hearth that runs, in words, for somebody whose file is gone. Empty when there is none.
std::string projects_up(Client& client) {
  const auto answer = client.ask({.target = "/v1/status"}, after(os::read_mono(), seconds(2)));
  if (!answer) return {};
  const Result<std::vector<SlotNews>> services = services_news(*answer);
  if (!services) return {};
  std::vector<std::string> projects;
  for (const SlotNews& slot : *services) projects.push_back(slot.project);
  std::ranges::sort(projects);
  projects.erase(std::unique(projects.begin(), projects.end()), projects.end());
  return fmt::format("{}", fmt::join(projects, ", "));
}

// The members of the order that say what: names or all, else a project, else a file.
Result<std::string> what_goes_down(const Context& context, Client& client) {
  const Arguments& arguments = context.arguments;
  const auto project = arguments.value("project");
  const bool names = !arguments.words.empty(), all = arguments.has("all"), file = arguments.has("file");
  if (int{names || project} + all + file > 1) {
    return failure(Remedy::fix_input, "take down", "this", "names, --all, -f and -p exclude each other",
                   "names may be restricted to a project with -p; `hearth help down` explains it");
  }
  if (names) {
    const std::string of = project ? ",\"project\":" + json_text(*project) : std::string();
    return "\"names\":" + names_json(arguments.words) + of;
  }
  if (all) return std::string("\"all\":true");
  if (project) return "\"project\":" + json_text(*project);
  Result<ProjectFile> found = find_file(context, false);
  if (!found && found.error().remedy == Remedy::not_found) {
    const std::string up = projects_up(client);
    found.error().hint =
        up.empty()
            ? "nothing is up"
            : fmt::format("of other directories are up: {}; name one with -p PROJECT, or services: hearth down NAME",
                          up);
  }
  if (!found) return failure(found.error());
  return "\"path\":" + json_text(found->path);
}

// Somebody else's project may have one of that name: both are meant from now on by whoever says no more than that.
void tell_shared_name(const Context& context, const std::string& name) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/status?names=" + escaped(name)}, after(os::read_mono(), seconds(2)));
  if (!answer) return;
  const Result<std::vector<SlotNews>> services = services_news(*answer);
  if (!services) return;
  for (const std::string& note : shared_names({name}, *services)) write_out("note: " + note + "\n");
}

// Of a project, as they are now; none when hearth does not tell.
std::vector<SlotNews> slots_of(Client& client, const std::string& project) {
  const auto answer =
      client.ask({.target = "/v1/status?names=" + escaped(project + ".*")}, after(os::read_mono(), seconds(2)));
  if (!answer) return {};
  return services_news(*answer).value_or(std::vector<SlotNews>());
}

}  // namespace

int command_up(const Context& context) {
  const Loaded loaded = load_project(context);
  if (!in_foreground(context.arguments))
    return loaded.code != exit_code::done ? loaded.code : apply(context, loaded.document, "up");
  int code = loaded.code;
  const Status options = code == exit_code::done ? check_foreground(context.arguments, loaded.document) : Status{};
  if (!options) code = complain(context, options.error(), exit_code::usage);
  if (code == exit_code::done) {
    // Behind it may be one of many, which all have the document as it was read here (first_process.h).
    FirstProcess first;
    if (const std::optional<int> all_over = first.live()) return *all_over;
    code = up_in_foreground(
        context, loaded.document,
        [&](const Context& once) {
          if (first.begun()) return exit_code::done;
          const int applied = apply(once, loaded.document, "up");
          if (applied == exit_code::done) first.note_begun();
          return applied;
        },
        first);
  }
  std::error_code not_empty;
  if (context.own_instance) fs::remove(context.instance.directory, not_empty);  // nothing was begun in it
  return code;
}

int command_run(const Context& context) {
  const Result<Document> document = document_of_run(context.arguments);
  if (!document) return complain(context, document.error(), exit_code::usage);
  const std::string& name = document->services[0].name;
  const int code = apply(context, *document, name.c_str());
  if (code == exit_code::done && !context.json) tell_shared_name(context, name);
  if (code == exit_code::done && !context.json && look_at_terminal(STDOUT_FILENO).interactive) {
    write_out(fmt::format("`hearth {0}logs -f {1}` shows its output, `hearth {0}stop {1}` stops it\n",
                          context.place_option, name));
  }
  return code;
}

int command_reload(const Context& context) {
  const Arguments& arguments = context.arguments;
  if (!arguments.words.empty()) return command_reload_services(context);
  const Result<SpanNs> timeout = timeout_of(arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  const Loaded loaded = load_project(context);
  if (loaded.code != exit_code::done) return loaded.code;
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  if (arguments.has("dry-run")) {
    Operation question(client, &watch, patience_for(context));
    const auto answer =
        question.post("/v1/apply", apply_body(loaded.document, ",\"reload\":true,\"dry_run\":true"), never);
    if (!answer) return complain(context, answer.error());
    Result<AcceptedNews> accepted = accepted_news(*answer);
    if (!accepted) return complain_of_file(context, accepted.error());
    mark_at_rest(accepted->changes, slots_of(client, loaded.document.project));
    write_out(context.json ? answer->body : changes_table(accepted->changes, true));
    return exit_code::done;
  }
  Order order;
  order.target = "/v1/apply";
  order.tells_removed = order.applies_a_file = order.tells_changes = true;
  order.body = apply_body(loaded.document, ",\"reload\":true");
  if (!context.json) order.before = slots_of(client, loaded.document.project);
  order.doing = "reload";
  order.wait = !arguments.has("no-wait");
  order.timeout = *timeout;
  return conclude(context, follow(context, client, watch, order), order, "reloaded");
}

int command_down(const Context& context) {
  const Arguments& arguments = context.arguments;
  const Result<SpanNs> timeout = timeout_of(arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Order order;
  const Result<std::string> what = what_goes_down(context, client);
  if (!what) {
    const bool no_file = what.error().remedy == Remedy::not_found;
    return complain(context, what.error(), no_file ? exit_code::not_configured : exit_code::usage);
  }
  order.body = "{\"verb\":\"down\"," + *what + "}";
  order.doing = "stop";
  order.names = arguments.words;
  order.tells_removed = true;
  order.wait = !arguments.has("no-wait");
  order.timeout = *timeout;
  return conclude(context, follow(context, client, watch, order), order, "down");
}

}  // namespace hearth::cli
