#include "tracer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot to say so itself
}

#include "elf_symbol.h"
#include "os/clock.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {
namespace {

constexpr long watch_options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
constexpr long keeper_options = watch_options | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
constexpr long thread_options = watch_options | PTRACE_O_TRACECLONE;
constexpr int event_stop = 128;  // PTRACE_EVENT_STOP; <linux/ptrace.h> and <sys/ptrace.h> exclude each other

long request(int what, pid_t pid, std::uint64_t address = 0, std::uint64_t data = 0) {
  return ptrace(static_cast<__ptrace_request>(what), pid, address, data);
}

// The process whose thread this is; `tid` itself when it cannot be told.
pid_t process_of(pid_t tid) {
  std::ifstream in("/proc/" + std::to_string(tid) + "/status");
  for (std::string word; in >> word;)
    if (pid_t process = 0; word == "Tgid:" && in >> process) return process;
  return tid;
}

bool is_alive(int pidfd) {
  pollfd wait{pidfd, POLLIN, 0};
  return pidfd >= 0 && poll(&wait, 1, 0) == 0;
}

// Two seconds at most.
void await_end(int pidfd) {
  pollfd wait{pidfd, POLLIN, 0};
  poll(&wait, 1, 2'000);
}

// The keeper's child that tries another program for it.
bool is_dry_run(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/cmdline");
  for (std::string word; std::getline(in, word, '\0');)
    if (word == "--dry-run") return true;
  return false;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

void Tracer::start() {
  thread_ = std::thread([this] { run(); });
  keeper_.wait(0);
}

const Report& Tracer::finish() {
  stop_ = true;
  // The tracer may be about to wait: the signal that ends a waitpid() is repeated until the thread has ended.
  while (thread_.joinable() && !ended_.load()) {
    pthread_kill(thread_.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  if (thread_.joinable()) thread_.join();
  return report_;
}

pid_t Tracer::launch() {
  std::vector<char*> argv = pointers(options_.argv);
  std::vector<char*> env = pointers(options_.env);
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) < 0) return -1;
  const pid_t pid = fork();
  if (pid != 0) {
    close(gate[0]);
    if (pid > 0 && request(PTRACE_SEIZE, pid, 0, keeper_options) < 0)
      report_.problem = std::string("cannot trace: ") + std::strerror(errno);
    close(gate[1]);  // opens it
    return pid;
  }
  close(gate[1]);
  char byte;
  while (read(gate[0], &byte, 1) < 0 && errno == EINTR) {
  }
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDWR);
  const int log = open(options_.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  execve(argv[0], argv.data(), env.data());
  _exit(127);
}

void Tracer::run() {
  struct sigaction wake{};
  wake.sa_handler = [](int) {};  // without SA_RESTART: it ends a waitpid()
  sigaction(SIGUSR1, &wake, nullptr);
  if (!options_.calls.empty()) calls_.open(options_.calls);
  const pid_t pid = launch();
  tracees_[pid].ordinal = next_ordinal_++;
  if (is_target(tracees_[pid])) target_ = pid;
  keeper_ = pid;
  keeper_.notify_all();
  while (!stop_.load()) {
    int status = 0;
    const pid_t stopped = waitpid(-1, &status, __WALL | __WNOTHREAD);
    if (stopped < 0 && errno == EINTR) continue;
    if (stopped < 0) break;  // nobody is left
    on_stop(stopped, status);
  }
  // Who told us to stop may have done so because it has seen an end that we are still to hear of.
  for (int status = 0; of_failures();) {
    const pid_t stopped = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG);
    if (stopped <= 0) break;
    on_stop(stopped, status);
  }
  report_.children = next_ordinal_ - 1;
  ended_ = true;
}

void Tracer::add_child(pid_t pid) {
  if (tracees_.contains(pid)) return;
  if (const pid_t process = of_failures() ? process_of(pid) : pid; process != pid && tracees_.contains(process)) {
    tracees_[pid].ordinal = tracees_.at(process).ordinal;  // a thread of the target
    return;
  }
  tracees_[pid].ordinal = next_ordinal_++;
  if (is_target(tracees_[pid])) target_ = pid;
}

// The keeper ends its members, spawners with a kill.
bool Tracer::is_end_of_story(int status) const {
  const bool well = WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL;
  return phase_.load() == Phase::down && well;
}

void Tracer::on_stop(pid_t pid, int status) {
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    const auto ended = tracees_.find(pid);
    // Of several threads the first one is told of last. A process that is looked at in vain has got its number anew.
    if (ended != tracees_.end() && is_target(ended->second) && pid == target_ && failed_ != 0 &&
        !is_end_of_story(status)) {
      report_.target_ended = true;
      report_.target_status = status;
    }
    if (ended != tracees_.end()) tracees_.erase(ended);
    if (pid != keeper_) return;
    report_.keeper_exited = true;
    report_.keeper_status = status;
    keeper_exited_ = true;
    return;
  }
  // Only the keeper's children are attached by themselves; a child's first stop may come before the event.
  add_child(pid);
  Tracee& tracee = tracees_.at(pid);
  if (!is_target(tracee) && pid != keeper_) {
    // Before it is let go: it stands, and nobody else has its number.
    os::Fd handle(pidfd_open(pid, 0));
    if (!handle) report_.problem = "the tool has no descriptor for a process of hearth";
    request(PTRACE_DETACH, pid);
    tracees_.erase(pid);
    released_.push_back({pid, std::move(handle)});
    return;
  }
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  if (event != 0) return on_event(pid, tracee, event);
  if (signal == (SIGTRAP | 0x80)) return on_call(pid, tracee);
  if (signal == SIGTRAP && (tracee.breakpoint != 0 || tracee.stepping)) return on_trap(pid, tracee);
  resume(pid, tracee, signal);
}

void Tracer::on_event(pid_t pid, Tracee& tracee, int event) {
  if (event == event_stop) {
    if (pid != keeper_) request(PTRACE_SETOPTIONS, pid, 0, of_failures() ? thread_options : watch_options);
  } else if (event == PTRACE_EVENT_EXEC) {
    if (is_target(tracee)) set_breakpoint(pid, tracee);
  } else {
    unsigned long child = 0;
    ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child);
    const bool seen =
        std::ranges::any_of(released_, [&](const Released& one) { return one.pid == static_cast<pid_t>(child); });
    if (!seen) add_child(static_cast<pid_t>(child));
  }
  resume(pid, tracee, 0);
}

