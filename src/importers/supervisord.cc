// supervisord.conf: http://supervisord.org/configuration.html, and supervisor/options.py where that is silent.
#include <algorithm>
#include <optional>

#include "importers/supervisord_importer.h"
#include "importers/words.h"
#include "model/replica.h"

namespace hearth::importers {
namespace {

// The keys in whose texts hearth replaces {index} and ${NAME}.
bool follows_index(std::string_view key) {
  return key == "command" || key == "environment" || key == "directory";
}

constexpr long longest_uptime = 86'400;

}  // namespace

Status SupervisordImporter::read(const Source& given, int depth) {
  const Source& source = sources_.emplace_back(given);
  draft_.reads(source.path);
  Result<std::vector<IniSection>> sections = read_ini(source, IniDialect::supervisord);
  if (!sections) return failure(sections.error());
  for (IniSection& section : *sections) {
    if (section.name == "include") {
      const IniEntry* files = section.find("files");
      if (files == nullptr) continue;
      for (const std::string& pattern : split_list(files->value, " \t\n")) {
        const std::vector<Source> found = depth < 1 ? include_(pattern, source) : std::vector<Source>();
        if (depth >= 1)
          wanting({source, files->line}, "[include] within an included file: supervisord does not follow it, either",
                  "");
        else if (found.empty())
          wanting({source, files->line}, "[include] " + pattern + " names no file that can be read",
                  "give those files to the import, too");
        for (const Source& each : found)
          if (const Status read_one = read(each, depth + 1); !read_one) return read_one;
      }
      continue;
    }
    sections_.push_back({&source, std::move(section)});
  }
  return {};
}

Result<Imported> SupervisordImporter::finish(const std::string& from) {
  for (const Section& each : sections_) {
    if (each.section.name == "supervisord") supervisord_section(each);
    if (each.section.name.starts_with("group:")) group(each);
    if (each.section.name == "unix_http_server") control_socket(each);
  }
  for (const Section& each : sections_) {
    const std::string& name = each.section.name;
    const Place place{*each.source, each.section.line};
    if (name.starts_with("program:")) {
      program(each);
    } else if (name.starts_with("fcgi-program:")) {
      wanting(
          place, "[" + name + "]: its socket is not carried over, and so it is left out",
          "write a service with listen = [...]; it finds the socket as descriptor 3, and FastCGI servers want it as 0");
    } else if (name == "inet_http_server") {
      wanting(place, "[inet_http_server] is left out: the API is on a Unix socket only", "docs/reference/api.md");
    } else if (name.starts_with("rpcinterface:") && name != "rpcinterface:supervisor") {
      wanting(place, "[" + name + "] is left out: hearth has no interfaces of others",
              "docs/reference/api.md has its own");
    } else if (name != "supervisord" && name != "supervisorctl" && name != "unix_http_server" &&
               !name.starts_with("rpcinterface:") && !name.starts_with("eventlistener:") &&
               !name.starts_with("group:")) {
      wanting(place, "[" + name + "] is not known, and left out", "");
    }
  }
  for (const Section& each : sections_)
    if (each.section.name.starts_with("eventlistener:") && !memmon(each))
      wanting({*each.source, each.section.line},
              "[" + each.section.name + "] is left out: hearth speaks no such protocol",
              "follow `hearth events -f --json`, or GET /v1/events, from a service of its own");
  priorities();
  if (draft_.services().empty())
    return failure(Remedy::fix_input, "import", from, "there is no [program:NAME] in it",
                   "name supervisord.conf, or the files that it includes");
  return draft_.finish(from);
}

Names SupervisordImporter::names_for(const Section& each, const std::string& program) const {
  Names names;
  for (const auto& [name, value] : environment_) names["ENV_" + name] = value;
  for (const auto& [name, value] : shared_environment_) names["ENV_" + name] = value;
  const std::string& path = each.source->path;
  const std::size_t slash = path.rfind('/');
  names["here"] = !each.source->directory.empty() ? each.source->directory
                  : slash == path.npos            ? "."
                                                  : path.substr(0, slash);
  names["program_name"] = program;
  if (!host_.empty()) names["host_node_name"] = host_;
  const auto groups = groups_of_.find(program);
  names["group_name"] = groups == groups_of_.end() ? program : groups->second.front();
  return names;
}

// `up` replaces ${NAME} by what the environment of its caller says, as supervisord does when it begins.
std::string SupervisordImporter::text_of(Place place, const std::string& value, const Names& names,
                                         const std::string& whose, bool is_replaced) {
  Names known = names;
  const auto is_shared = [&](std::string_view name) {  // [supervisord] says it, and no environment
    return std::ranges::any_of(shared_environment_, [&](const auto& each) { return "ENV_" + each.first == name; });
  };
  bool of_now = false;  // is one of the environment in it
  for (auto& [name, text] : known) {
    if (!name.starts_with("ENV_") || is_shared(name)) continue;
    if (is_replaced) text = variable(name.substr(4));
    of_now = of_now || value.find("%(" + name + ")") != value.npos;
  }
  for (std::string missing;;) {
    if (const std::optional<std::string> text = expanded(value, known, missing)) {
      if (!is_replaced && of_now)
        wanting(place, whose + ": " + value + " was replaced by the value of now, " + *text, "write what it shall be");
      if (!host_.empty() && value.find("%(host_node_name)") != value.npos)
        wanting(place, whose + ": %(host_node_name)s was replaced by the name of this machine, " + host_,
                "for another one, write its name");
      return *text;
    }
    if (missing.starts_with("ENV_") && is_replaced) {
      known[missing] = variable(missing.substr(4));
      continue;
    }
    wanting(place, whose + ": %(" + missing + ")s is not known", "write what it stands for");
    known[missing] = "%(" + missing + ")s";
  }
}

// What is no number, or one that cannot be had here, is said.
long SupervisordImporter::number_in(const Section& each, std::string_view key, long otherwise, Range range,
                                    const Names& names) {
  const IniEntry* entry = each.section.find(key);
  if (entry == nullptr) return otherwise;
  const std::string whose = each.section.name.substr(each.section.name.find(':') + 1);
  const Place place{*each.source, entry->line};
  const std::string text = text_of(place, entry->value, names, "program " + whose, false);
  const std::optional<long> number = number_of(text);
  const long taken = std::clamp(number.value_or(otherwise), range.least, range.most);
  if (number != taken)
    wanting(place,
            "program " + whose + ": " + std::string(key) + " = " + text + " is taken for " + std::to_string(taken),
            "hearth has " + std::to_string(range.least) + " to " + std::to_string(range.most));
  return taken;
}

void SupervisordImporter::program(const Section& each) {
  Processes processes{each.section.name.substr(8), 1, 0};
  const std::string& program = processes.program;
  const Names names_now = names_for(each, program);
  processes.count = number_in(each, "numprocs", 1, {1, 4'096}, names_now);
  processes.first = number_in(each, "numprocs_start", 0, {0, 999'999'999}, names_now);
  if (each.section.find("command") == nullptr)
    return wanting({*each.source, each.section.line}, "program " + program + " has no command, and is left out", "");
  if (processes.count > 1 && as_replicas(each, processes)) return;
  for (long i = 0; i < processes.count; ++i) {
    draft_.mute(i > 0);
    const Names names = names_of(each, processes, i);
    process(each, names.at("process_name"), names, i == 0);
    if (processes.count > 1) draft_.services().back().set("tags", quoted_list(tags_of(program, true)));
  }
}

// Those of the i-th of them.
Names SupervisordImporter::names_of(const Section& each, const Processes& processes, long i) {
  Names names = names_for(each, processes.program);
  names["process_num"] = std::to_string(processes.first + i);
  names["numprocs"] = std::to_string(processes.count);
  const IniEntry* entry = each.section.find("process_name");
  names["process_name"] = processes.program;
  if (entry != nullptr)
    names["process_name"] =
        text_of({*each.source, entry->line}, entry->value, names, "program " + processes.program, false);
  else if (processes.count > 1)
    names["process_name"] += "-" + std::to_string(processes.first + i);
  return names;
}

// One service whose replicas they are, if {index} says in each text what its process_num said. It knows neither zeros
// in front of a number nor keys in which hearth does not replace it.
bool SupervisordImporter::as_replicas(const Section& each, const Processes& processes) {
  draft_.mute(true);  // process() says it again
  Names index = names_of(each, processes, 0);
  const std::string first_name = index["process_name"];
  index["process_num"] = index_number(static_cast<std::uint64_t>(processes.first));
  if (const IniEntry* entry = each.section.find("process_name"))
    index["process_name"] = text_of({*each.source, entry->line}, entry->value, index, "", false);
  std::vector<std::string> templates;
  for (const IniEntry& entry : each.section.entries)
    templates.push_back(
        with_braces(text_of({*each.source, entry.line}, entry.value, index, "", follows_index(entry.key))));
  const IniEntry* unlike = nullptr;
  std::string last_name;
  for (long i = 0; i < processes.count && unlike == nullptr; ++i) {
    const Names names = names_of(each, processes, i);
    last_name = names.at("process_name");
    for (std::size_t k = 0; k < templates.size() && unlike == nullptr; ++k) {
      const IniEntry& entry = each.section.entries[k];
      if (entry.key == "process_name" || entry.key.starts_with("stdout_") || entry.key.starts_with("stderr_")) continue;
      const std::string text = text_of({*each.source, entry.line}, entry.value, names, "", follows_index(entry.key));
      const bool same = follows_index(entry.key) ? with_index(templates[k], static_cast<std::uint32_t>(i)) == text
                                                 : templates[k] == with_braces(text);
      if (!same) unlike = &entry;
    }
  }
  draft_.mute(false);
  const std::string whose = "program " + processes.program;
  if (unlike != nullptr) {
    const bool followed = follows_index(unlike->key);
    wanting({*each.source, unlike->line},
            whose + ": " + unlike->key +
                (followed ? " has its number in a form that {index} has not" : " has its number") +
                ", so each of the " + std::to_string(processes.count) + " processes is a service of its own, and @" +
                name_of(processes.program) + " means all of them",
            followed ? "where it may be without zeros, as %(process_num)d, they become replicas"
                     : "take it out of there, and they become replicas");
    return false;
  }
  process(each, processes.program, index, true);
  draft_.mute(true);
  for (long i = 0; i < processes.count; ++i)
    made_.back().processes.push_back(names_of(each, processes, i).at("process_name"));
  draft_.mute(false);
  Service& service = draft_.services().back();
  draft_.about(&service);
  service.set("replicas", std::to_string(processes.count));
  if (each.section.find("process_name") != nullptr || processes.first != 0)
    wanting({*each.source, each.section.line},
            whose + ": its processes " + first_name + " to " + last_name + " are called " + service.name + ".0 to " +
                service.name + "." + std::to_string(processes.count - 1) + " now",
            service.name + " means all of them");
  draft_.about(nullptr);
  return true;
}

void SupervisordImporter::process(const Section& each, const std::string& name, const Names& names, bool report) {
  draft_.mute(!report);  // all but the first of several would say the same again
  Service& service = draft_.add(name);
  service.made_of(each.source->path, each.section.line);
  if (service.name != name)
    wanting({*each.source, each.section.line}, "program " + name + " is called " + service.name + " now",
            "names have letters, digits, _ and -, 48 at most, and each is there once");
  service.set("restart", quoted("on-failure"));
  for (const auto& [variable, value] : shared_environment_) service.set_in("env", variable, quoted(value));
  const std::string program = names.at("program_name");
  made_.push_back({program, {name}, &service, 0});
  if (const std::vector<std::string> tags = tags_of(program, false); !tags.empty())
    service.set("tags", quoted_list(tags));
  if (shared_directory_) service.set("cwd", quoted(*shared_directory_));
  if (shared_umask_) service.set("umask", quoted(*shared_umask_));
  for (const IniEntry& entry : each.section.entries) {
    service.made_of(each.source->path, entry.line);
    key(each, entry, service, names);
  }
  service.made_of(each.source->path, each.section.line);
  const long seconds = number_in(each, "startsecs", 1, {0, longest_uptime}, names);
  service.set_in("backoff", "initial", quoted("1s"));
  if (seconds > 0) retries(each, service, seconds, names);
  const IniEntry* restart = each.section.find("autorestart");
  // Neither restarted nor expected to stay: it does something once.
  if (seconds == 0 && restart != nullptr && boolean_of(restart->value) == false) service.set("type", quoted("task"));
  draft_.mute(false);
  draft_.about(nullptr);
}

void SupervisordImporter::command(Place place, const std::string& value, Service& service, const Names& names) {
  const std::string text = text_of(place, value, names, "program " + service.name, true);
  const auto words = split_words(text);
  if (!words || words->empty())
    return wanting(place, "program " + service.name + ": the quotes of its command do not match",
                   "write command = [\"program\", \"argument\"]");
  service.set("command", quoted_list(*words));
  const std::string& first = words->front();
  if (words->size() > 2 && first.substr(first.rfind('/') + 1) == "pidproxy")
    wanting(place, "program " + service.name + ": pidproxy is carried over, and not needed",
            "write command = " + quoted_list({words->begin() + 2, words->end()}) +
                "; if that goes into the background, type = \"forking\" and pid_file = " + quoted((*words)[1]) +
                ", too");
  if (words->front().find('/') == std::string::npos && words->front().ends_with(".py"))
    wanting(place, "program " + service.name + ": " + words->front() + " is looked for in PATH",
            "write its whole path");
}

void SupervisordImporter::environment(Place place, const std::string& value, Service& service) {
  const auto all = environment_of(value);
  if (!all)
    return wanting(place, "program " + service.name + ": environment cannot be read",
                   "write env = { NAME = \"value\" }");
  for (const auto& [name, text] : *all) service.set_in("env", name, quoted(text));
}

void SupervisordImporter::key(const Section& each, const IniEntry& entry, Service& service, const Names& names) {
  const Place place{*each.source, entry.line};
  const std::string whose = "program " + service.name;
  const std::string& key = entry.key;
  // Of other places here, or hearth does it anyway: signals go to the whole group, always.
  for (const char* known :
       {"process_name", "numprocs", "numprocs_start", "startsecs", "startretries", "stopasgroup", "killasgroup"})
    if (key == known) return;
  const std::string value = key == "command" || key == "process_name"
                                ? entry.value
                                : text_of(place, entry.value, names, whose, follows_index(key));
  if (key == "command") return command(place, value, service, names);
  if (key == "environment") return environment(place, value, service);
  if (key == "directory") return service.set("cwd", quoted(value));
  if (key == "user") return service.set("user", quoted(value));
  if (key == "umask") return service.set("umask", quoted(umask_text(value)));
  if (key == "stopsignal") return service.set("stop_signal", quoted(value));
  if (key == "stopwaitsecs") return patience(place, value, service);
  if (key == "autorestart") {
    const std::optional<bool> flag = boolean_of(value);
    if (value == "unexpected") return service.set("restart", quoted("on-failure"));
    if (flag) return service.set("restart", quoted(*flag ? "always" : "never"));
    return wanting(place, whose + ": autorestart = " + value + " is not known", "write restart");
  }
  if (key == "exitcodes") {
    std::string list;
    for (const std::string& code : split_list(value, ",")) list += (list.empty() ? "" : ", ") + integer(code);
    return service.set("success_exit_codes", "[" + list + "]");
  }
  if (key == "autostart") {
    if (boolean_of(value) == false) service.set("autostart", "false");
    return;
  }
  if (key == "priority") {
    if (value != usual_priority) program_priorities_[names.at("program_name")] = {each.source, entry.line, value};
    return;
  }
  if (key == "serverurl" || key == "stdout_events_enabled" || key == "stderr_events_enabled" ||
      key == "stdout_capture_maxbytes" || key == "stderr_capture_maxbytes") {
    if (value == "0" || value == "AUTO" || boolean_of(value) == false) return;
    return wanting(place, whose + ": " + key + " is not carried over", "follow `hearth events -f --json` instead");
  }
  if (key.starts_with("stdout_") || key.starts_with("stderr_") || key == "redirect_stderr")
    return log_key(each, place, key, value, service, names);
  wanting(place, whose + ": " + key + " is not known, and left out", "");
}

void SupervisordImporter::patience(Place place, const std::string& value, Service& service) {
  constexpr long longest = 3'600;
  const std::optional<long> seconds = number_of(value);
  if (seconds && *seconds > longest) {
    service.set("stop_timeout", quoted("1h"));
    return wanting(place, "program " + service.name + ": stopwaitsecs = " + value + " is taken for an hour",
                   "no stop_timeout is longer; after it, what is left is killed");
  }
  service.set("stop_timeout", seconds_text(seconds == 0 ? "0.5" : value));
}

void SupervisordImporter::log_key(const Section& each, Place place, const std::string& key, const std::string& value,
                                  Service& service, const Names& names) {
  const std::string whose = "program " + service.name;
  if (key == "redirect_stderr") return;  // both are one stream, always
  if (key.ends_with("_syslog")) {
    if (boolean_of(value) == true) service.set_in("log", "sink", quoted("syslog"));
    return;
  }
  if (key.ends_with("_maxbytes")) {
    if (key.starts_with("stderr_")) return;
    const IniEntry* file = each.section.find("stdout_logfile");
    if (value == "0" && file != nullptr && is_own_output(file->value)) return;
    if (value == "0")
      return wanting(place, whose + ": stdout_logfile_maxbytes = 0: files without an end are not to be had",
                     "log = { max_size = \"1GiB\" }");
    return service.set_in("log", "max_size", size_text(value));
  }
  if (key.ends_with("_backups")) {
    const std::optional<long> count = number_of(value);
    if (key.starts_with("stdout_") && count) service.set_in("log", "max_files", std::to_string(*count + 1));
    return;
  }
  if (key == "stdout_logfile" || key == "stderr_logfile") {
    if (value.empty() || value == "AUTO") return;
    if (value == "syslog") return service.set_in("log", "sink", quoted("syslog"));
    if (key == "stdout_logfile" && is_own_output(value)) {
      service.set_in("log", "sink", quoted("stdout"));
      return wanting(
          place,
          whose + ": output goes to a file of hearth's own, and to " + value + " where hearth runs in the foreground",
          "`hearth up --foreground` or `hearth daemon`, as in a container");
    }
    if (is_own_output(value))
      return wanting(place, whose + ": stderr alone does not go to " + value + ": both streams are one",
                     "log = { sink = \"stdout\" } shows both there");
    if (value == "NONE" || value == "/dev/null")
      return wanting(place, whose + ": " + key + " = " + value + ": hearth keeps the output all the same",
                     "log = { max_size = \"64KiB\", max_files = 2 } keeps little of it");
    // As much of it is kept as supervisord keeps where the file does not say how much.
    if (key == "stdout_logfile" && each.section.find("stdout_logfile_maxbytes") == nullptr)
      service.set_in("log", "max_size", quoted("50MiB"));
    if (key == "stdout_logfile" && each.section.find("stdout_logfile_backups") == nullptr)
      service.set_in("log", "max_files", "11");
    if (key == "stderr_logfile")
      return wanting(place, whose + ": stderr has no file of its own: both streams are one",
                     "hearth logs " + service.name + " shows both");
    return log_file(place, value, service, names);
  }
  wanting(place, whose + ": " + key + " is not known, and left out", "");
}

// Where its lines are now; replicas have one place each.
void SupervisordImporter::log_file(Place place, const std::string& value, const Service& service, const Names& names) {
  const auto number = names.find("process_num");
  // Else it is a number.
  const bool is_replicas = number != names.end() && number->second.starts_with(index_number(0).front());
  const std::string path = logs_ + "." + service.name + (is_replicas ? ".*" : ".0") + "/current";
  const std::string whose = "program " + service.name + ": ";
  Finding finding{place.source.path, place.line, whose + "output does not go to " + value + " but to " + path,
                  "`hearth logs -f NAME` shows it; what follows the file, as a log shipper, follows that one"};
  finding.of_all = "output goes to files of hearth's own";
  finding.of_each = whose + value + " is now " + path;
  draft_.find_wanting(std::move(finding));
}

// supervisord: a process that ends before startsecs has failed to start; after so many retries (startretries) in a row,
// each a second later than the one before, it is FATAL. One that ends later is started again for ever, and so is every
// one when startsecs is 0.
void SupervisordImporter::retries(const Section& each, Service& service, long seconds, const Names& names) {
  constexpr long longest_pause = 3'600, most_retries = 9'999;
  const long tries = number_in(each, "startretries", 3, {0, most_retries}, names);
  service.set_in("backoff", "max", seconds_text(std::to_string(std::clamp(tries, 1L, longest_pause))));
  service.set("max_failed_starts", std::to_string(tries + 1));
  service.set("ready", "{ type = \"uptime\", after = " + seconds_text(std::to_string(seconds)) + " }");
}

Result<Imported> import_supervisord(const std::vector<Source>& sources, const Include& include,
                                    const Environment& environment, const std::string& host, const std::string& logs) {
  SupervisordImporter importer(include, environment, host, logs);
  std::string from;
  for (const Source& source : sources) {
    if (const Status read = importer.read(source); !read) return failure(read.error());
    from += (from.empty() ? "" : ", ") + source.path;
  }
  return importer.finish(from);
}

}  // namespace hearth::importers
