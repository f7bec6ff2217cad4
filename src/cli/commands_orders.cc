// start, stop, restart, shutdown, daemon: orders about what is there.
#include <algorithm>
#include <poll.h>
#include <string>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/daemon_start.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/left_behind.h"
#include "os/clock.h"
#include "os/fd.h"

namespace hearth::cli {
namespace {

int give_order(const Context& context, const char* verb, const char* done) {
  const Arguments& arguments = context.arguments;
  const bool all = arguments.has("all");
  if (arguments.words.empty() != all) {
    return complain(context,
                    Error{Remedy::fix_input, verb, arguments.words.empty() ? "a service" : "everything",
                          arguments.words.empty() ? "none is named" : "--all and names exclude each other",
                          fmt::format("hearth {} NAME..., or hearth {} --all", verb, verb), 0},
                    exit_code::usage);
  }
  const Result<SpanNs> timeout = timeout_of(arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  Order order;
  order.body = fmt::format(R"({{"verb":"{}","names":{},"all":{}{}}})", verb, names_json(arguments.words), all,
                           arguments.has("no-deps") ? R"(,"dependencies":false)" : "");
  order.doing = verb;
  order.names = arguments.words;
  order.wait = !arguments.has("no-wait");
  order.timeout = *timeout;
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  return conclude(context, follow(context, client, watch, order), order, done);
}

}  // namespace

int command_start(const Context& context) {
  return give_order(context, "start", "started");
}
int command_stop(const Context& context) {
  return give_order(context, "stop", "stopped");
}
int command_restart(const Context& context) {
  return give_order(context, "restart", "restarted");
}

namespace {

// All of hearth may die while it shuts down. Another one goes on then; not for ever, since something kills them.
constexpr int deaths_most = 3;

// `key`: asked twice under two of them, it would not wait for services to end.
int shut_down(const Context& context, const std::string& key, MonoNs deadline, int deaths) {
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation question(client, &watch, patience_for(context));
  const auto not_running = [](const auto& answer) { return !answer && answer.error().trouble == Trouble::not_running; };
  auto answer = question.get("/v1/instance", after(os::read_mono(), seconds(10)));
  if (not_running(answer) && something_is_left(context.instance.directory)) {
    // All of hearth died, or was told to leave its services: they may run, and only a hearth can end them in order.
    if (const Result<bool> started = ensure_daemon(context, client, &watch); !started) {
      return complain_of_start(context, started.error(), watch);
    }
    answer = question.get("/v1/instance", after(os::read_mono(), seconds(10)));
  }
  if (not_running(answer)) {
    // Its goal is reached, as for `stop` of an init script (LSB) and systemctl(1).
    write_out(context.json ? R"({"order":null,"verb":"shutdown","settled":true,"seen":"","slots":[]})"
                             "\n"
                           : "hearth is not running\n");
    return exit_code::done;
  }
  if (!answer) return complain(context, answer.error());
  const Result<InstanceNews> instance = instance_news(*answer);
  if (!instance) return complain(context, instance.error());

  Order order;
  order.body = R"({"verb":"shutdown"})";
  order.doing = "shutdown";
  order.key = key;
  order.wait = !context.arguments.has("no-wait");
  order.timeout = deadline == never ? never : std::max<SpanNs>(deadline - os::read_mono(), 0);
  order.keeper_pid = static_cast<int>(instance->keeper_pid);
  const Outcome outcome = follow(context, client, watch, order);
  if (outcome.end == End::died && deaths < deaths_most) {
    if (!context.json) write_err("hearth: all of hearth died during the shutdown; another one goes on with it\n");
    return shut_down(context, key, deadline, deaths + 1);
  }
  const int code = conclude(context, outcome, order, nullptr);
  if (code != exit_code::done || !order.wait) return code;
  // What it could not place, because no document tells of it, was left alone, and nobody watches it any more. What runs
  // under a hearth that somebody has started since is that one's.
  if (const std::vector<LeftRun> alone = left_runs(context.instance.directory);
      !alone.empty() && !instance_lives(context.instance)) {
    Context people = context;
    people.json = false;  // stdout has its object already
    return complain(people,
                    Error{Remedy::environment, "stop", words_of(alone), "what an earlier hearth knew of it is lost",
                          "hearth has ended, and this still runs; `kill PID` ends it", 0},
                    exit_code::failed);
  }
  if (!context.json) write_out("Shutdown complete\n");
  return code;
}

}  // namespace

int command_shutdown(const Context& context) {
  const Result<SpanNs> timeout = timeout_of(context.arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  return shut_down(context, make_key(), after(os::read_mono(), *timeout), 0);
}

namespace {

// The keeper of a hearth that answers and goes on, or 0. A supervisor that has lost its keeper wants another.
int living_keeper(const Context& context) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/instance"}, after(os::read_mono(), seconds(2)));
  if (!answer) return 0;
  const Result<InstanceNews> instance = instance_news(*answer);
  const os::Fd keeper = open_keeper(context.instance.directory, instance ? instance->keeper_pid : 0);
  pollfd ended{keeper.get(), POLLIN, 0};  // a zombie has ended
  return keeper && ::poll(&ended, 1, 0) == 0 ? static_cast<int>(instance->keeper_pid) : 0;
}

// The keeper itself, which has the last word, says nothing when it finds the instance locked.
int daemon_in_the_foreground(const Context& context) {
  if (const int keeper = living_keeper(context)) {
    return complain(context,
                    Error{Remedy::conflict,
                          "start another one",
                          {},
                          fmt::format("hearth runs already in {} (keeper PID {})", context.instance.directory, keeper),
                          fmt::format("`hearth {}shutdown` ends it", context.place_option),
                          0},
                    exit_code::runs_already);
  }
  return complain(context, become_daemon(context));
}

}  // namespace

int command_daemon(const Context& context) {
  if (!context.arguments.has("detach")) return daemon_in_the_foreground(context);
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  const Result<bool> started = ensure_daemon(context, client, &watch);
  if (!started) return complain_of_start(context, started.error(), watch);
  if (context.json) {
    write_out(fmt::format("{{\"started\":{}}}\n", *started));
  } else {
    write_out(*started ? "hearth runs\n" : "hearth ran already\n");
  }
  return exit_code::done;
}

}  // namespace hearth::cli
