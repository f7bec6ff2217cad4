// The keeper's own reading of the slot table, when a spawner that somebody has taken over writes in it. The input is a
// script: lies in some entries, runs in others of which nobody lies, ends of processes, what a supervisor asks for, and
// successors that go on from a hand-over record; at the end the keeper stops everything alone.
//
// The room's code is the real one. What it asks of the kernel about processes is answered here, by a few that are made up:
// children of the keeper, its members, those of an earlier keeper, and strangers. Nobody is signalled but children that are
// no members, and whom a supervisor has handed over; a member is not reaped for a run; and of whom nobody lies is signalled
// when asked for, its end is known as it was, and it is reaped once.
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <map>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "fuzz/bytes.h"
#include "keeper/state.h"

namespace {

using namespace hearth;
using namespace hearth::keeper;

constexpr pid_t first_pid = 1'000'000'000;  // of those that are made up: no kernel gives such numbers

struct Process {
  bool child = false;   // of the keeper
  bool member = false;  // one of hearth's own
  bool handed = false;  // the supervisor has given a pidfd of it
  bool dead = false;
  bool reaped = false;
  bool honest = false;  // of a run of which nobody lies
  int status = 0;       // it exits with
  int signals = 0;
};

class Machine {
 public:
  pid_t make(Process process) {
    processes_[next_] = process;
    return next_++;
  }
  Process* find(pid_t pid) {
    const auto at = processes_.find(pid);
    return at == processes_.end() || at->second.reaped ? nullptr : &at->second;
  }
  bool is_future(std::int64_t pid) const { return pid >= next_ && pid < next_ + 10'000; }
  // The reading end of a pipe stands for a pidfd: epoll takes it, and its inode tells whose it is.
  int open(pid_t pid) {
    if (find(pid) == nullptr) {
      errno = ESRCH;
      return -1;
    }
    int ends[2];
    HEARTH_CHECK(::pipe2(ends, O_CLOEXEC) == 0, "a pipe");
    ::close(ends[1]);
    struct stat st{};
    ::fstat(ends[0], &st);
    opened_[st.st_ino] = pid;
    return ends[0];
  }
  pid_t of_pidfd(int fd) const {
    struct stat st{};
    if (::fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) return 0;
    const auto at = opened_.find(st.st_ino);
    return at == opened_.end() ? 0 : at->second;
  }
  int wait(idtype_t type, int id, siginfo_t* info, int flags) {
    const pid_t pid = type == P_PIDFD ? of_pidfd(id) : static_cast<pid_t>(id);
    Process* const process = find(pid);
    if (process == nullptr || !process->child) {
      errno = ECHILD;
      return -1;
    }
    if (!process->dead) return 0;
    info->si_pid = pid;
    info->si_code = CLD_EXITED;
    info->si_status = process->status;
    if ((flags & WNOWAIT) != 0) return 0;
    HEARTH_CHECK(!process->member, "who is one of us is not reaped for a run");
    process->reaped = true;
    return 0;
  }
  int signal(pid_t pid, int number) {
    HEARTH_CHECK(number >= 0 && number <= 64, "a signal");
    Process* const process = find(pid);
    const bool ours = process != nullptr && ((process->child && !process->member) || process->handed);
    HEARTH_CHECK(number == 0 || ours || (ending && process != nullptr && process->member), "a stranger is signalled");
    if (process == nullptr) {
      errno = ESRCH;
      return -1;
    }
    if (number != 0) ++process->signals;
    return 0;
  }
  bool ending = false;  // members may be killed

 private:
  std::map<pid_t, Process> processes_;
  std::map<ino_t, pid_t> opened_;
  pid_t next_ = first_pid;
};

Machine* machine = nullptr;

}  // namespace

// What the room asks the kernel about processes. All else goes on to libc.
extern "C" long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long argument[6];
  for (long& each : argument) each = va_arg(list, long);
  va_end(list);
  if (machine != nullptr && number == SYS_waitid) {
    if (argument[4] != 0) std::memset(reinterpret_cast<void*>(argument[4]), 0, sizeof(rusage));
    return machine->wait(static_cast<idtype_t>(argument[0]), static_cast<int>(argument[1]),
                         reinterpret_cast<siginfo_t*>(argument[2]), static_cast<int>(argument[3]));
  }
  if (machine != nullptr && number == SYS_pidfd_open) return machine->open(static_cast<pid_t>(argument[0]));
  if (machine != nullptr && number == SYS_pidfd_send_signal)
    return machine->signal(machine->of_pidfd(static_cast<int>(argument[0])), static_cast<int>(argument[1]));
  using Call = long (*)(long, ...);
  static const Call next = reinterpret_cast<Call>(::dlsym(RTLD_NEXT, "syscall"));
  return next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

extern "C" int kill(pid_t pid, int number) noexcept {
  // A group has the number of its leader here, and nobody has 0 and -1, which are many.
  return machine == nullptr ? -1 : machine->signal(pid < 0 ? -pid : pid, number);
}

extern "C" pid_t getpgid(pid_t pid) noexcept {
  return machine != nullptr && machine->find(pid) != nullptr ? pid : -1;
}

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list list;
  va_start(list, request);
  void* const argument = va_arg(list, void*);
  va_end(list);
  const pid_t pid = machine != nullptr ? machine->of_pidfd(fd) : 0;
  if (pid != 0 && request == pidfd_get_info) {
    const Process* const process = machine->find(pid);
    auto* const info = static_cast<PidfdInfo*>(argument);
    info->mask = process == nullptr || process->dead ? pidfd_info_exit : 0;
    info->exit_code = process == nullptr ? 0 : process->status << 8;
    return 0;
  }
  using Call = int (*)(int, unsigned long, ...);
  static const Call next = reinterpret_cast<Call>(::dlsym(RTLD_NEXT, "ioctl"));
  return next(fd, request, argument);
}

