#include "store/disk_store.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/proc_stat.h"
#include "store/run_list.h"

namespace hearth::store {
namespace {

using wire::ParkClass;

// No document has this version. Parked among them, it says that the keeper has all there are.
constexpr std::uint64_t all_read = 0;

std::string spec_name(std::uint64_t version) {
  return "spec/" + std::to_string(version) + ".json";
}

// The memfd is shared with keeper and predecessors: read with offsets, never through its file position.
Result<std::string> read_memory(int fd) {
  Result<std::uint64_t> size = os::file_size(fd, "a document");
  if (!size) return failure(size.error());
  if (*size > document_bytes_max) return failure(Remedy::fix_input, "read", "a document", "it is too large");
  std::string text(*size, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errno_failure("read", "a document", n < 0 ? errno : EIO);
    done += static_cast<std::size_t>(n);
  }
  return text;
}

}  // namespace

DiskStore::DiskStore(os::KeeperLink& link, std::string directory, DocumentFormat format)
    : link_(link),
      directory_(std::move(directory)),
      format_(std::move(format)),
      boot_id_(os::boot_id()),
      pid_namespace_(os::pid_namespace()) {}

Status DiskStore::write_file(const std::string& name, std::string_view text) {
  const std::string temporary = name + ".new";
  os::Fd fd(::openat(instance(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return errno_failure("write", directory_ + "/" + name, errno);
  Status written = os::write_all(fd.get(), text, directory_ + "/" + name);
  os::crash_point("file written");
  if (written && ::renameat(instance(), temporary.c_str(), instance(), name.c_str()) < 0)
    written = errno_failure("write", directory_ + "/" + name, errno);
  if (!written) ::unlinkat(instance(), temporary.c_str(), 0);
  return written;
}

Status DiskStore::put_document(const Document& document) {
  const std::string text = format_.to_text(document);
  const std::string name = spec_name(document.version);
  Result<os::Fd> memory = os::make_sealed_memfd("hearth-document", text);
  if (!memory) return failure(memory.error());
  if (Status written = write_file(name, text); !written) return written;
  os::crash_point("document written");
  if (!link_.park(os::park_record(ParkClass::spec, no_slot, document.version), std::move(*memory), keeper_patience)) {
    ::unlinkat(instance(), name.c_str(), 0);
    return failure(Remedy::try_later, "keep", "the document of " + document.project,
                   "the keeper has taken nothing for a second",
                   "look whether something has stopped hearth-keeper, and try again");
  }
  return {};
}

void DiskStore::drop_document(std::uint64_t version) {
  link_.unpark(ParkClass::spec, version);
  ::unlinkat(instance(), spec_name(version).c_str(), 0);
}

std::vector<Document> DiskStore::documents() {
  std::vector<Document> out;
  for (const os::Parked& parked : link_.parked().all(ParkClass::spec)) {
    if (parked.key == all_read) continue;
    Result<std::string> text = read_memory(parked.fd);
    Result<Document> document = text ? format_.from_text(*text) : failure(text.error());
    if (document && document->version == parked.key) out.push_back(std::move(*document));
  }
  const wire::SlotTable& table = link_.table();
  const bool inherited = table.continued_by != 0 || table.problem != wire::StateProblem::none;
  if (inherited && link_.parked().find(ParkClass::spec, all_read) == nullptr && read_disk(out))
    (void)park(all_read, "");
  return out;
}

// Without patience: nobody is supervised meanwhile.
bool DiskStore::park(std::uint64_t version, std::string_view text) {
  Result<os::Fd> memory = os::make_sealed_memfd("hearth-document", text);
  return memory && link_.park(os::park_record(ParkClass::spec, no_slot, version), std::move(*memory));
}

bool DiskStore::read_disk(std::vector<Document>& documents) {
  os::Fd spec(::openat(instance(), "spec", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  DIR* directory = spec ? ::fdopendir(spec.get()) : nullptr;
  if (directory == nullptr) return false;
  (void)spec.release();
  bool all_parked = true;
  while (dirent* entry = ::readdir(directory)) {
    char* end = nullptr;
    const std::uint64_t version = std::strtoull(entry->d_name, &end, 10);
    if (version == 0 || std::string_view(end) != ".json") continue;
    if (link_.parked().find(ParkClass::spec, version) != nullptr) continue;
    Result<std::string> text = os::read_file_at(instance(), spec_name(version), document_bytes_max);
    Result<Document> document = text ? format_.from_text(*text) : failure(text.error());
    if (!document || document->version != version) continue;
    all_parked = park(version, *text) && all_parked;
    documents.push_back(std::move(*document));
  }
  ::closedir(directory);
  return all_parked;
}

// tmpfs allocates here, where it can still be refused, and not at a store, which would be SIGBUS. In steps, because
// services come one by one.
Status DiskStore::reserve(std::uint32_t slots) {
  constexpr std::uint32_t step = 64;
  if (slots <= reserved_) return {};
  const std::uint32_t wanted = std::min((slots + step - 1) / step * step, wire::max_slots);
  const int page = link_.descriptor(wire::HelloDescriptor::decision_page);
  if (::fallocate(page, 0, 0, static_cast<off_t>(wire::decision_page_bytes(wanted))) < 0) {
    Error error = errno_error("make room for more services in", directory_ + "/" + wire::state_directory_name, errno);
    error.hint = "make room there (df " + directory_ + "/" + wire::state_directory_name + "/.), then repeat it";
    return failure(std::move(error));
  }
  reserved_ = wanted;
  return {};
}

void DiskStore::note_runs(const std::vector<ports::RunNote>& runs, RunId next_run) {
  runs_ = runs;
  next_run_ = next_run;
  waits_ = true;
}

void DiskStore::finish(RunId next_run) {
  note_runs({}, next_run);
  flush_now(os::read_mono());
  // On a full disk: better no list than one by which the next hearth would start what was stopped.
  if (waits_) ::unlinkat(instance(), "runs.json", 0);
}

MonoNs DiskStore::flush(MonoNs now) {
  if (!waits_) return never;
  if (written_at_ != 0 && now < after(written_at_, write_every)) return after(written_at_, write_every);
  flush_now(now);
  return waits_ ? after(now, write_every) : never;
}

void DiskStore::flush_now(MonoNs now) {
  if (!waits_) return;
  written_at_ = now;
  const Status written =
      write_file("runs.json", run_list_text({boot_id_, pid_namespace_, directory_, next_run_, runs_}));
  if (!written) {
    // A full disk is tried again with every change, and with every call until then.
    ++failures_;
    return;
  }
  waits_ = false;
  std::vector<ports::RunNote>().swap(runs_);
}

}  // namespace hearth::store
