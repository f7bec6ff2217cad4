// explain: why a service is where it is, back to who or what began it.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/placed.h"
#include "base/rfc3339.h"
#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/event_news.h"
#include "cli/log_lines.h"
#include "cli/progress.h"
#include "cli/sandbox_words.h"
#include "config/document_json.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr std::size_t most_steps = 200;
constexpr std::size_t told_steps = 8;
constexpr std::size_t told_lines = 5;

struct Chain {
  std::vector<const EventNews*> events;  // newest first
  bool complete = false;                 // the last one has no cause
};

Chain chain_of(const std::vector<EventNews>& events, const std::string& label) {
  std::map<std::uint64_t, const EventNews*> by_id;
  const EventNews* newest = nullptr;
  for (const EventNews& event : events) {
    by_id[event.id] = &event;
    if (event.service == label) newest = &event;
  }
  Chain chain;
  for (const EventNews* at = newest; at != nullptr && chain.events.size() < most_steps;) {
    chain.events.push_back(at);
    chain.complete = at->cause == 0;
    // A cause is older: whatever a file says, this comes to an end.
    const auto cause = by_id.find(at->cause);
    at = cause == by_id.end() || cause->first >= at->id ? nullptr : cause->second;
  }
  return chain;
}

struct Advice {
  std::string command, effect;
};

// `hearth`: how this one is called, "hearth --dir X ". `wrote`: there are words of it that may say why it is not well.
std::vector<Advice> advice_for(const SlotNews& slot, const std::string& name, const std::string& hearth, bool wrote) {
  const std::string state = slot.state_word();
  std::vector<Advice> all;
  if (wrote && (state == "failed" || state == "backoff"))
    all.push_back({hearth + "logs " + name, "shows what it wrote before it ended"});
  if (wrote && state == "not ready") all.push_back({hearth + "logs " + name, "shows what it says of it"});
  if (slot.reason == "start_timeout")
    all.push_back({"hearth config set service." + slot.name + ".start_timeout TIME",
                   "gives it longer with the next `" + hearth + "up`, if it was still loading"});
  if (state == "failed") {
    all.push_back({hearth + "start " + name, "tries again, from the beginning of its backoff"});
    return all;
  }
  if (state == "backoff") {
    all.push_back({hearth + "restart " + name, "tries at once, without waiting for the next try"});
    all.push_back({hearth + "stop " + name, "gives up"});
    return all;
  }
  if (state == "waiting")
    return {{hearth + "status", "shows whether what it needs is on its way"},
            {hearth + "stop " + name, "ends the waiting"}};
  if (state == "stopped") return {{hearth + "start " + name, "starts it"}};
  if (state == "completed") return {{hearth + "start " + name, "runs it once more"}};
  if (state == "starting")
    return {{hearth + "logs -f " + name, "shows how far it is"}, {hearth + "stop " + name, "ends the start"}};
  if (state == "stopping") return {{hearth + "stop " + name, "given again, ends it at once with KILL"}};
  if (state == "not ready") {
    all.push_back({hearth + "restart " + name, "starts it anew"});
    return all;
  }
  return {{hearth + "restart " + name, "starts it anew"}, {hearth + "stop " + name, "stops it"}};
}

// One that another waits for, how deep below that, and what is known of it.
struct Needed {
  std::size_t depth = 0;
  std::string label;
  const SlotNews* slot = nullptr;  // nullptr: hearth does not know it
};

// What `slot` waits for, what that waits for, and so on; each once.
std::vector<Needed> needed_by(const SlotNews& slot, const std::vector<SlotNews>& all) {
  std::vector<Needed> needed;
  std::set<std::string> seen;
  const auto add = [&](const auto& self, const SlotNews& who, std::size_t depth) -> void {
    for (const std::string& label : who.waits_for) {
      if (!seen.insert(label).second) continue;
      const auto its = std::ranges::find(all, label, full_name);
      needed.push_back({depth, label, its == all.end() ? nullptr : &*its});
      if (its != all.end()) self(self, *its, depth + 1);
    }
  };
  add(add, slot, 0);
  return needed;
}

