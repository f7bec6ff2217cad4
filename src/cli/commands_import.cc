// import: files of other supervisors become a hearth.toml. export: and services become units of systemd.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <glob.h>
#include <map>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/glob.h"
#include "base/split.h"
#include "base/toml_text.h"
#include "cli/commands.h"
#include "cli/project_file.h"
#include "config/environment.h"
#include "config/toml.h"
#include "importers/export_systemd.h"
#include "importers/importers.h"
#include "os/fd.h"
#include "os/whole_file.h"

namespace hearth::cli {
namespace {

using importers::Source;

std::string directory_of(const std::string& path) {
  std::error_code error;
  return std::filesystem::absolute(path, error).lexically_normal().parent_path().string();
}

Result<Source> read_source(const std::string& path) {
  Result<std::string> text = os::read_file(path);
  if (!text) return failure(text.error());
  if (!valid_utf8(*text))
    return failure(Remedy::fix_input, "import", path, "it is not UTF-8, which a hearth.toml is",
                   "convert it first: iconv -f latin1 -t utf-8");
  return Source{path, std::move(*text), directory_of(path)};
}

// "./conf.d/web.conf" is told as the file that it is.
std::string without_dots(std::string path) {
  for (std::size_t at = path.find("/./"); at != path.npos; at = path.find("/./")) path.erase(at, 2);
  while (path.starts_with("./")) path.erase(0, 2);
  return path;
}

// As supervisord does it: relative to the file that includes.
std::vector<Source> included(const std::string& pattern, const Source& from) {
  const std::size_t slash = from.path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : from.path.substr(0, slash);
  const std::string whole = pattern.starts_with('/') ? pattern : directory + "/" + pattern;
  std::vector<Source> sources;
  glob_t found{};
  if (::glob(whole.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      if (Result<Source> source = read_source(without_dots(found.gl_pathv[i])))
        sources.push_back(std::move(*source));
      else
        write_err(importers::one_line(fmt::format("{}: left out: {}", from.path, source.error().text())) + "\n");
    }
  }
  ::globfree(&found);
  return sources;
}

importers::Environment environment() {
  importers::Environment all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (const std::size_t sign = text.find('='); sign != text.npos)
      all[std::string(text.substr(0, sign))] = text.substr(sign + 1);
  }
  return all;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = "";
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// An ecosystem file in JavaScript is a program: only node knows what it says.
Result<Source> run_by_node(const std::string& path) {
  const auto refused = [&](std::string reason) {
    return failure(Remedy::environment, "read", path, std::move(reason),
                   "write it as JSON where node is: node -e 'console.log(JSON.stringify(require(\"" +
                       (path.starts_with('/') ? path : "./" + path) + "\")))' > ecosystem.json, and import that");
  };
  char* whole = ::realpath(path.c_str(), nullptr);
  if (whole == nullptr) return errno_failure("read", path, errno);
  const std::string absolute = whole;
  std::free(whole);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_failure("make a pipe for", "node", errno);
  os::Fd reading(ends[0]);
  os::Fd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return errno_failure("start", "node", errno);
  if (child == 0) {
    ::dup2(writing.get(), STDOUT_FILENO);
    const char* script = "console.log(JSON.stringify(require(process.argv[1])))";
    ::execlp("node", "node", "-e", script, absolute.c_str(), nullptr);
    ::_exit(127);
  }
  writing.reset();
  Result<std::string> text = os::read_all(reading.get(), 16u << 20, path);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return refused("it is a program for node, which is not there");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return refused("node could not run it");
  if (!text) return failure(text.error());
  return Source{path, std::move(*text), directory_of(path)};
}

// Where the logs of the project's services will be, up to its name, which is that of its directory.
std::string logs_of(const Context& context) {
  const auto path = context.arguments.value("output");
  std::string project = "PROJECT";
  if (path) {
    std::error_code error;
    const std::string whole = std::filesystem::absolute(*path, error).lexically_normal().string();
    const config::Parsed any = config::parse_project("[service.a]\ncommand = [\"/a\"]\n", whole, config::Environment());
    if (any.document) project = any.document->project;
  }
  return context.instance.log_directory + "/" + project;
}

Result<importers::Imported> import_files(const Context& context, const std::string& kind,
                                         const std::vector<std::string>& paths) {
  std::vector<Source> sources;
  for (const std::string& path : paths) {
    const bool script = kind == "pm2" && (path.ends_with(".js") || path.ends_with(".cjs"));
    Result<Source> source = script ? run_by_node(path) : read_source(path);
    if (!source) return failure(source.error());
    sources.push_back(std::move(*source));
  }
  if (kind == "supervisord")
    return importers::import_supervisord(sources, included, environment(), host_name(), logs_of(context));
  if (kind == "systemd") return importers::import_systemd(sources, host_name());
  if (sources.size() > 1)
    return failure(Remedy::fix_input, "import", paths[1], "one file at a time", "hearth import " + kind + " FILE");
  if (kind == "pm2") return importers::import_pm2(sources[0]);
  const std::size_t slash = paths[0].rfind('/');
  const std::string dotenv = (slash == std::string::npos ? "" : paths[0].substr(0, slash + 1)) + ".env";
  Result<Source> variables = read_source(dotenv);
  if (!variables && variables.error().code != ENOENT) return failure(variables.error());
  return importers::import_procfile(sources[0], variables ? *variables : Source{dotenv, "", {}});
}

// Each "${NAME}" of it has a value here, whatever the environment is.
config::Environment environment_for(const std::string& toml) {
  std::vector<std::string> lines = {"HOME=/", "PATH=/usr/bin:/bin"};
  for (std::size_t at = toml.find("${"); at != toml.npos; at = toml.find("${", at + 1)) {
    const std::size_t end = toml.find_first_of("}:", at);
    if (end != toml.npos) lines.push_back(toml.substr(at + 2, end - at - 2) + "=1");
  }
  return config::Environment(lines);
}

// Takes out of it what hearth would refuse, line by line, and says so: one wrong value in a file that others had written
// must not make all of it useless.
void leave_out_what_is_refused(importers::Imported& imported, const std::string& from) {
  std::vector<std::string> lines;
  std::string_view rest = imported.toml;
  while (const auto line = take_line(rest)) lines.emplace_back(*line);
  std::vector<importers::Origin>& origins = imported.origins;
  origins.resize(lines.size());
  for (std::size_t tries = lines.size(); tries > 0; --tries) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    imported.toml = text;
    const config::Parsed parsed = config::parse_project(text, "/hearth.toml", environment_for(text));
    if (parsed.document || parsed.diagnostics.empty()) return;
    const config::Diagnostic& first = parsed.diagnostics.front();
    const std::size_t line = first.at.line;
    if (line == 0 || line > lines.size()) return;
    auto begin = lines.begin() + static_cast<std::ptrdiff_t>(line - 1), end = begin + 1;
    auto header = begin;
    while (header != lines.begin() && !header->starts_with('[')) --header;
    if (begin->starts_with('[')) {
      // The service as a whole, as one without a command.
      end = std::find_if(end, lines.end(), [](const std::string& each) { return each.starts_with('['); });
      imported.services -= begin->starts_with("[service.");
    }
    const importers::Origin& of = origins[line - 1];
    importers::Finding finding{of.line == 0 ? from : of.path, of.line,
                               "left out, because hearth would refuse it: " + *begin + " (" + first.message + ")",
                               first.remedy};
    finding.of_all = finding.what;
    if (header->starts_with("[service.")) finding.service = header->substr(9, header->find(']') - 9);
    imported.findings.push_back(std::move(finding));
    const auto first_origin = origins.begin() + (begin - lines.begin());
    origins.erase(first_origin, first_origin + (end - begin));
    lines.erase(begin, end);
  }
}

// Somebody sends it to a file, perhaps: half of that must not look like all.
Status show(const std::string& text) {
  Status shown = os::write_all(STDOUT_FILENO, text, "standard output");
  if (!shown && shown.error().code == EPIPE) return {};  // who reads has had enough
  return shown;
}

Status write_new(const std::string& path, const std::string& text) {
  return os::write_whole(path, text, 0666, os::OldFile::stays);
}

// All of them, or none: what half of an export has left would be in the way of the next.
Status write_units(const std::vector<importers::Exported>& units, const std::string& directory) {
  std::vector<std::string> made;
  for (const importers::Exported& unit : units) {
    const std::string path = directory + "/" + unit.name;
    if (const Status written = write_new(path, unit.text); !written) {
      for (const std::string& each : made) ::unlink(each.c_str());
      return written;
    }
    made.push_back(path);
  }
  return {};
}

}  // namespace

