// upgrade: other programs of hearth go on in the place of those that run.
#include <algorithm>
#include <poll.h>
#include <string>
#include <sys/stat.h>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/standstill.h"
#include "cli/upgrade_trial.h"
#include "os/clock.h"
#include "os/fd.h"

namespace hearth::cli {
namespace {

// Longer than a supervisor on trial has to come up (keeper/programs.cc): then it is the one before that answers.
constexpr SpanNs reconnect_within = seconds(30);
constexpr SpanNs trial_within = seconds(10);  // each program; less when --timeout is

// Of one build, copied or installed again: the same bytes in another file.
bool same_bytes(const std::string& a, const std::string& b) {
  constexpr std::size_t most = 64u << 20;
  const Result<std::string> one = os::read_file(a, most), other = os::read_file(b, most);
  return one && other && *one == *other;
}

std::string program_of(std::int64_t keeper) {
  return fmt::format("/proc/{}/exe", keeper);
}

// That very file. Also when nobody can tell.
bool runs_file(std::int64_t keeper, const std::string& path) {
  struct stat runs{}, installed{};
  if (::stat(program_of(keeper).c_str(), &runs) < 0 || ::stat(path.c_str(), &installed) < 0) return true;
  return runs.st_dev == installed.st_dev && runs.st_ino == installed.st_ino;
}

bool same_program(std::int64_t keeper, const std::string& path) {
  return runs_file(keeper, path) || same_bytes(program_of(keeper), path);
}

// One upgrade, from what was asked to what became of it.
struct Upgrade {
  const Context& context;
  InstanceNews before;
  Trial trial;

