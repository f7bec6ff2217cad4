#include "cli/answers.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/placed.h"
#include "base/toml_text.h"
#include "cli/log_times.h"
#include "cli/other_words.h"
#include "config/limits.h"
#include "config/text.h"
#include "ports/store.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

Error not_understood(std::string reason) {
  return Error{Remedy::try_later,
               "read",
               "the supervisor's answer",
               std::move(reason),
               "are `hearth` and the running supervisor of versions that fit? `hearth version` tells both",
               0};
}

std::string text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const json::string* found = value != nullptr ? value->if_string() : nullptr;
  return found != nullptr ? std::string(found->data(), found->size()) : std::string();
}

std::int64_t number(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  if (value == nullptr) return 0;
  if (const std::int64_t* found = value->if_int64()) return *found;
  return 0;
}

bool flag(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const bool* found = value != nullptr ? value->if_bool() : nullptr;
  return found != nullptr && *found;
}

const json::object* member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value != nullptr ? value->if_object() : nullptr;
}

const json::array* array(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value != nullptr ? value->if_array() : nullptr;
}

int exit_code_of(const json::object& exit) {
  if (const json::value* code = exit.if_contains("code"); code != nullptr && code->is_int64())
    return static_cast<int>(code->get_int64());
  const std::int64_t signal = number(exit, "signal");
  return signal > 0 ? 128 + static_cast<int>(signal) : -1;
}

WallNs moment(const json::object& object, std::string_view name) {
  const std::string when = text(object, name);
  return when.empty() ? 0 : parse_moment(name, when, 0).value_or(0);
}

std::vector<std::string> texts_of(const json::value* list) {
  std::vector<std::string> texts;
  if (list == nullptr || !list->is_array()) return texts;
  for (const json::value& item : list->get_array())
    if (const json::string* one = item.if_string()) texts.emplace_back(one->data(), one->size());
  return texts;
}

SlotNews slot_of(const json::object& object) {
  SlotNews slot;
  slot.project = text(object, "project");
  slot.name = text(object, "name");
  slot.index = static_cast<std::uint32_t>(number(object, "index"));
  slot.replicas = number(object, "replicas");
  slot.outcome = text(object, "outcome");
  slot.state = text(object, "state");
  slot.ready = flag(object, "ready");
  slot.has_readiness = flag(object, "has_readiness");
  slot.pid = number(object, "pid");
  slot.run = static_cast<std::uint64_t>(number(object, "run"));
  slot.restarts = number(object, "restarts");
  if (const json::object* exit = member(object, "exit")) {
    slot.exit_code = exit_code_of(*exit);
    slot.ended = moment(*exit, "at");
    slot.not_begun = number(*exit, "stage") != 0;
  }
  slot.want_up = flag(object, "want_up");
  const bool ready = slot.state == "running" && slot.has_readiness && slot.ready;
  if (slot.outcome != "pending") slot.since = moment(object, ready ? "ready_since" : "since");
  slot.reason = text(object, "reason");
  slot.reason_text = text(object, "reason_text");
  slot.tags = texts_of(object.if_contains("tags"));
  slot.waits_for = texts_of(object.if_contains("waits_for"));
  slot.ailing = text(object, "ailing");
  slot.status = text(object, "status");
  slot.log_directory = text(object, "log_directory");
  if (const json::object* log = member(object, "log")) slot.log_trouble = text(*log, "trouble");
  return slot;
}

// Of "PROJECT.SERVICE.INDEX"; none of them has a dot in it.
SlotNews named_slot(std::string_view label) {
  SlotNews slot;
  const std::size_t first = std::min(label.find('.'), label.size());
  const std::size_t last = std::min(label.rfind('.'), label.size());
  slot.project = label.substr(0, first);
  if (first < last) slot.name = label.substr(first + 1, last - first - 1);
  if (last < label.size()) std::from_chars(label.data() + last + 1, label.data() + label.size(), slot.index);
  return slot;
}

std::vector<SlotNews> slots_of(const json::object& object, std::string_view name) {
  std::vector<SlotNews> slots;
  const json::array* list = array(object, name);
  if (list == nullptr) return slots;
  slots.reserve(list->size());
  for (const json::value& item : *list) {
    if (const json::object* slot = item.if_object()) slots.push_back(slot_of(*slot));
  }
  return slots;
}