int command_import(const Context& context) {
  const std::vector<std::string>& words = context.arguments.words;
  const auto wrong = [&](std::string subject, std::string reason) {
    return complain(context,
                    Error{Remedy::fix_input, "import", std::move(subject), std::move(reason),
                          "hearth import supervisord|pm2|procfile|systemd FILE...", 0},
                    exit_code::usage);
  };
  if (words.empty()) return wrong("a file", "it is not said of which kind");
  const std::string& kind = words[0];
  if (kind != "supervisord" && kind != "pm2" && kind != "procfile" && kind != "systemd")
    return wrong(kind, "this kind is not known");
  if (words.size() < 2) return wrong("a file of " + kind, "none is named");
  Result<importers::Imported> imported = import_files(context, kind, {words.begin() + 1, words.end()});
  if (!imported)
    return complain(context, imported.error(), imported.error().code != 0 ? exit_code::usage : exit_code::failed);
  // Units name files that are there where they will run, and perhaps not here.
  if (kind != "systemd") leave_out_what_is_refused(*imported, words[1]);
  importers::put_in_order(*imported);
  const std::string text = importers::commented(*imported);
  const auto path = context.arguments.value("output");
  if (const Status written = path ? write_new(*path, text) : show(text); !written)
    return complain(context, written.error());
  write_err(importers::report_of(*imported));
  write_err(fmt::format("{} of {}: {} {}, {} {} could not be carried over as {}\n", "import", kind, imported->services,
                        imported->services == 1 ? "service" : "services", imported->findings.size(),
                        imported->findings.size() == 1 ? "thing" : "things",
                        imported->findings.size() == 1 ? "it is" : "they are"));
  return exit_code::done;
}

