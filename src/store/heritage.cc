#include "store/heritage.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <map>
#include <memory>
#include <set>
#include <stdio.h>

#include "model/document.h"
#include "os/cgroup.h"
#include "os/found_runs.h"
#include "os/own_file.h"
#include "os/proc_stat.h"
#include "os/reserve.h"
#include "store/disk_store.h"
#include "store/mirror.h"
#include "store/run_list.h"
#include "wire/state.h"

namespace hearth::store {
namespace {

using ports::Heritage;
using ports::RunNote;

constexpr std::size_t descriptors_needed = 8;

Result<std::vector<std::string>> names_in(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return errno_failure("read", path, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(directory);
  if (error != 0) return errno_failure("read", path, error);
  std::sort(names.begin(), names.end());
  return names;
}

// There is nothing, or nothing that hearth has made, or it was read and makes no sense. Of all else nobody can tell now what
// there is.
bool is_told(const Error& error) {
  switch (error.code) {
    case 0:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENXIO: return true;
    default: return false;
  }
}

// The documents there are, each read when somebody asks for it: most may be of services that are long gone, and a disk may
// be slow. In DIR/state, where the newest are, else in DIR/spec.
class Shelf {
 public:
  using FromText = std::function<Result<Document>(std::string_view)>;
  Shelf(const std::string& directory, const FromText& from_text, Heritage& heritage)
      : directory_(directory), from_text_(from_text), heritage_(heritage) {
    list("/spec");
    has_state_ = list("/state");
    if (!documents_.empty()) heritage.greatest_document = documents_.rbegin()->first;
  }

  // Null: there is none, or nobody can read it. Stays valid.
  const Document* get(std::uint64_t version) {
    const auto at = documents_.find(version);
    if (at == documents_.end() || unreadable_.contains(version)) return nullptr;
    if (at->second != nullptr) return at->second.get();
    const std::string path = in_spec(version);
    Result<Document> document = has_state_ ? read(in_state(version), version) : errno_failure("read", path, ENOENT);
    if (!document && is_told(document.error())) {
      Result<Document> behind = read(path, version);
      if (behind || behind.error().code != ENOENT) document = std::move(behind);
    }
    if (document) return (at->second = std::make_unique<Document>(std::move(*document))).get();
    unreadable_.insert(version);
    if (is_told(document.error()))
      heritage_.losses.push_back(path + " is lost: " + document.error().text());
    else
      give_up(document.error());
    return nullptr;
  }

  // Nobody can tell what there is. The first reason is as good as any.
  void give_up(const Error& error) {
    if (!unknown_) unknown_ = error;
  }
  const std::optional<Error>& unknown() const { return unknown_; }

  // Where "project.service.index" stands in the newest document that has it. False when none does.
  bool place(RunNote& note) {
    const std::size_t first = note.label.find('.');
    const std::size_t last = note.label.rfind('.');
    if (first == std::string::npos || last == first) return false;
    const std::string project = note.label.substr(0, first);
    const std::string service = note.label.substr(first + 1, last - first - 1);
    const auto replica = static_cast<std::uint32_t>(std::strtoul(note.label.c_str() + last + 1, nullptr, 10));
    for (auto at = documents_.rbegin(); at != documents_.rend(); ++at) {
      const Document* document = get(at->first);
      if (document == nullptr || document->project != project) continue;
      const ServiceSpec* found = find_service(*document, service);
      // One that the newest has no more is of the one before, which may be there: it was being taken out.
      if (found == nullptr || replica >= found->replicas) continue;
      note.document = document->version;
      note.service = static_cast<std::uint32_t>(found - document->services.data());
      note.replica = replica;
      return true;
    }
    return false;
  }

  // Those that runs name, oldest first.
  void give_named() {
    std::set<std::uint64_t> named;
    for (const std::vector<RunNote>* notes : {&heritage_.runs, &heritage_.gone})
      for (const RunNote& note : *notes) named.insert(note.document);
    for (const std::uint64_t version : named)
      if (const Document* document = get(version)) heritage_.documents.push_back(*document);
  }

  // Out of the writer's way, for whoever wants to know what was wrong with them.
  void put_unreadable_aside() const {
    for (const std::uint64_t version : unreadable_) put_aside(version);
  }
  // How many others were not given.
  std::size_t put_rest_aside() const {
    std::set<std::uint64_t> rest;
    for (const auto& [version, document] : documents_)
      if (!unreadable_.contains(version)) rest.insert(version);
    for (const Document& given : heritage_.documents) rest.erase(given.version);
    for (const std::uint64_t version : rest) put_aside(version);
    return rest.size();
  }

 private:
  bool list(const char* part) {
    const bool is_state = part == std::string_view("/state");
    const Result<std::vector<std::string>> names = names_in(directory_ + part);
    if (!names) {
      const Error& error = names.error();
      // Whether DIR/state is ours is the keeper's to find out, and to tell: one that is not may be closed to us.
      if (!is_told(error) && !(is_state && error.code == EACCES))
        give_up(error);
      else if (error.code != ENOENT)
        heritage_.losses.push_back(error.text());
      return false;
    }
    for (const std::string& name : *names)
      if (const std::uint64_t version = version_of(name); version != 0 && !name.ends_with(".new"))
        documents_.emplace(version, nullptr);
    return true;
  }

  std::string in_spec(std::uint64_t version) const { return directory_ + "/" + spec_name(version); }
  std::string in_state(std::uint64_t version) const { return directory_ + "/state/" + state_name(version); }

  Result<Document> read(const std::string& path, std::uint64_t version) const {
    Result<std::string> text = os::read_own_file(path, document_bytes_max);
    Result<Document> document = text ? from_text_(*text) : failure(text.error());
    if (document && document->version != version)
      return failure(Remedy::fix_input, "read", path, "it is of another version");
    return document;
  }

  void put_aside(std::uint64_t version) const {
    for (const std::string& path : {in_spec(version), in_state(version)})
      ::rename(path.c_str(), (path + wire::put_aside_suffix).c_str());
  }

  const std::string& directory_;
  const FromText& from_text_;
  Heritage& heritage_;
  std::map<std::uint64_t, std::unique_ptr<Document>> documents_;  // null: not read yet
  std::set<std::uint64_t> unreadable_;
  std::optional<Error> unknown_;
  bool has_state_ = false;
};

// `lost`: why there may have been more runs than it has; else left as it is.
RunList read_list(const std::string& directory, Shelf& shelf, std::string& lost) {
  const std::string path = directory + "/" + runs_file;
  const Result<std::string> text = os::read_own_file(path, run_list_bytes_max);
  if (!text && text.error().code == ENOENT) return {};
  if (!text && !is_told(text.error())) {
    shelf.give_up(text.error());
    return {};
  }
  Result<RunList> parsed = text ? parse_run_list(*text) : failure(text.error());
  if (!parsed) {
    lost = parsed.error().text();
    return {};
  }
  if (parsed->torn)
    lost = path + " is torn: it has " + std::to_string(parsed->runs.size()) +
           (parsed->runs.size() == 1 ? " run" : " runs") + ", and what else it had is not known";
  return std::move(*parsed);
}

Result<RunId> greatest_name(const std::string& directory) {
  RunId greatest = 0;
  for (const char* part : {"/o", "/n"}) {
    Result<std::vector<std::string>> names = names_in(directory + part);
    if (!names && !is_told(names.error())) return failure(names.error());
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

// Within which PIDs mean anything.
struct Here {
  std::string boot_id;
  std::uint64_t pid_namespace = 0;
};

// A kernel that has none of it has none at the next try either; and who did not know it when the list was written is
// kept from it for good.
Result<Here> find_here(const RunList& list) {
  const auto lasts = [](int error, bool known_before) {
    return error == ENOENT || (!known_before && (error == EACCES || error == EPERM));
  };
  const Result<std::string> boot = os::read_boot_id();
  if (!boot && !lasts(boot.error().code, !list.boot_id.empty())) return failure(boot.error());
  const Here here{boot.value_or(""), os::pid_namespace()};
  if (here.pid_namespace == 0 && !lasts(errno, list.pid_namespace != 0))
    return errno_failure("examine", "/proc/self/ns/pid", errno);
  return here;
}

// Of all that ran the number, of the first the names: a note is one line.
std::string told_of_restart(const RunList& list) {
  constexpr int names_most = 8;
  int count = 0;
  std::string names;
  for (const RunNote& note : list.runs)
    if (note.run != no_run && ++count <= names_most) names += ", " + note.label;
  std::string text = "the machine or container was restarted: ";
  if (count == 0) return text + "of before nothing ran";
  text += "of before " + std::to_string(count) + (count == 1 ? " run has ended" : " runs have ended") + names;
  if (count > names_most) text += " and " + std::to_string(count - names_most) + " more";
  return text + "; nobody knows how, which counts as a failure";
}

void sort_noted(RunList&& list, const Here& here, const std::string& directory, Shelf& shelf, Heritage& heritage) {
  const bool same_boot = list.boot_id == here.boot_id && list.pid_namespace == here.pid_namespace;
  if (!same_boot && !list.runs.empty())
    heritage.losses.push_back(told_of_restart(list));
  else if (!list.instance.empty() && list.instance != directory)
    heritage.losses.push_back("the directory was " + list.instance + " before: services were told the old name");
  for (RunNote& note : list.runs) {
    // The list is written behind: an apply may have replaced the document since.
    if (shelf.get(note.document) == nullptr) (void)shelf.place(note);
    heritage.greatest_run = std::max(heritage.greatest_run, note.run);
    const Result<bool> lives =
        same_boot && note.run != no_run ? os::whether_lives(note.pid, note.start_ticks) : Result<bool>(false);
    if (!lives) shelf.give_up(lives.error());
    (lives.value_or(true) ? heritage.runs : heritage.gone).push_back(std::move(note));
  }
  heritage.last_event = list.last_event;
  if (list.next_run > 0) heritage.greatest_run = std::max(heritage.greatest_run, list.next_run - 1);
}

// A service that was started after the list was last written.
void add_found(RunId run, const os::FoundRun& process, Shelf& shelf, Heritage& heritage) {
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
  if (!shelf.place(note)) {
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
  // Processes that cannot be looked at are no errors of their own below.
  if (const int error = os::Reserve(descriptors_needed).error(); error != 0)
    return errno_failure("look for what runs", directory, error);
  Heritage heritage;
  Shelf shelf(directory, from_text, heritage);
  std::string lost;
  RunList list = read_list(directory, shelf, lost);
  // Where nobody is to be told apart nothing depends on it, and a sandbox may hide it for good.
  const Result<Here> here = list.runs.empty() ? Here{} : find_here(list);
  if (!here) return failure(here.error());
  sort_noted(std::move(list), *here, directory, shelf, heritage);
  const auto found = os::find_runs(directory);
  if (!found) return failure(found.error());
  for (const auto& [run, process] : *found) add_found(run, process, shelf, heritage);
  shelf.give_named();
  const Result<RunId> named = greatest_name(directory);
  if (!named) shelf.give_up(named.error());
  if (shelf.unknown()) return failure(*shelf.unknown());
  heritage.greatest_run = std::max(heritage.greatest_run, *named);
  shelf.put_unreadable_aside();
  if (!lost.empty()) {
    if (const std::size_t aside = shelf.put_rest_aside(); aside > 0)
      lost += "; " + std::to_string(aside) + (aside == 1 ? " document" : " documents") +
              " that nothing else names: see " + directory + "/spec/*" + wire::put_aside_suffix;
    heritage.losses.push_back(lost + "; hearth up starts what is missing");
  }
  return heritage;
}

}  // namespace hearth::store
