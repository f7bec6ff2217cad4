// .service units: systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.unit(5).
#include <algorithm>
#include <optional>
#include <ranges>
#include <set>

#include "importers/draft.h"
#include "importers/ini.h"
#include "importers/sizes.h"
#include "importers/systemd_sandbox.h"
#include "importers/systemd_values.h"
#include "importers/words.h"
#include "model/capabilities.h"

namespace hearth::importers {
namespace {

struct Unit {
  const Source* source;
  std::vector<IniSection> sections;
  std::string name;  // web.service -> web
};

std::string base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash != path.npos) path.remove_prefix(slash + 1);
  return std::string(path);
}

std::string stem_of(std::string_view unit) {
  std::string name = base_name(unit);
  if (name.ends_with(".service")) name.resize(name.size() - 8);
  if (name.ends_with("@")) name.pop_back();
  return name;
}

class Importer {
 public:
  explicit Importer(const std::vector<Unit>& units) {
    for (const Unit& unit : units) names_.insert(unit.name);
  }

  void import(const Unit& unit);
  Draft& draft() { return draft_; }

 private:
  void wanting(std::size_t line, const std::string& what, const std::string& remedy) {
    draft_.find_wanting(*unit_->source, line, unit_->name + ": " + what, remedy);
  }
  SandboxKeys::Wanting said() {
    return
        [this](std::size_t line, const std::string& what, const std::string& remedy) { wanting(line, what, remedy); };
  }
  void unit_key(Service& service, const IniEntry& entry);
  void service_key(Service& service, const IniEntry& entry);
  bool timing(Service& service, const IniEntry& entry);
  bool start_limit(Service& service, const IniEntry& entry);
  bool limit(Service& service, const IniEntry& entry);
  void start_command(Service& service, const IniEntry& entry);
  void type(Service& service, const IniEntry& entry);
  bool hook(Service& service, const IniEntry& entry);
  bool privileges(Service& service, const IniEntry& entry);
  void finish_privileges(Service& service);
  void finish_start_limit(Service& service);
  void finish_task(Service& service);
  void finish_pid_file(Service& service);
  void dependencies(Service& service, const IniEntry& entry);
  std::string specifiers(const IniEntry& entry);

  std::set<std::string> names_;
  const Unit* unit_ = nullptr;
  std::set<std::pair<std::string, std::string>> needs_;  // said by more than After=
  bool has_command_ = false;
  bool is_task_ = false, is_forking_ = false;
  bool no_start_limit_ = false;  // StartLimitIntervalSec=0
  const IniEntry* pid_file_ = nullptr;
  std::vector<std::string> files_;  // of EnvironmentFile=
  std::optional<CapabilitySet> ambient_, bounding_;
  std::size_t ambient_line_ = 0;
  std::string user_;
  SandboxKeys sandbox_;
  Draft draft_;
};

// The few specifiers that mean the same here; others are told.
std::string Importer::specifiers(const IniEntry& entry) {
  std::string out;
  const std::string& text = entry.value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    if (kind == '%') {
      out += '%';
    } else if (kind == 'n' || kind == 'N' || kind == 'p') {
      out += kind == 'n' ? unit_->name + ".service" : unit_->name;
    } else if (kind == 'h') {
      out += variable("HOME");
    } else {
      out += std::string("%") + kind;
      wanting(entry.line, entry.key + ": %" + kind + " is not carried over", "write what it stands for");
    }
  }
  return out;
}

