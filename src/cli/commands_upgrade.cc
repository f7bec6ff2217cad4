// upgrade: other programs of hearth go on in the place of those that run.
#include <algorithm>
#include <poll.h>
#include <string>
#include <sys/stat.h>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
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

// The keeper is not replaced. "" = its program is the one that is installed, or cannot be seen.
std::string keeper_words(std::int64_t keeper, const std::string& supervisor_program) {
  struct stat runs{}, installed{};
  const std::string beside = supervisor_program.substr(0, supervisor_program.rfind('/')) + "/hearth-keeper";
  const std::string its = fmt::format("/proc/{}/exe", keeper);
  if (::stat(its.c_str(), &runs) < 0 || ::stat(beside.c_str(), &installed) < 0) return {};
  if (runs.st_dev == installed.st_dev && runs.st_ino == installed.st_ino) return {};
  if (runs.st_size == installed.st_size && same_bytes(its, beside)) return {};
  return fmt::format(
      "the keeper (PID {}) goes on with the program that it was started from, until hearth is started again", keeper);
}

int report(const Context& context, const InstanceNews& before, const std::string& version, const Trial& trial,
           bool done) {
  const std::string keeper = keeper_words(before.keeper_pid, trial.supervisor);
  if (context.json) {
    write_out(
        fmt::format("{{\"upgraded\":{},\"from\":{},\"to\":{},\"programs\":{{\"supervisor\":{},\"logger\":{}}},"
                    "\"keeper\":{{\"pid\":{},\"same_program\":{}}},\"trial\":{}}}\n",
                    done, json_text(before.version), json_text(version), json_text(trial.supervisor),
                    json_text(trial.logger), before.keeper_pid, keeper.empty(), trial.report));
    return exit_code::done;
  }
  if (done)
    write_out(
        version == before.version
            ? fmt::format("upgrade: hearth {} was replaced by the same version; no service was touched\n", version)
            : fmt::format("upgrade: hearth {} goes on in the place of {}; no service was touched\n", version,
                          before.version));
  else
    write_out(fmt::format("upgrade: hearth {} ({}) could go on in the place of {}; nothing was changed\n", version,
                          trial.supervisor, before.version));
  if (!keeper.empty()) write_out(keeper + "\n");
  return exit_code::done;
}

Error taken_back(const Context& context, const InstanceNews& now, const Trial& trial) {
  return Error{
      Remedy::environment,
      "upgrade with",
      trial.supervisor,
      now.return_reason,
      fmt::format("hearth {} goes on as before, and no service was touched; `hearth {}doctor` and {}/hearth.log may "
                  "tell more",
                  now.version, context.place_option, context.instance.directory),
      0};
}

// Until a supervisor answers that was started after the keeper had the programs. Another one may have taken the order than
// the one that was asked before.
int see_it_through(const Context& context, Operation& operation, const InstanceNews& before, const Trial& trial,
                   InterruptWatch& watch, MonoNs deadline) {
  for (;;) {
    const auto answer = operation.get("/v1/instance", deadline);
    if (!answer) return complain(context, answer.error());
    const Result<InstanceNews> now = instance_news(*answer);
    if (!now) return complain(context, now.error());
    if (now->returns != before.returns) return complain(context, taken_back(context, *now, trial), exit_code::failed);
    if (now->upgrades != before.upgrades) return report(context, before, now->version, trial, true);
    if (os::read_mono() >= deadline)
      return complain(
          context,
          Error{Remedy::try_later, "upgrade with", trial.supervisor, "the supervisor before has not ended in time",
                "`hearth version` tells which one runs, `hearth status` what has become of it", 0},
          exit_code::failed);
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
  if (context.arguments.has("dry-run")) return report(context, *before, trial->version, *trial, false);
  const std::string body = fmt::format(
      R"({{"verb":"upgrade","programs":{{"supervisor":{},"supervisor_file":{},"logger":{},"logger_file":{}}}}})",
      json_text(trial->supervisor), json_text(trial->supervisor_file), json_text(trial->logger),
      json_text(trial->logger_file));
  const auto taken = operation.post("/v1/orders", body, deadline);
  if (!taken) return complain(context, taken.error());
  if (const Result<AcceptedNews> accepted = accepted_news(*taken); !accepted)
    return complain(context, accepted.error());
  return see_it_through(context, operation, *before, *trial, watch, deadline);
}

}  // namespace hearth::cli
