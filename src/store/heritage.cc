#include "store/heritage.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <map>

#include "os/cgroup.h"
#include "os/proc_stat.h"
#include "store/disk_store.h"
#include "store/run_list.h"

namespace hearth::store {
namespace {

using ports::Heritage;
using ports::RunNote;

Result<std::vector<std::string>> names_in(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return errno_failure("read", path, errno);
  std::vector<std::string> names;
  while (dirent* entry = ::readdir(directory))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

void read_documents(const std::string& directory, const std::function<Result<Document>(std::string_view)>& from_text,
                    Heritage& heritage) {
  Result<std::vector<std::string>> names = names_in(directory + "/spec");
  if (!names) {
    if (names.error().code != ENOENT) heritage.losses.push_back(names.error().text());
    return;
  }
  for (const std::string& name : *names) {
    if (!name.ends_with(".json")) continue;  // a temporary file of one that was killed
    const std::string path = directory + "/spec/" + name;
    Result<std::string> text = os::read_file(path, document_bytes_max);
    Result<Document> document = text ? from_text(*text) : failure(text.error());
    if (document)
      heritage.documents.push_back(std::move(*document));
    else
      heritage.losses.push_back(path + " is lost: " + document.error().text());
  }
  std::sort(heritage.documents.begin(), heritage.documents.end(),
            [](const Document& a, const Document& b) { return a.version < b.version; });
}

RunList read_list(const std::string& directory, Heritage& heritage) {
  RunList list;
  Result<std::string> text = os::read_file(directory + "/runs.json", 64u << 20);
  if (!text) {
    if (text.error().code != ENOENT) heritage.losses.push_back(text.error().text());
    return list;
  }
  Result<RunList> parsed = parse_run_list(*text);
  if (!parsed) {
    heritage.losses.push_back(parsed.error().text());
    return list;
  }
  return std::move(*parsed);
}

// Where "project.service.index" stands in the newest document that has it. False when none does.
bool place(const std::string& label, const std::vector<Document>& documents, RunNote& note) {
  const std::size_t first = label.find('.');
  const std::size_t last = label.rfind('.');
  if (first == std::string::npos || last == first) return false;
  const std::string project = label.substr(0, first);
  const std::string service = label.substr(first + 1, last - first - 1);
  bool found = false;
  for (const Document& document : documents) {
    if (document.project != project) continue;
    for (std::uint32_t i = 0; i < document.services.size(); ++i) {
      if (document.services[i].name != service) continue;
      note.document = document.version;
      note.service = i;
      note.replica = static_cast<std::uint32_t>(std::strtoul(label.c_str() + last + 1, nullptr, 10));
      found = true;
    }
  }
  return found;
}

// Leaders of runs by run: of several session leaders with one run the earliest is it, the others descend from it.
struct FoundRun {
  pid_t pid;
  std::uint64_t ticks;
  std::string label;
};
std::map<RunId, FoundRun> find_runs(const std::string& directory) {
  std::map<RunId, FoundRun> found;
  for (pid_t pid : os::list_processes()) {
    os::ProcStat stat;
    if (!os::read_stat(pid, stat) || stat.session != pid || stat.state == 'Z') continue;
    if (os::environment_of(pid, "HEARTH_INSTANCE") != directory) continue;
    const RunId run = std::strtoull(os::environment_of(pid, "HEARTH_RUN").c_str(), nullptr, 10);
    if (run == no_run) continue;
    FoundRun candidate{pid, stat.start_ticks, os::environment_of(pid, "HEARTH_SLOT")};
    // Read again: between the two the PID may have become another's.
    if (os::start_ticks(pid) != stat.start_ticks) continue;
    auto [at, added] = found.emplace(run, candidate);
    if (!added && candidate.ticks < at->second.ticks) at->second = candidate;
  }
  return found;
}

RunId greatest_name(const std::string& directory) {
  RunId greatest = 0;
  for (const char* part : {"/o", "/n"}) {
    Result<std::vector<std::string>> names = names_in(directory + part);
    if (!names) continue;
    for (const std::string& name : *names)
      greatest = std::max<RunId>(greatest, std::strtoull(name.c_str(), nullptr, 10));
  }
  for (const std::string& leaf : os::CgroupTree::open(directory, os::CgroupTree::Missing::leave).leaves()) {
    const std::size_t dot = leaf.rfind('.');
    if (dot != std::string::npos)
      greatest = std::max<RunId>(greatest, std::strtoull(leaf.c_str() + dot + 1, nullptr, 10));
  }
  return greatest;
}

void sort_noted(RunList&& list, const std::string& directory, Heritage& heritage) {
  const bool same_boot = list.boot_id == os::boot_id() && list.pid_namespace == os::pid_namespace();
  if (!same_boot && !list.runs.empty())
    heritage.losses.push_back("the machine or container was restarted: what ran before has ended");
  else if (!list.instance.empty() && list.instance != directory)
    heritage.losses.push_back("the directory was " + list.instance + " before: services were told the old name");
  for (RunNote& note : list.runs) {
    // The list is written behind: an apply may have replaced the document since.
    const bool there = std::any_of(heritage.documents.begin(), heritage.documents.end(),
                                   [&](const Document& document) { return document.version == note.document; });
    if (!there) (void)place(note.label, heritage.documents, note);
    heritage.greatest_run = std::max(heritage.greatest_run, note.run);
    const bool lives = same_boot && note.run != no_run && os::process_lives(note.pid, note.start_ticks);
    (lives ? heritage.runs : heritage.gone).push_back(std::move(note));
  }
  if (list.next_run > 0) heritage.greatest_run = std::max(heritage.greatest_run, list.next_run - 1);
}

// A service that was started after the list was last written.
void add_found(RunId run, const FoundRun& process, Heritage& heritage) {
  heritage.greatest_run = std::max(heritage.greatest_run, run);
  for (const RunNote& known : heritage.runs)
    if (known.run == run) return;
  RunNote note;
  note.label = process.label;
  note.run = run;
  note.pid = process.pid;
  note.start_ticks = process.ticks;
  const std::string who = process.label + " (run " + std::to_string(run) + ", PID " + std::to_string(process.pid) + ")";
  auto gone = std::find_if(heritage.gone.begin(), heritage.gone.end(),
                           [&](const RunNote& g) { return g.label == process.label; });
  if (gone != heritage.gone.end() && gone->run == run) {
    heritage.losses.push_back(who + " is what is left of a run whose leader has ended; it is left alone");
    return;
  }
  if (std::any_of(heritage.runs.begin(), heritage.runs.end(),
                  [&](const RunNote& r) { return r.label == note.label; })) {
    heritage.losses.push_back(who + " is not the service's newest run; it is left alone");
    return;
  }
  if (!place(note.label, heritage.documents, note)) {
    heritage.losses.push_back(who + " runs, but no document tells of it; it is left alone");
    return;
  }
  if (gone != heritage.gone.end()) heritage.gone.erase(gone);
  heritage.runs.push_back(std::move(note));
}

}  // namespace

Result<Heritage> read_heritage(const std::string& directory,
                               const std::function<Result<Document>(std::string_view)>& from_text) {
  if (Result<std::vector<std::string>> names = names_in(directory); !names) return failure(names.error());
  Heritage heritage;
  read_documents(directory, from_text, heritage);
  sort_noted(read_list(directory, heritage), directory, heritage);
  for (const auto& [run, process] : find_runs(directory)) add_found(run, process, heritage);
  heritage.greatest_run = std::max(heritage.greatest_run, greatest_name(directory));
  return heritage;
}

}  // namespace hearth::store