int command_export(const Context& context) {
  const std::vector<std::string>& words = context.arguments.words;
  if (words.empty() || words[0] != "systemd") {
    return complain(context,
                    Error{Remedy::fix_input, "export", words.empty() ? "services" : words[0],
                          "it is not said as what, or that is not known", "hearth export systemd [NAME...]", 0},
                    exit_code::usage);
  }
  Result<ProjectText> project = read_project(context);
  if (!project) return complain(context, project.error(), exit_code::not_configured);
  const std::string& path = project->file.shown;
  const config::Parsed parsed = config::parse_project(project->input());
  if (!parsed.document) return refuse(context, path, parsed, "is not valid");
  const auto named = [](const std::string& name) {
    return [&name](const ServiceSpec& spec) { return matches_glob(name, spec.name); };
  };
  for (auto name = words.begin() + 1; name != words.end(); ++name)
    if (std::ranges::none_of(parsed.document->services, named(*name)))
      return complain(context, Error{Remedy::not_found, "export", *name, "there is no such service in " + path, "", 0});
  const auto wanted = [&](const ServiceSpec& spec) {
    return words.size() == 1 ||
           std::any_of(words.begin() + 1, words.end(), [&](const std::string& name) { return named(name)(spec); });
  };
  importers::Imported result;
  const std::vector<importers::Exported> units = importers::export_systemd(*parsed.document, wanted, result.findings);
  std::string all;
  for (const importers::Exported& unit : units)
    all += units.size() > 1 ? "# " + unit.name + "\n" + unit.text + "\n" : unit.text;
  const auto directory = context.arguments.value("output");
  if (const Status written = directory ? write_units(units, *directory) : show(all); !written)
    return complain(context, written.error());
  for (importers::Finding& finding : result.findings) finding.path = path;
  write_err(importers::report_of(result));
  return exit_code::done;
}

}  // namespace hearth::cli
