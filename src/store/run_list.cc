#include "store/run_list.h"

#include <utility>

#include "store/flat_json.h"

namespace hearth::store {
namespace {

ports::RunNote note_of(const FlatObject& object) {
  ports::RunNote note;
  note.label = string_of(object, "label");
  note.document = number_of(object, "document");
  note.service = static_cast<std::uint32_t>(number_of(object, "service"));
  note.replica = static_cast<std::uint32_t>(number_of(object, "replica"));
  note.run = number_of(object, "run");
  note.pid = static_cast<std::int32_t>(number_of(object, "pid"));
  note.start_ticks = number_of(object, "start_ticks");
  note.want_up = string_of(object, "want_up") == "true";
  // A hearth of before says nothing of it: then it may have been.
  note.was_ready = string_of(object, "was_ready") != "false";
  return note;
}

}  // namespace

void append_run_list_head(std::string& out, const std::string& boot_id, std::uint64_t pid_namespace,
                          const std::string& instance, RunId next_run, EventId last_event, EventId event_floor) {
  FlatWriter head(out);
  head.add("format", ports::run_list_format).add("boot_id", boot_id).add("pid_namespace", pid_namespace);
  head.add("instance", instance).add("next_run", next_run);
  if (last_event != no_event) head.add("last_event", last_event);
  if (event_floor != no_event) head.add("event_floor", event_floor);
  out += ",\"runs\":[\n";
}

void append_run(std::string& out, const ports::RunNote& note, bool first) {
  if (!first) out += ",\n";
  FlatWriter run(out);
  run.add("label", note.label).add("document", note.document).add("service", std::uint64_t{note.service});
  run.add("replica", std::uint64_t{note.replica}).add("run", note.run);
  run.add("pid", static_cast<std::uint64_t>(note.pid < 0 ? 0 : note.pid)).add("start_ticks", note.start_ticks);
  run.add("want_up", note.want_up).add("was_ready", note.was_ready);
  run.close();
}

void append_run_list_end(std::string& out, bool empty) {
  out += empty ? "]}\n" : "\n]}\n";
}

std::string run_list_text(const RunList& list) {
  std::string out;
  append_run_list_head(out, list.boot_id, list.pid_namespace, list.instance, list.next_run, list.last_event,
                       list.event_floor);
  bool first = true;
  for (const ports::RunNote& note : list.runs) append_run(out, note, std::exchange(first, false));
  append_run_list_end(out, first);
  return out;
}

Result<RunList> parse_run_list(const std::string& text) {
  FlatObject object;
  if (!read_flat(text, object) || number_of(object, "format") != ports::run_list_format)
    return failure(Remedy::fix_input, "read", "runs.json", "it is no list of runs of this version");
  RunList list;
  list.boot_id = string_of(object, "boot_id");
  list.pid_namespace = number_of(object, "pid_namespace");
  list.instance = string_of(object, "instance");
  list.next_run = number_of(object, "next_run");
  list.last_event = number_of(object, "last_event");
  list.event_floor = number_of(object, "event_floor");
  list.torn = true;  // until its end is seen
  bool hole = false;
  std::size_t at = text.find('\n');
  while (at != std::string::npos) {
    const std::size_t end = text.find('\n', at + 1);
    const std::string line = text.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    if (line.starts_with('{') && read_flat(line, object))
      list.runs.push_back(note_of(object));
    else if (line == "]}")
      list.torn = hole;
    else if (!line.empty())
      hole = true;
    at = end;
  }
  return list;
}

}  // namespace hearth::store
