#include "api/routes.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "api/json_members.h"
#include "api/json_writer.h"
#include "api/names.h"
#include "api/status_json.h"
#include "api/status_table.h"
#include "api/text.h"
#include "base/several.h"
#include "config/document_json.h"
#include "config/limits.h"

namespace hearth::api {
namespace {

namespace json = boost::json;

struct Target {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;

  std::string_view value(std::string_view name) const {
    for (const auto& [key, text] : query) {
      if (key == name) return text;
    }
    return {};
  }
};

// Percent decoding (RFC 3986, section 2.1). What is no escape stays as it is.
std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Target parse_target(std::string_view target) {
  Target parsed;
  const std::size_t question = target.find('?');
  parsed.path = decoded(target.substr(0, question));
  if (question == target.npos) return parsed;
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    parsed.query.emplace_back(decoded(pair.substr(0, equals)),
                              equals < pair.size() ? decoded(pair.substr(equals + 1)) : std::string());
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return parsed;
}

std::vector<std::string> split_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) names.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return names;
}

template <typename Integer>
std::optional<Integer> number(std::string_view text, int base = 10) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Error bad_request(std::string subject, std::string reason, std::string hint) {
  return Error{Remedy::fix_input, "read", std::move(subject), std::move(reason), std::move(hint), 0};
}

// Events of more than a day ago are history: the status tells of now.
constexpr SpanNs notes_kept = seconds(24 * 3600);

InstanceStatus without_history(InstanceStatus status, WallNs wall) {
  std::erase_if(status.notes, [&](const Note& note) { return note.at > 0 && wall - note.at > notes_kept; });
  return status;
}

// Who asks for some services is not told what happened to others.
void leave_out_others(InstanceStatus& status, const std::vector<std::size_t>& chosen) {
  std::erase_if(status.notes, [&](const Note& note) {
    return !note.slot.empty() && std::ranges::none_of(chosen, [&](std::size_t i) {
      const SlotStatus& s = status.services[i];
      const std::string label = s.project + "." + s.name + "." + std::to_string(s.index);
      return note.slot == label || note.slot.starts_with(label + ".");
    });
  });
}

// What holds for many services in the same words is told once: a machine without a controller lacks it for all of them.
void tell_together(InstanceStatus& status) {
  const auto words_of = [](const Note& note) {
    const bool is_of_slot = note.at == 0 && !note.slot.empty() && note.text.starts_with(note.slot + ": ");
    return is_of_slot ? note.text.substr(note.slot.size()) : std::string();
  };
  std::map<std::string, std::vector<std::string>> labels;  // by what is said of them
  for (const Note& note : status.notes)
    if (std::string words = words_of(note); !words.empty()) labels[std::move(words)].push_back(note.slot);
  std::vector<Note> notes;
  for (Note& note : status.notes) {
    const auto together = labels.find(words_of(note));
    if (together != labels.end()) {
      if (together->second.empty()) continue;  // told with the first of them
      note.text = several(together->second) + together->first;
      together->second.clear();
    }
    notes.push_back(std::move(note));
  }
  status.notes = std::move(notes);
}

Reply get_status(const Target& target, const ports::Control& control, WallNs wall) {
  InstanceStatus status = without_history(control.status(), wall);
  const std::vector<std::string> names = split_names(target.value("names"));
  const Result<std::vector<std::size_t>> chosen = choose(status, names);
  if (!chosen) return error_reply(chosen.error());
  if (!names.empty()) leave_out_others(status, *chosen);
  tell_together(status);
  Reply reply;
  reply.exit_code = status_exit_code(status, *chosen);
  const std::string_view format = target.value("format");
  if (format == "text") {
    TableOptions options;
    options.color = target.value("color") == "1";
    options.place = target.value("place");
    options.columns = number<std::size_t>(target.value("columns")).value_or(0);
    reply.type = "text/plain; charset=utf-8";
    reply.body = status_table(status, *chosen, options, wall);
  } else if (format.empty() || format == "json") {
    reply.body = status_json(status, *chosen);
  } else {
    return error_reply(bad_request("the format", "\"" + std::string(format) + "\" is not known", "text or json"));
  }
  return reply;
}

Reply get_specification(const Target& target, const ports::Control& control) {
  const Result<Document> document = control.specification(std::string(target.value("name")));
  if (!document) return error_reply(document.error());
  Reply reply;
  reply.body = config::document_to_json(*document) + "\n";
  return reply;
}

