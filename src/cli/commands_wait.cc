// wait: until services are as one needs them, whoever ordered that.
#include <algorithm>
#include <array>
#include <cctype>
#include <poll.h>
#include <string>

#include <fmt/format.h>

#include "base/nearest.h"
#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/standstill.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr SpanNs pace = milliseconds(100);  // between looks: a small question, and nobody waits for the answer

enum class Look { not_yet, there, never };

bool has_ended(const SlotNews& slot) {
  return slot.state == "stopped" || slot.state == "completed" || slot.state == "failed";
}

Look look_for(std::string_view goal, const SlotNews& slot) {
  const auto when = [](bool there, bool never) { return there ? Look::there : never ? Look::never : Look::not_yet; };
  const bool down = slot.state == "stopped" && !slot.want_up;
  if (goal == "ready") {
    const bool ready = slot.state == "running" && (slot.ready || !slot.has_readiness);
    return when(ready || slot.state == "completed", slot.state == "failed" || down);
  }
  if (goal == "stopped") return when(has_ended(slot), false);
  if (goal == "completed") return when(slot.state == "completed", slot.state == "failed" || down);
  return when(slot.state == "failed", false);
}

std::string states_of(const std::vector<SlotNews>& slots, std::string_view goal) {
  constexpr std::size_t most = 6;
  const Labels labels(slots);
  std::string text;
  std::size_t count = 0;
  for (const SlotNews& slot : slots) {
    if (look_for(goal, slot) == Look::there || ++count > most) continue;
    text += (text.empty() ? "" : ", ") + labels.of(slot) + " is " + slot.state_word();
    if (!slot.reason_text.empty()) text += " (" + shown(slot.reason_text, 0) + ")";
  }
  return count > most ? text + fmt::format(", and {} more", count - most) : text;
}

Result<std::string> goal_of(const Arguments& arguments) {
  static constexpr std::array<std::string_view, 4> goals = {"ready", "stopped", "completed", "failed"};
  const std::string goal = arguments.value("for").value_or("ready");
  if (std::ranges::find(goals, goal) != goals.end()) return goal;
  const std::string_view near = nearest(goal, goals);
  return failure(Remedy::fix_input, "wait", "--for " + goal, "that is nothing to wait for",
                 near.empty() ? "ready, stopped, completed or failed" : fmt::format("did you mean {}?", near));
}

std::string target_of(const std::vector<std::string>& names) {
  std::string target = "/v1/status?format=json&names=";
  for (std::size_t i = 0; i < names.size(); ++i) target += (i > 0 ? "," : "") + escaped(names[i]);
  return target;
}

}  // namespace

int command_wait(const Context& context) {
  const Arguments& arguments = context.arguments;
  if (arguments.words.empty())
    return complain(context,
                    Error{Remedy::fix_input, "wait", "for nothing", "no service is named", "hearth wait NAME...", 0},
                    exit_code::usage);
  const Result<std::string> goal = goal_of(arguments);
  if (!goal) return complain(context, goal.error(), exit_code::usage);
  const Result<SpanNs> timeout = timeout_of(arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation question(client, &watch, patience_for(context));
  const MonoNs deadline = after(os::read_mono(), *timeout);
  const std::string target = target_of(arguments.words);
  Standstill standstill(context, client, watch, [](const std::string& words) { write_err("hearth: " + words + "\n"); });
  for (;;) {
    const auto answer = question.get(target, never);
    if (!answer) return complain(context, answer.error());
    Result<std::vector<SlotNews>> slots = services_news(*answer);
    if (!slots) return complain(context, slots.error());
    place_commands(*slots, context.place_option);
    const auto any = [&](Look what) {
      return std::ranges::any_of(*slots, [&](const SlotNews& slot) { return look_for(*goal, slot) == what; });
    };
    const bool hopeless = any(Look::never);
    const bool there = !hopeless && !any(Look::not_yet);
    if (there || hopeless) {
      if (context.json) write_out(answer->body);
      if (there) return exit_code::done;
      return complain(context.json ? Context{} : context,
                      Error{Remedy::conflict, "wait", "until " + *goal, states_of(*slots, *goal), "", 0},
                      exit_code::failed);
    }
    const MonoNs now = os::read_mono();
    standstill.look_when_due();
    pollfd polled{watch.fd(), POLLIN, 0};
    if (now < deadline) ::poll(&polled, 1, static_cast<int>(std::min(pace, deadline - now) / ns_per_ms + 1));
    if (watch.came()) return exit_code::interrupted;
    if (now < deadline) continue;
    if (context.json) write_out(answer->body);
    write_err(fmt::format("hearth: not {} in time: {}\n", *goal, states_of(*slots, *goal)));
    return exit_code::failed;
  }
}

}  // namespace hearth::cli
