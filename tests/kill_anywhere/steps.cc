// The story of a run, in the order in which it happens.
#include <algorithm>

#include <fmt/format.h>

#include "os/clock.h"
#include "scenario.h"

namespace hearth::kill_anywhere {
namespace {

constexpr SpanNs watchdog = seconds(60);

// Whether u exits in a clean run's step, too: in some, as each exit and start is a hundred calls more. At the point it does
// in all of them.
bool has_exit_of_load(Phase phase) {
  return phase == Phase::restart || phase == Phase::signal || phase == Phase::backlog || phase == Phase::upgrade ||
         phase == Phase::down;
}

}  // namespace

void Scenario::step(Phase phase, void (Scenario::*what)()) {
  note_what_is_settled();
  if (tracer_) tracer_->begin(phase);
  load_.step(has_exit_of_load(phase));
  (this->*what)();
  if (phase == Phase::launch || phase == Phase::down) return;
  std::string missing;
  try {
    await("what goes on beside the story", [&] { return (missing = load_.unfinished()).empty(); });
  } catch (const Stuck& stuck) {
    throw Stuck(stuck.what() + (": " + missing));
  }
}

void Scenario::steps() {
  prepare();
  if (options_.story == Story::revival) {
    live_before();
    step(Phase::launch, &Scenario::revive);
    step(Phase::after, &Scenario::go_on_after_revival);
    step(Phase::down, &Scenario::shut_down);
    return;
  }
  begin_load();
  step(Phase::launch, &Scenario::launch);
  if (options_.story == Story::life) {
    step(Phase::up, &Scenario::bring_up);
    step(Phase::say, &Scenario::say_things);
    step(Phase::exit, &Scenario::exit_and_rotate);
    step(Phase::restart, &Scenario::restart_b);
    step(Phase::end, &Scenario::end_d);
    step(Phase::stop, &Scenario::stop_c);
  } else if (options_.story == Story::change) {
    step(Phase::probes, &Scenario::begin_change);
    step(Phase::hooks, &Scenario::run_hooks_and_task);
    step(Phase::signal, &Scenario::send_hangup);
    step(Phase::live, &Scenario::fail_liveness);
    step(Phase::apply, &Scenario::apply_again);
    step(Phase::backlog, &Scenario::accept_after_restart);
  } else if (options_.story == Story::upgrade) {
    step(Phase::up, &Scenario::begin_upgrade);
    step(Phase::upgrade, &Scenario::upgrade);
    step(Phase::after, &Scenario::go_on_after_it);
  } else {
    step(Phase::up, &Scenario::begin_upgrade);
    step(Phase::upgrade, &Scenario::execute_keeper);
    step(Phase::after, &Scenario::go_on_after_exec);
  }
  step(Phase::down, &Scenario::shut_down);
}

// In a project of its own, because each service more makes a commit longer, and the first one of the story is gone through
// instruction by instruction.
void Scenario::start_load() {
  const auto log = [](const char* format, const char* more) {
    return fmt::format(R"(,"log":{{"format":"{}","max_size":4096,"max_files":1000{}}})", format, more);
  };
  const std::string services =
      service_json("m", options_.service_mode, log("stamped", "")) + "," +
      service_json("o", options_.service_mode, log("json", R"(,"compress":true)")) + "," +
      service_json(
          "u", options_.service_mode,
          R"(,"restart":"always","log":{"per_process":true,"max_files":1000},"backoff":{"initial_ns":0,"max_ns":0,"jitter":0})");
  Order& apply = order("apply the load", "/v1/apply", apply_json(project_ + "l", services));
  for (const char* name : {"m", "o", "u"}) await_greeting(name, apply);
  settle(apply);
  load_.is_up();
  load_.step(true);
}

// All but e by one request, whose client waits while the services are still loading.
void Scenario::bring_up() {
  start_load();
  const std::string pid_file = options_.directory + "/e.pid";
  const std::string services =
      service_json("a", options_.service_mode, R"(,"log":{"max_size":32768,"max_files":1000})") + "," +
      service_json(
          "b", "",
          fmt::format(
              R"(,"ready":{{"type":"notify"}},"watchdog_ns":{},"log":{{"format":"stamped","max_age_ns":1000000}})",
              watchdog)) +
      "," +
      service_json("c", "",
                   R"(,"backoff":{"initial_ns":20000000,"max_ns":1000000000,"jitter":0},"log":{"format":"json"})") +
      "," + service_json("d", "", R"(,"restart":"never")");
  Order& apply = order("apply", "/v1/apply", apply_json(project_, services));
  for (const char* name : {"a", "b", "c", "d"}) await_greeting(name, apply);
  command("a", "write 60");
  command("b", "notify STATUS=loading 1");
  command("b", "write 20");
  command("b", "notify READY=1");
  settle(apply);
  // Apart, because each service more makes the first commit longer, and that is gone through instruction by instruction.
  const std::string daemon =
      service_json("e", pid_file, fmt::format(R"(,"type":"forking","around":{{"pid_file":"{}"}})", pid_file));
  Order& another = order("apply e", "/v1/apply", apply_json(project_ + "e", daemon));
  await_greeting("e", another);
  command("e", "write 20");
  settle(another);
}

void Scenario::say_things() {
  evidence_.after_ready = status_when("b is ready", [&](const StatusView& view) {
    const auto b = view.services.find("b");
    return b != view.services.end() && b->second.ready;
  });
  evidence_.watchdog_before = watchdog_deadline();
  command("b", "fdstore cache");
  command("b", "notify WATCHDOG=1");
  command("b", "notify STATUS=serving");
  command("b", "barrier");
  evidence_.watchdog_at = watchdog_deadline();
}

// A supervisor may die between status and the look at its page: then its successor is asked.
std::int64_t Scenario::watchdog_deadline() {
  const std::uint64_t run = hub_.newest("b")->run;
  std::int64_t at = 0;
  await("the decision page", [&] {
    const std::optional<PageView> page = read_page(status().supervisor);
    if (!page || !page->watchdog_at.contains(run)) return false;
    at = page->watchdog_at.at(run);
    return true;
  });
  return at;
}

void Scenario::exit_and_rotate() {
  command("c", "write 30");
  const std::uint64_t before = hub_.newest("c")->run;
  hub_.send("c", "exit 7");
  command("a", "write 300");
  await("c's second run", [&] { return hub_.newest("c")->run > before; });
  evidence_.after_exit = status_when("c runs again", [&](const StatusView& view) {
    const auto c = view.services.find("c");
    return c != view.services.end() && c->second.run > before && c->second.pid == hub_.newest("c")->pid;
  });
  command("c", "write 10");
  // Enough for one file more of each, the one of o to be compressed.
  for (const char* name : {"m", "o"}) command(name, "write 40");
  const MonoNs deadline = after(os::read_mono(), options_.deadline);
  while (log_of("o", log_directories_["o"]).compressed == 0) {
    if (os::read_mono() > deadline) throw Stuck("no file of o was compressed in time");
    pump(20);
    // What a killed logger has left is compressed when the next file has begun.
    if (tracer_->reached()) command("o", "write 10");
  }
}

void Scenario::restart_b() {
  const std::uint64_t before = hub_.newest("b")->run;
  Order& restart = order("restart b", "/v1/orders", R"({"verb":"restart","names":["b"]})");
  command("a", "write 40");
  await("b's second run",
        [&] { return hub_.newest("b")->run > before || (restart.done() && !restart.error().empty()); });
  // Where the order died with all of hearth, it may be repeated after the second run has begun.
  while (!restart.done()) {
    const std::uint64_t run = hub_.newest("b")->run;
    command("b", "write 15");
    command("b", "notify READY=1");
    await("the end of \"restart b\"", [&] { return restart.done() || hub_.newest("b")->run > run; });
  }
  settle(restart);
}

void Scenario::end_d() {
  if (hub_.newest("d")->alive()) hub_.end_now("d", 9);
  evidence_.last = status_when("d has ended", [&](const StatusView& view) {
    const auto d = view.services.find("d");
    return d != view.services.end() && d->second.has_exit;
  });
}

void Scenario::stop_c() {
  Order& stop = order("stop c", "/v1/orders", R"({"verb":"stop","names":["c"]})");
  command("a", "write 20");
  settle(stop);
  look_at_the_end();
}

void Scenario::look_at_the_end() {
  const bool reached_before = tracer_->reached();
  // READY=1 may be heard before the keeper's notice of the run.
  evidence_.last = status_when("a and b have their PIDs", [](const StatusView& view) {
    return std::all_of(view.services.begin(), view.services.end(), [](const auto& service) {
      return service.second.state != "running" || service.second.pid != 0;
    });
  });
  look_at_takeovers(reached_before);
}

// What the last status says, where it is sure that the kill was before it or is still to come.
void Scenario::look_at_takeovers(bool reached_before) {
  const Scope scope = options_.point.scope;
  const bool of_supervisor = options_.point.ordinal == 1 || scope == Scope::with_supervisor;
  evidence_.takeovers_known = !failing() && (reached_before || !options_.attack || scope == Scope::everything);
  if (reached_before && killed_after_commit_.load() && of_supervisor) evidence_.supervisors_killed = 1;
  if (reached_before && !killed_after_commit_.load() && of_supervisor) evidence_.takeovers_known = false;
  if (const std::optional<PageView> page = read_page(evidence_.last.supervisor))
    evidence_.doubled_keys = page->doubled_keys;
}

void Scenario::shut_down() {
  shutdown_ordered_ = true;
  Order& shutdown = order("shutdown", "/v1/orders", R"({"verb":"shutdown"})");
  await("hearth's end", [&] { return circumstances_.hearth_gone.load(); });
  await("the keeper's status", [&] { return keeper_ended_ || tracer_->keeper_exited(); });
  await("the end of the client of \"shutdown\"", [&] { return shutdown.done(); });
}

}  // namespace hearth::kill_anywhere
