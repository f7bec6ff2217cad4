// enable, disable: what is up again after a boot.
#include <cerrno>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/project_file.h"
#include "cli/units.h"
#include "os/fd.h"
#include "os/whole_file.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* booted = "/run/systemd/system";  // sd_booted(3)

// Waits for it. 0: it did; else errno, or -1 when it failed by itself, which it has told on stderr.
int run(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (const int error = ::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ)) return error;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

Status systemctl(const UnitFacts& facts, std::vector<std::string> words) {
  std::vector<std::string> command = {"systemctl"};
  if (facts.user) command.push_back("--user");
  command.insert(command.end(), words.begin(), words.end());
  const int error = run(command);
  if (error == 0) return {};
  return failure(Remedy::environment, "run", fmt::format("{}", fmt::join(command, " ")),
                 error < 0 ? "it failed" : errno_error("", "", error).reason, "its message stands above");
}

std::string unit_directory(const Context& context, const UnitFacts& facts) {
  if (const auto given = context.arguments.value("unit-dir")) return *given;
  return facts.user ? context.host.home + "/.config/systemd/user" : "/etc/systemd/system";
}

// What stands there already is read before it is judged; one that cannot be read is somebody else's.
Owner owner_at(const std::string& path, const Unit& unit) {
  return owner_of(os::read_file(path).value_or(""), unit);
}

Error another_projects(std::string operation, const std::string& path) {
  return Error{Remedy::conflict,
               std::move(operation),
               path,
               "it is the unit of another project, named in its second line",
               "give this one another name under [project]",
               0};
}

// A file of somebody else's stays as it is: of the package, or edited.
Result<bool> install(const std::string& directory, const Unit& unit) {
  const std::string path = directory + "/" + unit.name;
  std::error_code error;
  if (fs::exists(path, error)) switch (owner_at(path, unit)) {
      case Owner::same: break;
      case Owner::another_project: return failure(another_projects("write", path));
      case Owner::somebody_else: return false;
    }
  fs::create_directories(directory, error);
  const Status written = os::write_whole(path, unit.text, 0644, os::OldFile::is_replaced);
  if (!written) return failure(written.error());
  return true;
}

Result<UnitFacts> facts_of(const Context& context, const Document& document) {
  UnitFacts facts;
  if (context.arguments.has("dir"))
    return failure(Remedy::fix_input, "make units for", "an instance by --dir", "a unit names an instance",
                   "use --instance NAME, or write the unit by hand (docs/guide/systemd.md)");
  facts.user = context.host.uid != 0;
  std::error_code error;
  facts.program = fs::read_symlink("/proc/self/exe", error).string();
  facts.instance = context.instance.name;
  facts.project = document.project;
  facts.file = document.path;
  for (const std::string& word : {facts.program, facts.file})
    if (const Result<std::string> checked = unit_word(word); !checked) return failure(checked.error());
  return facts;
}

std::string restored(const Document& document) {
  std::vector<std::string> comes, stays;
  for (const ServiceSpec& service : document.services) (service.autostart ? comes : stays).push_back(service.name);
  std::string text =
      fmt::format("after a boot: {}\n", comes.empty() ? "nothing" : fmt::format("{}", fmt::join(comes, ", ")));
  if (!stays.empty()) text += fmt::format("known, but not started (autostart = false): {}\n", fmt::join(stays, ", "));
  return text + "what `hearth run` or `hearth scale` added is not brought back\n";
}

Status switch_on(const UnitFacts& facts, const std::vector<std::string>& names) {
  if (const Status reloaded = systemctl(facts, {"daemon-reload"}); !reloaded) return reloaded;
  std::vector<std::string> words = {"enable"};
  words.insert(words.end(), names.begin(), names.end());
  return systemctl(facts, words);
}

std::string lingering_hint(const UnitFacts& facts) {
  return facts.user ? "it begins at your first login; `loginctl enable-linger` makes it begin with the machine\n" : "";
}

}  // namespace

int command_enable(const Context& context) {
  const Loaded loaded = load_project(context);
  if (loaded.code != exit_code::done) return loaded.code;
  const Result<UnitFacts> facts = facts_of(context, loaded.document);
  if (!facts) return complain(context, facts.error(), exit_code::usage);
  const Unit units[] = {instance_unit(*facts), project_unit(*facts)};
  const std::string directory = unit_directory(context, *facts);
  if (context.arguments.has("print")) {
    for (const Unit& unit : units) write_out(fmt::format("# {}/{}\n{}\n", directory, unit.name, unit.text));
    return exit_code::done;
  }
  std::error_code error;
  if (!fs::exists(booted, error) && !context.arguments.has("unit-dir"))
    return complain(context,
                    Error{Remedy::environment, "enable", facts->project, "this machine was not booted by systemd",
                          "`hearth enable --print` shows the units", 0},
                    exit_code::failed);
  std::vector<std::string> names;
  std::string said;
  for (const Unit& unit : units) {
    const Result<bool> written = install(directory, unit);
    if (!written) return complain(context, written.error());
    names.push_back(unit.name);
    said += fmt::format("{} {}/{}\n", *written ? "wrote" : "kept, as it is not ours:", directory, unit.name);
  }
  if (!context.arguments.has("unit-dir"))
    if (const Status on = switch_on(*facts, names); !on) return complain(context, on.error());
  if (context.json)
    write_out(fmt::format("{{\"units\":{},\"directory\":{}}}\n", names_json(names), json_text(directory)));
  else
    write_out(said + restored(loaded.document) + lingering_hint(*facts));
  return exit_code::done;
}

// hearth's own unit stays: other projects may need it, and what runs shall go on.
int command_disable(const Context& context) {
  const Loaded loaded = load_project(context);
  if (loaded.code != exit_code::done) return loaded.code;
  const Result<UnitFacts> facts = facts_of(context, loaded.document);
  if (!facts) return complain(context, facts.error(), exit_code::usage);
  const Unit unit = project_unit(*facts);
  const std::string path = unit_directory(context, *facts) + "/" + unit.name;
  std::error_code error;
  if (!fs::exists(path, error)) {
    write_out(context.json ? "{\"units\":[]}\n" : fmt::format("{} was not enabled\n", facts->project));
    return exit_code::done;
  }
  const Owner owner = owner_at(path, unit);
  if (owner == Owner::another_project) return complain(context, another_projects("disable", path), exit_code::failed);
  if (owner == Owner::somebody_else)
    return complain(context,
                    Error{Remedy::conflict, "disable", path, "it was not made by `hearth enable`",
                          fmt::format("systemctl {}disable {}", facts->user ? "--user " : "", unit.name), 0},
                    exit_code::failed);
  const bool systemd = fs::exists(booted, error) && !context.arguments.has("unit-dir");
  if (systemd)
    if (const Status off = systemctl(*facts, {"disable", unit.name}); !off) return complain(context, off.error());
  if (::unlink(path.c_str()) < 0) return complain(context, errno_error("remove", path, errno));
  if (systemd) (void)systemctl(*facts, {"daemon-reload"});
  write_out(context.json ? fmt::format("{{\"units\":{}}}\n", names_json({unit.name}))
                         : fmt::format("removed {}; what runs goes on\n", path));
  return exit_code::done;
}

}  // namespace hearth::cli