Action post_apply(const HttpRequest& request, const OperationKey& key) {
  const auto members = json_members(request.body);
  if (!members) return error_reply(members.error());
  Request mutation;
  mutation.key = key;
  mutation.verb = Verb::apply;
  bool found = false;
  for (const auto& [name, value] : *members) {
    if (name == "document") {
      Result<Document> document = config::document_from_json(value);
      if (!document) return error_reply(document.error());
      mutation.document = std::move(*document);
      found = true;
    } else if (name == "start" || name == "reload" || name == "dry_run") {
      if (value != "true" && value != "false") {
        return error_reply(bad_request("\"" + std::string(name) + "\"", "it is neither true nor false", ""));
      }
      (name == "start" ? mutation.start : name == "reload" ? mutation.reload : mutation.dry_run) = value == "true";
    } else {
      return error_reply(bad_request("the request's body", "\"" + std::string(name) + "\" is not known",
                                     "\"document\", \"start\", \"reload\" and \"dry_run\" are"));
    }
  }
  if (!found) return error_reply(bad_request("the request's body", "\"document\" is missing", ""));
  return mutation;
}

constexpr Verb order_verbs[] = {Verb::start,  Verb::stop,   Verb::restart,  Verb::down,  Verb::scale,
                                Verb::signal, Verb::reload, Verb::shutdown, Verb::leave, Verb::upgrade};

bool read_replicas(const json::value& value, Request& order) {
  const json::object* counts = value.if_object();
  if (counts == nullptr) return false;
  for (const auto& [name, count] : *counts) {
    const json::value& one = count;
    if (!one.is_int64() || one.get_int64() < 0 || one.get_int64() > UINT32_MAX) return false;
    order.replicas.emplace_back(std::string(name.data(), name.size()), static_cast<std::uint32_t>(one.get_int64()));
  }
  return true;
}

bool read_programs(const json::value& value, Request& order) {
  const json::object* programs = value.if_object();
  if (programs == nullptr) return false;
  for (const auto& [name, member] : *programs) {
    const json::string* text = member.if_string();
    if (text == nullptr || text->find('\0') != json::string::npos) return false;
    std::string* const place = name == "supervisor"        ? &order.supervisor_program
                               : name == "logger"          ? &order.logger_program
                               : name == "keeper"          ? &order.keeper_program
                               : name == "supervisor_file" ? &order.supervisor_file
                               : name == "logger_file"     ? &order.logger_file
                               : name == "keeper_file"     ? &order.keeper_file
                                                           : nullptr;
    if (place == nullptr) return false;
    place->assign(text->data(), text->size());
    if (!name.ends_with("_file") && !place->starts_with('/')) return false;
  }
  // A file without its program is a mistake, and so is one of the two that go together.
  if (order.supervisor_program.empty() != order.logger_program.empty()) return false;
  if (order.supervisor_program.empty() && !(order.supervisor_file + order.logger_file).empty()) return false;
  if (order.keeper_program.empty()) return order.keeper_file.empty() && !order.supervisor_program.empty();
  return true;
}

