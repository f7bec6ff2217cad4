#include "status_view.h"

#include <boost/json.hpp>

namespace hearth::support {
namespace {

namespace json = boost::json;

const json::value* at(const json::object& object, const char* name) {
  return object.if_contains(name);
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = at(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::optional<std::int64_t> number(const json::object& object, const char* name) {
  const json::value* value = at(object, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<std::int64_t>();
}

ServiceView service_of(const json::object& object) {
  ServiceView view;
  view.state = text(object, "state");
  const json::value* ready = at(object, "ready");
  view.ready = ready != nullptr && ready->is_bool() && ready->get_bool();
  view.pid = static_cast<pid_t>(number(object, "pid").value_or(0));
  view.run = static_cast<std::uint64_t>(number(object, "run").value_or(0));
  view.restarts = static_cast<std::uint64_t>(number(object, "restarts").value_or(0));
  if (const json::value* exit = at(object, "exit"); exit != nullptr && exit->is_object()) {
    view.has_exit = true;
    view.exit_run = static_cast<std::uint64_t>(number(exit->get_object(), "run").value_or(0));
    view.exit_code = number(exit->get_object(), "code");
    view.exit_signal = number(exit->get_object(), "signal");
  }
  view.status_text = text(object, "status");
  view.reason = text(object, "reason");
  view.log_directory = text(object, "log_directory");
  const json::value* want_up = at(object, "want_up");
  view.want_up = want_up != nullptr && want_up->is_bool() && want_up->get_bool();
  view.replicas = static_cast<std::uint64_t>(number(object, "replicas").value_or(0));
  view.reason_text = text(object, "reason_text");
  view.leftover = text(object, "leftover");
  view.containment = text(object, "containment");
  if (const json::value* log = at(object, "log"); log != nullptr && log->is_object())
    view.discarded = static_cast<std::uint64_t>(number(log->get_object(), "discarded").value_or(0));
  return view;
}

std::string name_of(const json::object& object) {
  const std::int64_t index = number(object, "index").value_or(0);
  return text(object, "name") + (index == 0 ? "" : "." + std::to_string(index));
}

}  // namespace

std::optional<StatusView> parse_status(const std::string& source) {
  json::error_code error;
  const json::value value = json::parse(source, error);
  const json::object* top = error ? nullptr : value.if_object();
  const json::value* services = top == nullptr ? nullptr : at(*top, "services");
  if (services == nullptr || !services->is_array()) return std::nullopt;
  StatusView view;
  view.text = source;
  if (const json::value* supervisor = at(*top, "supervisor"); supervisor != nullptr && supervisor->is_object()) {
    view.supervisor = static_cast<pid_t>(number(supervisor->get_object(), "pid").value_or(0));
    view.takeovers = static_cast<std::uint64_t>(number(supervisor->get_object(), "takeovers").value_or(0));
    view.upgrades = static_cast<std::uint64_t>(number(supervisor->get_object(), "upgrades").value_or(0));
    view.returns = static_cast<std::uint64_t>(number(supervisor->get_object(), "returns").value_or(0));
  }
  if (const json::value* keeper = at(*top, "keeper"); keeper != nullptr && keeper->is_object())
    view.keeper = static_cast<pid_t>(number(keeper->get_object(), "pid").value_or(0));
  if (const json::value* notes = at(*top, "notes"); notes != nullptr && notes->is_array())
    for (const json::value& note : notes->get_array())
      if (note.is_string()) view.notes.emplace_back(note.get_string());
  for (const json::value& service : services->get_array())
    if (service.is_object()) view.services[name_of(service.get_object())] = service_of(service.get_object());
  return view;
}

}  // namespace hearth::support