// What it lacks, of one that others wait for.
std::string lack_of(const SlotNews& slot) {
  if (!slot.reason_text.empty()) return slot.reason_text;
  const std::string state = slot.state_word();
  if (state == "starting" || state == "not ready")
    return slot.status.empty() ? "it is not ready yet" : "it is not ready yet, and says: " + slot.status;
  if (state == "ready" || state == "running") return "its end is waited for";
  return "";
}

std::string needed_text(const std::vector<Needed>& needed, const Labels& labels, WallNs now) {
  std::string out;
  for (const Needed& each : needed) {
    out.append(2 + 2 * each.depth, ' ');
    if (each.slot == nullptr) {
      out += each.label + " is down\n";
      continue;
    }
    const std::string lack = lack_of(*each.slot);
    out += fmt::format("{} is {}", labels.of(*each.slot), each.slot->state_word());
    if (each.slot->since != 0)
      out += fmt::format(" for {}, since {}", elapsed_text(std::max<SpanNs>(now - each.slot->since, 0)),
                         rfc3339(each.slot->since));
    out += (lack.empty() ? "" : ": " + shown(lack, 0)) + "\n";
  }
  return out;
}

std::string needed_json(const std::vector<Needed>& needed) {
  std::string out = "[";
  for (const Needed& each : needed) {
    const SlotNews* slot = each.slot;
    out += fmt::format(R"({}{{"service":{},"depth":{},"state":{},"since":{},"lacks":{}}})", out.size() > 1 ? "," : "",
                       json_text(each.label), each.depth, slot == nullptr ? "null" : json_text(slot->state_word()),
                       slot == nullptr || slot->since == 0 ? "null" : json_text(rfc3339(slot->since)),
                       json_text(slot == nullptr ? "it is down" : lack_of(*slot)));
  }
  return out + "]";
}

// Of what does not run as it should: what it wrote may say why.
std::vector<std::string> last_words_of(const SlotNews& slot) {
  const std::string state = slot.state_word();
  const bool ill = state == "failed" || state == "backoff" || state == "not ready";
  return ill ? last_lines(slot, told_lines) : std::vector<std::string>();
}

// What the service is kept from by its sandbox; "": nothing, or hearth does not tell.
std::string sandbox_of(Operation& question, const SlotNews& slot) {
  const auto answer =
      question.get("/v1/specification?name=" + escaped(full_name(slot)), after(os::read_mono(), seconds(3)));
  if (!answer || answer->status != 200) return "";
  const Result<Document> document = config::document_from_json(answer->body);
  if (!document || document->services.empty()) return "";
  return sandbox_words(*document->services.front().process->sandbox);
}

// Of one service.
struct Told {
  const SlotNews& slot;
  Chain chain;
  std::vector<std::string> words;
  std::string sandbox;
  std::vector<Advice> advice;
};

std::string as_json(const Told& told, const std::vector<Needed>& needed) {
  const auto& [slot, chain, words, sandbox, advice] = told;
  std::string out = fmt::format(R"({{"service":{},"state":{},"reason":{},"reason_text":{},"complete":{},"chain":[)",
                                json_text(full_name(slot)), json_text(slot.state_word()), json_text(slot.reason),
                                json_text(slot.reason_text), chain.complete);
  for (std::size_t i = 0; i < chain.events.size(); ++i) out += (i == 0 ? "" : ",") + chain.events[i]->line;
  out += R"(],"waits_for":)" + needed_json(needed) + R"(,"last_lines":)" + names_json(words) + R"(,"sandbox":)" +
         (sandbox.empty() ? "null" : json_text(sandbox)) + R"(,"log_trouble":)" +
         (slot.log_trouble.empty() ? "null" : json_text(slot.log_trouble)) + R"(,"commands":[)";
  for (std::size_t i = 0; i < advice.size(); ++i)
    out += fmt::format(R"({}{{"command":{},"effect":{}}})", i == 0 ? "" : ",", json_text(advice[i].command),
                       json_text(advice[i].effect));
  return out + "]}\n";
}

std::string step_words(const EventNews& event, const std::string& label, std::string_view place, bool first) {
  const std::string whose = event.service == label || event.service.empty() ? "" : event.service + ": ";
  return fmt::format("  {:<7}  {}  {}{}\n", first ? "now" : "because", event.time, whose,
                     placed(event_words(event), place));
}

