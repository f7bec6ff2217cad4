// .service units: systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.unit(5).
#include <algorithm>
#include <map>
#include <optional>
#include <ranges>
#include <set>

#include "importers/draft.h"
#include "importers/ini.h"
#include "importers/sizes.h"
#include "importers/systemd_sandbox.h"
#include "importers/systemd_values.h"
#include "importers/unit_hooks.h"
#include "importers/unit_privileges.h"
#include "importers/unit_specifiers.h"
#include "importers/unit_surroundings.h"
#include "importers/unit_words.h"
#include "importers/words.h"

namespace hearth::importers {
namespace {

struct Unit {
  const Source* source;
  std::vector<IniSection> sections;
  UnitName name;
};

class Importer {
 public:
  Importer(const std::vector<Unit>& units, const std::string& host) : host_(host) {
    for (const Unit& unit : units) names_.insert(unit.name.stem);
  }

  void import(const Unit& unit);
  Draft& draft() { return draft_; }

 private:
  void wanting(std::size_t line, const std::string& what, const std::string& remedy) {
    draft_.find_wanting(*unit_->source, line, unit_->name.stem + ": " + what, remedy);
  }
  SandboxKeys::Wanting said() {
    return
        [this](std::size_t line, const std::string& what, const std::string& remedy) { wanting(line, what, remedy); };
  }
  void unit_key(Service& service, const IniEntry& entry);
  void service_key(Service& service, const IniEntry& entry);
  bool timing(Service& service, const IniEntry& entry);
  bool start_limit(Service& service, const IniEntry& entry);
  void start_command(Service& service, const IniEntry& entry);
  void type(Service& service, const IniEntry& entry);
  void hook(Service& service, const IniEntry& entry, std::string_view name);
  void finish_start_limit(Service& service);
  void finish_task(Service& service);
  void finish_pid_file(Service& service);
  void dependencies(Service& service, const IniEntry& entry);
  std::string specifiers(const IniEntry& entry) {
    return without_specifiers(entry.value, unit_->name, known(), told(entry));
  }
  Known known() const { return {host_, {}}; }
  Told told(const IniEntry& entry) {
    return [this, &entry](const std::string& what, const std::string& remedy) {
      wanting(entry.line, what.starts_with("%") ? entry.key + ": " + what : what, remedy);
    };
  }
  std::optional<UnitWords> words_of(const IniEntry& entry, std::string_view text, bool command);
  UnitCommand command_line(const IniEntry& entry, bool& ignored);
  void environment(Service& service, const IniEntry& entry);
  void directory(Service& service, const IniEntry& entry);
  void account(Service& service, const IniEntry& entry);
  void finish_times(Service& service);

