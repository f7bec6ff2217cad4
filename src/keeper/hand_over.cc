// The hand-over record: written by the keeper that executes another program, read by that one. wire/hand_over.h

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

using wire::HandOverProblem;

static_assert(wire::hand_over_members == role_end);
static_assert(static_cast<uint32_t>(RunKind::foreign) == 2 && static_cast<uint32_t>(Trial::up) == 3,
              "stand in the record: another meaning is another hand_over_version");

// Whatever a keeper comes to remember beyond the slot table goes into the record, or an exec forgets it.
static_assert(sizeof(MemberState) == 104 && sizeof(ProgramState) == 48 && sizeof(RunState) == 24 &&
                  sizeof(Parked) == 40 && sizeof(Programs) == 168 && sizeof(Probation) == 32,
              "is the new field in the record, and in its test?");

bool is_kept(const Keeper& k, EntryIndex i) {
  return k.run[i].kind != RunKind::unseen || k.run[i].pidfd_plus_1 != 0;
}

wire::HandOverMember member_out(const MemberState& from) {
  wire::HandOverMember to = {};
  to.pid = from.pid;
  to.socket = from.socket;
  to.peer = from.peer;
  to.delay_ms = from.delay_ms;
  to.restart_at = from.restart_at;
  static_assert(sizeof to.died_at == sizeof from.died_at);
  memcpy(to.died_at, from.died_at, sizeof to.died_at);
  to.unacked = from.unacked;
  to.cursor = from.cursor;
  memcpy(to.announced, from.announced, sizeof to.announced);
  to.spoke = from.spoke;
  to.replaced = from.replaced;
  to.wants_room = from.wants_room;
  to.hello_sent = from.hello_sent;
  to.ready_sent = from.ready_sent;
  to.finish_heard = from.finish_heard;
  to.goodbye_said = from.goodbye_said;
  return to;
}

void member_in(MemberState& to, const wire::HandOverMember& from) {
  to.pid = from.pid;
  to.socket = from.socket;
  to.peer = from.peer;
  to.delay_ms = from.delay_ms;
  to.restart_at = from.restart_at;
  memcpy(to.died_at, from.died_at, sizeof to.died_at);
  to.unacked = from.unacked;
  to.cursor = from.cursor;
  memcpy(to.announced, from.announced, sizeof to.announced);
  to.spoke = from.spoke != 0;
  to.replaced = from.replaced != 0;
  to.wants_room = from.wants_room != 0;
  to.hello_sent = from.hello_sent != 0;
  to.ready_sent = from.ready_sent != 0;
  to.finish_heard = from.finish_heard != 0;
  to.goodbye_said = from.goodbye_said != 0;
}

wire::HandOverProgram program_out(const ProgramState& from, const Probation& probation) {
  wire::HandOverProgram to = {};
  to.now = from.now.fd;
  to.before = from.before.fd;
  to.older = from.older.fd;
  to.trial = static_cast<uint32_t>(from.trial);
  to.deaths = from.deaths;
  to.now_given = from.now.given;
  to.before_given = from.before.given;
  to.older_given = from.older.given;
  to.has_older = from.has_older;
  to.until = probation.until;
  to.looked_at = probation.looked_at;
  to.ask_at = probation.ask_at;
  to.silent = probation.silent;
  to.ask = probation.ask;
  to.now_upgrade = from.now.upgrade;
  to.before_upgrade = from.before.upgrade;
  to.older_upgrade = from.older.upgrade;
  return to;
}

void program_in(ProgramState& to, Probation& probation, const wire::HandOverProgram& from) {
  to.now = {from.now, from.now_given != 0, from.now_upgrade};
  to.before = {from.before, from.before_given != 0, from.before_upgrade};
  to.older = {from.older, from.older_given != 0, from.older_upgrade};
  to.has_older = from.has_older != 0;
  to.trial = static_cast<Trial>(from.trial);
  to.deaths = from.deaths;
  probation = {from.until, from.looked_at, from.ask_at, from.ask != 0, from.silent != 0};
}

