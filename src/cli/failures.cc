#include "cli/failures.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

#include "cli/log_lines.h"
#include "cli/progress.h"

namespace hearth::cli {
namespace {

constexpr std::size_t tail_lines = 20;

// Some replicas of one service of which the same is to be told.
struct Failure {
  const SlotNews* first = nullptr;  // of them
  std::vector<std::uint32_t> indices;
  std::vector<std::string> lines;
};

// What waits for a dependency that has failed has nothing to add, and one that still runs has not reloaded.
bool only_follows(const SlotNews& slot) {
  return slot.reason == "dependency_failed" || slot.state == "waiting";
}

std::vector<std::string> words_of_failed_run(const SlotNews& slot, WallNs given) {
  if (only_follows(slot)) return {};
  const bool runs = slot.state == "running";
  if (slot.not_begun && !runs) return {};  // what stands there is of runs before
  // An end of the service itself is told when its output is complete; of a reload_command, which is not it, it is not.
  if (runs) wait_for_last_words(slot, seconds(2));
  return last_lines_since(slot, tail_lines, runs || slot.ended >= given ? given : 0);
}

// Labels of it are "worker" or "shop.worker", and with replicas end with their index.
std::string base_of(const std::string& label, const SlotNews& slot) {
  const std::string index = "." + std::to_string(slot.index);
  return label.ends_with(slot.name + index) ? label.substr(0, label.size() - index.size()) : label;
}

bool is_alike(const Failure& failure, const SlotNews& slot, const std::vector<std::string>& lines) {
  const SlotNews& one = *failure.first;
  return one.project == slot.project && one.name == slot.name && one.reason_text == slot.reason_text &&
         one.state == slot.state && one.want_up == slot.want_up && failure.lines == lines;
}

void tell(const Context& context, const Failure& failure, const std::string& label) {
  const SlotNews& slot = *failure.first;
  const bool several = failure.indices.size() > 1;
  const std::string base = base_of(label, slot);
  const std::string who = several ? replicas_text(base, failure.indices) : label;
  // What a command is to be given: a name without an index means all.
  std::string names = label;
  if (several && failure.indices.size() == static_cast<std::size_t>(slot.replicas))
    names = base;
  else if (several) {
    names.clear();
    for (const std::uint32_t index : failure.indices)
      names += fmt::format("{}{}.{}", names.empty() ? "" : " ", base, index);
  }
  const std::string place = slot.log_directory + (several ? " and those beside it" : "");
  const std::string why = slot.reason_text.empty() ? (several ? "they are " : "it is ") + slot.state : slot.reason_text;
  write_err(fmt::format("hearth: {} failed: {}\n", who, shown(why, 0)));
  if (only_follows(slot)) return;  // the dependency has more to say
  const char* it = several ? "each" : "it";
  if (failure.lines.empty()) {
    write_err(fmt::format("  {} wrote nothing; {} in {}\n", it, several ? "their logs are" : "its log is", place));
  } else {
    write_err(fmt::format(
        "  the last {} {} wrote:\n",
        failure.lines.size() == 1 ? std::string("line") : fmt::format("{} lines", failure.lines.size()), it));
    for (const std::string& line : failure.lines) write_err("  | " + shown(line, 0) + "\n");
    write_err(fmt::format("  all of it: `hearth {}logs -n all {}`, or the files in {}\n", context.place_option, names,
                          place));
  }
  if (slot.reason == "start_timeout")
    write_err(
        fmt::format("  was it still loading? A greater start_timeout gives it longer: `hearth config set "
                    "service.{}.start_timeout TIME`, then `hearth {}up`\n",
                    slot.name, context.place_option));
  const char* them = several ? "them" : "it";
  if (slot.state == "failed") {
    write_err(fmt::format("  hearth has given up on {}; `hearth {}start {}` tries again\n", them, context.place_option,
                          names));
  } else if (slot.want_up && slot.state != "running") {  // who does not reload runs on
    write_err(fmt::format("  hearth goes on trying; `hearth {}stop {}` ends that\n", context.place_option, names));
  }
}

// Of one that was to reload and has ended by a signal: by the one that should have told it to.
std::string reload_hint(const SlotNews& slot) {
  const char* signal = slot.exit_code > 128 ? ::sigabbrev_np(slot.exit_code - 128) : nullptr;
  if (signal == nullptr || slot.state == "running") return "";
  return fmt::format(
      "  it does not know SIG{}, perhaps: write reload_signal or reload_command, or restart it instead\n", signal);
}

}  // namespace

std::string replicas_text(const std::string& base, const std::vector<std::uint32_t>& indices) {
  std::string text;
  for (std::size_t i = 0; i < indices.size();) {
    std::size_t last = i;
    while (last + 1 < indices.size() && indices[last + 1] == indices[last] + 1) ++last;
    text += fmt::format("{}{}.{}", text.empty() ? "" : ", ", base, indices[i]);
    if (last > i) text += fmt::format("-{}", indices[last]);
    i = last + 1;
  }
  return text;
}

void tell_failures(const Context& context, const OrderNews& news, WallNs given, bool of_reload) {
  if (news.overtaken > 0) {
    write_err(fmt::format("hearth: a later order has taken over {} service{}; `hearth {}status` shows how it goes\n",
                          news.overtaken, news.overtaken == 1 ? "" : "s", context.place_option));
  }
  const Labels labels(news.slots);
  std::vector<Failure> failures;
  for (const SlotNews& slot : news.slots) {
    if (slot.outcome == "incomplete")
      write_err(fmt::format("hearth: {}: {}\n", labels.of(slot), shown(slot.reason_text, 0)));
    if (slot.outcome != "failed") continue;  // those that are superseded are counted
    std::vector<std::string> lines = words_of_failed_run(slot, given);
    const auto alike = std::ranges::find_if(failures, [&](const Failure& one) { return is_alike(one, slot, lines); });
    if (alike != failures.end())
      alike->indices.push_back(slot.index);
    else
      failures.push_back({&slot, {slot.index}, std::move(lines)});
  }
  for (Failure& failure : failures) {
    std::ranges::sort(failure.indices);
    tell(context, failure, labels.of(*failure.first));
    if (of_reload) write_err(reload_hint(*failure.first));
  }
}

}  // namespace hearth::cli
