#include "api/status_json.h"

#include <algorithm>

#include "api/json_writer.h"
#include "api/status_table.h"
#include "api/text.h"
#include "base/rfc3339.h"
#include "os/fd.h"

namespace hearth::api {
namespace {

void time_field(JsonWriter& w, std::string_view name, WallNs at) {
  w.key(name);
  if (at == 0) {
    w.null();
  } else {
    w.string(rfc3339(at));
  }
}

void number_or_null(JsonWriter& w, std::string_view name, std::uint64_t value) {
  w.key(name);
  if (value == 0) {
    w.null();
  } else {
    w.number(value);
  }
}

// Values of ExitInfo::code, as in wire::RunEntry::wait_code.
constexpr int exited = 1, killed = 2, dumped = 3;

// Names of wire::SpawnStage would need wire/, which the api does not see; the number is what the keeper wrote.
void exit_field(JsonWriter& w, const ExitInfo& exit) {
  w.key("exit");
  if (exit.run == no_run) {
    w.null();
    return;
  }
  w.object();
  w.key("code");
  exit.code == exited ? w.number(exit.status) : w.null();
  w.key("signal");
  exit.code == killed || exit.code == dumped ? w.number(exit.status) : w.null();
  w.key("core").boolean(exit.code == dumped);
  w.key("stage");
  exit.fail_stage != 0 ? w.number(exit.fail_stage) : w.null();
  w.key("errno");
  exit.fail_errno != 0 ? w.number(exit.fail_errno) : w.null();
  time_field(w, "at", exit.at);
  w.key("run").number(exit.run);
  w.end_object();
}

void service_fields(JsonWriter& w, const SlotStatus& s) {
  w.key("project").string(s.project);
  w.key("name").string(s.name);
  w.key("index").number(s.index);
  w.key("replicas").number(s.replicas);
  w.key("tags").array();
  for (const std::string& tag : s.tags) w.string(tag);
  w.end_array();
  w.key("state").string(phase_name(s.phase));
  w.key("want_up").boolean(s.want_up);
  w.key("ready").boolean(s.ready);
  w.key("has_readiness").boolean(s.has_readiness);
  number_or_null(w, "pid", s.pid > 0 ? static_cast<std::uint64_t>(s.pid) : 0);
  number_or_null(w, "run", s.run);
  time_field(w, "since", s.since);
  time_field(w, "started", s.started);
  time_field(w, "ready_since", s.ready_since);
  w.key("restarts").number(s.restarts);
  w.key("failures").number(s.failures);
  exit_field(w, s.last_exit);
  time_field(w, "next_retry", s.next_retry);
  w.key("reason").string(reason_name(s.reason));
  w.key("reason_text").string(s.reason_text);
  w.key("waits_for").array();
  for (const std::string& label : s.waits_for) w.string(label);
  w.end_array();
  w.key("hook");
  s.hook.empty() ? w.null() : w.string(s.hook);
  w.key("containment").string(s.containment);
  w.key("leftover").string(s.leftover);
  w.key("status").string(s.status_text);
  w.key("log_directory").string(s.log_directory);
}

// What its tries of liveness found is as restless.
void ailing_field(JsonWriter& w, const SlotStatus& s) {
  w.key("ailing");
  s.ailing.empty() ? w.null() : w.string(s.ailing);
}

// What it says it does. Null: it says nothing.
void work_field(JsonWriter& w, const SlotStatus& s) {
  w.key("work");
  if (s.work == Work::unsaid && s.work_item.empty() && s.work_done == 0 && s.work_total == 0) {
    w.null();
  } else {
    w.object();
    w.key("state");
    s.work == Work::unsaid ? w.null() : w.string(s.work == Work::busy ? "busy" : "idle");
    w.key("item");
    s.work_item.empty() ? w.null() : w.string(s.work_item);
    w.key("done").number(s.work_done);
    number_or_null(w, "total", s.work_total);
    w.end_object();
  }
  number_or_null(w, "load_ms", s.load == 0 ? 0 : static_cast<std::uint64_t>(std::max<SpanNs>(s.load / ns_per_ms, 1)));
}

// Not in the report of an order: who waits for that is woken by every change of it.
void log_field(JsonWriter& w, const SlotStatus& s) {
  const LogStatus& log = s.log;
  w.key("log").object();
  w.key("written").number(log.written);
  w.key("discarded").number(log.discarded);
  w.key("gaps").number(log.gaps);
  w.key("waiting");
  log.waiting.empty() ? w.null() : w.string(log.waiting);
  w.key("file").number(log.file);
  w.key("dropped").number(log.dropped);
  w.key("dropped_reason");
  log.dropped_reason.empty() ? w.null() : w.string(log.dropped_reason);
  w.key("untidied");
  log.untidied.empty() ? w.null() : w.string(log.untidied);
  const std::string trouble = log_trouble(s);
  w.key("trouble");
  trouble.empty() ? w.null() : w.string(trouble);
  w.end_object();
}

void companion_fields(JsonWriter& w, const Companion& companion) {
  w.key("pid");
  companion.pid == 0 ? w.null() : w.number(companion.pid);
  w.key("stopped").boolean(companion.stopped);
}

void instance_fields(JsonWriter& w, const InstanceStatus& status) {
  w.key("instance").string(status.instance);
  w.key("version").string(status.version);
  w.key("directory").string(status.directory);
  w.key("supervisor").object();
  w.key("pid").number(status.supervisor_pid);
  time_field(w, "since", status.supervisor_since);
  w.key("takeovers").number(status.takeovers);
  w.key("upgrades").number(status.upgrades);
  w.key("returns").number(status.returns);
  w.key("return_reason");
  status.return_reason.empty() ? w.null() : w.string(status.return_reason);
  w.end_object();
  w.key("keeper").object();
  w.key("pid").number(status.keeper_pid);
  w.key("generation").number(status.keeper_generation);
  w.key("stopped").boolean(status.companions.keeper.stopped);
  w.key("execs").number(status.keeper_programs.execs);
  w.key("refusal_reason");
  status.keeper_programs.refusal_reason.empty() ? w.null() : w.string(status.keeper_programs.refusal_reason);
  w.end_object();
  const Companions& companions = status.companions;
  w.key("logger").object();
  companion_fields(w, companions.logger);
  w.key("awaited").boolean(companions.logger_awaited);
  w.key("returns").number(companions.logger_returns);
  w.key("return_reason");
  companions.logger_return_reason.empty() ? w.null() : w.string(companions.logger_return_reason);
  w.end_object();
  w.key("spawners").array();
  for (const Companion& spawner : companions.spawners) {
    w.object();
    companion_fields(w, spawner);
    w.end_object();
  }
  w.end_array();
  w.key("notes").array();
  for (const Note& note : status.notes) w.string(note.text);
  w.end_array();
  w.key("notes_at").array();
  for (const Note& note : status.notes) note.at == 0 ? w.null() : w.string(rfc3339(note.at));
  w.end_array();
}

constexpr char hex[] = "0123456789abcdef";

}  // namespace

std::string status_json(const InstanceStatus& status, const std::vector<std::size_t>& chosen) {
  std::string out;
  out.reserve(512 + chosen.size() * 640);
  JsonWriter w(out);
  w.object();
  instance_fields(w, status);
  w.key("services").array();
  for (const std::size_t i : chosen) {
    w.object();
    service_fields(w, status.services[i]);
    log_field(w, status.services[i]);
    work_field(w, status.services[i]);
    ailing_field(w, status.services[i]);
    w.end_object();
  }
  w.end_array().end_object();
  out += '\n';
  return out;
}

std::string instance_json(const InstanceStatus& status) {
  std::string out;
  JsonWriter w(out);
  w.object();
  instance_fields(w, status);
  w.key("services").number(std::uint64_t{status.service_count});
  w.end_object();
  out += '\n';
  return out;
}

std::string accepted_json(const Accepted& accepted, const OperationKey& key) {
  std::string out;
  JsonWriter w(out);
  w.object();
  w.key("order").number(accepted.order);
  w.key("key").string(key_text(key));
  w.key("repeated").boolean(accepted.repeated);
  w.key("notes").array();
  for (const std::string& note : accepted.notes) w.string(note);
  w.end_array();
  w.key("slots").array();
  for (const SlotIndex slot : accepted.slots) w.number(slot);
  w.end_array();
  w.key("removed").array();
  for (const std::string& label : accepted.removed) w.string(label);
  w.end_array();
  if (!accepted.changes.empty()) {
    w.key("changes").array();
    for (const ServiceChange& change : accepted.changes) {
      w.object().key("service").string(change.service);
      // What goes on, and is joined or left by others.
      const bool scales = change.measure == Measure::live && change.replicas != change.replicas_before;
      w.key("measure").string(scales ? "scale" : measure_name(change.measure));
      w.key("keys").array();
      for (const std::string& name : change.keys) w.string(name);
      w.end_array();
      w.key("replicas_before").number(change.replicas_before);
      w.key("replicas").number(change.replicas).end_object();
    }
    w.end_array();
  }
  w.end_object();
  out += '\n';
  return out;
}

std::string error_json(const Error& error) {
  std::string out;
  JsonWriter w(out);
  w.object().key("error").object();
  w.key("operation").string(error.operation);
  w.key("subject").string(error.subject);
  w.key("reason").string(error.reason);
  w.key("hint").string(error.hint);
  w.key("remedy").string(remedy_name(error.remedy));
  w.key("errno");
  error.code != 0 ? w.number(error.code) : w.null();
  w.end_object().end_object();
  out += '\n';
  return out;
}

ReportText report_json(const OrderReport& report) {
  std::string slots;
  slots.reserve(64 + report.slots.size() * 700);
  JsonWriter w(slots);
  w.array();
  for (const SlotOutcome& slot : report.slots) {
    w.object();
    w.key("outcome").string(outcome_name(slot.outcome));
    w.key("slot").number(slot.status.slot);
    service_fields(w, slot.status);
    w.end_object();
  }
  w.end_array();

  ReportText text;
  text.seen = os::hash_bytes(slots);
  JsonWriter top(text.json);
  top.object();
  top.key("order").number(report.order);
  top.key("verb").string(verb_name(report.verb));
  top.key("settled").boolean(report.settled);
  top.key("overtaken").number(report.overtaken);
  std::string seen(16, '0');
  for (unsigned i = 0; i < 16; ++i) seen[i] = hex[(text.seen >> (60 - 4 * i)) & 15];
  top.key("seen").string(seen);
  top.key("slots").raw(slots);
  top.end_object();
  text.json += '\n';
  return text;
}

const char* verb_name(Verb verb) {
  switch (verb) {
    case Verb::apply: return "apply";
    case Verb::start: return "start";
    case Verb::stop: return "stop";
    case Verb::restart: return "restart";
    case Verb::down: return "down";
    case Verb::shutdown: return "shutdown";
    case Verb::leave: return "leave";
    case Verb::upgrade: return "upgrade";
    case Verb::scale: return "scale";
    case Verb::signal: return "signal";
    case Verb::reload: return "reload";
  }
  return "unknown";
}

const char* measure_name(Measure measure) {
  switch (measure) {
    case Measure::none: return "none";
    case Measure::live: return "live";
    case Measure::restart: return "restart";
    case Measure::start: return "start";
    case Measure::know: return "know";
    case Measure::stop: return "stop";
  }
  return "unknown";
}

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::pending: return "pending";
    case Outcome::done: return "done";
    case Outcome::failed: return "failed";
    case Outcome::superseded: return "superseded";
    case Outcome::incomplete: return "incomplete";
  }
  return "unknown";
}

const char* remedy_name(Remedy remedy) {
  switch (remedy) {
    case Remedy::fix_input: return "fix_input";
    case Remedy::try_later: return "try_later";
    case Remedy::no_access: return "no_access";
    case Remedy::not_found: return "not_found";
    case Remedy::conflict: return "conflict";
    case Remedy::environment: return "environment";
  }
  return "unknown";
}

int http_status(Remedy remedy) {
  switch (remedy) {
    case Remedy::fix_input: return 400;
    case Remedy::no_access: return 403;
    case Remedy::not_found: return 404;
    case Remedy::conflict: return 409;
    case Remedy::try_later: return 503;
    case Remedy::environment: return 500;
  }
  return 500;
}

std::string key_text(const OperationKey& key) {
  std::string text;
  text.reserve(2 * key.size());
  for (const unsigned char byte : key) {
    text += hex[byte >> 4];
    text += hex[byte & 15];
  }
  return text;
}

bool parse_key(std::string_view text, OperationKey& key) {
  if (text.size() != 2 * key.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    key[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

}  // namespace hearth::api