Result<Request> order_of(const json::object& body) {
  Request order;
  const auto bad = [](std::string_view name, const char* reason, const char* hint) {
    return failure(bad_request("\"" + std::string(name) + "\"", reason, hint));
  };
  bool has_verb = false, has_dependencies = false;
  for (const auto& [name, value] : body) {
    const json::string* text = value.if_string();
    if (name == "verb") {
      for (const Verb verb : order_verbs) {
        if (text == nullptr || *text != verb_name(verb)) continue;
        order.verb = verb;
        has_verb = true;
      }
      if (!has_verb)
        return bad(name, "it is no known verb",
                   "start, stop, restart, reload, signal, down, scale, upgrade, shutdown or leave");
    } else if (name == "names") {
      const json::array* names = value.if_array();
      if (names == nullptr) return bad(name, "it is not a list of texts", "");
      for (const json::value& item : *names) {
        const json::string* one = item.if_string();
        if (one == nullptr || one->empty()) return bad(name, "it is not a list of texts", "");
        order.names.emplace_back(one->data(), one->size());
      }
    } else if (name == "all") {
      if (!value.is_bool()) return bad(name, "it is neither true nor false", "");
      order.all = value.get_bool();
    } else if (name == "dependencies") {
      if (!value.is_bool()) return bad(name, "it is neither true nor false", "");
      order.dependencies = value.get_bool();
      has_dependencies = true;
    } else if (name == "signal") {
      if (!value.is_int64() || value.get_int64() < 1 || value.get_int64() > config::max_signal)
        return bad(name, "it is no number of a signal", "1 to 64");
      order.signal = static_cast<int>(value.get_int64());
    } else if (name == "all_processes" || name == "force") {
      if (!value.is_bool()) return bad(name, "it is neither true nor false", "");
      (name == "force" ? order.force : order.all_processes) = value.get_bool();
    } else if (name == "replicas") {
      if (!read_replicas(value, order)) return bad(name, "it is no object of names with a number each", "{\"web\": 4}");
    } else if (name == "programs") {
      if (!read_programs(value, order))
        return bad(name,
                   "it is no object with the absolute paths of supervisor and logger, of the keeper, or of all three",
                   "{\"supervisor\": \"/usr/libexec/hearth/hearth-supervisor\", \"logger\": ...}");
    } else if (name == "project" || name == "path") {
      if (text == nullptr) return bad(name, "it is not a text", "");
      (name == "path" ? order.document.path : order.project).assign(text->data(), text->size());
    } else {
      return bad(name, "it is not known",
                 "\"verb\", \"names\", \"all\", \"dependencies\", \"replicas\", \"signal\", \"all_processes\", "
                 "\"force\", \"programs\", \"project\" and \"path\" are");
    }
  }
  if (!has_verb) return bad("verb", "it is missing", "");
  if (has_dependencies && order.verb != Verb::start && order.verb != Verb::restart)
    return bad("dependencies", "only start and restart have it", "leave it out");
  if ((order.verb == Verb::scale) == order.replicas.empty())
    return bad("replicas", order.verb == Verb::scale ? "it is missing" : "only scale has it", "{\"web\": 4}");
  const bool has_programs = !order.supervisor_program.empty() || !order.keeper_program.empty();
  if ((order.verb == Verb::upgrade) != has_programs)
    return bad("programs", order.verb == Verb::upgrade ? "it is missing" : "only upgrade has it", "their paths");
  if (order.force && order.verb != Verb::down) return bad("force", "only down has it", "leave it out");
  if ((order.verb == Verb::signal) != (order.signal != 0))
    return bad("signal", order.signal == 0 ? "it is missing" : "only signal has it", "its number");
  const bool named = order.verb == Verb::signal || order.verb == Verb::reload || order.verb == Verb::start ||
                     order.verb == Verb::stop || order.verb == Verb::restart;
  if (named && order.names.empty() && !order.all) {
    return bad("names", "it is empty", "name services, or say \"all\": true");
  }
  if (order.verb == Verb::down) {
    const bool services = !order.names.empty() || order.all;
    if (!services && order.project.empty() && order.document.path.empty()) {
      return bad("names", "it is empty", "name services, a \"project\" or a \"path\", or say \"all\": true");
    }
    if (services && !order.document.path.empty()) return bad("path", "it excludes names and all", "");
    order.document.project = order.project;
  }
  return order;
}

Action post_order(const HttpRequest& request, const OperationKey& key) {
  json::error_code error;
  json::value body;
  // Depth 32 is the library's own limit; sizes are limited by the request's.
  body = json::parse({request.body.data(), request.body.size()}, error);
  const json::object* object = error ? nullptr : body.if_object();
  if (object == nullptr) {
    return error_reply(bad_request("the request's body", error ? error.message() : "it is not a JSON object",
                                   "send one JSON object, as docs/reference/api.md says"));
  }
  Result<Request> order = order_of(*object);
  if (!order) return error_reply(order.error());
  order->key = key;
  return std::move(*order);
}

Action get_order(std::string_view key_digits, const Target& target) {
  OrderWait waiter;
  if (!parse_key(key_digits, waiter.key)) {
    return error_reply(bad_request("the key of the order", "it is not 32 hex digits", ""));
  }
  if (const std::string_view wait = target.value("wait_ms"); !wait.empty()) {
    const auto ms = number<std::int64_t>(wait);
    if (!ms || *ms < 0) return error_reply(bad_request("wait_ms", "it is no number of milliseconds", "0 to 60000"));
    waiter.wait = milliseconds(std::min<std::int64_t>(*ms, longest_wait / ns_per_ms));
  }
  if (const std::string_view seen = target.value("seen"); !seen.empty()) {
    waiter.seen = number<std::uint64_t>(seen, 16);
    if (!waiter.seen) return error_reply(bad_request("seen", "it is not the \"seen\" of an earlier answer", ""));
  }
  return waiter;
}

