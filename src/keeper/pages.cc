// Slot table and decision page: gone on with, made in DIR/state, or made in memory. wire/state.h has the model.
// Called once, at start, by who has the instance's lock.

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <span>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "keeper/state.h"
#include "wire/decision_page.h"

namespace hearth::keeper {
namespace {

using wire::HelloDescriptor;
using wire::StateOrigin;
using wire::StateProblem;

// What is reserved of a new decision page; the supervisor reserves more as slots are added.
constexpr uint32_t slots_reserved = 32;

// Whoever is short of descriptors or of memory, or reads from a disk that breaks, cannot tell what is there: it must
// not be taken for none, and put aside. Not base's is_shortage(): this room may not link base.
bool keeps_from_looking(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
}

struct Obstacle {
  int error = 0;  // 0 = there is none
  const char* at = nullptr;
};

struct Pages {
  Obstacle obstacle;  // to telling what is there
  // To telling which this is: of matter when a pair is there.
  Obstacle no_boot, no_pid_namespace, no_directory;
  int table_fd = -1;
  int page_fd = -1;
  wire::SlotTable* table = nullptr;
  wire::DecisionPage* page = nullptr;
};

void drop(Pages& pages) {
  if (pages.table != nullptr) munmap(pages.table, sizeof *pages.table);
  if (pages.page != nullptr) munmap(pages.page, sizeof *pages.page);
  close_fd(pages.table_fd);
  close_fd(pages.page_fd);
  pages = Pages();
}

template <typename T>
T* map(int fd) {
  void* at = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

bool map_both(Pages& pages) {
  pages.table = map<wire::SlotTable>(pages.table_fd);
  pages.page = map<wire::DecisionPage>(pages.page_fd);
  return pages.table != nullptr && pages.page != nullptr;
}

void note_obstacle(Pages& pages, const char* at) {
  if (keeps_from_looking(errno)) pages.obstacle = {errno, at};
}

void note_no_identity(Pages& pages, Obstacle& which, const char* at) {
  note_obstacle(pages, at);
  which = {errno, at};
}

wire::StateIdentity identify(int directory, Pages& pages) {
  wire::StateIdentity identity = {};
  static constexpr char boot_id[] = "/proc/sys/kernel/random/boot_id", pid_namespace[] = "/proc/self/ns/pid";
  const int file = open(boot_id, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    note_no_identity(pages, pages.no_boot, boot_id);
  } else {
    const ssize_t got = read(file, identity.boot_id, sizeof identity.boot_id - 1);
    if (got < 36) {
      if (got >= 0) errno = ENODATA;
      note_no_identity(pages, pages.no_boot, boot_id);
      memset(identity.boot_id, 0, sizeof identity.boot_id);
    }
    identity.boot_id[36] = 0;
    close(file);
  }
  struct stat space;
  if (stat(pid_namespace, &space) == 0)
    identity.pid_namespace = space.st_ino;
  else
    note_no_identity(pages, pages.no_pid_namespace, pid_namespace);
  struct statx x;
  if (statx(directory, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &x) < 0) {
    note_no_identity(pages, pages.no_directory, "DIR");
  } else {
    identity.device = uint64_t{x.stx_dev_major} << 32 | x.stx_dev_minor;
    identity.inode = x.stx_ino;
    if ((x.stx_mask & STATX_BTIME) != 0) identity.birth_ns = x.stx_btime.tv_sec * 1'000'000'000 + x.stx_btime.tv_nsec;
  }
  return identity;
}

// A link is followed: it stands in the instance directory, where only we may write.
int open_state_directory(int instance, StateProblem& problem) {
  int fd = openat(instance, wire::state_directory_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    problem = StateProblem::no_directory;
    return -1;
  }
  struct stat st;
  struct statfs fs;
  if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
    problem = StateProblem::not_ours;
  else if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
    problem = StateProblem::not_tmpfs;
  else
    return fd;
  errno = 0;
  close_fd(fd);
  return -1;
}

// From the beginning of the file: how much there is, at most `size`; -1 with errno. A file system may give it in pieces.
ssize_t read_head(int fd, void* into, size_t size) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = pread(fd, static_cast<char*>(into) + have, size - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

// One of another version may have another size, too.
StateProblem problem_of_size(int fd, uint32_t magic, uint32_t version, Pages& pages) {
  uint32_t head[2] = {};
  const ssize_t got = read_head(fd, head, sizeof head);
  if (got < 0) note_obstacle(pages, "slot table and decision page");
  const bool read = got == sizeof head;
  return read && head[0] == magic && head[1] != version ? StateProblem::other_version : StateProblem::damaged;
}

StateProblem open_file(int state, const char* name, uint64_t bytes, uint32_t magic, uint32_t version, int& fd,
                       Pages& pages) {
  // Non-blocking, in case somebody has put a FIFO there.
  fd = openat(state, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) note_obstacle(pages, name);
  if (fd < 0) return errno == ENOENT ? StateProblem::incomplete : StateProblem::not_ours;
  struct stat st;
  const bool seen = fstat(fd, &st) == 0;
  if (!seen) note_obstacle(pages, name);
  if (!seen || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) return StateProblem::not_ours;
  return static_cast<uint64_t>(st.st_size) == bytes ? StateProblem::none : problem_of_size(fd, magic, version, pages);
}

// The whole of DIR/lock: which pair was kept last. Of one length, as to replace it then takes no room on a full disk.
constexpr size_t lock_bytes = 23;
struct LockText {
  explicit LockText(uint64_t state_id) {
    memcpy(text, "state ", 6);
    for (int i = 0; i < 16; ++i) text[6 + i] = "0123456789abcdef"[state_id >> (60 - 4 * i) & 15];
    text[lock_bytes - 1] = '\n';
  }
  char text[lock_bytes];
};

// A FIFO can be locked, and a second name of somebody's file: neither says anything, nor is it written to.
bool lock_has_text(int lock) {
  struct stat st;
  return fstat(lock, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

// none, too, where nobody has said who was the last, as earlier versions do not.
StateProblem compare_lock(int lock, Pages& pages) {
  if (!lock_has_text(lock)) return StateProblem::none;
  const LockText wanted(pages.table->state_id);
  char text[lock_bytes];
  const ssize_t got = read_head(lock, text, sizeof text);
  if (got < 0) pages.obstacle = {errno, "DIR/lock"};
  if (got <= 0) return StateProblem::none;
  const bool named = got == sizeof text && memcmp(text, wanted.text, sizeof text) == 0;
  return named ? StateProblem::none : StateProblem::not_the_last;
}

// To telling whether it is of here. Who made it may have been as blind, as on a kernel without PID namespaces: then
// nobody can ever tell, and waiting would not help.
Obstacle obstacle_to_comparing(const Pages& pages, const wire::StateIdentity& theirs) {
  if (theirs.boot_id[0] != 0 && pages.no_boot.error != 0) return pages.no_boot;
  if (theirs.pid_namespace != 0 && pages.no_pid_namespace.error != 0) return pages.no_pid_namespace;
  if (theirs.inode != 0 && pages.no_directory.error != 0) return pages.no_directory;
  return {};
}

StateProblem examine(Pages& pages, const wire::StateIdentity& ours) {
  const wire::SlotTable& table = *pages.table;
  const wire::DecisionPage& page = *pages.page;
  if (page.magic == 0) return StateProblem::incomplete;  // its supervisor had not come so far
  if (table.magic != wire::slot_table_magic || page.magic != wire::decision_page_magic) return StateProblem::damaged;
  if (!wire::slot_table_valid(table, sizeof table) ||
      !wire::decision_page_valid(page, sizeof page, wire::decision_record_version))
    return StateProblem::other_version;
  if (table.state_id != page.state_id) return StateProblem::not_a_pair;
  if (const Obstacle blind = obstacle_to_comparing(pages, table.identity);
      blind.error != 0 && wire::held_head(page) != nullptr)
    pages.obstacle = blind;
  const StateProblem other = wire::compare_identities(table.identity, ours);
  if (other != StateProblem::none) return other;
  return wire::held_head(page) == nullptr ? StateProblem::incomplete : StateProblem::none;
}

// None: they are open and mapped.
StateProblem open_files(int state, int lock, const wire::StateIdentity& ours, Pages& pages) {
  StateProblem problem = open_file(state, wire::slot_table_file, sizeof(wire::SlotTable), wire::slot_table_magic,
                                   wire::slot_table_version, pages.table_fd, pages);
  const StateProblem other = open_file(state, wire::decision_page_file, sizeof(wire::DecisionPage),
                                       wire::decision_page_magic, wire::decision_page_version, pages.page_fd, pages);
  if (problem == StateProblem::none) problem = other;
  if (problem == StateProblem::none && !map_both(pages)) {
    note_obstacle(pages, "slot table and decision page");
    problem = StateProblem::damaged;
  }
  if (problem == StateProblem::none) problem = examine(pages, ours);
  if (problem == StateProblem::none) problem = compare_lock(lock, pages);
  return problem;
}

bool reserve(int fd, std::span<const wire::Extent> extents) {
  for (const wire::Extent& each : extents)
    if (fallocate(fd, 0, static_cast<off_t>(each.offset), static_cast<off_t>(each.size)) != 0) return false;
  return true;
}

int make_file(int state, const char* name, uint64_t bytes, std::span<const wire::Extent> reserved) {
  const int fd = openat(state, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return -1;
  if (ftruncate(fd, static_cast<off_t>(bytes)) == 0 && reserve(fd, reserved)) return fd;
  const int error = errno;
  unlinkat(state, name, 0);
  close(fd);
  errno = error;
  return -1;
}

bool make_files(int state, Pages& pages) {
  const wire::Extent table[] = {{0, sizeof(wire::SlotTable)}};
  pages.table_fd = make_file(state, wire::slot_table_file, sizeof(wire::SlotTable), table);
  if (pages.table_fd < 0) return false;
  pages.page_fd = make_file(state, wire::decision_page_file, sizeof(wire::DecisionPage),
                            wire::decision_page_extents(slots_reserved));
  if (pages.page_fd >= 0 && map_both(pages)) return true;
  const int error = errno;
  unlinkat(state, wire::slot_table_file, 0);
  drop(pages);
  errno = error;
  return false;
}

bool make_memory(Pages& pages) {
  pages.table_fd = memfd_create("hearth-slot-table", MFD_CLOEXEC);
  pages.page_fd = memfd_create("hearth-decision-page", MFD_CLOEXEC);
  return pages.table_fd >= 0 && pages.page_fd >= 0 && ftruncate(pages.table_fd, sizeof(wire::SlotTable)) == 0 &&
         ftruncate(pages.page_fd, sizeof(wire::DecisionPage)) == 0 && map_both(pages);
}

// One generation is kept for whoever wants to know what was wrong.
bool put_aside(int state) {
  bool found = false;
  for (const char* name : {wire::slot_table_file, wire::decision_page_file}) {
    char aside[64] = "";
    strcat(strcat(aside, name), wire::put_aside_suffix);
    if (renameat(state, name, state, aside) == 0)
      found = true;
    else if (errno != ENOENT)
      unlinkat(state, name, 0);
  }
  return found;
}

void begin_table(const Pages& pages, const wire::StateIdentity& identity) {
  wire::SlotTable& table = *pages.table;
  table.magic = wire::slot_table_magic;
  table.version = wire::slot_table_version;
  table.size = sizeof table;
  table.keeper_generation = 1;
  timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  table.created_wall_ns = int64_t{wall.tv_sec} * 1'000'000'000 + wall.tv_nsec;
  table.identity = identity;
  if (getrandom(&table.state_id, sizeof table.state_id, GRND_NONBLOCK) != sizeof table.state_id)
    table.state_id = static_cast<uint64_t>(table.created_wall_ns);
  pages.page->state_id = table.state_id;
}

}  // namespace

bool open_pages(Keeper& k, const char*& at) {
  const int instance = descriptor(k, HelloDescriptor::directory);
  Pages pages;
  const wire::StateIdentity identity = identify(instance, pages);
  StateProblem problem = StateProblem::none;
  StateOrigin origin = StateOrigin::memory;
  int state = open_state_directory(instance, problem);
  int error = state < 0 ? errno : 0;
  if (state >= 0) problem = open_files(state, descriptor(k, HelloDescriptor::lock), identity, pages);
  if (keeps_from_looking(error)) pages.obstacle = {error, "DIR/state"};
  if (pages.obstacle.error != 0) {
    const Obstacle obstacle = pages.obstacle;
    drop(pages);
    close_fd(state);
    at = obstacle.at;
    errno = obstacle.error;
    return false;
  }
  if (state >= 0) {
    if (problem == StateProblem::none) {
      origin = StateOrigin::continued;
    } else {
      drop(pages);
      if (!put_aside(state)) problem = StateProblem::none;
      if (make_files(state, pages)) {
        origin = StateOrigin::made;
      } else {
        error = errno;
        problem = StateProblem::no_room;
      }
    }
    close(state);
  }
  at = "memory for slot table and decision page";
  if (origin == StateOrigin::memory && !make_memory(pages)) return false;
  if (origin != StateOrigin::continued)
    begin_table(pages, identity);
  else
    pages.table->continued_by = pages.table->keeper_generation.fetch_add(1) + 1;
  pages.table->origin = origin;
  pages.table->problem = problem;
  pages.table->problem_errno = error;
  k.table = pages.table;
  munmap(pages.page, sizeof *pages.page);
  k.fd[static_cast<uint32_t>(HelloDescriptor::slot_table)] = pages.table_fd;
  k.fd[static_cast<uint32_t>(HelloDescriptor::decision_page)] = pages.page_fd;
  return true;
}

bool name_pages(Keeper& k) {
  const int lock = descriptor(k, HelloDescriptor::lock);
  if (!lock_has_text(lock)) return true;
  const LockText wanted(k.table->state_id);
  char text[lock_bytes];
  if (read_head(lock, text, lock_bytes) == lock_bytes && memcmp(text, wanted.text, lock_bytes) == 0) return true;
  if (pwrite(lock, wanted.text, lock_bytes, 0) == lock_bytes) return true;
  // What it says must not be wrong: better nothing.
  const int error = errno;
  if (ftruncate(lock, 0) == 0) return true;
  errno = error;
  return false;
}

}  // namespace hearth::keeper
