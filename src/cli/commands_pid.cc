// pid: whom to signal or look at, for scripts.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr SpanNs patience = seconds(3);

// As of `status`: without a hearth nothing runs.
int unanswered(const Context& context, const ClientError& error) {
  const int code = complain(context, error);
  return code == exit_code::not_running ? exit_code::nothing_runs : code;
}

int tell_keeper(const Context& context, Operation& question) {
  const auto answer = question.get("/v1/instance", after(os::read_mono(), patience));
  if (!answer) return unanswered(context, answer.error());
  const Result<InstanceNews> instance = instance_news(*answer);
  if (!instance) return complain(context, instance.error());
  write_out(context.json ? fmt::format("{{\"keeper\":{}}}\n", instance->keeper_pid)
                         : fmt::format("{}\n", instance->keeper_pid));
  return exit_code::done;
}

}  // namespace

// Each name is asked for by itself, so that the lines stand in the order of the names; nothing is written before all are
// known: `kill $(hearth pid a b)` signals both or, where one of them is no service, nobody.
int command_pid(const Context& context) {
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation question(client, &watch, patience_for(context));
  if (context.arguments.words.empty()) return tell_keeper(context, question);
  int code = exit_code::done;
  std::string json, lines;
  std::vector<Error> without;
  for (const std::string& name : context.arguments.words) {
    const auto answer = question.get("/v1/status?format=json&names=" + escaped(name), after(os::read_mono(), patience));
    if (!answer) return unanswered(context, answer.error());
    const Result<std::vector<SlotNews>> slots = services_news(*answer);
    if (!slots) return complain(context, slots.error());
    const Labels labels(*slots);
    for (const SlotNews& slot : *slots) {
      if (slot.pid == 0) code = exit_code::nothing_runs;
      if (context.json) {
        json += fmt::format(R"({}{{"project":{},"name":{},"index":{},"pid":{}}})", json.empty() ? "" : ",",
                            json_text(slot.project), json_text(slot.name), slot.index,
                            slot.pid == 0 ? "null" : fmt::format("{}", slot.pid));
      } else if (slot.pid != 0) {
        lines += fmt::format("{}\n", slot.pid);
      } else {
        const std::string label = labels.of(slot);
        without.push_back(Error{Remedy::conflict, "tell", "the PID of " + label, "it is " + slot.state_word(),
                                fmt::format("`hearth {}explain {}` says why", context.place_option, label), 0});
      }
    }
  }
  write_out(context.json ? fmt::format("{{\"pids\":[{}]}}\n", json) : lines);
  for (const Error& error : without) complain(context, error);
  return code;
}

}  // namespace hearth::cli