std::string as_text(const Told& about, const std::string& name, const std::string& needed, const std::string& place) {
  const auto& [slot, chain, words, sandbox, advice] = about;
  const std::string hearth = "hearth " + place;
  std::string out =
      fmt::format("{} is {}{}{}\n", name, slot.state_word(), slot.reason_text.empty() ? "" : ": ", slot.reason_text);
  if (!slot.ailing.empty()) out += fmt::format("{}\n", shown(slot.ailing, 0));
  if (!slot.log_trouble.empty()) out += fmt::format("{}\n", placed(shown(slot.log_trouble, 0), place));
  if (!sandbox.empty()) out += fmt::format("it has a sandbox: {}\n", shown(sandbox, 0));
  out += "\n";
  const std::string label = full_name(slot);
  const std::size_t count = chain.events.size();
  // A long row of failures is one story: its newest part, and what began it.
  const std::size_t told = count > told_steps + 2 ? told_steps : count;
  for (std::size_t i = 0; i < told; ++i) out += step_words(*chain.events[i], label, place, i == 0);
  if (told < count) {
    out +=
        fmt::format("  ...      {} events between; `{}events -n all {}` shows them\n", count - told - 1, hearth, name);
    out += step_words(*chain.events.back(), label, place, false);
  }
  if (count == 0) out += "  no event of it is kept\n";
  if (count > 0 && !chain.complete) out += "  because  of what happened before the oldest event that is kept\n";
  if (!needed.empty()) out += "\nWhat it waits for:\n" + needed;
  if (!words.empty()) out += "\nWhat it wrote last:\n";
  for (const std::string& line : words) out += "  | " + shown(line, 0) + "\n";
  out += "\nWhat would change that:\n";
  std::size_t widest = 0;
  for (const Advice& each : advice) widest = std::max(widest, each.command.size());
  for (const Advice& each : advice) out += fmt::format("  {:<{}}  {}\n", each.command, widest, each.effect);
  return out;
}

}  // namespace

int command_explain(const Context& context) {
  if (context.arguments.words.empty()) {
    return complain(context,
                    Error{Remedy::fix_input, "explain", "a service", "none is named", "hearth explain NAME", 0},
                    exit_code::usage);
  }
  std::string target = "/v1/status?names=";
  for (const std::string& name : context.arguments.words) target += (target.ends_with('=') ? "" : ",") + escaped(name);
  Client client(context.socket_path());
  Operation question(client, nullptr, patience_for(context));
  const auto answer = question.get(target, after(os::read_mono(), seconds(3)));
  if (!answer && answer.error().trouble == Trouble::not_running) {
    return complain(
        context,
        Error{Remedy::not_found, "explain", context.arguments.words[0], "hearth is not running",
              "what happened before is in: hearth " + context.place_option + "events " + context.arguments.words[0], 0},
        exit_code::not_running);
  }
  if (!answer) return complain(context, answer.error());
  Result<std::vector<SlotNews>> slots = services_news(*answer);
  if (!slots) return complain(context, slots.error());
  place_commands(*slots, context.place_option);
  const auto kept = kept_events(context, {});
  if (!kept) return complain(context, kept.error());
  std::vector<SlotNews> others;
  if (std::ranges::any_of(*slots, [](const SlotNews& slot) { return !slot.waits_for.empty(); })) {
    const auto all = question.get("/v1/status", after(os::read_mono(), seconds(3)));
    if (!all) return complain(context, all.error());
    if (Result<std::vector<SlotNews>> news = services_news(*all)) others = std::move(*news);
    place_commands(others, context.place_option);
  }
  const Labels labels(*slots), other_labels(others);
  std::string out;
  for (const SlotNews& slot : *slots) {
    const std::string name = labels.of(slot);
    std::vector<std::string> words = last_words_of(slot);
    std::vector<Advice> advice = advice_for(slot, name, "hearth " + context.place_option, !words.empty());
    const Told told{slot, chain_of(kept->events, full_name(slot)), std::move(words), sandbox_of(question, slot),
                    std::move(advice)};
    const std::vector<Needed> needed = needed_by(slot, others);
    if (!context.json && !out.empty()) out += "\n";
    out += context.json
               ? as_json(told, needed)
               : as_text(told, name, needed_text(needed, other_labels, os::read_clock().wall), context.place_option);
  }
  write_out(out);
  return exit_code::done;
}

}  // namespace hearth::cli