  bool with_keeper() const { return context.arguments.has("keeper"); }
  std::string order() const;
  // What is to be said of the keeper; "" = nothing. `now`: null when nothing was ordered.
  std::string keeper_words(const InstanceNews* now) const;
  int report(const InstanceNews* now) const;
  Error taken_back(const InstanceNews& now) const;
  Error logger_taken_back(const InstanceNews& now) const;
  Error keeper_died(const InstanceNews& now) const;
};

std::string Upgrade::order() const {
  const auto program = [](const char* name, const std::string& path, const std::string& file) {
    return fmt::format(R"("{0}":{1},"{0}_file":{2})", name, json_text(path), json_text(file));
  };
  return fmt::format(R"({{"verb":"upgrade","programs":{{{},{}{}}}}})",
                     program("supervisor", trial.supervisor, trial.supervisor_file),
                     program("logger", trial.logger, trial.logger_file),
                     with_keeper() ? "," + program("keeper", trial.keeper, trial.keeper_file) : "");
}

std::string Upgrade::keeper_words(const InstanceNews* now) const {
  const std::string keeper = fmt::format("the keeper (PID {})", before.keeper_pid);
  if (!with_keeper()) {
    if (same_program(before.keeper_pid, trial.keeper)) return {};
    const std::string from = context.arguments.value("from").value_or("");
    return fmt::format(
        "{} goes on with the program that it was started from; `hearth {}upgrade {}--keeper` replaces that, too",
        keeper, context.place_option, from.empty() ? "" : "--from " + from + " ");
  }
  if (now == nullptr && runs_file(before.keeper_pid, trial.keeper))
    return fmt::format("{} runs {} already, and would go on", keeper, trial.keeper);
  if (now == nullptr)
    return fmt::format("{} would be asked to go on as {}, and try first whether that can", keeper, trial.keeper);
  return now->keeper_execs == before.keeper_execs
             ? fmt::format("{} runs {} already", keeper, trial.keeper)
             : fmt::format("{} has executed {} in its own place, and goes on", keeper, trial.keeper);
}

int Upgrade::report(const InstanceNews* now) const {
  const std::string& version = now != nullptr ? now->version : trial.version;
  if (context.json) {
    const bool executed = now != nullptr && with_keeper() && now->keeper_execs != before.keeper_execs;
    write_out(fmt::format(
        "{{\"upgraded\":{},\"from\":{},\"to\":{},\"programs\":{{\"supervisor\":{},\"logger\":{},\"keeper\":{}}},"
        "\"keeper\":{{\"pid\":{},\"same_program\":{},\"executed\":{}}},\"trial\":{},\"keeper_trial\":{}}}\n",
        now != nullptr, json_text(before.version), json_text(version), json_text(trial.supervisor),
        json_text(trial.logger), json_text(trial.keeper), before.keeper_pid,
        same_program(before.keeper_pid, trial.keeper), executed, trial.report, trial.keeper_report));
    return exit_code::done;
  }
  if (now == nullptr)
    write_out(fmt::format("upgrade: hearth {} ({}) could go on in the place of {}; nothing was changed\n", version,
                          trial.supervisor, before.version));
  else
    write_out(version == before.version
                  ? fmt::format("upgrade: hearth {} was replaced by the same version ({}); no service was touched\n",
                                version, trial.supervisor)
                  : fmt::format("upgrade: hearth {} goes on in the place of {}; no service was touched\n", version,
                                before.version));
  if (const std::string words = keeper_words(now); !words.empty()) write_out(words + "\n");
  return exit_code::done;
}

Error Upgrade::taken_back(const InstanceNews& now) const {
  const char* keeper = now.keeper_execs != before.keeper_execs ? ", its keeper as the new program" : "";
  return Error{Remedy::environment,
               "upgrade with",
               trial.supervisor,
               now.return_reason,
               fmt::format("hearth {} goes on as before{}, and no service was touched; `hearth {}doctor` and "
                           "{}/hearth.log may tell more",
                           now.version, keeper, context.place_option, context.instance.directory),
               0};
}

Error Upgrade::logger_taken_back(const InstanceNews& now) const {
  return Error{
      Remedy::environment,
      "upgrade with",
      trial.logger,
      now.logger_return_reason,
      fmt::format("the logger before goes on, under hearth {}, and no line is lost; {}/hearth.log may tell more",
                  now.version, context.instance.directory),
      0};
}

Error Upgrade::keeper_died(const InstanceNews& now) const {
  return Error{
      Remedy::environment,
      "upgrade with",
      trial.keeper,
      fmt::format("the keeper (PID {}) has died meanwhile; supervisor and logger were replaced, and hearth {} goes on",
                  before.keeper_pid, now.version),
      fmt::format("another one (PID {}) was started and keeps what runs; `hearth {}status` tells what that cost",
                  now.keeper_pid, context.place_option),
      0};
}

// Until a supervisor answers that was started after the keeper had the programs, and the logger that came along is up.
// Another supervisor may have taken the order than the one that was asked before.
int see_it_through(const Upgrade& upgrade, Operation& operation, InterruptWatch& watch, MonoNs deadline) {
  const Context& context = upgrade.context;
  for (;;) {
    const auto answer = operation.get("/v1/instance", deadline);
    if (!answer) return complain(context, answer.error());
    const Result<InstanceNews> now = instance_news(*answer);
    if (!now) return complain(context, now.error());
    if (now->returns != upgrade.before.returns) return complain(context, upgrade.taken_back(*now), exit_code::failed);
    // A version that names no spawners tells nothing of loggers, either.
    if (!upgrade.before.spawner_pids.empty() && now->logger_returns > upgrade.before.logger_returns)
      return complain(context, upgrade.logger_taken_back(*now), exit_code::failed);
    if (now->upgrades != upgrade.before.upgrades && !now->logger_awaited) {
      if (upgrade.with_keeper() && now->keeper_generation != upgrade.before.keeper_generation)
        return complain(context, upgrade.keeper_died(*now), exit_code::failed);
      return upgrade.report(&*now);
    }
    if (os::read_mono() >= deadline) {
      const bool logger = now->upgrades != upgrade.before.upgrades;
      return complain(
          context,
          Error{Remedy::try_later, "upgrade with", logger ? upgrade.trial.logger : upgrade.trial.supervisor,
                logger ? "it has not come up in time" : "the supervisor before has not ended in time",
                fmt::format("`hearth {0}version` tells which one runs, `hearth {0}status` what has become of it",
                            context.place_option),
                0},
          exit_code::failed);
    }
    pollfd polled{watch.fd(), POLLIN, 0};
    ::poll(&polled, 1, 5);
    if (watch.came()) return exit_code::interrupted;
  }
}

}  // namespace

int command_upgrade(const Context& context) {
  const Result<SpanNs> timeout = timeout_of(context.arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  const MonoNs deadline = after(os::read_mono(), *timeout == never ? seconds(60) : *timeout);
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Standstill standstill(context, client, watch, [](const std::string& words) { write_err("hearth: " + words + "\n"); });
  Patience patience = patience_for(context);
  patience.reconnect = reconnect_within;
  Operation operation(client, &watch, patience);
  const auto answer = operation.get("/v1/instance", deadline);
  if (!answer) return complain(context, answer.error());
  const Result<InstanceNews> before = instance_news(*answer);
  if (!before) return complain(context, before.error());
  const Result<Trial> trial =
      try_programs(context.arguments.value("from").value_or(""), context.instance.directory,
                   static_cast<pid_t>(before->keeper_pid), std::min(trial_within, deadline - os::read_mono()), watch);
  if (!trial) {
    Error error = trial.error();
    error.hint += fmt::format("{}hearth {} goes on, and nothing was changed",
                              error.hint.empty()          ? ""
                              : error.hint.ends_with('?') ? " "
                                                          : "; ",
                              before->version);
    return complain(context, error, watch.came() ? exit_code::interrupted : exit_code::failed);
  }
  if (watch.came()) return exit_code::interrupted;  // nothing was ordered yet
  Upgrade upgrade{context, *before, *trial};
  if (context.arguments.has("dry-run")) return upgrade.report(nullptr);
  // The trial took its time: what another upgrade has come to meanwhile is not ours.
  const auto fresh = operation.get("/v1/instance", deadline);
  if (!fresh) return complain(context, fresh.error());
  Result<InstanceNews> now = instance_news(*fresh);
  if (!now) return complain(context, now.error());
  upgrade.before = std::move(*now);
  const auto taken = operation.post("/v1/orders", upgrade.order(), deadline);
  if (!taken) return complain(context, taken.error());
  if (const Result<AcceptedNews> accepted = accepted_news(*taken); !accepted)
    return complain(context, accepted.error());
  return see_it_through(upgrade, operation, watch, deadline);
}

}  // namespace hearth::cli
