#include "importers/unit_hooks.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/placed.h"

namespace hearth::importers {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::int64_t usual_ms = 30'000, longest_ms = 86'400'000;

}  // namespace

std::string_view UnitHooks::called(std::string_view key) {
  static constexpr std::array<Pair, 5> hooks = {Pair{"ExecStartPre", "before_start"},
                                                {"ExecStartPost", "after_start"},
                                                {"ExecStop", "stop_command"},
                                                {"ExecStopPost", "after_stop"},
                                                {"ExecReload", "reload_command"}};
  const auto found = std::ranges::find(hooks, key, &Pair::first);
  return found == hooks.end() ? std::string_view() : found->second;
}

std::string UnitHooks::value_of(const Hook& hook, const std::string& timeout) {
  const std::string end = timeout.empty() ? "" : ", timeout = " + timeout;
  if (hook.words.empty()) return "{ shell = true, command = " + quoted(hook.shell) + end + " }";
  return end.empty() ? quoted_list(hook.words) : "{ command = " + quoted_list(hook.words) + end + " }";
}

void UnitHooks::add(Service& service, std::string_view name, const UnitCommand& command, bool ignored) {
  Hook& hook = all_[std::string(name)];
  std::string text = command.shell;
  for (const std::string& word : command.words) text += (text.empty() ? "" : " ") + shell_word(word);
  if (text.empty()) return;
  if (ignored) text = "(" + text + " || true)";
  hook.shell += (hook.count == 0 ? "" : " && ") + text;
  ++hook.count;
  hook.words = hook.count == 1 && !ignored ? command.words : std::vector<std::string>();
  service.set(name, value_of(hook, ""));
}

void UnitHooks::clear(Service& service, std::string_view name) {
  all_.erase(std::string(name));
  service.remove(name);
}

void UnitHooks::finish(Service& service, std::optional<std::int64_t> start_ms,
                       std::optional<std::int64_t> stop_ms) const {
  for (const auto& [name, hook] : all_) {
    const std::int64_t ms = (name.find("stop") == name.npos ? start_ms : stop_ms).value_or(usual_ms);
    if (hook.count == 0 || ms <= usual_ms || !service.has(name)) continue;
    service.set(name, value_of(hook, quoted(std::to_string(std::min(ms, longest_ms) / 1'000) + "s")));
  }
}

}  // namespace hearth::importers
