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

// The documents there are, each read when somebody asks for it: most may be of services that are long gone, and a disk may
// be slow. In DIR/state, where the newest are, else in DIR/spec.
class Shelf {
 public:
  using FromText = std::function<Result<Document>(std::string_view)>;
  Shelf(const std::string& directory, const FromText& from_text, Heritage& heritage)
      : directory_(directory), from_text_(from_text), heritage_(heritage) {
    for (const char* part : {"/spec", "/state"}) {
      Result<std::vector<std::string>> names = names_in(directory + part);
      if (!names) {
        if (names.error().code != ENOENT) lose(names.error());
        continue;
      }
      for (const std::string& name : *names)
        if (const std::uint64_t version = version_of(name); version != 0 && !name.ends_with(".new"))
          documents_.emplace(version, nullptr);
    }
    if (!documents_.empty()) heritage.greatest_document = documents_.rbegin()->first;
  }

  // Null: there is none, or nobody can read it. Stays valid.
  const Document* get(std::uint64_t version) {
    const auto at = documents_.find(version);
    if (at == documents_.end() || unreadable_.contains(version)) return nullptr;
    if (at->second != nullptr) return at->second.get();
    const std::string path = directory_ + "/" + spec_name(version);
    Result<Document> document = read(directory_ + "/state/" + state_name(version));
    if (!document) document = read(path);
    if (document && document->version == version)
      return (at->second = std::make_unique<Document>(std::move(*document))).get();
    unreadable_.insert(version);
    if (!document && is_shortage(document.error().code)) return lose(document.error()), nullptr;
    // Out of the writer's way, for whoever wants to know what was wrong with it.
    ::rename(path.c_str(), (path + wire::put_aside_suffix).c_str());
    heritage_.losses.push_back(path + " is lost: " + (document ? "it is of another version" : document.error().text()));
    return nullptr;
  }

  // What cannot be read. Of a shortage it is not lost: nobody can tell yet what there is.
  void lose(const Error& error) {
    if (is_shortage(error.code) && !short_) short_ = error;
    heritage_.losses.push_back(error.text());
  }
  const std::optional<Error>& shortage() const { return short_; }

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

 private:
  Result<Document> read(const std::string& path) {
    Result<std::string> text = os::read_own_file(path, document_bytes_max);
    return text ? from_text_(*text) : failure(text.error());
  }

  const std::string& directory_;
  const FromText& from_text_;
  Heritage& heritage_;
  std::map<std::uint64_t, std::unique_ptr<Document>> documents_;  // null: not read yet
  std::set<std::uint64_t> unreadable_;
  std::optional<Error> short_;
};

RunList read_list(const std::string& directory, Shelf& shelf) {
  RunList list;
  Result<std::string> text = os::read_own_file(directory + "/runs.json", 64u << 20);
  if (!text) {
    if (text.error().code != ENOENT) shelf.lose(text.error());
    return list;
  }
  Result<RunList> parsed = parse_run_list(*text);
  if (!parsed) {
    shelf.lose(parsed.error());
    return list;
  }
  return std::move(*parsed);
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

void sort_noted(RunList&& list, const std::string& directory, Shelf& shelf, Heritage& heritage) {
  const bool same_boot = list.boot_id == os::boot_id() && list.pid_namespace == os::pid_namespace();
  if (!same_boot && !list.runs.empty())
    heritage.losses.push_back(told_of_restart(list));
  else if (!list.instance.empty() && list.instance != directory)
    heritage.losses.push_back("the directory was " + list.instance + " before: services were told the old name");
  for (RunNote& note : list.runs) {
    // The list is written behind: an apply may have replaced the document since.
    if (shelf.get(note.document) == nullptr) (void)shelf.place(note);
    heritage.greatest_run = std::max(heritage.greatest_run, note.run);
    const bool lives = same_boot && note.run != no_run && os::process_lives(note.pid, note.start_ticks);
    (lives ? heritage.runs : heritage.gone).push_back(std::move(note));
  }
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
  // Processes that cannot be looked at, and the boot id, are no errors of their own below.
  if (!os::Reserve(descriptors_needed).full()) return errno_failure("look for what runs", directory, EMFILE);
  Heritage heritage;
  Shelf shelf(directory, from_text, heritage);
  sort_noted(read_list(directory, shelf), directory, shelf, heritage);
  for (const auto& [run, process] : os::find_runs(directory)) add_found(run, process, shelf, heritage);
  shelf.give_named();
  if (shelf.shortage()) return failure(*shelf.shortage());
  heritage.greatest_run = std::max(heritage.greatest_run, greatest_name(directory));
  return heritage;
}

}  // namespace hearth::store