void fill_header(const Keeper& k, wire::HandOverHeader& h) {
  h.magic = wire::hand_over_magic;
  h.version = wire::hand_over_version;
  h.giver = k.exec.own;
  h.header_bytes = sizeof h;
  h.slot_table_version = wire::slot_table_version;
  h.message_version = wire::message_version;
  memcpy(h.descriptor, k.fd, sizeof h.descriptor);
  h.log_directory = k.log_directory;
  h.epoll = k.epoll;
  h.signals = k.signals;
  h.children = k.children;
  h.supervisor_pidfd = k.supervisor_pidfd;
  h.at_work = k.at_work;
  h.old_logger = k.old_logger;
  h.next_logger = k.programs.next_logger;
  h.nofile_soft = k.nofile.rlim_cur;
  h.nofile_hard = k.nofile.rlim_max;
  h.nofile_now = k.nofile_now;
  h.silent_deaths = k.silent_deaths;
  h.stop_wanted_at = k.stop_wanted_at;
  h.scan_children_at = k.scan_children_at;
  h.retry_at = k.retry_at;
  h.unknown_at = k.unknown_at;
  h.kill_old_logger_at = k.kill_old_logger_at;
  h.parked_end = k.parked.end;
  h.queue_head = k.parked.queue_head;
  h.queue_tail = k.parked.queue_tail;
  h.upgrades = k.programs.upgrades;
  for (uint32_t role = 0; role < role_end; ++role) h.member[role] = member_out(k.member[role]);
  for (uint32_t role = 0; role < role_spawner; ++role)
    h.program[role] = program_out(k.programs.of[role], k.programs.probation[role]);
}

void fill(const Keeper& k, unsigned char* at, uint64_t size) {
  auto* header = reinterpret_cast<wire::HandOverHeader*>(at);
  fill_header(k, *header);
  header->size = size;
  auto* run = reinterpret_cast<wire::HandOverRun*>(header + 1);
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    const RunState& from = k.run[i];
    if (!is_kept(k, i)) continue;
    *run++ = {i, static_cast<uint32_t>(from.kind), from.pid, from.pidfd_plus_1 - 1, from.unknown_at, from.unwatched, 0};
    ++header->runs;
  }
  auto* parked = reinterpret_cast<wire::HandOverParked*>(run);
  for (uint32_t i = 0; i < k.parked.end; ++i) {
    const Parked& from = k.parked.item[i];
    if (!from.used) continue;
    fill_record(k, from, parked->record);
    parked->index = i;
    parked->fd = from.fd;
    parked->by = from.by;
    parked->next = from.next;
    parked->queued = from.queued;
    parked->dropped = from.dropped;
    ++parked;
    ++header->parked;
  }
}

bool runs_hold(const HandOver& record) {
  for (uint32_t i = 0; i < record.header->runs; ++i) {
    const wire::HandOverRun& run = record.run[i];
    if (run.entry >= wire::max_entries || run.kind > static_cast<uint32_t>(RunKind::foreign) || run.pid < 0 ||
        run.pidfd < -1 || (i > 0 && run.entry <= record.run[i - 1].entry))
      return false;
  }
  return true;
}

bool parked_holds(const HandOver& record) {
  const wire::HandOverHeader& h = *record.header;
  if (h.parked_end > park_places || h.queue_head > h.parked_end || h.queue_tail > h.parked_end) return false;
  for (uint32_t i = 0; i < h.parked; ++i) {
    const wire::HandOverParked& item = record.parked[i];
    if (item.index >= h.parked_end || item.next > h.parked_end || (i > 0 && item.index <= record.parked[i - 1].index) ||
        (item.fd < 0) != (item.dropped != 0) || memchr(item.record.name, 0, sizeof item.record.name) == nullptr)
      return false;
  }
  return true;
}

HandOverProblem examine(const wire::HandOverHeader& h, uint64_t size, HandOver& record) {
  if (h.magic != wire::hand_over_magic) return HandOverProblem::damaged;
  // A program that knows more versions than its own converts here.
  if (h.version != wire::hand_over_version) return HandOverProblem::version;
  if (h.size != size || h.header_bytes != sizeof h) return HandOverProblem::damaged;
  // And one that can go on with an older slot table, or with members that talk an older language, says so here; the table
  // is converted in resume(), while nobody else writes in it.
  if (h.slot_table_version != wire::slot_table_version) return HandOverProblem::slot_table;
  if (h.message_version != wire::message_version) return HandOverProblem::messages;
  if (h.runs > wire::max_entries || h.parked > park_places) return HandOverProblem::damaged;
  if (sizeof h + uint64_t{h.runs} * sizeof(wire::HandOverRun) + uint64_t{h.parked} * sizeof(wire::HandOverParked) !=
      size)
    return HandOverProblem::damaged;
  record.header = &h;
  record.run = reinterpret_cast<const wire::HandOverRun*>(&h + 1);
  record.parked = reinterpret_cast<const wire::HandOverParked*>(record.run + h.runs);
  for (const wire::HandOverProgram& program : h.program)
    if (program.trial > static_cast<uint32_t>(Trial::up)) return HandOverProblem::damaged;
  return runs_hold(record) && parked_holds(record) ? HandOverProblem::none : HandOverProblem::damaged;
}

bool set_kept(int fd, bool kept) {
  return fd < 0 || fcntl(fd, F_SETFD, kept ? 0 : FD_CLOEXEC) == 0;
}

}  // namespace