namespace {

constexpr EntryIndex lied_about = 6, entries = 10;

// Some hundred KiB, of which an input touches little.
wire::SlotTable table_of_all;
Keeper keepers[2];

class Play {
 public:
  explicit Play(fuzz::Bytes bytes) : bytes_(bytes) {
    machine = &world_;
    wire::SlotTable& t = table_of_all;
    std::memset(static_cast<void*>(&t), 0, offsetof(wire::SlotTable, entry) + entries * sizeof(wire::RunEntry));
    t.work[0].entries_end = entries;
    k_ = &empty(keepers[0]);
    k_->epoll = ::epoll_create1(EPOLL_CLOEXEC);
    k_->signals = k_->children = -1;
    for (int& fd : k_->fd) fd = k_->epoll;  // of those nothing is asked here
    k_->fd[static_cast<std::uint32_t>(wire::HelloDescriptor::to_keeper)] = bell_;
    k_->log_directory = k_->exec.own = k_->epoll;
    k_->nofile_now = 1'000;
    for (std::uint32_t role = 0; role < role_end; ++role) {
      const pid_t pid = world_.make({.child = true, .member = true});
      k_->member[role].pid = pid;
      named_.push_back(pid);
    }
    for (int i = 0; i < 3; ++i) named_.push_back(world_.make({}));
    for (const pid_t pid : {pid_t{1}, pid_t{0}, pid_t{-1}, ::getpid(), pid_t{INT32_MAX}}) named_.push_back(pid);
    for (int i = 0; i < 2; ++i) strays_.push_back(world_.make({.child = true}));
    for (int i = 0; i < 2; ++i) old_.push_back(world_.make({}));
  }
  ~Play() {
    for (EntryIndex i = 0; i < entries; ++i)
      if (k_->run[i].pidfd_plus_1 != 0) ::close(k_->run[i].pidfd_plus_1 - 1);
    ::close(k_->epoll);
    ::close(bell_);
    machine = nullptr;
  }
  Play(const Play&) = delete;
  Play& operator=(const Play&) = delete;

  void play() {
    for (int steps = 0; !bytes_.empty() && steps < 200; ++steps) {
      step();
      check();
    }
    stop_everything();
  }

 private:
  Keeper& empty(Keeper& k) {
    // But for the parked ones, of which there are none here, and which are most of it.
    constexpr std::size_t behind = offsetof(Keeper, parked) + sizeof k.parked;
    std::memset(static_cast<void*>(&k), 0, offsetof(Keeper, parked));
    std::memset(reinterpret_cast<char*>(&k) + behind, 0, sizeof k - behind);
    k.table = &table_of_all;
    for (MemberState& member : k.member) member.socket = member.peer = -1;
    for (ProgramState& program : k.programs.of) program.now.fd = program.before.fd = program.older.fd = -1;
    k.programs.next_logger = k.supervisor_pidfd = k.at_work = k.old_logger = k.exec.program = -1;
    bind_members(k);
    return k;
  }
  wire::RunEntry& entry(EntryIndex i) { return table_of_all.entry[i]; }

  void step() {
    switch (bytes_.byte() % 14) {
      case 0:
      case 1:
      case 2:
      case 3: lie(); break;
      case 4: ring(); break;
      case 5: spawn(); break;
      case 6: end(); break;
      case 7: ask_signal(); break;
      case 8: ask_reap(); break;
      case 9: ask_adopt(); break;
      case 10: ask_follow(); break;
      case 11: hand_over(); break;
      case 12: bury_spawner(); break;
      case 13: look_again(); break;
    }
  }