// Last-Event-ID is what a browser's EventSource sends when it connects again; it knows better than the address.
Action get_events(const HttpRequest& request, const Target& target) {
  EventsAsked asked;
  asked.names = split_names(target.value("names"));
  const bool again = !request.last_event_id.empty();
  const std::string_view after = again ? request.last_event_id : target.value("after");
  if (after == "now" && !again) {
    asked.from_now = true;
  } else if (!after.empty()) {
    const auto id = number<EventId>(after);
    if (!id)
      return error_reply(bad_request(again ? "the header Last-Event-ID" : "after", "it is no id of an event",
                                     "leave it out for all that is kept, or say after=now"));
    asked.after = *id;
  }
  const std::string_view follow = target.value("follow");
  if (!follow.empty() && follow != "0" && follow != "1")
    return error_reply(bad_request("follow", "it is neither 0 nor 1", ""));
  asked.follow = follow != "0";
  return asked;
}

Reply wrong_method(std::string_view path, const char* allowed) {
  Reply reply = error_reply(bad_request(std::string(path), "this method is not for it", std::string("use ") + allowed));
  reply.status = 405;
  reply.allow = allowed;
  return reply;
}

}  // namespace

Reply error_reply(const Error& error) {
  Reply reply;
  reply.status = http_status(error.remedy);
  reply.body = error_json(error);
  return reply;
}

Reply accepted_reply(const Result<Accepted>& result, const OperationKey& key) {
  if (!result) return error_reply(result.error());
  Reply reply;
  reply.status = result->order == 0 ? 200 : 202;  // a dry run is no order
  reply.body = accepted_json(*result, key);
  return reply;
}

std::optional<Reply> look(const OrderWait& waiter, const ports::Control& control, bool time_is_up) {
  // Who has seen nothing yet is answered at the end; a report of a thousand services for each turn until then is work
  // that the services wait for.
  if (!waiter.seen && !time_is_up && !control.settled(waiter.key).value_or(true)) return std::nullopt;
  const std::optional<OrderReport> report = control.order(waiter.key);
  if (!report) {
    return error_reply(Error{Remedy::not_found, "find order", key_text(waiter.key), "no order has that key",
                             "those of the oldest orders are forgotten", 0});
  }
  ReportText text = report_json(*report);
  const bool changed = waiter.seen && *waiter.seen != text.seen;
  if (!report->settled && !changed && !time_is_up) return std::nullopt;
  Reply reply;
  reply.body = std::move(text.json);
  return reply;
}

Action route(const HttpRequest& request, const ports::Control& control, WallNs wall) {
  const Target target = parse_target(request.target);
  const std::string_view path = target.path;
  constexpr std::string_view order_prefix = "/v1/orders/";
  const bool get = request.method == "GET" || request.method == "HEAD";

  if (path == "/v1/apply" || path == "/v1/orders") {
    if (request.method != "POST") return wrong_method(path, "POST");
    OperationKey key{};
    if (!parse_key(request.idempotency_key, key)) {
      return error_reply(bad_request("the header Idempotency-Key",
                                     request.idempotency_key.empty() ? "it is missing" : "it is not 32 hex digits",
                                     "make 128 random bits for each operation, and repeat it with the same ones"));
    }
    return path == "/v1/apply" ? post_apply(request, key) : post_order(request, key);
  }
  const bool order = path.starts_with(order_prefix);
  if (!order && path != "/v1/status" && path != "/v1/specification" && path != "/v1/instance" && path != "/v1/health" &&
      path != "/v1/events") {
    return error_reply(Error{Remedy::not_found, "find", std::string(path), "the API has no such path",
                             "docs/reference/api.md lists them", 0});
  }
  if (!get) return wrong_method(path, "GET");
  if (order) return get_order(path.substr(order_prefix.size()), target);
  if (path == "/v1/events") return get_events(request, target);
  if (path == "/v1/status") return get_status(target, control, wall);
  if (path == "/v1/specification") return get_specification(target, control);
  Reply reply;
  reply.body =
      path == "/v1/instance" ? instance_json(without_history(control.instance(), wall)) : "{\"status\":\"ok\"}\n";
  return reply;
}

}  // namespace hearth::api
