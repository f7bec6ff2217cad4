// How a keeper comes to its basics: made by itself, or handed over by a living supervisor.

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "keeper/message.h"
#include "keeper/state.h"
#include "wire/log_page.h"
#include "wire/spawn_plan.h"

namespace hearth::keeper {
namespace {

using wire::HelloDescriptor;

constexpr int exit_usage = 64, exit_taken = 75;
// With fewer no supervisor comes up, and a keeper that goes on without one has the lock.
constexpr uint32_t least_descriptors = 64;
constexpr int64_t take_over_wait_ms = 10'000, old_spawner_wait_ms = 1'000, old_logger_wait_ms = 5'000;

// To standard error, only at start: later the keeper writes nothing, so that nothing can hold it.
void say(const char* what, const char* subject, int error, const char* remedy) {
  char text[1024] = "hearth-keeper: ";
  auto add = [&](const char* part) { strncat(text, part, sizeof text - strlen(text) - 1); };
  add(what);
  if (subject != nullptr) add(" "), add(subject);
  if (error != 0) add(": "), add(strerror(error));
  if (remedy != nullptr) add("; "), add(remedy);
  add("\n");
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, strlen(text));
}

const char* remedy_of(int error) {
  switch (error) {
    case EMFILE: return "raise its limit of open files (ulimit -n; LimitNOFILE= of a unit) and start hearth again";
    case ENFILE: return "raise the machine's limit of open files (sysctl fs.file-max) and start hearth again";
    case EFBIG: return "raise its limit of file sizes (ulimit -f; LimitFSIZE= of a unit) and start hearth again";
    case ENOMEM: return "free memory, or raise its limit (ulimit -v; MemoryMax= of a unit), and start hearth again";
    default: return "start hearth again when that is mended; until then what an earlier one has left stays as it is";
  }
}

bool fail(const char* what, const char* subject, const char* remedy) {
  say(what, subject, errno, remedy);
  return false;
}
bool fail(const char* what, const char* subject) {
  return fail(what, subject, remedy_of(errno));
}

bool usage(const char* problem, const char* subject) {
  say(problem, subject, 0,
      "usage: hearth-keeper --dir DIR --logs LOGDIR --supervisor PATH --logger PATH [--take-over "
      "FD] [--supervisor-program FD] [--logger-program FD] [--up-within MS]");
  return false;
}

// Decimal digits, from 0 to `most`. -1: it is none.
long number_of(const char* text, long most) {
  char* end = nullptr;
  const long number = strtol(text, &end, 10);
  return *text == 0 || *end != 0 || number < 0 || number > most ? -1 : number;
}

bool parse(Options& options, int argc, char** argv) {
  struct Option {
    const char* name;
    const char** value;
  };
  const char *take_over = nullptr, *up_within = nullptr, *resume = nullptr, *dry_run = nullptr, *came_back = nullptr;
  const char *supervisor_program = nullptr, *logger_program = nullptr;
  const Option known[] = {{"--dir", &options.dir},
                          {"--logs", &options.logs},
                          {"--supervisor", &options.supervisor},
                          {"--logger", &options.logger},
                          {"--take-over", &take_over},
                          {"--up-within", &up_within},
                          {"--resume", &resume},
                          {"--dry-run", &dry_run},
                          {"--came-back", &came_back},
                          {"--supervisor-program", &supervisor_program},
                          {"--logger-program", &logger_program}};
  constexpr int needed = 4;
  for (int i = 1; i < argc; i += 2) {
    const Option* found = nullptr;
    for (const Option& option : known)
      if (strcmp(option.name, argv[i]) == 0) found = &option;
    if (found == nullptr) return usage("unknown option", argv[i]);
    if (i + 1 == argc) return usage("no value for", argv[i]);
    *found->value = argv[i + 1];
  }
  for (int i = 0; i < needed; ++i)
    if (*known[i].value == nullptr) return usage("missing option", known[i].name);
  struct Number {
    const char* text;
    int* value;
  };
  for (const Number& each :
       {Number{resume, &options.resume}, Number{dry_run, &options.dry_run}, Number{came_back, &options.came_back},
        Number{supervisor_program, &options.program[role_supervisor]},
        Number{logger_program, &options.program[role_logger]}})
    if (each.text != nullptr && (*each.value = static_cast<int>(number_of(each.text, 1'000'000))) < 0)
      return usage("not a number that a keeper gives:", each.text);
  if (take_over != nullptr && (options.take_over = static_cast<int>(number_of(take_over, 1'000'000))) < 0)
    return usage("not a descriptor:", take_over);
  const int given[] = {options.take_over, options.program[role_supervisor], options.program[role_logger]};
  for (const int& each : given)
    for (const int* other = given; other < &each; ++other)
      if (each >= 0 && each == *other) return usage("two options name one descriptor", nullptr);
  if (up_within != nullptr && (options.up_within = number_of(up_within, 3'600'000) * ms) <= 0)
    return usage("no milliseconds, from 1 on:", up_within);
  return true;
}

// All signals blocked, none handled, none ignored: what spawners inherit is what a service shall have, but for
// the mask.
void prepare_signals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  standard.sa_flags = SA_NOCLDSTOP;
  for (int s = 1; s < NSIG; ++s) sigaction(s, &standard, nullptr);
}

