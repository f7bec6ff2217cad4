// Ecosystem files of pm2: https://pm2.keymetrics.io/docs/usage/application-declaration/. JSON only: a .js file is a
// program, and whoever calls runs it by node.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include <boost/json.hpp>

#include "importers/draft.h"
#include "importers/javascript.h"
#include "importers/sizes.h"
#include "importers/unit_words.h"
#include "importers/words.h"

namespace hearth::importers {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& value) {
  return value.is_null() ? "" : foreign(javascript_text(value));
}

std::vector<std::string> words_of(const json::value& value) {
  std::vector<std::string> words;
  if (const json::array* list = value.if_array()) {
    for (const json::value& item : *list) words.push_back(text_of(item));
  } else {
    words = split_words(text_of(value)).value_or(std::vector<std::string>{text_of(value)});
  }
  return words;
}

// A number is milliseconds; texts as "3s" are as they are.
std::string span_text(const json::value& value) {
  const std::string text = text_of(value);
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  return quoted(digits ? text + "ms" : text);
}

// 4, "4".
std::optional<std::int64_t> whole_number(const json::value& value) {
  const std::string text = value.is_number() || value.is_string() ? text_of(value) : "";
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// Of "5s", 5000, "1h".
std::optional<std::int64_t> milliseconds_of(const json::value& value) {
  const std::string text = text_of(value);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > 1'000'000'000) return std::nullopt;
  const std::string_view unit(end, text.data() + text.size());
  if (unit.empty() || unit == "ms") return number;
  if (unit == "s") return number * 1'000;
  if (unit == "m") return number * 60'000;
  if (unit == "h") return number * 3'600'000;
  return std::nullopt;
}

bool truth(const json::value& value) {
  if (value.is_bool()) return value.get_bool();
  const std::string text = text_of(value);
  return !text.empty() && text != "false" && text != "0";
}

std::string interpreter_for(std::string_view script) {
  static constexpr std::pair<std::string_view, std::string_view> known[] = {
      {".js", "node"}, {".cjs", "node"}, {".mjs", "node"}, {".py", "python3"}, {".rb", "ruby"},
      {".sh", "bash"}, {".php", "php"},  {".pl", "perl"},  {".ts", "bun"}};
  for (const auto& [ending, program] : known)
    if (script.ends_with(ending)) return std::string(program);
  return {};
}

constexpr std::int64_t longest_pause_ms = 15'000;  // of exp_backoff_restart_delay

class App {
 public:
  App(const Source& source, Draft& draft, const json::object& app) : source_(source), draft_(draft), app_(app) {}

  void import(std::size_t number) {
    const std::string script = member("script");
    std::string name = member("name");
    if (name.empty()) name = script.substr(script.rfind('/') == script.npos ? 0 : script.rfind('/') + 1);
    if (name.find('.') != name.npos && member("name").empty()) name = name.substr(0, name.rfind('.'));
    if (script.empty())
      return draft_.find_wanting(source_, 0, "app " + std::to_string(number) + " has no script, and is left out", "");
    whose_ = "app " + name;
    Service& service = draft_.add(name);
    bool counted = true;
    const std::int64_t instances = instances_of(counted);
    if (service.name != name)
      wanting("it is called " + service.name + " now",
              "names have letters, digits, _ and -, 48 at most, and each is there once");
    fill(service, script);
    if (instances < 2 && counted) return;
    service.set("replicas", std::to_string(instances));
    add_numbers(service);
  }

 private:
  const json::value* find(std::string_view key) const { return app_.if_contains({key.data(), key.size()}); }
  std::string member(std::string_view key) const {
    const json::value* value = find(key);
    return value == nullptr ? "" : text_of(*value);
  }
  // pm2 takes it from where it is started, which is where its file is.
  std::string whole_path(const std::string& path) const {
    const bool relative = !path.starts_with('/') && !source_.directory.empty();
    return relative ? source_.directory + "/" + path : path;
  }
  void wanting(const std::string& what, const std::string& remedy) {
    draft_.find_wanting(source_, 0, whose_ + ": " + what, remedy);
  }

  // `counted`: it is a number, and not one that depends on the machine.
  std::int64_t instances_of(bool& counted) {
    const json::value* value = find("instances");
    const std::optional<std::int64_t> count = value == nullptr ? 1 : whole_number(*value);
    const std::string mode = member("exec_mode");
    const bool cluster = mode.starts_with("cluster");
    counted = count && *count >= 1;
    if (!counted)
      wanting("instances = " + text_of(*value) + " depends on the number of processors, and one is written",
              "write as many replicas as there shall be");
    if (cluster)
      wanting("exec_mode cluster: instances do not share a port through the cluster module of Node",
              "give each its own PORT behind a proxy, or let the server set SO_REUSEPORT (listen option reusePort)");
    return counted ? std::min<std::int64_t>(*count, 4'096) : 1;
  }

  void fill(Service& service, const std::string& script) {
    command(service, script);
    // pm2 restarts whatever ends, also with success.
    service.set("restart", quoted("always"));
    for (const auto& [name, value] : app_) key(service, std::string(name.data(), name.size()), value);
    if (const json::value* codes = find("stop_exit_codes")) return end_codes(service, *codes);
    starts(service);
  }

  // With one of these it has done its work, whenever that is; all others, 0 too, are restarted.
  void end_codes(Service& service, const json::value& value) {
    std::string list;
    if (const json::array* codes = value.if_array())
      for (const json::value& code : *codes) list += (list.empty() ? "" : ", ") + integer(text_of(code));
    const json::value* restarts = find("autorestart");
    if (restarts == nullptr || truth(*restarts)) service.set("restart", quoted("on-failure"));
    service.set("success_exit_codes", "[" + list + "]");
    if (find("min_uptime") != nullptr || find("max_restarts") != nullptr)
      wanting("min_uptime and max_restarts are not carried over beside stop_exit_codes: its work may be done sooner",
              "max_restarts and restart_window bound all restarts");
  }

  // pm2 gives up who ends before min_uptime max_restarts times, but only in the first min_uptime * max_restarts of the
  // app, and then never again: so a limit is written where the file names one.
  void starts(Service& service) {
    constexpr std::int64_t least = 10, most = 86'400'000;
    const json::value* given = find("min_uptime");
    const std::optional<std::int64_t> uptime = given == nullptr ? 1'000 : milliseconds_of(*given);
    if (!uptime)
      wanting("min_uptime = " + text_of(*given) + " cannot be read", "ready = { type = \"uptime\", after = \"1s\" }");
    const std::int64_t after = std::clamp(uptime.value_or(1'000), least, most);
    const std::string span = after % 1'000 == 0 ? std::to_string(after / 1'000) + "s" : std::to_string(after) + "ms";
    service.set("ready", "{ type = \"uptime\", after = " + quoted(span) + " }");
    if (const json::value* limit = find("max_restarts"))
      if (const std::optional<std::int64_t> count = whole_number(*limit))
        service.set("max_failed_starts", std::to_string(std::clamp<std::int64_t>(*count, 1, 10'000)));
  }

  std::vector<std::string> interpreter_arguments() const {
    std::vector<std::string> words;
    for (const char* key : {"node_args", "interpreter_args"})
      if (const json::value* args = find(key))
        for (const std::string& word : words_of(*args)) words.push_back(word);
    return words;
  }

  // A script that is a program with a space in it is run by the shell in pm2.
  bool by_shell(Service& service, const std::string& script, const std::vector<std::string>& arguments) const {
    if (!needs_shell(script) || script.find(' ') == script.npos) return false;
    std::string line = script;
    for (const std::string& word : arguments) line += " " + shell_word(word);
    service.set("shell", "true");
    service.set("command", quoted(line));
    return true;
  }

  void command(Service& service, const std::string& script) {
    std::string interpreter = member("interpreter");
    if (interpreter.empty()) interpreter = member("exec_interpreter");
    std::vector<std::string> arguments;
    if (const json::value* args = find("args")) arguments = words_of(*args);
    if (interpreter.empty() && by_shell(service, script, arguments)) return;
    const std::vector<std::string> parts = split_words(script).value_or(std::vector<std::string>{script});
    std::vector<std::string> words;
    if (interpreter.empty() && parts.size() > 1)
      words = parts;
    else
      words = interpreted(std::move(interpreter), script);
    if (words[0].find("python") != std::string::npos) service.set_in("env", "PYTHONUNBUFFERED", quoted("1"));  // as pm2
    words.insert(words.end(), arguments.begin(), arguments.end());
    service.set("command", quoted_list(words));
  }

  std::vector<std::string> interpreted(std::string interpreter, const std::string& script) {
    const bool given = !interpreter.empty();
    if (!given) interpreter = interpreter_for(script);
    const bool path = script.find('/') != std::string::npos;
    std::vector<std::string> arguments = interpreter_arguments();
    // pm2 looks into the file: what is no program is for node.
    if (!given && interpreter.empty() && path && !arguments.empty()) interpreter = "node";
    if (!given && interpreter.empty() && path)
      wanting(script + " is run as a program", "if it is JavaScript: command = [\"node\", " + quoted(script) + "]");
    if (interpreter.starts_with("node@")) {
      wanting("interpreter " + interpreter + ": the node that is in PATH is written",
              "name its whole path, below ~/.nvm");
      interpreter = "node";
    }
    if (interpreter.empty() || interpreter == "none") {
      if (!arguments.empty())
        wanting("node_args are left out: " + script + " is run as a program",
                "env = { NODE_OPTIONS = \"...\" } reaches node");
      return {script};
    }
    arguments.insert(arguments.begin(), interpreter);
    arguments.push_back(script);
    return arguments;
  }

  // Each instance has its number in NODE_APP_INSTANCE, or what instance_var calls so; increment_var names a variable to
  // which it is added.
  void add_numbers(Service& service) {
    const std::string name = member("instance_var");
    service.set_in("env", name.empty() ? "NODE_APP_INSTANCE" : name, quoted(index_number(0)));
    const std::string added = member("increment_var");
    if (added.empty()) return;
    const json::value* variables = find("env");
    const json::object* all = variables == nullptr ? nullptr : variables->if_object();
    const json::value* value = all == nullptr ? nullptr : all->if_contains(added);
    const std::string first = value == nullptr ? "" : text_of(*value);
    const bool is_number = !first.empty() && first.size() < 10 && first.find_first_not_of("0123456789") == first.npos;
    if (is_number) return service.set_in("env", added, quoted(index_number(std::stoull(first))));
    wanting("increment_var = " + added + ": env has no such number",
            "write env = { " + added + " = \"{index+3000}\" }");
  }

  void environment(Service& service, const json::value& value) {
    const json::object* variables = value.if_object();
    if (variables == nullptr) return;
    for (const auto& [name, text] : *variables)
      service.set_in("env", {name.data(), name.size()}, quoted(foreign(javascript_text(text))));
  }

  // Bytes, or "300M". "1.5G", which pm2 refuses, can only mean one thing.
  void memory(Service& service, const json::value& value) {
    const std::string text = text_of(value);
    const std::optional<std::uint64_t> bytes = bytes_of(text);
    if (!bytes)
      return wanting("max_memory_restart = " + text + " cannot be read", "write max_memory = \"SIZE\", as in \"4GiB\"");
    if (*bytes < least_max_memory)
      return wanting("max_memory_restart = " + text + " is less than 1 MiB", max_memory_remedy(bytes));
    const bool plain = text.find_first_not_of("0123456789") == text.npos;
    service.set("max_memory", plain ? integer(text) : quoted(size_of_bytes(*bytes)));
  }

  void key(Service& service, const std::string& name, const json::value& value) {
    if (name == "cwd") return service.set("cwd", quoted(whole_path(text_of(value))));
    if (name == "env") return environment(service, value);
    if (name == "env_file")
      return wanting("env_file = " + text_of(value) + " is not carried over",
                     "write env_files = " + quoted_list(words_of(value)) + "; its quotes are those of a shell");
    if (name == "autostart") return truth(value) ? void() : service.set("autostart", "false");
    if (name == "namespace") {
      if (const std::string tag = text_of(value); !tag.empty() && tag != "default")
        service.set("tags", quoted_list({name_of(tag)}));
      return;
    }
    if (name.starts_with("env_"))
      return wanting(name + " is not carried over",
                     "write a hearth.toml for each environment, or use ${NAME:-default}");
    if (name == "autorestart") return service.set("restart", quoted(truth(value) ? "always" : "never"));
    if (name == "max_restarts" || name == "min_uptime" || name == "stop_exit_codes") return;  // starts(), end_codes()
    if (name == "restart_delay") {
      service.set_in("backoff", "initial", span_text(value));
      return service.set_in("backoff", "factor", "1");
    }
    if (name == "exp_backoff_restart_delay") {
      service.set_in("backoff", "initial", span_text(value));
      if (milliseconds_of(value).value_or(longest_pause_ms) < longest_pause_ms)
        service.set_in("backoff", "max", quoted("15s"));
      return service.set_in("backoff", "factor", "1.5");
    }
    if (name == "kill_timeout") return service.set("stop_timeout", span_text(value));
    if (name == "listen_timeout") return service.set("start_timeout", span_text(value));
    if (name == "max_memory_restart") return memory(service, value);
    const bool named = value.is_string() || value.is_number();
    if (name == "uid" && named) return service.set("user", account(value));
    if (name == "gid" && named) return service.set("group", account(value));
    unlike(service, name, value);
  }

  static std::string account(const json::value& value) {
    return value.is_string() ? quoted(text_of(value)) : integer(text_of(value));
  }

  // What hearth does in another way, or not.
  void unlike(Service& service, const std::string& name, const json::value& value) {
    static constexpr std::string_view carried[] = {"name",
                                                   "script",
                                                   "args",
                                                   "node_args",
                                                   "interpreter_args",
                                                   "interpreter",
                                                   "exec_interpreter",
                                                   "instances",
                                                   "exec_mode",
                                                   "merge_logs",
                                                   "combine_logs",
                                                   "vizion",
                                                   "pmx",
                                                   "automation",
                                                   "source_map_support",
                                                   "treekill",
                                                   "instance_var",
                                                   "increment_var",
                                                   "ignore_watch",
                                                   "watch_options",
                                                   "watch_delay",
                                                   "force"};
    if (std::find(std::begin(carried), std::end(carried), name) != std::end(carried)) return;
    if (name == "wait_ready" && truth(value))
      return wanting("wait_ready: process.send('ready') is not heard",
                     "send READY=1 (sd_notify) and write ready = "
                     "\"notify\", or write a probe: ready = { type = \"http\", url = ... }");
    if ((name == "shutdown_with_message" || name == "watch" || name == "time") && !truth(value)) return;
    if (name == "watch")
      return wanting("watch: hearth restarts nothing because a file has changed",
                     "use nodemon, or node --watch, as the command");
    if (name == "shutdown_with_message")
      return wanting("shutdown_with_message: a signal is sent instead", "handle SIGTERM");
    if (name == "cron_restart" || name == "cron")
      return wanting(name + " = " + text_of(value) + " is not carried over",
                     "cron(8) can say: hearth restart " + service.name);
    if (name == "log_type" && text_of(value) == "json") return service.set_in("log", "format", quoted("json"));
    if (name == "disable_logs" && truth(value))
      return wanting("disable_logs: hearth keeps the output all the same",
                     "log = { max_size = \"64KiB\", max_files = 2 } keeps little of it");
    if (name == "filter_env")
      return wanting("filter_env: the environment is that of who calls `hearth up`, and nothing is taken out of it",
                     "command = [\"env\", \"-u\", \"NAME\", \"program\"] does");
    if (name == "time" || name == "log_date_format") return service.set_in("log", "format", quoted("stamped"));
    if (name == "out_file" || name == "error_file" || name == "log_file" || name == "output" || name == "error" ||
        name == "log")
      return wanting(name + ": output goes to a file of hearth's own", "hearth logs -f " + service.name + " shows it");
    if (name == "wait_ready") return;
    wanting(name + " is not carried over", "docs/reference/configuration.md has what there is");
  }

  const Source& source_;
  Draft& draft_;
  const json::object& app_;
  std::string whose_;
};

}  // namespace

Result<Imported> import_pm2(const Source& source) {
  json::error_code error;
  json::parse_options lenient;
  lenient.allow_comments = lenient.allow_trailing_commas = true;
  const json::value value = json::parse({source.text.data(), source.text.size()}, error, {}, lenient);
  if (error)
    return failure(
        Remedy::fix_input, "read", source.path, "it is not JSON (" + error.message() + ")",
        "name ecosystem.config.js, which node writes as JSON, or an ecosystem.json; `yq -o json` makes one of YAML");
  json::array apps;
  const json::object* object = value.if_object();
  if (const json::array* list = value.if_array())
    apps = *list;
  else if (object != nullptr && object->contains("apps"))
    apps = object->at("apps").is_array() ? object->at("apps").get_array() : json::array{object->at("apps")};
  else if (object != nullptr)
    apps = {*object};
  Draft draft;
  std::size_t number = 0;
  for (const json::value& app : apps) {
    ++number;
    draft.about(nullptr);
    if (const json::object* one = app.if_object()) App(source, draft, *one).import(number);
  }
  draft.about(nullptr);
  if (object != nullptr && object->contains("deploy"))
    draft.find_wanting(source, 0, "\"deploy\" is left out: hearth copies nothing to other machines", "");
  if (draft.services().empty())
    return failure(Remedy::fix_input, "import", source.path, "there is no app with a script in it",
                   "is it an ecosystem file of pm2?");
  return draft.finish(source.path);
}

}  // namespace hearth::importers