void Importer::start_command(Service& service, const IniEntry& entry) {
  std::string text = specifiers(entry);
  const std::size_t prefix = std::min(text.find_first_not_of("-@:+!"), text.size());
  for (const char c : text.substr(0, prefix)) {
    if (c == '-')
      wanting(entry.line, "ExecStart=-: failures that are ignored", "success_exit_codes names the codes that are none");
    if (c == '@')
      wanting(entry.line, "ExecStart=@: the word after the program is no argument but argv[0]",
              "take it out of command");
    if (c == '+' || c == '!')
      wanting(entry.line, std::string("ExecStart=") + c + ": privileges are not carried over",
              "user says as whom it runs");
  }
  text.erase(0, prefix);
  const auto words = split_words(text);
  if (!words || words->empty())
    return wanting(entry.line, "the quotes of ExecStart do not match", "write command = [\"program\", \"argument\"]");
  if (has_command_)
    return wanting(entry.line, "a second ExecStart is left out",
                   "write a service of its own, and depends_on = { ... = \"completed_successfully\" }");
  has_command_ = true;
  std::vector<std::string> command = *words;
  // systemd replaces ${NAME} and $NAME from the environment of the service; hearth ${NAME} from that of `hearth up`.
  for (std::string& word : command) {
    const std::size_t at = word.find('$');
    if (at == word.npos || word.substr(at).starts_with("$$")) continue;
    wanting(entry.line, "ExecStart: " + word + " is not replaced when the service starts",
            "write ${NAME} for a variable of whoever calls `hearth up`, or shell = true");
  }
  service.set("command", quoted_list(command));
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
  for (const auto& [theirs, ours] : spans) {
    if (entry.key != theirs && !(both && theirs.starts_with("Timeout"))) continue;
    if (entry.value == "infinity") {
      if (ours == "start_timeout") service.set(ours, "0");
      if (ours == "stop_timeout")
        service.set(ours, quoted("1h")), wanting(entry.line, "a stop without an end has one of an hour", "");
      continue;
    }
    const auto span = span_of(entry.value);
    if (ours == "restart_window") no_start_limit_ = span == "\"0s\"";
    if (!span)
      wanting(entry.line, entry.key + "=" + entry.value + " is no time that is understood",
              "write " + std::string(ours));
    else if (*span != "\"0s\"" || ours == "start_timeout" || ours == "watchdog")
      service.set(ours, *span);
    if (!both) return true;
  }
  return both;
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

bool Importer::limit(Service& service, const IniEntry& entry) {
  if (!entry.key.starts_with("Limit")) return false;
  std::string name = entry.key.substr(5);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  const auto one = [](const std::string& text) {
    if (text == "infinity") return quoted("unlimited");
    return integer(text);
  };
  const std::size_t colon = entry.value.find(':');
  service.set_in("limits", name,
                 colon == entry.value.npos ? one(entry.value)
                                           : "{ soft = " + one(entry.value.substr(0, colon)) +
                                                 ", hard = " + one(entry.value.substr(colon + 1)) + " }");
  return true;
}

void Importer::dependencies(Service& service, const IniEntry& entry) {
  for (const std::string& other : split_list(entry.value, " \t")) {
    if (other.ends_with(".target") || other.ends_with(".slice") || other.ends_with(".mount")) {
      if (other != "network.target" && other != "multi-user.target" && other != "basic.target")
        wanting(entry.line, entry.key + "=" + other + " is not carried over: hearth starts when it is told to",
                "order hearth's own unit after it (docs/guide/systemd.md)");
      continue;
    }
    const std::string name = stem_of(other);
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
}

void Importer::unit_key(Service& service, const IniEntry& entry) {
  const std::string& key = entry.key;
  if (key == "After" || key == "Requires" || key == "Wants" || key == "BindsTo" || key == "PartOf" ||
      key == "Requisite")
    return dependencies(service, entry);
  if (timing(service, entry) || start_limit(service, entry)) return;
  if (key == "Description" || key == "Documentation" || key == "DefaultDependencies") return;
  wanting(entry.line, key + "=" + entry.value + " is not carried over", "");
}

void Importer::service_key(Service& service, const IniEntry& entry) {
  const std::string& key = entry.key;
  const std::string& value = entry.value;
  if (key == "ExecStart") return value.empty() ? void(has_command_ = false) : start_command(service, entry);
  if (key == "Type") return type(service, entry);
  if (key == "WorkingDirectory") return service.set("cwd", quoted(value == "~" ? "~" : specifiers(entry)));
  if (key == "User") {
    user_ = value;
    return service.set("user", quoted(value));
  }
  if (key == "Group") return service.set("group", quoted(value));
  if (key == "UMask")
    return service.set("umask", quoted(value.size() == 4 && value[0] == '0' ? value.substr(1) : value));
  if (key == "Nice") return service.set("nice", integer(value));
  if (key == "OOMScoreAdjust") return service.set("oom_score_adj", integer(value));
  if (key == "KillSignal") return service.set("stop_signal", quoted(value));
  if (key == "Environment") {
    const auto words = split_words(specifiers(entry));
    for (const std::string& word : words.value_or(std::vector<std::string>()))
      if (const std::size_t sign = word.find('='); sign != word.npos && sign > 0)
        service.set_in("env", word.substr(0, sign), quoted(word.substr(sign + 1)));
    return;
  }
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
        wanting(entry.line, "SuccessExitStatus=" + code + ": only numbers are carried over", "write its number");
    }
    return service.set("success_exit_codes", "[" + list + "]");
  }
  if (timing(service, entry) || start_limit(service, entry) || limit(service, entry)) return;
  if (key == "KillMode" && value != "control-group" && value != "mixed")
    return wanting(entry.line, "KillMode=" + value + ": hearth ends all that is left of a run", "");
  if ((key == "StandardOutput" || key == "StandardError") && value != "journal" && value != "inherit")
    return wanting(entry.line, key + "=" + value + ": output goes to a file of hearth's own",
                   "hearth logs " + service.name + " shows it");
  if (hook(service, entry) || privileges(service, entry)) return;
  if (sandbox_.take(service, entry, specifiers(entry), said())) return;
  if (key == "EnvironmentFile") {
    files_.push_back(value);  // a leading '-' means the same to both
    return service.set("env_files", quoted_list(files_));
  }
  if (key == "RuntimeDirectory" || key == "StateDirectory" || key == "CacheDirectory") {
    const char* ours = key == "RuntimeDirectory" ? "runtime_directories"
                       : key == "StateDirectory" ? "state_directories"
                                                 : "cache_directories";
    return service.set(ours, quoted_list(split_list(value, " \t")));
  }
  if (key == "PIDFile") return void(pid_file_ = &entry);
  if (key == "KillMode" || key == "StandardOutput" || key == "StandardError" || key == "NotifyAccess" ||
      key == "RemainAfterExit" || key == "GuessMainPID" || key == "SyslogIdentifier" || key == "StandardInput" ||
      key == "SendSIGKILL")
    return;
  wanting(entry.line, key + "=" + value + " is not carried over", "docs/reference/configuration.md has what there is");
}