  std::int64_t value() {
    switch (bytes_.byte() % 4) {
      case 0: return named_[bytes_.byte() % named_.size()];
      case 1: return bytes_.byte();
      case 2: {
        const std::vector<pid_t>& some = bytes_.flag() ? strays_ : old_;
        return some[bytes_.byte() % some.size()];
      }
      default: return bytes_.number<std::int64_t>();
    }
  }
  void lie() {
    wire::RunEntry& e = entry(bytes_.byte() % lied_about);
    const unsigned field = bytes_.byte() % 14;
    const std::int64_t v = value();
    switch (field) {
      case 0: e.run = static_cast<RunId>(v); break;
      case 1: e.claim = static_cast<std::uint32_t>(v); break;
      case 2:
      case 3:
        // Who is still to come is a spawner's to give away.
        if (!world_.is_future(v)) e.pid = static_cast<std::int32_t>(v);
        break;
      case 4: e.fail_stage = static_cast<std::uint32_t>(v); break;
      case 5: e.phase = static_cast<wire::EntryPhase>(v); break;
      case 6: e.wait_code = static_cast<std::int32_t>(v); break;
      case 7: e.wait_status = static_cast<std::int32_t>(v); break;
      case 8: e.last_op = static_cast<OpId>(v); break;
      case 9: e.flags = static_cast<std::uint32_t>(v); break;
      case 10: e.stop_signal = static_cast<std::uint32_t>(v); break;
      case 11: e.stop_grace_ms = e.stop_rank = static_cast<std::uint32_t>(v); break;
      case 12: table_of_all.work[bytes_.byte() % 2].entries_end = bytes_.flag() ? UINT32_MAX : entries; break;
      case 13: table_of_all.changed_for_keeper[bytes_.byte() % 2] |= static_cast<std::uint64_t>(v); break;
    }
    if (bytes_.flag()) table_of_all.changed_for_keeper[0] |= std::uint64_t{1} << (&e - table_of_all.entry);
  }
  void ring() {
    keeper::ring(bell_);
    doorbell(*k_);
  }
  // As a spawner does that nobody has taken over.
  void spawn() {
    const EntryIndex i = lied_about + bytes_.byte() % (entries - lied_about);
    wire::RunEntry& e = entry(i);
    if (e.run != no_run) return;
    const pid_t pid = world_.make({.child = true, .honest = true});
    e.stop_signal = SIGTERM;
    e.run = ++last_run_;
    e.claim = 3;
    e.pid = pid;
    named_.push_back(pid);
    wire::mark_changed(table_of_all.changed_for_keeper, i);
    ring();
    HEARTH_CHECK(k_->run[i].kind == RunKind::child && wire::phase_of(e) == wire::EntryPhase::watched,
                 "whom nobody lied about is watched");
  }
  void end() {
    std::vector<pid_t> all = strays_;
    all.insert(all.end(), old_.begin(), old_.end());
    for (EntryIndex i = lied_about; i < entries; ++i)
      if (entry(i).pid != 0) all.push_back(entry(i).pid);
    const pid_t pid = all[bytes_.byte() % all.size()];
    Process* const process = world_.find(pid);
    if (process == nullptr || process->dead) return;
    process->dead = true;
    process->status = bytes_.byte();
    if (process->child) child_died(*k_, pid);
    for (EntryIndex i = 0; i < entries; ++i)
      if (k_->run[i].pid == pid) run_event(*k_, i, EPOLLIN | EPOLLHUP);
    for (EntryIndex i = lied_about; i < entries; ++i)
      if (process->honest && entry(i).pid == pid)
        HEARTH_CHECK(wire::phase_of(entry(i)) == wire::EntryPhase::exited && entry(i).wait_code == CLD_EXITED &&
                         entry(i).wait_status == process->status,
                     "its end is known as it was");
  }
  // What a supervisor reads in an entry it believes.
  EntryIndex some_entry() { return bytes_.byte() % entries; }
  void ask_signal() {
    const EntryIndex i = some_entry();
    const int number = bytes_.byte() % 70;
    Process* const honest = i >= lied_about ? world_.find(entry(i).pid) : nullptr;
    const int before = honest != nullptr ? honest->signals : 0;
    const OpId op = bytes_.flag() ? ++last_op_ : bytes_.byte();
    const bool due = number >= 1 && number <= 64 && (op > entry(i).last_op || number == SIGKILL);
    signal_run(*k_, {i, number, entry(i).run, op});
    if (honest != nullptr) HEARTH_CHECK(honest->signals == before + (due ? 1 : 0), "signalled once, when asked for");
  }
  void ask_reap() {
    const EntryIndex i = some_entry();
    const pid_t pid = entry(i).pid;
    const Process* const process = i >= lied_about ? world_.find(pid) : nullptr;
    const bool over = process != nullptr && process->dead;
    reap_run(*k_, i, entry(i).run);
    if (over) HEARTH_CHECK(process->reaped && entry(i).run == no_run, "its entry is free, and it is reaped");
  }
  void ask_adopt() {
    // Of whom the entry names; with the pidfd of another one nobody is adopted (pid_of).
    const EntryIndex i = bytes_.byte() % lied_about;
    const pid_t pid = entry(i).pid;
    Process* const process = world_.find(pid);
    if (process == nullptr || (pid != old_[0] && pid != old_[1])) return;
    process->handed = true;
    adopt_run(*k_, {i, 0, entry(i).run}, world_.open(pid));
  }
  void ask_follow() {
    const EntryIndex i = bytes_.byte() % lied_about;
    const pid_t pid = bytes_.flag() ? strays_[bytes_.byte() % strays_.size()] : old_[bytes_.byte() % old_.size()];
    if (world_.find(pid) == nullptr) return;
    world_.find(pid)->handed = true;
    follow_run(*k_, {i, pid, entry(i).run, bytes_.byte()}, world_.open(pid));
  }
  // Another program in its place, which has the private part from the record and all else from the table.
  void hand_over() {
    const int record = write_hand_over(*k_);
    HEARTH_CHECK(record >= 0, "a record");
    HandOver read = {};
    HEARTH_CHECK(open_hand_over(record, read) == wire::HandOverProblem::none, "what was written is read");
    ::close(record);
    Keeper& next = empty(k_ == &keepers[0] ? keepers[1] : keepers[0]);
    next.exec.own = k_->exec.own;
    load_hand_over(next, read);
    close_hand_over(read);
    HEARTH_CHECK(next.pidfds == k_->pidfds, "it holds as many");
    for (EntryIndex i = 0; i < entries; ++i)
      HEARTH_CHECK(next.run[i].pid == k_->run[i].pid && next.run[i].kind == k_->run[i].kind, "and knows who they are");
    k_ = &next;
  }
  void bury_spawner() {
    const std::uint32_t generation = bytes_.flag() ? 3 : bytes_.number<std::uint32_t>();
    if (generation == 0 || generation == wire::claim_keeper) return;
    watch_unseen(*k_, generation);
    release_claims(*k_, generation);
  }
  void look_again() {
    unknown_due(*k_, INT64_MAX);
    for (const pid_t pid : strays_) child_died(*k_, pid);
  }