// Whatever else we were started with is nobody's intention, and would be held for as long as we live.
void close_all_but(int* const* kept, size_t count) {
  for (unsigned from = STDERR_FILENO + 1;;) {
    unsigned next = ~0u;
    for (size_t i = 0; i < count; ++i) {
      const unsigned fd = static_cast<unsigned>(*kept[i]);  // none: the greatest
      if (fd >= from && fd < next) next = fd;
    }
    if (next > from) close_range(from, next == ~0u ? next : next - 1, 0);
    if (next == ~0u) return;
    from = next + 1;
  }
}

bool prepare_process(Keeper& k) {
  int* const given[] = {&k.options.take_over, &k.options.program[role_supervisor], &k.options.program[role_logger]};
  // Before we open anything ourselves, which could have that number.
  for (const int* fd : given)
    if (*fd >= 0 && fcntl(*fd, F_GETFD) < 0) return fail("a descriptor that an option names is not open", nullptr);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) return fail("cannot open", "/dev/null");
  dup2(null, STDIN_FILENO);
  for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; ++fd)
    if (fcntl(fd, F_GETFD) < 0) dup2(null, fd);
  for (int* fd : given)
    if (*fd >= 0 && (*fd = own(*fd)) < 0) return fail("cannot keep a descriptor that an option names", nullptr);
  close_all_but(given, sizeof given / sizeof *given);
  // A service of another hearth may have started us: without its mark (os/sweep.h) we are nobody's descendant.
  rlimit locks;
  if (getrlimit(RLIMIT_LOCKS, &locks) == 0 && locks.rlim_cur != locks.rlim_max) {
    locks.rlim_cur = locks.rlim_max;
    setrlimit(RLIMIT_LOCKS, &locks);
  }
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return fail("cannot become the reaper of orphans", nullptr);
  return true;
}

// Ours goes up to what is allowed; services get what we were given. A keeper started by a supervisor was
// given what the first keeper made of it, so there the environment says.
void raise_nofile(Keeper& k) {
  getrlimit(RLIMIT_NOFILE, &k.nofile);
  const char* given = k.options.take_over >= 0 ? getenv("HEARTH_NOFILE") : nullptr;
  if (given != nullptr) {
    char* colon = nullptr;
    const unsigned long long soft = strtoull(given, &colon, 10);
    if (*colon == ':' && soft > 0) k.nofile = {soft, strtoull(colon + 1, nullptr, 10)};
  }
  rlimit now;
  getrlimit(RLIMIT_NOFILE, &now);
  const rlimit raised = {now.rlim_max, now.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) now = raised;
  k.nofile_now = now.rlim_cur > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(now.rlim_cur);
  char text[64] = "";
  char* out = put_number(text, k.nofile.rlim_cur);
  *out++ = ':';
  *put_number(out, k.nofile.rlim_max) = 0;
  setenv("HEARTH_NOFILE", text, 1);
}