Result<json::object> object_of(const Answer& answer) {
  if (answer.status >= 400) return failure(refusal(answer));
  json::error_code error;
  json::value value = json::parse({answer.body.data(), answer.body.size()}, error);
  if (error) return failure(not_understood(error.message()));
  if (!value.is_object()) return failure(not_understood("it is no JSON object"));
  return std::move(value.get_object());
}

constexpr std::pair<std::string_view, Remedy> remedies[] = {
    {"fix_input", Remedy::fix_input}, {"try_later", Remedy::try_later}, {"no_access", Remedy::no_access},
    {"not_found", Remedy::not_found}, {"conflict", Remedy::conflict},   {"environment", Remedy::environment},
};

}  // namespace

std::string SlotNews::state_word() const {
  if (state != "running" || !has_readiness) return state;
  return ready ? "ready" : "not ready";
}

void place_commands(std::vector<SlotNews>& slots, std::string_view option) {
  if (option.empty()) return;
  for (SlotNews& slot : slots) slot.reason_text = placed(slot.reason_text, option);
}

Error refusal(const Answer& answer) {
  json::error_code problem;
  const json::value value = json::parse({answer.body.data(), answer.body.size()}, problem);
  const json::object* object = problem ? nullptr : value.if_object();
  const json::object* error = object != nullptr ? member(*object, "error") : nullptr;
  if (error == nullptr) return not_understood(fmt::format("it has the status {} and no reason", answer.status));
  Error told{Remedy::try_later,      text(*error, "operation"), text(*error, "subject"),
             text(*error, "reason"), text(*error, "hint"),      static_cast<int>(number(*error, "errno"))};
  const std::string name = text(*error, "remedy");
  for (const auto& [word, remedy] : remedies) {
    if (word == name) told.remedy = remedy;
  }
  if (told.remedy == Remedy::not_found && told.operation == "find")
    if (std::string hint = answer_to_name(told.subject); !hint.empty()) told.hint = std::move(hint);
  return told;
}

Result<OrderNews> order_news(const Answer& answer) {
  const Result<json::object> object = object_of(answer);
  if (!object) return failure(object.error());
  return OrderNews{text(*object, "verb"), flag(*object, "settled"), text(*object, "seen"), slots_of(*object, "slots"),
                   static_cast<std::uint64_t>(number(*object, "overtaken"))};
}

namespace {

std::vector<ChangeNews> changes_of(const json::value* list) {
  std::vector<ChangeNews> changes;
  if (list == nullptr || !list->is_array()) return changes;
  for (const json::value& item : list->get_array()) {
    const json::object* one = item.if_object();
    if (one == nullptr) continue;
    changes.push_back({text(*one, "service"), text(*one, "measure"), texts_of(one->if_contains("keys")),
                       number(*one, "replicas_before"), number(*one, "replicas")});
  }
  return changes;
}

}  // namespace

Result<AcceptedNews> accepted_news(const Answer& answer) {
  const Result<json::object> object = object_of(answer);
  if (!object) return failure(object.error());
  AcceptedNews news;
  news.order = static_cast<std::uint64_t>(number(*object, "order"));
  const json::value* slots = object->if_contains("slots");
  if (slots != nullptr && slots->is_array()) news.slots = slots->get_array().size();
  news.notes = texts_of(object->if_contains("notes"));
  for (const std::string& label : texts_of(object->if_contains("removed"))) news.removed.push_back(named_slot(label));
  news.changes = changes_of(object->if_contains("changes"));
  return news;
}

Result<NotedRuns> noted_runs(std::string_view raw) {
  json::error_code error;
  const json::value value = json::parse({raw.data(), raw.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr || number(*object, "format") != static_cast<std::int64_t>(ports::run_list_format))
    return failure(Remedy::fix_input, "read", "runs.json", "it is no list of runs of this version");
  NotedRuns noted;
  noted.boot_id = text(*object, "boot_id");
  noted.pid_namespace = static_cast<std::uint64_t>(number(*object, "pid_namespace"));
  const json::value* runs = object->if_contains("runs");
  if (runs == nullptr || !runs->is_array()) return noted;
  for (const json::value& item : runs->get_array()) {
    const json::object* run = item.if_object();
    if (run == nullptr) continue;
    noted.runs.push_back({text(*run, "label"), static_cast<std::uint64_t>(number(*run, "run")),
                          static_cast<std::int32_t>(number(*run, "pid")),
                          static_cast<std::uint64_t>(number(*run, "start_ticks"))});
  }
  return noted;
}

Result<std::string> without_runs(std::string_view raw) {
  json::error_code error;
  json::value value = json::parse({raw.data(), raw.size()}, error);
  json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr || number(*object, "format") != static_cast<std::int64_t>(ports::run_list_format))
    return failure(Remedy::fix_input, "read", "runs.json", "it is no list of runs of this version");
  // One run a line, and none: as src/store reads it.
  object->erase("runs");
  std::string text = json::serialize(*object);
  text.pop_back();
  return text + ",\"runs\":[\n]}\n";
}

