#include "views.h"

#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <string_view>
#include <unistd.h>

#include <boost/json.hpp>

#include "model/slot_state.h"
#include "os/fd.h"
#include "wire/decision_page.h"

namespace hearth::kill_anywhere {
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
    view.exit_code = number(exit->get_object(), "code");
    view.exit_signal = number(exit->get_object(), "signal");
  }
  view.status_text = text(object, "status");
  view.reason = text(object, "reason");
  view.log_directory = text(object, "log_directory");
  return view;
}

os::Fd open_page(pid_t supervisor) {
  const std::string directory = "/proc/" + std::to_string(supervisor) + "/fd";
  DIR* fds = opendir(directory.c_str());
  os::Fd found;
  while (const dirent* entry = fds == nullptr ? nullptr : readdir(fds)) {
    const std::string link = directory + "/" + entry->d_name;
    char target[256];
    const ssize_t n = readlink(link.c_str(), target, sizeof target);
    const std::string_view name(target, n <= 0 ? 0 : static_cast<std::size_t>(n));
    if (name.find("decision-page") != name.npos) found.reset(open(link.c_str(), O_RDONLY | O_CLOEXEC));
    if (found) break;
  }
  if (fds != nullptr) closedir(fds);
  return found;
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
  }
  if (const json::value* notes = at(*top, "notes"); notes != nullptr && notes->is_array())
    for (const json::value& note : notes->get_array())
      if (note.is_string()) view.notes.emplace_back(note.get_string());
  for (const json::value& service : services->get_array())
    if (service.is_object()) view.services[text(service.get_object(), "name")] = service_of(service.get_object());
  return view;
}

std::optional<PageView> read_page(pid_t supervisor) {
  const os::Fd fd = open_page(supervisor);
  if (!fd) return std::nullopt;
  const auto page = os::Mapping<wire::DecisionPage>::map(fd.get(), os::Access::read, "the decision page");
  if (!page) return std::nullopt;
  PageView view;
  const std::uint64_t commit = (*page)->commit.load();
  std::set<std::string> keys;
  for (const wire::OperationRecord& record : (*page)->operation) {
    if (record.stamp == 0 || record.stamp > commit) continue;
    ++view.operations;
    if (!keys.insert(std::string(reinterpret_cast<const char*>(record.key), sizeof record.key)).second)
      ++view.doubled_keys;
  }
  for (SlotIndex slot = 0; slot < 64; ++slot) {
    SlotState state;
    if (wire::read_slot(**page, slot, &state, sizeof state) && state.used)
      view.watchdog_at[state.run().run] = state.health.watchdog.at;
  }
  return view;
}

}  // namespace hearth::kill_anywhere