bool take_lock(Keeper& k, int& status) {
  const int directory = k.fd[static_cast<uint32_t>(HelloDescriptor::directory)];
  for (int attempt = 0; attempt < 100; ++attempt) {
    int lock = own(openat(directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock < 0) return fail("cannot open the lock file in", k.options.dir, "is the directory ours?");
    if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK) return fail("cannot lock the instance", k.options.dir);
      status = exit_taken;  // quietly: the instance is kept already
      return false;
    }
    struct stat ours, named;
    if (fstat(lock, &ours) == 0 && fstatat(directory, "lock", &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
      k.fd[static_cast<uint32_t>(HelloDescriptor::lock)] = lock;
      return true;
    }
    close(lock);  // somebody removed the file between open and lock
  }
  errno = EAGAIN;
  return fail("the lock file keeps changing in", k.options.dir);
}

int memory(const char* name, uint64_t bytes) {
  int fd = own(memfd_create(name, MFD_CLOEXEC));
  if (fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) < 0) close_fd(fd);
  return fd;
}

void* map(int fd, uint64_t bytes) {
  struct stat file;
  if (fstat(fd, &file) < 0 || static_cast<uint64_t>(file.st_size) < bytes) return nullptr;
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : at;
}

// A pidfd of the member that `record` tells of, if it lives still. A number alone may be anybody's by now; and spawners can
// write in the record, so that who is told to be one of us must look like it.
int open_old_member(const Keeper& k, const wire::Member& record) {
  const pid_t pid = record.pid.load();
  if (pid <= 0 || pid == getpid() || record.start_ticks == 0) return -1;
  int fd = own(pidfd_open(pid));
  if (fd >= 0 && (start_ticks(pid) != record.start_ticks || !is_of_instance(pid, k.options.dir))) close_fd(fd);
  return fd;
}

// What the dead keeper left: its spawners are dying of it, and until they are gone one may still be making a
// child; its logger writes on until it has seen the end of its socket.
void bury_old_members(Keeper& k) {
  for (wire::Member& record : k.table->spawner) {
    int fd = open_old_member(k, record);
    if (fd >= 0) {
      pidfd_signal(fd, SIGKILL);
      pollfd wait = {fd, POLLIN, 0};
      poll(&wait, 1, old_spawner_wait_ms);
      close_fd(fd);
    }
    record.pid = 0;
  }
  for (wire::SpawnerWork& work : k.table->work) work.entry_plus_1 = 0;
  k.old_logger = open_old_member(k, k.table->logger);
  if (k.old_logger >= 0) k.kill_old_logger_at = now_ns() + old_logger_wait_ms * ms;
  k.table->logger.pid = 0;
  // Runs that are known to have a process are no children of ours.
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    const wire::RunEntry& entry = k.table->entry[i];
    if (entry.run.load(std::memory_order_acquire) == no_run || entry.pid.load() == 0) continue;
    k.run[i].kind = RunKind::foreign;
    k.run[i].pid = entry.pid.load();
  }
  release_claims(k, 0);
}