int write_hand_over(const Keeper& k) {
  uint64_t size = sizeof(wire::HandOverHeader);
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i)
    if (is_kept(k, i)) size += sizeof(wire::HandOverRun);
  for (uint32_t i = 0; i < k.parked.end; ++i)
    if (k.parked.item[i].used) size += sizeof(wire::HandOverParked);
  int fd = own(memfd_create("hearth-hand-over", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0) return -1;
  // Reserved first: a store that finds no memory would be SIGBUS.
  void* at = fallocate(fd, 0, 0, static_cast<off_t>(size)) != 0
                 ? MAP_FAILED
                 : mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) {
    fill(k, static_cast<unsigned char*>(at), size);
    munmap(at, size);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0) return fd;
  }
  const int error = errno;
  close_fd(fd);
  errno = error;
  return -1;
}

HandOverProblem open_hand_over(int fd, HandOver& record) {
  record = {};
  constexpr int seals = F_SEAL_WRITE | F_SEAL_SHRINK;
  struct stat file;
  const int sealed = fcntl(fd, F_GET_SEALS);  // -1, all bits set: of no memfd
  if (fstat(fd, &file) != 0 || sealed < 0 || (sealed & seals) != seals) return HandOverProblem::damaged;
  const uint64_t size = static_cast<uint64_t>(file.st_size);
  if (size < sizeof(wire::HandOverHeader)) return HandOverProblem::damaged;
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) return HandOverProblem::memory;
  const HandOverProblem problem = examine(*static_cast<wire::HandOverHeader*>(at), size, record);
  if (problem == HandOverProblem::none) return problem;
  munmap(at, size);
  record = {};
  return problem;
}

void close_hand_over(HandOver& record) {
  if (record.header != nullptr) munmap(const_cast<wire::HandOverHeader*>(record.header), record.header->size);
  record = {};
}

bool keep_over_exec(const HandOver& record, bool kept) {
  const wire::HandOverHeader& h = *record.header;
  bool whole = h.log_directory >= 0 && h.epoll >= 0 && h.signals >= 0;
  for (int fd : h.descriptor) whole = fd >= 0 && set_kept(fd, kept) && whole;
  for (int fd : {h.giver, h.log_directory, h.epoll, h.signals, h.children, h.supervisor_pidfd, h.at_work, h.old_logger,
                 h.next_logger})
    whole = set_kept(fd, kept) && whole;
  for (const wire::HandOverMember& member : h.member)
    for (int fd : {member.socket, member.peer}) whole = set_kept(fd, kept) && whole;
  for (const wire::HandOverProgram& program : h.program)
    for (int fd : {program.now, program.before, program.older}) whole = set_kept(fd, kept) && whole;
  for (uint32_t i = 0; i < h.runs; ++i) whole = set_kept(record.run[i].pidfd, kept) && whole;
  for (uint32_t i = 0; i < h.parked; ++i) whole = set_kept(record.parked[i].fd, kept) && whole;
  return whole;
}

void load_hand_over(Keeper& k, const HandOver& record) {
  const wire::HandOverHeader& h = *record.header;
  memcpy(k.fd, h.descriptor, sizeof k.fd);
  k.log_directory = h.log_directory;
  k.epoll = h.epoll;
  k.signals = h.signals;
  k.children = h.children;
  k.supervisor_pidfd = h.supervisor_pidfd;
  k.at_work = h.at_work;
  k.old_logger = h.old_logger;
  k.nofile = {h.nofile_soft, h.nofile_hard};
  k.nofile_now = h.nofile_now;
  k.silent_deaths = h.silent_deaths;
  k.stop_wanted_at = h.stop_wanted_at;
  k.scan_children_at = h.scan_children_at;
  k.retry_at = h.retry_at;
  k.unknown_at = h.unknown_at;
  k.kill_old_logger_at = h.kill_old_logger_at;
  k.programs.next_logger = h.next_logger;
  k.programs.upgrades = h.upgrades;
  for (uint32_t role = 0; role < role_end; ++role) member_in(k.member[role], h.member[role]);
  for (uint32_t role = 0; role < role_spawner; ++role)
    program_in(k.programs.of[role], k.programs.probation[role], h.program[role]);
  for (uint32_t i = 0; i < h.runs; ++i) {
    const wire::HandOverRun& from = record.run[i];
    k.run[from.entry] = {from.pidfd + 1, from.pid, from.unknown_at, static_cast<RunKind>(from.kind),
                         from.unwatched != 0};
    if (from.pidfd >= 0) ++k.pidfds;
    if (k.run[from.entry].kind == RunKind::child) remember_pid(k, from.entry);
  }
  restore_parked(k, h, record.parked);
}

}  // namespace hearth::keeper
