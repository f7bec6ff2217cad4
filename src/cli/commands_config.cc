// config: looks at the project's file, and changes it, without hearth.
#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/nearest.h"
#include "cli/accounts.h"
#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/project_file.h"
#include "cli/replace_file.h"
#include "config/edit.h"
#include "config/effective.h"
#include "config/schema.h"

namespace hearth::cli {
namespace {

using config::Setting;

Error misused(std::string subject, std::string reason, std::string hint) {
  return Error{Remedy::fix_input, "understand", std::move(subject), std::move(reason), std::move(hint), 0};
}

std::string service_of(const Setting& setting) {
  constexpr std::string_view begin = "service.";
  if (!setting.key.starts_with(begin)) return {};
  return setting.key.substr(begin.size(), setting.key.find('.', begin.size()) - begin.size());
}

// Where the name of the table ends in "service.web.nice", "vars.PORT".
std::size_t end_of_table(std::string_view key) {
  const std::size_t first = key.find('.');
  return key.starts_with("service.") ? key.find('.', first + 1) : first;
}

std::string setting_json(const Setting& setting) {
  return fmt::format("{{\"key\":{},\"value\":{},\"origin\":{}}}", json_text(setting.key), setting.json,
                     json_text(setting.origin));
}

// The configuration in effect, or the exit code of a complaint that has been made.
struct Read {
  int code = exit_code::done;
  ProjectText project;
  config::Effective effective;
};

Read read(const Context& context, bool standards) {
  Result<ProjectText> project = read_project(context);
  if (!project) return {complain(context, project.error(), exit_code::not_configured), {}, {}};
  Read result{exit_code::done, std::move(*project), {}};
  result.effective = config::effective_configuration(result.project.input(), standards);
  if (!result.effective.parsed.document) {
    result.code = refuse(context, result.project.file.shown, result.effective.parsed, "is not valid");
  }
  return result;
}

std::string problems_json(const config::Parsed& parsed) {
  std::string out;
  for (const config::Diagnostic& one : parsed.diagnostics) {
    out +=
        fmt::format("{}{{\"file\":{},\"line\":{},\"column\":{},\"message\":{},\"remedy\":{}}}", out.empty() ? "" : ",",
                    json_text(one.file), one.at.line, one.at.column, json_text(one.message), json_text(one.remedy));
  }
  return out;
}

int validate(const Context& context) {
  Result<ProjectText> project = read_project(context);
  if (!project) return complain(context, project.error(), exit_code::not_configured);
  config::Parsed parsed = config::parse_project(project->input());
  resolve_accounts(parsed, context.host.uid);
  const std::string& shown = project->file.shown;
  std::vector<std::string> files;
  for (const config::Source& source : parsed.sources) {
    if (!source.path.empty()) files.push_back(source.shown);
  }
  if (context.json) {
    std::string names;
    for (const std::string& file : files) names += (names.empty() ? "" : ",") + json_text(file);
    write_out(fmt::format("{{\"valid\":{},\"file\":{},\"files\":[{}],\"services\":{},\"problems\":[{}],\"more\":{}}}\n",
                          parsed.document.has_value(), json_text(shown), names,
                          parsed.document ? parsed.document->services.size() : 0, problems_json(parsed), parsed.more));
    return parsed.document ? exit_code::done : exit_code::not_configured;
  }
  if (!parsed.document) return refuse(context, shown, parsed, "is not valid");
  const std::size_t services = parsed.document->services.size();
  files.erase(files.begin());
  const std::string others = files.empty() ? "" : fmt::format(", with {}", fmt::join(files, ", "));
  write_out(fmt::format("{} is valid: {} service{}{}\n", shown, services, services == 1 ? "" : "s", others));
  return exit_code::done;
}

void write_settings(const std::vector<const Setting*>& settings, bool origins) {
  std::string out, table;
  for (const Setting* setting : settings) {
    const std::size_t end = end_of_table(setting->key);
    if (setting->key.substr(0, end) != table) {
      table = setting->key.substr(0, end);
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", table);
    }
    if (end == std::string::npos) continue;  // [service.web] without a key
    const std::string line = fmt::format("{} = {}", setting->key.substr(end + 1), setting->value);
    out += origins ? fmt::format("{:<50}  # {}\n", line, setting->origin) : line + "\n";
  }
  write_out(out);
}

int show(const Context& context) {
  const std::vector<std::string>& words = context.arguments.words;
  const Read read_now = read(context, context.arguments.has("defaults"));
  if (read_now.code != exit_code::done) return read_now.code;
  std::vector<const Setting*> wanted;
  for (const Setting& setting : read_now.effective.settings) {
    if (words.size() < 2 || service_of(setting) == words[1]) wanted.push_back(&setting);
  }
  if (words.size() > 1 && wanted.empty()) {
    std::vector<std::string_view> names;
    for (const ServiceSpec& spec : read_now.effective.parsed.document->services) names.push_back(spec.name);
    const std::string_view near = nearest(words[1], names);
    return complain(context,
                    misused(words[1], fmt::format("{} has no service of that name", read_now.project.file.shown),
                            near.empty() ? "" : fmt::format("did you mean {}?", near)),
                    exit_code::usage);
  }
  if (!context.json) {
    write_settings(wanted, context.arguments.has("origin"));
    return exit_code::done;
  }
  std::string all;
  for (const Setting* setting : wanted) all += (all.empty() ? "" : ",\n") + setting_json(*setting);
  write_out("{\"settings\":[" + all + "]}\n");
  return exit_code::done;
}

int get(const Context& context) {
  const std::string& key = context.arguments.words[1];
  const Read read_now = read(context, true);
  if (read_now.code != exit_code::done) return read_now.code;
  const std::vector<Setting>& all = read_now.effective.settings;
  if (const auto found = std::ranges::find(all, key, &Setting::key); found != all.end()) {
    write_out(context.json ? setting_json(*found) + "\n" : found->plain + "\n");
    return exit_code::done;
  }
  std::string below, json;
  for (const Setting& setting : all) {
    if (!setting.key.starts_with(key + ".")) continue;
    below += fmt::format("{} = {}\n", setting.key, setting.value);
    json += (json.empty() ? "" : ",") + setting_json(setting);
  }
  if (!below.empty()) {
    write_out(context.json ? "{\"settings\":[" + json + "]}\n" : below);
    return exit_code::done;
  }
  std::string near;
  if (config::is_key(key, read_now.effective, near)) {
    return complain(context, Error{Remedy::not_found, "get", key, "it is not set, and has no default", "", 0},
                    exit_code::failed);
  }
  return complain(
      context,
      Error{Remedy::fix_input, "get", key, "there is no such key",
            near.empty() ? "`hearth config show --defaults` lists them" : fmt::format("did you mean {}?", near), 0},
      exit_code::usage);
}

// `set` and `unset`: the file with one key changed, when that is valid.
int change(const Context& context, const char* done, const char* over,
           const std::function<Result<std::string>(std::string_view)>& edit) {
  const std::string& key = context.arguments.words[1];
  Result<ProjectText> project = read_project(context);
  if (!project) return complain(context, project.error(), exit_code::not_configured);
  const std::string before = project->text;
  Result<std::string> text = edit(before);
  if (!text)
    return complain(context, text.error(),
                    text.error().remedy == Remedy::not_found ? exit_code::failed : exit_code::usage);
  project->text = std::move(*text);
  config::Effective effective = config::effective_configuration(project->input(), false);
  resolve_accounts(effective.parsed, context.host.uid);
  const std::string& shown = project->file.shown;
  if (!effective.parsed.document)
    return refuse(context, shown, effective.parsed, "is as it was: so it would not be valid");
  if (const Status written = replace_file(project->file.path, before, project->text); !written) {
    return complain(context, written.error());
  }
  const auto now = std::ranges::find(effective.settings, key, &Setting::key);
  const bool there = now != effective.settings.end();
  if (context.json) {
    write_out(fmt::format("{{\"file\":{},\"setting\":{}}}\n", json_text(shown), there ? setting_json(*now) : "null"));
    return exit_code::done;
  }
  const bool here = there && now->at.source == 0 && !now->standard;
  const std::string where = here ? now->origin : shown;
  write_out(fmt::format("{}: {} is {}; `hearth {}reload` applies it\n", where, key, done, context.place_option));
  if (there && !here) write_out(fmt::format("note: {} {}: {}\n", now->origin, over, now->value));
  return exit_code::done;
}

// Of a key that begins with none of the tables of a hearth.toml; without this the file would be refused with it, at a line
// that nobody has written.
std::optional<Error> no_such_table(const Context& context, const std::string& key) {
  constexpr std::array tables = {"service", "defaults", "template", "vars", "project", "include"};
  const std::string table = key.substr(0, key.find('.'));
  if (std::ranges::find(tables, table) != tables.end()) return std::nullopt;
  std::string near;
  if (Result<ProjectText> project = read_project(context)) {
    const config::Effective effective = config::effective_configuration(project->input(), false);
    if (effective.parsed.document) (void)config::is_key(key, effective, near);
  }
  return Error{Remedy::fix_input,
               "set",
               key,
               "there is no such key",
               near.empty() ? "a key is service.NAME.KEY, defaults.KEY, vars.NAME or project.KEY"
                            : fmt::format("did you mean {}?", near),
               0};
}

int set(const Context& context) {
  const std::vector<std::string>& words = context.arguments.words;
  if (const std::optional<Error> none = no_such_table(context, words[1]))
    return complain(context, *none, exit_code::usage);
  return change(context, "set", "goes over it",
                [&](std::string_view text) { return config::set_key(text, words[1], words[2]); });
}

int unset(const Context& context) {
  return change(context, "not set any more", "says it now", [&](std::string_view text) {
    Result<std::string> without = config::unset_key(text, context.arguments.words[1]);
    if (!without && without.error().remedy == Remedy::not_found)
      without.error().hint = "`hearth config show --origin` tells where values come from";
    return without;
  });
}

int schema(const Context&) {
  write_out(config::json_schema());
  return exit_code::done;
}

struct Verb {
  const char* name;
  std::size_t least, most;  // words behind it
  const char* usage;
  int (*run)(const Context&);
};

constexpr std::array verbs = {
    Verb{"validate", 0, 0, "hearth config validate", validate},
    Verb{"show", 0, 1, "hearth config show [NAME]", show},
    Verb{"get", 1, 1, "hearth config get KEY", get},
    Verb{"set", 2, 2, "hearth config set KEY VALUE", set},
    Verb{"unset", 1, 1, "hearth config unset KEY", unset},
    Verb{"schema", 0, 0, "hearth config schema", schema},
};

}  // namespace

int command_config(const Context& context) {
  const std::vector<std::string>& words = context.arguments.words;
  std::vector<std::string_view> names;
  for (const Verb& verb : verbs) names.push_back(verb.name);
  if (words.empty()) {
    return complain(context, misused("config", "what to do is missing", fmt::format("say {}", fmt::join(names, ", "))),
                    exit_code::usage);
  }
  const auto verb = std::ranges::find(verbs, words[0], &Verb::name);
  if (verb == verbs.end()) {
    const std::string_view near = nearest(words[0], names);
    return complain(context,
                    misused("config " + words[0], "there is nothing of that name",
                            near.empty() ? fmt::format("say {}", fmt::join(names, ", "))
                                         : fmt::format("did you mean `hearth config {}`?", near)),
                    exit_code::usage);
  }
  if (words.size() - 1 < verb->least || words.size() - 1 > verb->most) {
    return complain(
        context,
        misused("config " + words[0], words.size() - 1 < verb->least ? "a word is missing" : "there are too many words",
                fmt::format("write {}", verb->usage)),
        exit_code::usage);
  }
  return verb->run(context);
}

}  // namespace hearth::cli