  std::set<std::string> names_;
  const Unit* unit_ = nullptr;
  std::set<std::pair<std::string, std::string>> needs_;  // said by more than After=
  bool has_command_ = false;
  bool is_task_ = false, is_forking_ = false;
  bool no_start_limit_ = false;  // StartLimitIntervalSec=0
  const IniEntry* pid_file_ = nullptr;
  std::vector<std::string> files_;  // of EnvironmentFile=
  UnitPrivileges privileges_;
  std::string user_;
  UnitHooks hooks_;
  std::optional<std::int64_t> start_ms_, stop_ms_;  // said by the unit
  UnitSurroundings surroundings_;
  std::map<std::string_view, std::vector<std::string>> directories_;
  const std::string& host_;
  SandboxKeys sandbox_;
  Draft draft_;
};

// Specifiers are replaced in each word by itself: what one of them stands for is not split.
std::optional<UnitWords> Importer::words_of(const IniEntry& entry, std::string_view text, bool command) {
  std::optional<UnitWords> split = split_unit_words(text);
  if (!split) return std::nullopt;
  if (!split->odd.empty())
    wanting(entry.line, entry.key + ": " + split->odd + " is no escape that is known, and stays as it is",
            "a backslash is \\\\");
  Known all = known();
  if (command) all.credentials = "${CREDENTIALS_DIRECTORY}";
  for (std::string& word : split->words) word = without_specifiers(word, unit_->name, all, told(entry));
  return split;
}

// systemd.service(5) "Command lines". `ignored`: its failure is none. Without words: there is no command in it, or none
// that can be read, which is told.
UnitCommand Importer::command_line(const IniEntry& entry, bool& ignored) {
  std::string_view text = entry.value;
  const std::string_view prefixes = text.substr(0, std::min(text.find_first_not_of("-@:+!|"), text.size()));
  text.remove_prefix(prefixes.size());
  const auto has = [&](char c) { return prefixes.find(c) != prefixes.npos; };
  ignored = has('-');
  if (has('+') || has('!'))
    wanting(entry.line, entry.key + "=" + (has('+') ? "+" : "!") + ": privileges are not carried over",
            "user says as whom it runs");
  std::optional<UnitWords> split = words_of(entry, text, true);
  if (!split || split->words.empty()) {
    wanting(entry.line, "the quotes of " + entry.key + " do not match", "write command = [\"program\", \"argument\"]");
    return {};
  }
  if (has('@') && split->words.size() > 1) {
    wanting(entry.line, entry.key + "=@: " + split->words[1] + " as the name that it sees (argv[0]) is left out",
            "command = [\"bash\", \"-c\", \"exec -a NAME program\"] gives it one");
    split->words.erase(split->words.begin() + 1);
  }
  if (!split->ends.empty() && split->ends[0] > 0 && split->ends[0] < split->words.size()) {
    wanting(entry.line, entry.key + ": what stands behind ; is a command of its own, and left out",
            "write it into a line of its own, and import again");
    split->words.resize(split->ends[0]);
  }
  UnitCommand command = command_of(split->words, has(':'), entry.key != "ExecStart");
  const auto split_one = std::ranges::find_if_not(command.split, [](const std::string& each) {
    return each == "$MAINPID" || each == "$EXIT_STATUS" || each == "$SERVICE_RESULT" || each == "$EXIT_CODE";
  });  // systemd's own are one word
  if (split_one != command.split.end())
    wanting(entry.line,
            entry.key + ": " + *split_one +
                " is split by the shell: at blanks, and with its patterns (*, ?) replaced; systemd obeys quotes in it",
            "where that matters, write the arguments themselves");
  return command;
}

void Importer::start_command(Service& service, const IniEntry& entry) {
  if (has_command_)
    return wanting(entry.line, "a second ExecStart is left out",
                   "write a service of its own, and depends_on = { ... = \"completed_successfully\" }");
  bool ignored = false;
  const UnitCommand command = command_line(entry, ignored);
  if (ignored)
    wanting(entry.line, "ExecStart=-: failures that are ignored", "success_exit_codes names the codes that are none");
  if (command.words.empty() && command.shell.empty()) return;
  has_command_ = true;
  if (command.shell.empty()) return service.set("command", quoted_list(command.words));
  service.set("shell", "true");
  service.set("command", quoted("exec " + command.shell));
}

void Importer::type(Service& service, const IniEntry& entry) {
  const std::string& value = entry.value;
  if (value == "simple" || value == "exec" || value == "idle") return;
  if (value == "notify" || value == "notify-reload") return service.set("ready", quoted("notify"));
  if (value == "oneshot") {
    service.set("type", quoted("task"));
    is_task_ = true;
    return wanting(entry.line, "Type=oneshot: it runs once at `hearth up`",
                   "who needs it says so: depends_on = { " + service.name + " = \"completed_successfully\" }");
  }
  if (value == "forking") {
    is_forking_ = true;
    return service.set("type", quoted("forking"));
  }
  wanting(entry.line, "Type=" + value + " is not carried over",
          "a probe says when it is ready: ready = { type = \"tcp\", ... }");
}

bool Importer::timing(Service& service, const IniEntry& entry) {
  static constexpr std::pair<std::string_view, std::string_view> spans[] = {{"TimeoutStartSec", "start_timeout"},
                                                                            {"TimeoutStopSec", "stop_timeout"},
                                                                            {"WatchdogSec", "watchdog"},
                                                                            {"StartLimitIntervalSec", "restart_window"},
                                                                            {"StartLimitInterval", "restart_window"}};
  const bool both = entry.key == "TimeoutSec";
  if (entry.key == "RestartSec") {
    if (const auto span = span_of(entry.value))
      service.set_in("backoff", "initial", *span), service.set_in("backoff", "factor", "1");
    return true;
  }
  bool found = both;
  for (const auto& [theirs, ours] : spans) {
    if (entry.key != theirs && !(both && theirs.starts_with("Timeout"))) continue;
    found = true;
    constexpr std::int64_t longest_stop = 3'600'000, no_end = 86'400'000;
    const auto span = span_of(entry.value);
    const std::int64_t ms = milliseconds_of(entry.value).value_or(1);
    if (ours.ends_with("_timeout")) {
      std::optional<std::int64_t>& said = ours == "start_timeout" ? start_ms_ : stop_ms_;
      said = entry.value == "infinity" || ms == 0 ? no_end : ms;
    }
    if (entry.value == "infinity" || (ms == 0 && theirs.starts_with("Timeout"))) {  // 0 has no end there, either
      if (ours == "start_timeout") service.set(ours, "0");
      if (ours == "stop_timeout")
        service.set(ours, quoted("1h")), wanting(entry.line, "a stop without an end has one of an hour", "");
      continue;
    }
    if (ours == "stop_timeout" && ms > longest_stop) {
      service.set(ours, quoted("1h"));
      wanting(entry.line, entry.key + "=" + entry.value + " is taken for an hour", "no stop_timeout is longer");
      continue;
    }
    if (ours == "restart_window") no_start_limit_ = span == "\"0s\"";
    if (!span)
      wanting(entry.line, entry.key + "=" + entry.value + " is no time that is understood",
              "write " + std::string(ours));
    else if (*span != "\"0s\"" || ours == "start_timeout" || ours == "watchdog")
      service.set(ours, *span);
  }
  return found;
}

// It counts all starts, also the first one, and max_restarts those after it. There 0 is no limit, as here.
bool Importer::start_limit(Service& service, const IniEntry& entry) {
  if (entry.key != "StartLimitBurst") return false;
  const std::optional<std::int64_t> starts = count_of(entry.value);
  if (starts == 1)
    wanting(entry.line, "StartLimitBurst=1 allows no restart, and the least limit here is one: max_restarts = 1",
            "restart = \"never\" if none shall be");
  service.set("max_restarts", !starts        ? integer(entry.value)
                              : *starts == 0 ? "0"
                                             : std::to_string(std::max<std::int64_t>(*starts - 1, 1)));
  return true;
}

void Importer::dependencies(Service& service, const IniEntry& entry) {
  std::string left_out;
  for (const std::string& other : split_list(specifiers(entry), " \t")) {
    if (other.ends_with(".target") || other.ends_with(".slice") || other.ends_with(".mount")) {
      if (other != "network.target" && other != "multi-user.target" && other != "basic.target")
        left_out += (left_out.empty() ? "" : " ") + other;
      continue;
    }
    const std::string name = UnitName(other).stem;
    if (!other.ends_with(".service") || !names_.contains(name)) {
      wanting(entry.line, entry.key + "=" + other + " is none of the units that were given",
              "import both together, or order hearth's own unit after it");
      continue;
    }
    const bool required = entry.key == "Requires" || entry.key == "BindsTo" || entry.key == "Requisite";
    // An explicit stop or restart of the other one is one of this, too.
    const bool follows = required || entry.key == "PartOf";
    // Of several keys that name one unit the strongest holds.
    if (follows || !needs_.contains({service.name, name}))
      service.set_in("depends_on", name_of(name), follows ? "{ stop = true, restart = true }" : "{ required = false }");
    if (follows) needs_.insert({service.name, name});
  }
  if (!left_out.empty())
    wanting(entry.line, entry.key + "=" + left_out + " is not carried over: hearth starts when it is told to",
            "order hearth's own unit after it (docs/guide/systemd.md)");
}

void Importer::unit_key(Service& service, const IniEntry& entry) {
  const std::string& key = entry.key;
  if (key == "After" || key == "Requires" || key == "Wants" || key == "BindsTo" || key == "PartOf" ||
      key == "Requisite")
    return dependencies(service, entry);
  if (timing(service, entry) || start_limit(service, entry)) return;
  if (key == "Description" || key == "Documentation" || key == "DefaultDependencies") return;
  wanting(entry.line, key + "=" + entry.value + " is not carried over", unit_section_remedy(key));
}

void Importer::environment(Service& service, const IniEntry& entry) {
  if (entry.value.empty()) return service.remove("env");
  const std::optional<UnitWords> split = words_of(entry, entry.value, false);
  if (!split)
    return wanting(entry.line, "the quotes of Environment do not match, and it is left out",
                   "write env = { NAME = \"value\" }");
  for (const std::string& word : split->words) {
    const std::size_t sign = word.find('=');
    if (sign == word.npos || sign == 0)
      wanting(entry.line, "Environment: " + word + " is not NAME=VALUE, and left out", "env = { NAME = \"value\" }");
    else
      service.set_in("env", word.substr(0, sign), quoted(word.substr(sign + 1)));
  }
}

void Importer::service_key(Service& service, const IniEntry& entry) {
  const std::string& key = entry.key;
  const std::string& value = entry.value;
  if (key == "ExecStart" && value.empty()) {  // begins anew
    has_command_ = false;
    service.remove("shell");
    return service.remove("command");
  }
  if (key == "ExecStart") return start_command(service, entry);
  if (key == "Type") return type(service, entry);
  if (key == "WorkingDirectory") return directory(service, entry);
  if (key == "User" || key == "Group") return account(service, entry);
  if (key == "KillSignal") return service.set("stop_signal", quoted(value));
  if (key == "Environment") return environment(service, entry);
  if (key == "Restart") {
    const bool failures = value.starts_with("on-");
    if (failures && value != "on-failure" && value != "on-success")
      wanting(entry.line, "Restart=" + value + " is carried over as on-failure", "");
    if (value == "on-success")
      wanting(entry.line, "Restart=on-success is not carried over", "write success_exit_codes and restart");
    return service.set("restart", quoted(value == "no" ? "never" : failures ? "on-failure" : "always"));
  }
  if (key == "SuccessExitStatus") {
    std::string list = "0";
    for (const std::string& code : split_list(value, " \t")) {
      if (code.find_first_not_of("0123456789") == code.npos)
        list += ", " + integer(code);
      else
        wanting(entry.line, "SuccessExitStatus=" + code + ": only numbers are carried over",
                code.starts_with("SIG") ? "who ends by a signal that nobody asked for has failed"
                                        : "write its number (systemd.exec(5), \"Process Exit Codes\")");
    }
    return service.set("success_exit_codes", "[" + list + "]");
  }
  if (timing(service, entry) || start_limit(service, entry)) return;
  if (UnitSurroundings::has(key)) return surroundings_.key(service, key, specifiers(entry), told(entry));
  if (key == "KillMode" && value != "control-group" && value != "mixed")
    return wanting(entry.line, "KillMode=" + value + ": hearth ends all that is left of a run",
                   "what has to outlive it, as sessions of sshd, can stay with systemd");
  if ((key == "StandardOutput" || key == "StandardError") && value != "journal" && value != "inherit")
    return wanting(entry.line, key + "=" + value + ": output goes to a file of hearth's own",
                   "hearth logs " + service.name + " shows it");
  if (const std::string_view name = UnitHooks::called(key); !name.empty()) return hook(service, entry, name);
  if (privileges_.key(service, entry, told(entry))) return;
  if (sandbox_.take(service, entry, [this](const IniEntry& its) { return specifiers(its); }, said())) return;
  if (key == "EnvironmentFile") {
    if (value.empty()) return files_.clear(), service.remove("env_files");
    files_.push_back(specifiers(entry));  // a leading '-' means the same to both
    return service.set("env_files", quoted_list(files_));
  }
  if (key == "RuntimeDirectory" || key == "StateDirectory" || key == "CacheDirectory") {
    const char* ours = key == "RuntimeDirectory" ? "runtime_directories"
                       : key == "StateDirectory" ? "state_directories"
                                                 : "cache_directories";
    if (value.empty()) return directories_[ours].clear(), service.remove(ours);
    for (std::string& name : split_list(specifiers(entry), " \t")) directories_[ours].push_back(std::move(name));
    return service.set(ours, quoted_list(directories_[ours]));
  }
  if (key == "PIDFile") return void(pid_file_ = &entry);
  if (key == "KillMode" || key == "StandardOutput" || key == "StandardError" || key == "NotifyAccess" ||
      key == "RemainAfterExit" || key == "GuessMainPID" || key == "SyslogIdentifier")
    return;
  if (tell_without_counterpart(key, value, told(entry))) return;
  wanting(entry.line, key + "=" + value + " is not carried over", "docs/reference/configuration.md has what there is");
}

void Importer::hook(Service& service, const IniEntry& entry, std::string_view name) {
  if (entry.value.empty()) return hooks_.clear(service, name);
  bool ignored = false;
  const UnitCommand command = command_line(entry, ignored);
  hooks_.add(service, name, command, ignored);
}

// A leading '-' means that it need not be there.
void Importer::directory(Service& service, const IniEntry& entry) {
  std::string path = specifiers(entry);
  if (path.starts_with("-")) {
    path.erase(0, 1);
    wanting(entry.line, "WorkingDirectory=-: here it has to be there", "make it once, by hand");
  }
  const bool has_user = std::ranges::any_of(
      unit_->sections, [](const IniSection& each) { return each.name == "Service" && each.find("User") != nullptr; });
  if (path == "~" && has_user)
    wanting(entry.line, "WorkingDirectory=~ is here the home of who calls `hearth up`, and not that of User=",
            "cwd = \"/home/...\"");
  service.set("cwd", quoted(path));
}

// hearth replaces no ${NAME} here. %u is whoever systemd runs as: root, or the user of `systemctl --user`.
void Importer::account(Service& service, const IniEntry& entry) {
  const bool is_user = entry.key == "User";
  const std::string name = specifiers(entry);
  const std::string ours = is_user ? "user" : "group";
  if (is_user) user_.clear();
  if (name.empty()) return service.remove(ours);  // begins anew
  if (name.find(variable("").front()) != name.npos) {
    service.remove(ours);
    return wanting(entry.line, entry.key + "=" + entry.value + " is left out: no variable is replaced in " + ours,
                   "it runs as who runs hearth; for somebody else write the name: " + ours + " = \"www-data\"");
  }
  if (is_user) user_ = name;
  service.set(ours, quoted(name));
}

// Without an interval nothing is counted.
void Importer::finish_start_limit(Service& service) {
  if (no_start_limit_) service.remove("max_restarts");
}

// What has no meaning for who runs to his end.
void Importer::finish_task(Service& service) {
  if (!is_task_) return;
  for (const char* key : {"ready", "watchdog", "start_timeout", "restart"}) service.remove(key);
}

// What systemd takes where the unit is silent, and hearth has less.
void Importer::finish_times(Service& service) {
  hooks_.finish(service, start_ms_, stop_ms_);
  if (!service.has("stop_timeout")) service.set("stop_timeout", quoted("90s"));
  if ((is_forking_ || service.has("ready")) && !service.has("start_timeout"))
    service.set("start_timeout", quoted("90s"));
}

// Who stays in the foreground writes none for us; ours would be written by hearth.
void Importer::finish_pid_file(Service& service) {
  if (pid_file_ == nullptr) return;
  if (!is_forking_) return wanting(pid_file_->line, "PIDFile is not needed by a program in the foreground", "");
  const std::string path = specifiers(*pid_file_);
  service.set("pid_file", quoted(path.starts_with("/") ? path : "/run/" + path));
}

void Importer::import(const Unit& unit) {
  unit_ = &unit;
  has_command_ = is_task_ = is_forking_ = no_start_limit_ = false;
  pid_file_ = nullptr;
  files_.clear();
  privileges_ = {};
  user_.clear();
  sandbox_ = {};
  hooks_ = {};
  start_ms_.reset(), stop_ms_.reset();
  directories_.clear();
  surroundings_ = {};
  Service& service = draft_.add(unit.name.stem);
  if (service.name != unit.name.stem)
    wanting(0, "it is called " + service.name + " now", "names have letters, digits, _ and -, 48 at most");
  service.set("restart", quoted("never"));  // the default of systemd
  for (const IniSection& section : unit.sections) {
    for (const IniEntry& entry : section.entries) {
      if (section.name == "Unit") unit_key(service, entry);
      if (section.name == "Service") service_key(service, entry);
    }
  }
  surroundings_.finish(service);
  finish_times(service);
  privileges_.finish(service, user_, said());
  sandbox_.finish(service, said());
  finish_start_limit(service);
  finish_task(service);
  finish_pid_file(service);
  if (!has_command_) wanting(0, "there is no ExecStart in it", "write its command");
}

}  // namespace

Result<Imported> import_systemd(const std::vector<Source>& sources, const std::string& host) {
  std::vector<Unit> units;
  std::string from;
  for (const Source& source : sources) {
    Result<std::vector<IniSection>> sections = read_ini(source, IniDialect::systemd);
    if (!sections) return failure(sections.error());
    const bool service =
        std::any_of(sections->begin(), sections->end(), [](const IniSection& s) { return s.name == "Service"; });
    if (!service)
      return failure(Remedy::fix_input, "import", source.path, "it has no [Service]", "name .service units");
    units.push_back({&source, std::move(*sections), UnitName(source.path)});
    from += (from.empty() ? "" : ", ") + source.path;
  }
  Importer importer(units, host);
  for (const Unit& unit : units) importer.import(unit);
  return importer.draft().finish(from);
}

}  // namespace hearth::importers