bool make_basics(Keeper& k, int& status) {
  auto at = [&](HelloDescriptor which) -> int& { return k.fd[static_cast<uint32_t>(which)]; };
  at(HelloDescriptor::directory) = own(open(k.options.dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (at(HelloDescriptor::directory) < 0) return fail("cannot open the instance directory", k.options.dir);
  if (!take_lock(k, status)) return false;
  const char* looked_at = nullptr;
  if (!open_pages(k, looked_at)) return fail("cannot open", looked_at);
  for (HelloDescriptor which : {HelloDescriptor::slot_table, HelloDescriptor::decision_page})
    at(which) = own(at(which));
  at(HelloDescriptor::log_page) = memory("hearth-log-page", sizeof(wire::LogPage));
  at(HelloDescriptor::log_buffer) = memory("hearth-log-buffer", wire::log_buffer_bytes);
  at(HelloDescriptor::to_supervisor) = own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  at(HelloDescriptor::to_keeper) = own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  at(HelloDescriptor::to_logger) = own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0) fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);  // smaller is only slower
  at(HelloDescriptor::log_pipe_read) = own(ends[0]);
  at(HelloDescriptor::log_pipe_write) = own(ends[1]);
  for (int fd : k.fd)
    if (fd < 0) return fail("cannot make shared memory, eventfd or pipe", nullptr);
  auto* page = static_cast<wire::LogPage*>(map(at(HelloDescriptor::log_page), sizeof(wire::LogPage)));
  if (page == nullptr) return fail("cannot map shared memory", nullptr);
  wire::log_page_init(*page);
  munmap(page, sizeof *page);
  if (k.table->origin == wire::StateOrigin::continued) {
    k.table->supervisor.pid = 0;
    k.signals_held = true;
    bury_old_members(k);
  }
  return true;
}

bool take_over_basics(Keeper& k, int& status) {
  const int socket = k.options.take_over;
  Received message;
  pollfd wait = {socket, POLLIN, 0};
  if (poll(&wait, 1, take_over_wait_ms) != 1 || !receive(socket, message) ||
      message.header.type != wire::MessageType::hello || message.header.count != 1 ||
      message.descriptors != static_cast<uint32_t>(HelloDescriptor::count_)) {
    errno = EPROTO;
    return fail("the supervisor that started this keeper did not hand the instance over", nullptr, nullptr);
  }
  wire::HelloRecord hello;
  memcpy(&hello, message.records, sizeof hello);
  if (hello.version != wire::message_version) {
    errno = EPROTO;
    return fail("the living supervisor is of another version than", "hearth-keeper", "install both from one build");
  }
  for (uint32_t i = 0; i < message.descriptors; ++i)
    if ((k.fd[i] = own(message.take(i))) < 0) return fail("cannot keep what was handed over", nullptr);
  k.table = static_cast<wire::SlotTable*>(map(descriptor(k, HelloDescriptor::slot_table), sizeof(wire::SlotTable)));
  if (k.table == nullptr || !wire::slot_table_valid(*k.table, sizeof(wire::SlotTable))) {
    errno = EPROTO;
    return fail("the slot table handed over is not ours", nullptr, nullptr);
  }
  if (flock(descriptor(k, HelloDescriptor::lock), LOCK_EX | LOCK_NB) < 0) {
    status = exit_taken;
    return false;
  }
  k.table->keeper_generation = hello.keeper_generation;
  // Should the supervisor die before it has handed over everything and committed that, its successor goes on from the
  // table as after the death of all; and of what the dead keeper watched, we watch nothing yet.
  k.table->continued_by = hello.keeper_generation;
  forget_watching(k);
  ucred peer = {};
  socklen_t size = sizeof peer;
  getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  MemberState& supervisor = k.member[role_supervisor];
  supervisor.pid = peer.pid;
  k.table->supervisor.pid = peer.pid;
  k.supervisor_pidfd = own(pidfd_open(peer.pid));
  supervisor.socket = socket;
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  fcntl(socket, F_SETFL, O_NONBLOCK);
  tell_ends(socket);
  supervisor.hello_sent = true;
  supervisor.spoke = true;
  bury_old_members(k);
  return true;
}