// Spawners are named by themselves, the others by their program. "" for one that has none of its own yet, or any more.
std::string Tracer::role_of(pid_t pid) const {
  const std::string program = support::program_of(pid);
  if (program == "hearth-supervisor" || program == "hearth-logger") return program.substr(7);
  if (program != "hearth-keeper") return "";
  if (pid == keeper_) return "keeper";
  if (is_dry_run(pid)) return "dry-run";
  std::ifstream in("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(in, name);
  return name.starts_with("hearth-spawn") ? "spawner" : "";
}

bool Tracer::counts(const Call& call) const {
  const Point& point = options_.point;
  return (point.kind == any_kind || point.kind == call.kind) &&
         (point.phase == Phase::any || point.phase == call.phase);
}

void Tracer::on_call(pid_t pid, Tracee& tracee) {
  if (report_.role.empty() && !options_.attack) report_.role = role_of(pid);
  if (of_failures()) return on_call_of_failures(pid, tracee);
  __ptrace_syscall_info info{};
  request(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, reinterpret_cast<std::uint64_t>(&info));
  const bool entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
  if (entry) {
    report_.calls.push_back({static_cast<long>(info.entry.nr), phase_.load(), false});
    if (counts(report_.calls.back())) ++counted_;
  } else if (!report_.calls.empty()) {
    report_.calls.back().returned = true;
  } else {
    return resume(pid, tracee, 0);  // the keeper's call that was under way when it was seized
  }
  if (calls_.is_open()) {
    // Microseconds; first argument of an entry, result of an exit.
    calls_ << os::read_mono() / 1'000 << (entry ? " " : " = ") << call_name(report_.calls.back().kind) << ' '
           << (entry ? static_cast<std::int64_t>(info.entry.args[0]) : info.exit.rval) << '\n';
  }
  const Point& point = options_.point;
  const bool here = options_.attack && point.commit == 0 && counted_ == point.call + 1 &&
                    counts(report_.calls.back()) && entry != point.after;
  if (here) return strike(pid, report_.calls.back().kind);
  resume(pid, tracee, 0);
}

void Tracer::set_breakpoint(pid_t pid, Tracee& tracee) {
  if (options_.commit_offset == 0 || (!options_.count_commits && options_.point.commit == 0)) return;
  if (support::program_of(pid) != options_.supervisor_program.substr(options_.supervisor_program.rfind('/') + 1))
    return;
  tracee.breakpoint = load_base(pid, options_.supervisor_program) + options_.commit_offset;
  tracee.original_word = request(PTRACE_PEEKTEXT, pid, tracee.breakpoint);
  arm(pid, tracee);
}

void Tracer::arm(pid_t pid, const Tracee& tracee) {
  const auto word = static_cast<std::uint64_t>((tracee.original_word & ~0xffL) | 0xcc);
  request(PTRACE_POKETEXT, pid, tracee.breakpoint, word);
}

void Tracer::disarm(pid_t pid, const Tracee& tracee) {
  request(PTRACE_POKETEXT, pid, tracee.breakpoint, static_cast<std::uint64_t>(tracee.original_word));
}

// At the breakpoint, or at the end of a single step. A commit lasts from its entry to the return to its caller.
// report_.commits has the instructions so far of the one at hand as its last element.
void Tracer::on_trap(pid_t pid, Tracee& tracee) {
  user_regs_struct registers{};
  ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
  const Point& point = options_.point;
  if (!tracee.stepping && registers.rip == tracee.breakpoint + 1) {
    registers.rip = tracee.breakpoint;
    ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
    report_.commits.push_back(0);
    // In an attack only the commit in question is walked through; the others are stepped over in one piece.
    disarm(pid, tracee);
    tracee.stack = registers.rsp;
    tracee.instructions = 0;
    tracee.stepping = true;
  } else if (tracee.stepping) {
    report_.commits.back() = ++tracee.instructions;
    const bool passing = options_.attack && report_.commits.size() != point.commit;
    const bool returned = registers.rsp > tracee.stack;
    // How long a commit is depends on how much its turn has changed: one that is shorter this time ends the wait.
    if (returned && options_.attack && report_.commits.size() == point.commit) return strike(pid, -1);
    if (returned || (passing && tracee.instructions == 1)) {
      tracee.stepping = false;
      arm(pid, tracee);
    }
  }
  const bool here = options_.attack && point.commit != 0 && tracee.stepping && report_.commits.size() == point.commit &&
                    tracee.instructions == point.instruction;
  if (here) return strike(pid, -1);
  resume(pid, tracee, 0);
}

void Tracer::strike(pid_t pid, long call_number) {
  if (options_.before_kill) options_.before_kill();
  report_.role = role_of(pid);
  const Scope scope = options_.point.scope;
  const bool with_keeper = scope == Scope::with_keeper || scope == Scope::everything;
  std::vector<const Released*> victims, spawners;
  for (const Released& other : released_) {
    if (!is_alive(other.handle.get())) continue;
    const bool partner_of_it =
        scope != Scope::with_keeper && !partner(scope).empty() && role_of(other.pid) == partner(scope);
    if (scope == Scope::everything || partner_of_it) victims.push_back(&other);
    if ((with_keeper || pid == keeper_) && role_of(other.pid) == "spawner") spawners.push_back(&other);
  }
  reached_ = true;  // first: whoever hears of a death must know whose work it is
  // The keeper first: it must not have the time to start anybody again. It is our child, and the target stands: nobody has
  // their numbers.
  if (with_keeper && !keeper_exited_.load()) kill(keeper_.load(), SIGKILL);
  kill(pid, SIGKILL);
  for (const Released* victim : victims) pidfd_send_signal(victim->handle.get(), SIGKILL, nullptr, 0);
  const std::size_t from = report_.calls.size() > 9 ? report_.calls.size() - 9 : 0;
  for (std::size_t i = from; i + 1 < report_.calls.size(); ++i) report_.trail += call_name(report_.calls[i].kind) + " ";
  report_.reached = true;
  report_.call_number = call_number;
  stop_ = true;
  // They go with their keeper, and until then may start somebody who is nobody's child then.
  for (const Released* spawner : spawners) await_end(spawner->handle.get());
  if (options_.after_kill) options_.after_kill();
}

void Tracer::resume(pid_t pid, const Tracee& tracee, int signal) {
  int how = PTRACE_CONT;
  if (tracee.stepping)
    how = PTRACE_SINGLESTEP;
  else if (is_target(tracee) && options_.point.commit == 0 && !over_)
    how = PTRACE_SYSCALL;
  request(how, pid, 0, static_cast<std::uint64_t>(signal));
}

}  // namespace hearth::kill_anywhere
