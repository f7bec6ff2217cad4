#include "store/disk_store.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <utility>

#include "base/rfc3339.h"
#include "os/clock.h"
#include "os/crash_point.h"
#include "os/own_file.h"
#include "os/proc_stat.h"

namespace hearth::store {
namespace {

using wire::ParkClass;

constexpr char hint_of_shortage[] = "free what is short; the keeper starts another supervisor, which tries again";

// Shared with keeper and predecessors: read with offsets, never through its file position.
Result<std::string> read_whole(int fd) {
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

os::Fd open_directory(int parent, const char* name) {
  return os::Fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// The keeper has looked at it: it is ours, and on tmpfs. Its link is followed.
os::Fd open_state(const os::KeeperLink& link, int& error) {
  if (link.table().origin == wire::StateOrigin::memory) return {};
  os::Fd state = open_directory(link.descriptor(wire::HelloDescriptor::directory), wire::state_directory_name);
  error = state ? 0 : errno;
  if (error != EIO) return state;
  // The link lies on the disk of DIR, which may be broken for good; what it leads to does not.
  const std::string table = "/proc/self/fd/" + std::to_string(link.descriptor(wire::HelloDescriptor::slot_table));
  char path[PATH_MAX];
  const ssize_t n = ::readlink(table.c_str(), path, sizeof path - 1);
  if (n <= 0) return state;
  path[n] = 0;
  state.reset(::open(::dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (state) error = 0;
  return state;
}

Mirror::Place place_of(const os::KeeperLink& link, const std::string& directory, int state, int& error) {
  Mirror::Place place;
  place.directory = directory;
  // Of its own: what a writer that hangs holds must not be closed and used again under it.
  place.instance = os::Fd(::fcntl(link.descriptor(wire::HelloDescriptor::directory), F_DUPFD_CLOEXEC, 0));
  if (state >= 0) place.state = os::Fd(::fcntl(state, F_DUPFD_CLOEXEC, 0));
  // By a list of no boot the next hearth would take all that runs for ended.
  const Result<std::string> boot = os::read_boot_id();
  if (!boot) error = boot.error().code;
  place.boot_id = boot.value_or("");
  place.pid_namespace = os::pid_namespace();
  if (place.pid_namespace == 0) error = errno;
  return place;
}

// None, or one that would be there for the next supervisor, too: somebody has removed it, or closed it to us.
bool lasts(int error) {
  return error == 0 || error == ENOENT || error == ENOTDIR || error == ELOOP || error == EACCES || error == EPERM;
}

std::string seconds_text(SpanNs span) {
  return std::to_string(span / ns_per_s) + " s";
}

}  // namespace

DiskStore::DiskStore(os::KeeperLink& link, std::string directory, DocumentFormat format, BehindOptions options)
    : link_(link),
      directory_(std::move(directory)),
      format_(std::move(format)),
      state_(open_state(link, state_error_)),
      journal_(state_.get()),
      mirror_(std::make_shared<Mirror>(place_of(link, directory_, state_.get(), identity_error_))),
      writer_(
          "hearth-writer", [mirror = mirror_] { return mirror->pass(); }, options),
      marks_(directory_) {}

Status DiskStore::has_directories() const {
  if (!lasts(identity_error_))
    return errno_failure("tell which boot and PID namespace this is of", directory_, identity_error_);
  if (!lasts(state_error_)) return errno_failure("open", state_path(), state_error_);
  const Mirror::Place& written = mirror_->place();
  if (written.instance && static_cast<bool>(written.state) == static_cast<bool>(state_)) return {};
  return errno_failure("hold", directory_, EMFILE);
}

std::string DiskStore::state_path() const {
  return directory_ + "/" + wire::state_directory_name;
}

// The document's bytes in memory: a file of DIR/state, or a memfd.
Result<os::Fd> DiskStore::keep_text(std::uint64_t version, std::string_view text) {
  if (!state_) return os::make_sealed_memfd("hearth-document", text);
  const std::string name = state_name(version);
  const std::string temporary = name + ".new";
  const auto refused = [&](int code) {
    Error error = errno_error("keep a document in", state_path(), code);
    if (code == ENOSPC) error.hint = "make room there (df " + state_path() + "/.), then repeat it";
    return failure(std::move(error));
  };
  ::unlinkat(state_.get(), temporary.c_str(), 0);  // of a predecessor that was killed, or nothing of ours
  os::Fd fd(::openat(state_.get(), temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  // Somebody has removed it (logind does, with RemoveIPC): table and page live on in their mappings only, too.
  if (!fd && errno == ENOENT) return os::make_sealed_memfd("hearth-document", text);
  if (!fd) return refused(errno);
  const Status written = os::write_all(fd.get(), text, state_path());
  os::crash_point("document in state");
  if (written && ::renameat(state_.get(), temporary.c_str(), state_.get(), name.c_str()) == 0) return fd;
  const int error = written ? errno : written.error().code;
  ::unlinkat(state_.get(), temporary.c_str(), 0);
  return refused(error);
}

bool DiskStore::park(std::uint64_t version, os::Fd fd, SpanNs patience) {
  return link_.park(os::park_record(ParkClass::spec, no_slot, version), std::move(fd), patience);
}

Status DiskStore::put_document(const Document& document) {
  Result<os::Fd> kept = keep_text(document.version, format_.to_text(document));
  if (!kept) return failure(kept.error());
  os::crash_point("document kept");
  const bool in_state = is_in_state(document.version);
  os::Fd also;  // for the writer, which opens what is in DIR/state by itself
  if (!in_state) also = os::Fd(::fcntl(kept->get(), F_DUPFD_CLOEXEC, 0));
  if (!in_state && !also) return errno_failure("keep", "the document of " + document.project, errno);
  // In DIR/state a successor finds it also when the keeper has not taken it.
  if (!park(document.version, std::move(*kept), in_state ? 0 : keeper_patience) && !in_state)
    return failure(Remedy::try_later, "keep", "the document of " + document.project,
                   "the keeper has taken nothing for a second",
                   "look whether something has stopped hearth-keeper, and try again");
  os::crash_point("document parked");
  mirror_->want(document.version, std::move(also));
  writer_.post(false);
  return {};
}

Status DiskStore::keep_document(const Document& document) {
  Status kept = put_document(document);
  if (!kept) {
    mirror_->want(document.version, {});  // it takes no copy away
    writer_.post(false);
  }
  return kept;
}

void DiskStore::drop_document(std::uint64_t version) {
  if (state_) ::unlinkat(state_.get(), state_name(version).c_str(), 0);
  os::crash_point("document out of state");
  link_.unpark(ParkClass::spec, version);
  mirror_->drop(version);
  writer_.post(false);
}

// The first of three places that has it. ENOENT: none has; otherwise one may have it, and a shortage goes before what
// else was wrong.
Result<std::string> DiskStore::find_text(std::uint64_t version) {
  Error error = errno_error("open", state_path(), is_shortage(state_error_) ? state_error_ : ENOENT);
  const auto found = [&error](const Result<std::string>& text) {
    if (!text && (error.code == ENOENT || is_shortage(text.error().code))) error = text.error();
    return text.has_value();
  };
  if (state_)
    if (Result<std::string> text = os::read_file_at(state_.get(), state_name(version), document_bytes_max); found(text))
      return text;
  if (const os::Parked* parked = link_.parked().find(ParkClass::spec, version))
    if (Result<std::string> text = read_whole(parked->fd); found(text)) return text;
  if (Result<std::string> text = os::read_file_at(instance(), spec_name(version), document_bytes_max); found(text))
    return text;
  return failure(std::move(error));
}

bool DiskStore::is_in_state(std::uint64_t version) const {
  return state_ && ::faccessat(state_.get(), state_name(version).c_str(), F_OK, 0) == 0;
}

// What was in one place only is put where it belongs, as far as there is room; without patience, because nobody is
// supervised meanwhile. Whatever fails, the writer is told that it is wanted: it takes no copy away.
void DiskStore::keep_found(std::uint64_t version, std::string_view text) {
  if (!is_in_state(version)) (void)keep_text(version, text);
  const bool in_state = is_in_state(version);
  const os::Parked* parked = link_.parked().find(ParkClass::spec, version);
  if (parked == nullptr) {
    Result<os::Fd> found = in_state ? os::Fd(::openat(state_.get(), state_name(version).c_str(), O_RDONLY | O_CLOEXEC))
                                    : os::make_sealed_memfd("hearth-document", text);
    if (found && *found) (void)park(version, std::move(*found), 0);
    parked = link_.parked().find(ParkClass::spec, version);
  }
  os::Fd memory;
  if (!in_state && parked != nullptr) memory = os::Fd(::fcntl(parked->fd, F_DUPFD_CLOEXEC, 0));
  mirror_->want(version, std::move(memory));
}

Result<std::vector<Document>> DiskStore::documents(const std::vector<std::uint64_t>& versions) {
  std::vector<Document> out;
  for (const std::uint64_t version : versions) {
    Result<std::string> text = find_text(version);
    if (!text && is_shortage(text.error().code)) {
      text.error().hint = hint_of_shortage;
      return failure(text.error());
    }
    if (!text) {
      // There, but not to be read: it stays, for whoever wants to know what is wrong with it.
      if (text.error().code != ENOENT) mirror_->want(version, {});
      continue;
    }
    keep_found(version, *text);
    Result<Document> document = format_.from_text(*text);
    if (document && document->version == version) out.push_back(std::move(*document));
  }
  std::vector<std::uint64_t> unwanted;
  for (const os::Parked& parked : link_.parked().all(ParkClass::spec))
    if (std::find(versions.begin(), versions.end(), parked.key) == versions.end()) unwanted.push_back(parked.key);
  for (const std::uint64_t version : unwanted) link_.unpark(ParkClass::spec, version);
  writer_.post(false);
  return out;
}

// tmpfs allocates here, where it can still be refused, and not at a store, which would be SIGBUS. In steps, because
// services come one by one.
Status DiskStore::reserve(std::uint32_t slots) {
  constexpr std::uint32_t step = 64;
  if (slots <= reserved_) return {};
  const std::uint32_t wanted = std::min((slots + step - 1) / step * step, wire::max_slots);
  const int page = link_.descriptor(wire::HelloDescriptor::decision_page);
  for (const wire::Extent& each : wire::decision_page_extents(wanted)) {
    if (::fallocate(page, 0, static_cast<off_t>(each.offset), static_cast<off_t>(each.size)) == 0) continue;
    Error error = errno_error("make room for more services in", state_path(), errno);
    error.hint = "make room there (df " + state_path() + "/.), then repeat it";
    return failure(std::move(error));
  }
  reserved_ = wanted;
  return {};
}

void DiskStore::note_runs(const std::vector<ports::SlotNote>& changed, RunId next_run) {
  if (!std::exchange(noted_, true)) remove_unwanted_state();
  if (mirror_->note(changed, next_run)) writer_.post(false);
}

// What predecessors have left there: of orders that were never committed, of documents that were dropped as they died.
void DiskStore::remove_unwanted_state() const {
  os::Fd fd = state_ ? open_directory(state_.get(), ".") : os::Fd();
  DIR* listed = fd ? ::fdopendir(fd.get()) : nullptr;
  if (listed == nullptr) return;
  (void)fd.release();
  while (const dirent* entry = ::readdir(listed)) {
    const std::uint64_t version = version_of(entry->d_name);
    if (version != 0 && entry->d_name != state_name(version)) {
      ::unlinkat(state_.get(), entry->d_name, 0);  // a temporary one, of somebody who was killed
    } else if (version != 0 && !mirror_->wants(version)) {
      ::unlinkat(state_.get(), entry->d_name, 0);
    }
  }
  ::closedir(listed);
}

// Of the list of the hearth before: ours is written later. That it can be read, read_heritage() sees to.
EventId DiskStore::least_event_in_list() const {
  const Result<std::string> text = os::read_own_file(directory_ + "/" + runs_file, run_list_bytes_max);
  const Result<RunList> list = text ? parse_run_list(*text) : failure(text.error());
  return list ? std::max(list->last_event, list->event_floor) : no_event;
}

Result<ports::JournalMark> DiskStore::continue_journal(std::optional<ports::JournalMark> mark) {
  Result<EventId> floor = mark ? no_event : last_event_on_disk(instance());
  // A part of the disk that is broken for good must not keep everything from starting: as after a loss, numbers are left out.
  if (!floor && (floor.error().code == EIO || floor.error().code == EACCES)) floor = least_event_on_disk(instance());
  if (!mark && floor) floor = std::max(*floor, least_event_in_list());
  Result<ports::JournalMark> now = floor ? journal_.resume(mark, *floor) : failure(floor.error());
  if (!now) {
    now.error().subject = directory_ + "/" + now.error().subject;
    if (is_shortage(now.error().code)) now.error().hint = hint_of_shortage;
  }
  if (now) (void)mirror_->note_event(now->last);
  uncopied_ = true;  // our predecessor may have died before it was copied
  return now;
}

Result<std::uint64_t> DiskStore::append_events(const std::vector<EventRecord>& events) {
  return journal_.append(events);
}

void DiskStore::events_committed(ports::JournalMark mark) {
  journal_.committed(mark);
  if (mirror_->note_event(mark.last)) writer_.post(false);
  uncopied_ = true;
}

ports::EventLines DiskStore::read_events(EventId after, std::size_t most_bytes) const {
  return journal_.read(after, most_bytes);
}

void DiskStore::copy_events() {
  copy_at_ = never;
  mirror_->journal().offer(journal_.segments());
  writer_.post(false);
}

bool DiskStore::finish(RunId next_run) {
  const MonoNs now = os::read_mono();
  if (finish_until_ == 0) {
    finish_until_ = after(now, finish_patience);
    mirror_->journal().offer(journal_.segments());
    mirror_->finish(next_run, journal_.last());
    writer_.post(true);
  }
  // Mostly there at once: a millisecond's patience spares another turn.
  return settle(milliseconds(1)) || now >= finish_until_;
}

MonoNs DiskStore::ensure_writer(MonoNs now) {
  if (std::exchange(uncopied_, false) && copy_at_ == never) copy_at_ = after(now, copied_after);
  if (now >= copy_at_) copy_events();
  return std::min(copy_at_, writer_.ensure_thread() ? never : after(now, seconds(1)));
}

std::optional<std::string> DiskStore::trouble() const {
  return trouble_at(os::read_clock());
}

std::optional<std::string> DiskStore::trouble_at(Now now) const {
  const Mirror::Condition condition = mirror_->condition();
  const std::string cost =
      state_
          ? "; services are supervised as before and a kill of hearth forgets nothing, but a reboot, or the loss of " +
                state_path() + ", would forget what was changed since"
          : "; services are supervised as before, but the death of all of hearth would forget what was changed since";
  if (writer_.error() != 0)
    return "nothing is written to " + directory_ + ": cannot make a thread: " + std::strerror(writer_.error()) + cost +
           "; it is tried again each second";
  if (!condition.doing.empty() && now.mono > after(condition.doing_since, hangs_after))
    return "the disk hangs: the order to " + condition.doing + " " + condition.doing_subject +
           " has not returned for " + seconds_text(now.mono - condition.doing_since) + cost +
           "; look at the disk or file server behind it";
  if (condition.failed.empty()) return std::nullopt;
  const bool full = condition.error == ENOSPC || condition.error == EDQUOT;
  return "cannot " + condition.failed + " " + condition.failed_subject + ": " + std::strerror(condition.error) +
         " (since " + rfc3339(condition.failing_since, 0) + ", tried " + std::to_string(condition.tries) +
         (condition.tries == 1 ? " time)" : " times)") + cost +
         (full ? "; make room there (df " + directory_ + "), it is tried again" : "; it is tried again");
}

}  // namespace hearth::store