bool open_watches(Keeper& k) {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT}) sigaddset(&wanted, s);
  k.signals = own(signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  k.epoll = own(epoll_create1(EPOLL_CLOEXEC));
  if (k.signals < 0 || k.epoll < 0) return fail("cannot make signalfd or epoll", nullptr);
  // Without it (no CONFIG_PROC_CHILDREN, no /proc) a stray whose SIGCHLD was merged stays a zombie.
  k.children = own(open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC));
  bool ok = watch_fd(k, k.signals, Source::signals, 0, EPOLLIN) &&
            watch_fd(k, descriptor(k, HelloDescriptor::to_keeper), Source::doorbell, 0, EPOLLIN);
  if (k.old_logger >= 0) ok = ok && watch_fd(k, k.old_logger, Source::old_logger, 0, EPOLLIN);
  const MemberState& supervisor = k.member[role_supervisor];
  if (supervisor.socket >= 0)
    ok = ok && watch_fd(k, supervisor.socket, Source::member_socket, role_supervisor, EPOLLIN) &&
         watch_fd(k, k.supervisor_pidfd, Source::supervisor_pidfd, 0, EPOLLIN);
  if (!ok) return fail("cannot watch signals and doorbell", nullptr);
  return true;
}

// Services get what a machine gives, and not the processors, the scheduler or the priorities of whoever came first. Best
// effort: a container or a cpuset may know better.
void reset_scheduling() {
  sched_param none = {};
  if (sched_getscheduler(0) != SCHED_OTHER) sched_setscheduler(0, SCHED_OTHER, &none);
  uint64_t all[wire::plan_cpu_words_max];
  memset(all, 0xff, sizeof all);
  syscall(SYS_sched_setaffinity, 0, sizeof all, all);
  constexpr int of_process = 1;  // IOPRIO_WHO_PROCESS
  syscall(SYS_ioprio_set, of_process, 0, 0);
  if (getpriority(PRIO_PROCESS, 0) != 0) setpriority(PRIO_PROCESS, 0, 0);
}

}  // namespace

void bind_members(Keeper& k) {
  k.member[role_supervisor].record = &k.table->supervisor;
  k.member[role_logger].record = &k.table->logger;
  for (uint32_t i = 0; i < wire::spawner_count; ++i) k.member[role_spawner + i].record = &k.table->spawner[i];
}

bool start(Keeper& k, int argc, char** argv, int& status) {
  for (int& fd : k.fd) fd = -1;
  k.supervisor_pidfd = k.at_work = k.old_logger = -1;
  for (MemberState& member : k.member) member.socket = member.peer = -1;
  status = exit_usage;
  if (!parse(k.options, argc, argv)) return false;
  k.exec.program = -1;
  if (k.options.dry_run >= 0) {
    status = dry_run(k.options);
    return false;
  }
  status = exit_basics;
  prctl(PR_SET_NAME, "hearth-keeper");  // what was executed by descriptor has a number for a name
  prepare_signals();
  if (k.options.resume >= 0) return resume(k, status);
  if (!prepare_process(k)) return false;
  raise_nofile(k);
  if (k.options.take_over < 0 && k.nofile_now < least_descriptors) {
    static_assert(least_descriptors == 64, "as the words have it");
    errno = EMFILE;
    return fail("cannot begin with fewer than 64 descriptors in", k.options.dir);
  }
  reset_scheduling();
  mkdir(k.options.logs, 0700);
  k.log_directory = own(open(k.options.logs, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (k.log_directory < 0) return fail("cannot open the log directory", k.options.logs);
  if (!(k.options.take_over < 0 ? make_basics(k, status) : take_over_basics(k, status))) return false;
  open_programs(k);
  open_own_program(k);
  k.table->keeper_pid = getpid();
  bind_members(k);
  // The supervisor that handed over has died since.
  if (k.options.take_over >= 0 && k.supervisor_pidfd < 0) member_gone(k, role_supervisor, wire::wait_code_unknown, 0);
  if (!open_watches(k)) return false;
  // Last: until here nobody has done anything that the pair before does not know.
  if (k.options.take_over < 0 && !name_pages(k))
    return fail("cannot write to the lock file in", k.options.dir,
                "is its disk broken? Start hearth again when it is not");
  return true;
}

}  // namespace hearth::keeper
