#include "event_check.h"

#include <sstream>
#include <utility>

#include <boost/json.hpp>

#include "os/fd.h"

namespace hearth::kill_anywhere {
namespace {

namespace json = boost::json;

std::uint64_t number(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? static_cast<std::uint64_t>(value->get_int64()) : 0;
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

EventFindings check_event_lines(const std::string& journal) {
  EventFindings findings;
  findings.checked = true;
  std::uint64_t last = 0;
  if (!journal.empty() && !journal.ends_with('\n')) findings.wrong.push_back("the last line has no end");
  std::istringstream in(journal);
  for (std::string line; std::getline(in, line); ++findings.lines) {
    json::error_code error;
    const json::value value = json::parse(line, error);
    const json::object* event = error ? nullptr : value.if_object();
    if (event == nullptr) {
      findings.wrong.push_back("no event: " + line.substr(0, 100));
      continue;
    }
    const std::uint64_t id = number(*event, "id"), cause = number(*event, "cause");
    if (id != last + 1) findings.wrong.push_back("event " + std::to_string(id) + " follows " + std::to_string(last));
    if (cause >= id && cause != 0) findings.wrong.push_back("event " + std::to_string(id) + " has a later cause");
    last = id;
    const std::string kind = text(*event, "kind");
    if (kind == "loss") findings.wrong.push_back(text(*event, "text"));
    const std::uint64_t run = number(*event, "run");
    if (kind == "run") ++findings.begun[run];
    if (kind == "exit") ++findings.ended[run];
    if (kind == "run" || kind == "exit") findings.services[run] = text(*event, "service");
    const json::value* exit = event->if_contains("exit");
    if (kind != "exit" || exit == nullptr || !exit->is_object()) continue;
    for (const auto& [name, how] : {std::pair("code", &findings.codes), std::pair("signal", &findings.signals)})
      if (const json::value* is = exit->get_object().if_contains(name); is != nullptr && is->is_int64())
        (*how)[run] = static_cast<int>(is->get_int64());
  }
  return findings;
}

EventFindings check_events(const std::string& directory) {
  return check_event_lines(os::read_file(directory + "/events.1.jsonl").value_or("") +
                           os::read_file(directory + "/events.jsonl").value_or(""));
}

}  // namespace hearth::kill_anywhere