// Commands around the life of a service. $MAINPID is HEARTH_PID here, and takes a shell.
bool Importer::hook(Service& service, const IniEntry& entry) {
  static constexpr std::pair<std::string_view, std::string_view> hooks[] = {{"ExecStartPre", "before_start"},
                                                                            {"ExecStartPost", "after_start"},
                                                                            {"ExecStop", "stop_command"},
                                                                            {"ExecStopPost", "after_stop"},
                                                                            {"ExecReload", "reload_command"}};
  for (const auto& [theirs, ours] : hooks) {
    if (entry.key != theirs) continue;
    std::string text = specifiers(entry);
    if (text.starts_with("-"))
      wanting(entry.line, entry.key + "=-: a failure of it is not ignored", "let it end with true");
    text.erase(0, std::min(text.find_first_not_of("-@:+!"), text.size()));
    const auto words = split_words(text);
    if (!words || words->empty()) {
      wanting(entry.line, "the quotes of " + entry.key + " do not match", "write " + std::string(ours));
    } else if (service.has(ours)) {
      wanting(entry.line, "a second " + entry.key + " is left out",
              "write both into " + std::string(ours) + " = { shell = true, command = \"...\" }");
    } else if (text.find("$MAINPID") != text.npos || text.find("${MAINPID}") != text.npos) {
      for (const std::string_view name : {"${MAINPID}", "$MAINPID"})
        for (std::size_t at = text.find(name); at != text.npos; at = text.find(name))
          text.replace(at, name.size(), "$HEARTH_PID");
      service.set(ours, "{ shell = true, command = " + quoted(text) + " }");
    } else {
      service.set(ours, quoted_list(*words));
    }
    return true;
  }
  return false;
}