  void check() {
    std::map<pid_t, int> holders;
    std::uint32_t pidfds = 0;
    for (EntryIndex i = 0; i < wire::entries_end(table_of_all) && i < 128; ++i) {
      pidfds += k_->run[i].pidfd_plus_1 != 0;
      if (k_->run[i].kind != RunKind::child) continue;
      const pid_t pid = k_->run[i].pid;
      const Process* const process = world_.find(pid);
      HEARTH_CHECK(process != nullptr && process->child && !process->member, "only children are watched as such");
      HEARTH_CHECK(++holders[pid] == 1, "one process is no two runs");
    }
    HEARTH_CHECK(pidfds == k_->pidfds, "what is open is counted");
    for (EntryIndex i = lied_about; i < entries; ++i)
      if (entry(i).run != no_run) HEARTH_CHECK(k_->run[i].pid == entry(i).pid, "whom nobody lied about is watched");
  }
  // No supervisor can be started, and TERM has come.
  void stop_everything() {
    world_.ending = true;
    stop_alone(*k_);
    k_->member[role_supervisor].done = k_->member[role_logger].done = true;  // nobody is told that they hang
    for (std::uint32_t role = role_spawner; role < role_end; ++role) k_->member[role].pid = 0;
    std::int64_t now = now_ns();
    for (int turn = 0; turn < 400 && k_->ending.phase == Ending::stopping_runs; ++turn) {
      ending_step(*k_, now);
      for (EntryIndex i = lied_about; i < entries; ++i) {
        Process* const process = world_.find(entry(i).pid);
        if (entry(i).run == no_run || process == nullptr || process->dead || process->signals == 0) continue;
        process->dead = true;
        run_event(*k_, i, EPOLLIN);
      }
      now += 3'600'000 * ms;
    }
    HEARTH_CHECK(k_->ending.phase == Ending::finishing, "it comes to an end");
    for (EntryIndex i = lied_about; i < entries; ++i)
      HEARTH_CHECK(
          entry(i).run == no_run || world_.find(entry(i).pid) == nullptr || world_.find(entry(i).pid)->signals > 0,
          "all that run have been stopped");
  }

  fuzz::Bytes bytes_;
  Machine world_;
  int bell_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  Keeper* k_ = nullptr;
  std::vector<pid_t> named_;   // whom lies name: members, strangers, runs of others
  std::vector<pid_t> strays_;  // children that are no runs yet
  std::vector<pid_t> old_;     // of an earlier keeper
  RunId last_run_ = 100;
  OpId last_op_ = 1'000;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Play(fuzz::Bytes(data, size)).play();
  return 0;
}