std::string with_removed(std::string report, const std::vector<SlotNews>& removed) {
  const std::size_t end = report.rfind('}');
  if (end == std::string::npos) return report;
  std::vector<std::string> names;
  for (const SlotNews& slot : removed) names.push_back(fmt::format("{}.{}.{}", slot.project, slot.name, slot.index));
  return report.insert(end, ",\"removed\":" + names_json(names));
}

Result<InstanceNews> instance_news(const Answer& answer) {
  const Result<json::object> object = object_of(answer);
  if (!object) return failure(object.error());
  InstanceNews news;
  news.version = text(*object, "version");
  if (const json::object* supervisor = member(*object, "supervisor")) {
    news.supervisor_pid = number(*supervisor, "pid");
    news.upgrades = number(*supervisor, "upgrades");
    news.returns = number(*supervisor, "returns");
    news.return_reason = text(*supervisor, "return_reason");
  }
  if (const json::object* keeper = member(*object, "keeper")) {
    news.keeper_pid = number(*keeper, "pid");
    news.keeper_generation = number(*keeper, "generation");
    news.keeper_execs = number(*keeper, "execs");
  }
  if (const json::object* logger = member(*object, "logger")) {
    news.logger_pid = number(*logger, "pid");
    news.logger_awaited = flag(*logger, "awaited");
    news.logger_returns = number(*logger, "returns");
    news.logger_return_reason = text(*logger, "return_reason");
  }
  if (const json::array* spawners = array(*object, "spawners"))
    for (const json::value& spawner : *spawners)
      if (const json::object* its = spawner.if_object(); its != nullptr && number(*its, "pid") != 0)
        news.spawner_pids.push_back(number(*its, "pid"));
  return news;
}

Result<std::vector<SlotNews>> services_news(const Answer& answer) {
  const Result<json::object> object = object_of(answer);
  if (!object) return failure(object.error());
  return slots_of(*object, "services");
}

std::string json_text(std::string_view raw) {
  if (valid_utf8(raw)) return json::serialize(json::string_view(raw.data(), raw.size()));
  std::string clean;  // bytes of another encoding: shown as they are only when ASCII
  for (const char c : raw) {
    if (static_cast<unsigned char>(c) < 0x80) {
      clean += c;
    } else {
      clean += "\xef\xbf\xbd";
    }
  }
  return json::serialize(json::string_view(clean.data(), clean.size()));
}

std::string names_json(const std::vector<std::string>& names) {
  std::string list = "[";
  for (const std::string& name : names) list += (list.size() > 1 ? "," : "") + json_text(name);
  return list + "]";
}

std::string error_json(const Error& error) {
  std::string_view remedy = "try_later";
  for (const auto& [word, value] : remedies) {
    if (value == error.remedy) remedy = word;
  }
  return fmt::format(R"({{"error":{{"operation":{},"subject":{},"reason":{},"hint":{},"remedy":"{}","errno":{}}}}})"
                     "\n",
                     json_text(error.operation), json_text(error.subject), json_text(error.reason),
                     json_text(error.hint), remedy, error.code != 0 ? std::to_string(error.code) : "null");
}

Labels::Labels(const std::vector<SlotNews>& slots) {
  std::string_view first;
  for (const SlotNews& slot : slots) {
    if (slot.project != config::own_project) {
      projects_ = projects_ || (!first.empty() && slot.project != first);
      first = slot.project;
    }
    if (slot.index > 0 || slot.replicas > 1) replicated_.emplace(slot.project, slot.name);
  }
}

std::string Labels::of(const SlotNews& slot) const {
  const bool with_project = projects_ || slot.project == config::own_project;
  std::string text = with_project ? slot.project + "." + slot.name : slot.name;
  if (replicated_.contains({slot.project, slot.name})) text += fmt::format(".{}", slot.index);
  return text;
}

std::string full_name(const SlotNews& slot) {
  return fmt::format("{}.{}.{}", slot.project, slot.name, slot.index);
}

}  // namespace hearth::cli
