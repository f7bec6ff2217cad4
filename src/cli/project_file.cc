#include "cli/project_file.h"

#include <algorithm>
#include <filesystem>
#include <fnmatch.h>
#include <utility>

#include <fmt/format.h>

#include "cli/accounts.h"
#include "cli/environment.h"
#include "config/limits.h"
#include "os/fd.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* file_name = "hearth.toml";

// The entries of `directory` that `pattern` names; none when there is no such directory.
Status list(const fs::path& directory, const fs::path& pattern, std::vector<fs::path>& out) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) return {};
  fs::directory_iterator at(directory, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0) out.push_back(at->path());
  }
  if (error) return errno_failure("list", directory.string(), error.value());
  return {};
}

}  // namespace

Result<ProjectFile> find_file(const Context& context, bool must_exist) {
  std::error_code error;
  if (const auto given = context.arguments.value("file")) {
    const fs::path path = fs::weakly_canonical(fs::absolute(*given, error), error);
    if (must_exist && !fs::exists(path, error)) {
      return failure(Remedy::not_found, "read", *given, "there is no such file", "");
    }
    return ProjectFile{path.string(), *given};
  }
  const fs::path here = fs::current_path(error);
  if (error) return errno_failure("find", "the current directory", error.value());
  for (fs::path directory = here;; directory = directory.parent_path()) {
    const fs::path candidate = directory / file_name;
    if (fs::is_regular_file(candidate, error)) {
      const std::string shown = directory == here ? std::string(file_name) : candidate.string();
      return ProjectFile{fs::canonical(candidate, error).string(), shown};
    }
    if (directory == directory.root_path()) break;
  }
  return failure(Remedy::not_found, "find", file_name, fmt::format("there is none in {} or above", here.string()),
                 "write one, name another with -f, or start a single command: hearth run -- COMMAND");
}

Result<config::Files::File> DiskFiles::read(const std::string& path) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  if (error) return errno_failure("read", path, error.value());
  if (!fs::is_regular_file(canonical, error)) {
    return failure(Remedy::fix_input, "read", path,
                   fs::is_directory(canonical, error) ? "it is a directory" : "it is no regular file");
  }
  Result<std::string> text = os::read_file(canonical.string(), config::max_file_bytes);
  if (!text) return failure(text.error());
  return File{canonical.string(), std::move(*text)};
}

// One directory at a time. Not glob(3): it would bring the name service of libc into a static program.
Result<std::vector<std::string>> DiskFiles::match(const std::string& pattern) {
  std::vector<fs::path> found = {"/"};
  for (const fs::path& part : fs::path(pattern).relative_path()) {
    std::vector<fs::path> next;
    for (const fs::path& directory : found) {
      if (part.string().find_first_of("*?[") == std::string::npos) {
        next.push_back(directory / part);
      } else if (const Status listed = list(directory, part, next); !listed) {
        return failure(listed.error());
      }
    }
    found = std::move(next);
  }
  std::vector<std::string> paths;
  std::error_code error;
  for (const fs::path& path : found) {
    if (fs::exists(path, error)) paths.push_back(path.string());
  }
  std::ranges::sort(paths);  // by bytes, whatever the locale
  return paths;
}

Result<ProjectText> read_project(const Context& context) {
  Result<ProjectFile> file = find_file(context, true);
  if (!file) return failure(file.error());
  Result<std::string> text = os::read_file(file->path, config::max_file_bytes);
  if (!text) return failure(text.error());
  ProjectText project{std::move(*file), std::move(*text), config::Environment(own_environment()), {}, {}};
  if (const auto set = context.arguments.options.find("set"); set != context.arguments.options.end()) {
    project.settings = set->second;
  }
  return project;
}

int refuse(const Context& context, const std::string& shown, const config::Parsed& parsed, const char* consequence) {
  if (context.json) {
    return complain(context, Error{Remedy::fix_input, "use", shown, parsed.text(), "", 0}, exit_code::not_configured);
  }
  for (const config::Diagnostic& diagnostic : parsed.diagnostics) {
    write_err(diagnostic.text() + "\n" + parsed.excerpt(diagnostic));
  }
  if (parsed.more > 0) write_err(fmt::format("... and {} more\n", parsed.more));
  write_err(fmt::format("hearth: {} {}\n", shown, consequence));
  return exit_code::not_configured;
}

Loaded load_project(const Context& context) {
  Result<ProjectText> project = read_project(context);
  if (!project) return {complain(context, project.error(), exit_code::not_configured), {}};
  config::Parsed parsed = config::parse_project(project->input());
  resolve_accounts(parsed, context.host.uid);
  if (!parsed.document) {
    return {refuse(context, project->file.shown, parsed, "was not applied; nothing has changed"), {}};
  }
  return {exit_code::done, std::move(*parsed.document)};
}

}  // namespace hearth::cli