// systemd.exec(5) "Capabilities". A list may begin with '~', which means all others; several are put together: with '~'
// each takes away, without each adds. An empty one begins anew.
bool Importer::privileges(Service& service, const IniEntry& entry) {
  if (entry.key == "NoNewPrivileges") {
    static constexpr std::string_view yes[] = {"1", "yes", "y", "true", "t", "on"};
    if (std::ranges::find(yes, std::string_view(entry.value)) != std::ranges::end(yes))
      service.set("no_new_privs", "true");
    return true;
  }
  const bool ambient = entry.key == "AmbientCapabilities";
  if (!ambient && entry.key != "CapabilityBoundingSet") return false;
  std::string_view text = entry.value;
  const bool inverted = text.starts_with("~");
  if (inverted) text.remove_prefix(1);
  CapabilitySet named = 0;
  for (const std::string& name : split_list(text, " \t"))
    if (name.starts_with("-") || !add_capability(name, named))
      wanting(entry.line, entry.key + ": " + name + " is no capability that hearth knows",
              "capabilities(7) has their names");
  std::optional<CapabilitySet>& set = ambient ? ambient_ : bounding_;
  if (!set || named == 0)
    set = inverted ? all_capabilities & ~named : named;
  else
    set = inverted ? *set & ~named : *set | named;
  if (ambient) ambient_line_ = entry.line;
  return true;
}

// What is ambient there is what it has here. There it leaves the bounding set alone, here it is the bounding set unless that
// is said. Root has its bounding set, and nothing of the ambient one besides.
void Importer::finish_privileges(Service& service) {
  const auto list = [](CapabilitySet set) { return quoted_list(capability_words(set)); };
  if (ambient_ && *ambient_ == 0) ambient_.reset();
  if (ambient_ && (user_.empty() || user_ == "root" || user_ == "0")) {
    wanting(ambient_line_, "AmbientCapabilities changes nothing for root, and is left out",
            "say user, or capabilities");
    ambient_.reset();
  }
  if (ambient_) service.set("capabilities", list(*ambient_ & bounding_.value_or(all_capabilities)));
  if (ambient_ || bounding_) service.set("capability_bounding_set", list(bounding_.value_or(all_capabilities)));
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
  ambient_.reset();
  bounding_.reset();
  user_.clear();
  sandbox_ = {};
  Service& service = draft_.add(unit.name);
  service.set("restart", quoted("never"));  // the default of systemd
  for (const IniSection& section : unit.sections) {
    for (const IniEntry& entry : section.entries) {
      if (section.name == "Unit") unit_key(service, entry);
      if (section.name == "Service") service_key(service, entry);
    }
  }
  finish_privileges(service);
  sandbox_.finish(service, said());
  finish_start_limit(service);
  finish_task(service);
  finish_pid_file(service);
  if (!has_command_) wanting(0, "there is no ExecStart in it", "write its command");
}

}  // namespace

Result<Imported> import_systemd(const std::vector<Source>& sources) {
  std::vector<Unit> units;
  std::string from;
  for (const Source& source : sources) {
    Result<std::vector<IniSection>> sections = read_ini(source, IniDialect::systemd);
    if (!sections) return failure(sections.error());
    const bool service =
        std::any_of(sections->begin(), sections->end(), [](const IniSection& s) { return s.name == "Service"; });
    if (!service)
      return failure(Remedy::fix_input, "import", source.path, "it has no [Service]", "name .service units");
    units.push_back({&source, std::move(*sections), stem_of(source.path)});
    from += (from.empty() ? "" : ", ") + source.path;
  }
  Importer importer(units);
  for (const Unit& unit : units) importer.import(unit);
  return importer.draft().finish(from);
}

}  // namespace hearth::importers
