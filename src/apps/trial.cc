#include "apps/trial.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/version.h"
#include "config/document_json.h"
#include "os/fd.h"
#include "supervisor/head.h"
#include "wire/decision_page.h"
#include "wire/keeper_messages.h"
#include "wire/log_page.h"
#include "wire/slot_table.h"
#include "wire/spawn_plan.h"
#include "wire/state.h"

namespace hearth::apps {
namespace {

namespace json = boost::json;

constexpr int tries_most = 5;

struct Freed {
  void operator()(void* at) const { std::free(at); }
};
template <typename Page>
using Copy = std::unique_ptr<Page, Freed>;

struct Pages {
  Copy<wire::SlotTable> table;
  Copy<wire::DecisionPage> decisions;
};

std::unexpected<Error> refuse(std::string subject, std::string reason, std::string hint = {}) {
  return failure(Remedy::environment, "go on with", std::move(subject), std::move(reason), std::move(hint));
}

// By read(2): a load from a hole of a full tmpfs would be SIGBUS.
template <typename Page>
Result<Copy<Page>> copy_of(int fd, const char* what) {
  struct stat st{};
  if (fstat(fd, &st) < 0) return errno_failure("read", what, errno);
  if (static_cast<std::size_t>(st.st_size) != sizeof(Page))
    return refuse(what, "it has " + std::to_string(st.st_size) + " bytes, and " + std::to_string(sizeof(Page)) +
                            " with this version of hearth");
  void* memory = std::aligned_alloc(alignof(Page) < 4096 ? 4096 : alignof(Page), (sizeof(Page) + 4095) / 4096 * 4096);
  if (memory == nullptr) return errno_failure("read", what, ENOMEM);
  Copy<Page> page(static_cast<Page*>(memory));
  std::size_t done = 0;
  while (done < sizeof(Page)) {
    const ssize_t got = pread(fd, static_cast<char*>(memory) + done, sizeof(Page) - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return errno_failure("read", what, got < 0 ? errno : EIO);
    done += static_cast<std::size_t>(got);
  }
  return page;
}

// What a keeper has in memory: "/memfd:NAME (deleted)" among its descriptors.
os::Fd memory_of(pid_t keeper, const std::string& name) {
  const std::string place = "/proc/" + std::to_string(keeper) + "/fd";
  os::Fd found;
  DIR* directory = opendir(place.c_str());
  if (directory == nullptr) return found;
  const std::string wanted = "/memfd:" + name + " ";
  while (const dirent* entry = readdir(directory)) {
    char target[256];
    const std::string path = place + "/" + entry->d_name;
    const ssize_t n = readlink(path.c_str(), target, sizeof target);
    if (n <= 0 || !std::string_view(target, static_cast<std::size_t>(n)).starts_with(wanted)) continue;
    found.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    break;
  }
  closedir(directory);
  return found;
}

Result<Pages> read_pages(const std::string& directory, pid_t keeper) {
  const std::string state = directory + "/" + wire::state_directory_name + "/";
  os::Fd table(open((state + wire::slot_table_file).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  os::Fd decisions(open((state + wire::decision_page_file).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (os::Fd memory = memory_of(keeper, "hearth-slot-table")) {
    table = std::move(memory);
    decisions = memory_of(keeper, "hearth-decision-page");
  }
  if (!table || !decisions)
    return refuse(directory, "neither are its slot table and decision page in " + state +
                                 ", nor can they be had of its keeper (PID " + std::to_string(keeper) + ")");
  // The page first: a table that is newer has what happened meanwhile, as it would after a death.
  Pages pages;
  Result<Copy<wire::DecisionPage>> page = copy_of<wire::DecisionPage>(decisions.get(), "the decision page");
  if (!page) return failure(page.error());
  Result<Copy<wire::SlotTable>> slots = copy_of<wire::SlotTable>(table.get(), "the slot table");
  if (!slots) return failure(slots.error());
  pages.decisions = std::move(*page);
  pages.table = std::move(*slots);
  return pages;
}

Status check_formats(const Pages& pages) {
  const wire::SlotTable& table = *pages.table;
  const wire::DecisionPage& page = *pages.decisions;
  if (!wire::slot_table_valid(table, sizeof table))
    return refuse("the slot table", "it is of version " + std::to_string(table.version) + ", and this program knows " +
                                        std::to_string(wire::slot_table_version));
  if (table.keeper_messages != wire::message_version)
    return refuse("the keeper",
                  table.keeper_messages == 0
                      ? std::string("it is of a version of hearth that takes no upgrades")
                      : "its messages are of version " + std::to_string(table.keeper_messages) +
                            ", and those of this program of " + std::to_string(wire::message_version),
                  "start hearth again with the new version when its services may stop");
  switch (supervisor::problem_of(page)) {
    case supervisor::PageProblem::none: return {};
    case supervisor::PageProblem::version:
      return refuse("the decision page", "it is of version " + std::to_string(page.version) + ", its records of " +
                                             std::to_string(page.record_version) + ", and this program knows " +
                                             std::to_string(wire::decision_page_version) + " and " +
                                             std::to_string(supervisor::record_version));
    case supervisor::PageProblem::empty: return refuse("the decision page", "nothing has been committed in it yet");
    case supervisor::PageProblem::head: break;
  }
  return refuse("the decision page", "its head makes no sense to this program");
}

// On tmpfs, or on the disk. One that is in neither is still being written, or is in memory alone: no reason to refuse, and room
// for all.
Result<std::size_t> count_services(const std::string& directory, std::uint64_t version) {
  for (const std::string& path :
       {directory + "/" + wire::state_directory_name + "/" + wire::document_file_prefix + std::to_string(version),
        directory + "/spec/" + std::to_string(version) + ".json"}) {
    const Result<std::string> text = os::read_file(path);
    if (!text) continue;
    const Result<Document> document = config::document_from_json(*text);
    if (!document) return refuse(path, document.error().reason);
    return document->services.size();
  }
  return SIZE_MAX;
}

// How many slots are in use; `torn`: one has no record or none that makes sense, perhaps because it was being written.
Result<std::size_t> check_slots(const Pages& pages, const std::string& directory, bool& torn) {
  const supervisor::Head head = supervisor::head_of(*pages.decisions);
  std::size_t used = 0;
  std::map<std::uint64_t, std::size_t> services;  // of each document
  for (SlotIndex slot = 0; slot < head.slots_used; ++slot) {
    SlotState state;
    if (!wire::read_slot(*pages.decisions, slot, &state, sizeof state)) {
      torn = true;
      continue;
    }
    if (!supervisor::makes_sense(state, slot, head.slots_used)) {
      // A take-over would not believe it, and leave alone what runs of it.
      torn = true;
      return refuse("slot " + std::to_string(slot), "what the decision page has of it makes no sense to this program");
    }
    if (!state.used) continue;
    ++used;
    if (!services.contains(state.document)) {
      const Result<std::size_t> count = count_services(directory, state.document);
      if (!count) return failure(count.error());
      services[state.document] = *count;
    }
    if (state.service >= services[state.document])
      return refuse("slot " + std::to_string(slot), "its document has no service of that number");
  }
  return used;
}

Result<std::size_t> try_all(const std::string& directory, pid_t keeper) {
  for (int tries = 0;; ++tries) {
    const Result<Pages> pages = read_pages(directory, keeper);
    if (!pages) return failure(pages.error());
    if (const Status fit = check_formats(*pages); !fit) return failure(fit.error());
    bool torn = false;
    const Result<std::size_t> slots = check_slots(*pages, directory, torn);
    if (!torn || tries == tries_most) return slots;
  }
}

}  // namespace

int run_trial(const std::string& directory, pid_t keeper) {
  const Result<std::size_t> slots = try_all(directory, keeper);
  json::object out;
  out["trial"] = 1;
  out["program"] = "hearth-supervisor";
  out["version"] = version;
  out["formats"] = {{"slot_table", wire::slot_table_version},
                    {"decision_page", wire::decision_page_version},
                    {"records", supervisor::record_version},
                    {"messages", wire::message_version},
                    {"plan", wire::plan_version},
                    {"log_page", wire::log_page_version},
                    {"document", config::document_format}};
  out["slots"] = slots ? *slots : 0;
  if (slots)
    out["refused"] = nullptr;
  else
    out["refused"] = slots.error().text();
  std::printf("%s\n", json::serialize(out).c_str());
  return std::fflush(stdout) == 0 && slots ? 0 : 1;
}

}  // namespace hearth::apps
