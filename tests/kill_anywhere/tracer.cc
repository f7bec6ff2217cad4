#include "tracer.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace hearth::kill_anywhere {
namespace {

constexpr long trace_options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                               PTRACE_O_TRACEEXEC;

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string program_of(pid_t pid) {
  char buffer[4096];
  const ssize_t n = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), buffer, sizeof buffer - 1);
  return n <= 0 ? "" : std::string(buffer, static_cast<std::size_t>(n));
}

// Address of a function symbol in an ELF file, relative to its load base; 0 = not there.
std::uint64_t symbol_address(const std::string& program, const std::string& symbol) {
  const std::string file = slurp(program);
  if (file.size() < sizeof(Elf64_Ehdr)) return 0;
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (header.e_shoff + sections.size() * sizeof(Elf64_Shdr) > file.size()) return 0;
  std::memcpy(sections.data(), file.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const char* names = file.data() + sections[section.sh_link].sh_offset;
    for (std::uint64_t at = section.sh_offset; at < section.sh_offset + section.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym entry;
      std::memcpy(&entry, file.data() + at, sizeof entry);
      if (ELF64_ST_TYPE(entry.st_info) == STT_FUNC && symbol == names + entry.st_name) return entry.st_value;
    }
  }
  return 0;
}

// Where the program's first segment is mapped; 0 for a program that is not position-independent.
std::uint64_t load_base(pid_t pid, const std::string& program) {
  const std::string file = slurp(program);
  Elf64_Ehdr header;
  if (file.size() < sizeof header) return 0;
  std::memcpy(&header, file.data(), sizeof header);
  if (header.e_type != ET_DYN) return 0;
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(program) != std::string::npos) return std::strtoull(line.c_str(), nullptr, 16);
  return 0;
}

}  // namespace

Tracer::~Tracer() {
  if (thread_.joinable()) finish();
}

void Tracer::start() {
  thread_ = std::thread([this] { run(); });
  while (keeper_.load() == 0) std::this_thread::yield();
}

Report Tracer::finish() {
  stop_ = true;
  // The tracer may be waiting in waitpid: a stop of the keeper, or a tick to its own thread, wakes it.
  if (thread_.joinable()) {
    pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }
  return report_;
}

std::vector<pid_t> Tracer::members() const {
  const std::lock_guard lock(mutex_);
  std::vector<pid_t> pids;
  for (const auto& [pid, tracee] : tracees_) pids.push_back(pid);
  for (const auto& [pid, child] : released_) pids.push_back(pid);
  return pids;
}

pid_t Tracer::launch() {
  std::vector<char*> argv;
  for (std::string& argument : options_.argv) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  setsid();
  const int null = open("/dev/null", O_RDWR);
  const int log = open(options_.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

void Tracer::run() {
  // SIGUSR1 without SA_RESTART ends a waitpid, which is how finish() gets our attention.
  struct sigaction wake {};
  wake.sa_handler = [](int) {};
  sigaction(SIGUSR1, &wake, nullptr);
  const pid_t pid = launch();
  int status = 0;
  waitpid(pid, &status, __WALL);
  ptrace(PTRACE_SETOPTIONS, pid, nullptr, trace_options);
  add_child(pid, true);
  tracees_.at(pid).child.role = "keeper";
  keeper_ = pid;
  resume(tracees_.at(pid), 0);
  while (!stop_.load() || !tracees_.empty()) {
    if (stop_.load()) {
      let_all_go();
      break;
    }
    const pid_t stopped = waitpid(-1, &status, __WALL | __WNOTHREAD);
    if (stopped < 0) {
      if (errno == EINTR) continue;
      break;  // nobody is left
    }
    on_stop(stopped, status);
  }
  const std::lock_guard lock(mutex_);
  for (const auto* from : {&gone_, &released_})
    for (const auto& [id, child] : *from) report_.children.push_back(child);
  for (const auto& [id, tracee] : tracees_) report_.children.push_back(tracee.child);
}

void Tracer::add_child(pid_t pid, bool of_keeper) {
  const std::lock_guard lock(mutex_);
  if (tracees_.contains(pid)) return;
  Tracee& tracee = tracees_[pid];
  tracee.child.pid = pid;
  tracee.child.role = of_keeper ? "?" : "service";
  if (!of_keeper) return;
  tracee.child.ordinal = next_ordinal_++;
  tracee.target = tracee.child.ordinal == options_.point.ordinal;
}

void Tracer::on_stop(pid_t pid, int status) {
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    const std::lock_guard lock(mutex_);
    if (const auto it = tracees_.find(pid); it != tracees_.end()) {
      if (it->second.child.role != "service") gone_[pid] = it->second.child;
      tracees_.erase(it);
    }
    return;
  }
  if (!tracees_.contains(pid)) {
    // A child's first stop may come before its parent's event. Its parent tells whose it is.
    std::ifstream stat("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(stat, name);
    add_child(pid, name.starts_with("hearth-keeper"));
    if (!name.starts_with("hearth-keeper")) return let_go(pid);
  }
  Tracee& tracee = tracees_.at(pid);
  if (tracee.child.role == "service") return let_go(pid);
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  if (event != 0) {
    on_event(tracee, event);
    return;
  }
  if (signal == (SIGTRAP | 0x80)) return on_call(tracee);
  if (signal == SIGTRAP && (tracee.breakpoint != 0 || tracee.stepping)) return on_trap(tracee);
  resume(tracee, signal == SIGSTOP ? 0 : signal);
}

void Tracer::on_event(Tracee& tracee, int event) {
  if (event == PTRACE_EVENT_EXEC) {
    name_role(tracee);
    if (tracee.target && tracee.child.role == "supervisor") set_breakpoint(tracee);
  } else {
    unsigned long child = 0;
    ptrace(PTRACE_GETEVENTMSG, tracee.child.pid, nullptr, &child);
    // A spawner's children are services; everybody else's are hearth's own.
    add_child(static_cast<pid_t>(child), tracee.child.role == "keeper");
  }
  resume(tracee, 0);
}

void Tracer::name_role(Tracee& tracee) {
  if (tracee.child.role != "?") return;
  const std::string program = program_of(tracee.child.pid);
  const std::string base = program.substr(program.rfind('/') + 1);
  if (base == "hearth-supervisor") tracee.child.role = "supervisor";
  if (base == "hearth-logger") tracee.child.role = "logger";
  if (base == "hearth-keeper") {
    std::ifstream in("/proc/" + std::to_string(tracee.child.pid) + "/comm");
    std::string name;
    std::getline(in, name);
    if (name.starts_with("hearth-spawn")) tracee.child.role = "spawner";
  }
}

void Tracer::on_call(Tracee& tracee) {
  name_role(tracee);
  tracee.in_call = !tracee.in_call;
  user_regs_struct registers{};
  ptrace(PTRACE_GETREGS, tracee.child.pid, nullptr, &registers);
  const long number = static_cast<long>(registers.orig_rax);
  if (tracee.in_call && tracee.target) ++report_.calls_by_number[number];
  const std::uint64_t call = tracee.child.calls;
  const bool here = options_.attack && tracee.target && !reached_ && options_.point.commit == 0 &&
                    call == options_.point.call && tracee.in_call != options_.point.after;
  if (!tracee.in_call) ++tracee.child.calls;
  if (here) return strike(tracee, number);
  resume(tracee, 0);
}

void Tracer::set_breakpoint(Tracee& tracee) {
  if (options_.commit_symbol.empty() || (!options_.count_commits && options_.point.commit == 0)) return;
  const std::uint64_t at = symbol_address(options_.supervisor_program, options_.commit_symbol);
  if (at == 0) return;
  tracee.breakpoint = load_base(tracee.child.pid, options_.supervisor_program) + at;
  errno = 0;
  tracee.original_word = ptrace(PTRACE_PEEKTEXT, tracee.child.pid, tracee.breakpoint, nullptr);
  const long trap = (tracee.original_word & ~0xffL) | 0xcc;
  ptrace(PTRACE_POKETEXT, tracee.child.pid, tracee.breakpoint, trap);
}

// At the breakpoint, or at the end of a single step. A commit runs from its entry to the return to its caller.
void Tracer::on_trap(Tracee& tracee) {
  user_regs_struct registers{};
  ptrace(PTRACE_GETREGS, tracee.child.pid, nullptr, &registers);
  if (!tracee.stepping && registers.rip == tracee.breakpoint + 1) {
    ++tracee.commits;
    registers.rip = tracee.breakpoint;
    ptrace(PTRACE_SETREGS, tracee.child.pid, nullptr, &registers);
    ptrace(PTRACE_POKETEXT, tracee.child.pid, tracee.breakpoint, tracee.original_word);
    tracee.stack = registers.rsp;
    tracee.instructions = 0;
    tracee.stepping = true;
  } else if (tracee.stepping) {
    ++tracee.instructions;
    if (registers.rsp > tracee.stack) {  // returned
      tracee.stepping = false;
      report_.commits.push_back(tracee.instructions);
      const long trap = (tracee.original_word & ~0xffL) | 0xcc;
      ptrace(PTRACE_POKETEXT, tracee.child.pid, tracee.breakpoint, trap);
    }
  }
  const bool here = options_.attack && !reached_ && options_.point.commit != 0 && tracee.stepping &&
                    tracee.commits == options_.point.commit && tracee.instructions == options_.point.instruction;
  if (here) return strike(tracee, -1);
  resume(tracee, 0);
}

void Tracer::strike(Tracee& tracee, long call_number) {
  std::vector<pid_t> victims{tracee.child.pid};
  if (options_.point.everything || options_.point.with_keeper) {
    const std::lock_guard lock(mutex_);
    // The keeper first: it must not have the time to start anybody again.
    victims.insert(victims.begin(), keeper_.load());
    if (options_.point.everything)
      for (const auto& [pid, other] : tracees_)
        if (other.child.role != "service") victims.push_back(pid);
    if (options_.point.everything)
      for (const auto& [pid, child] : released_) victims.push_back(pid);
  }
  for (pid_t pid : victims) kill(pid, SIGKILL);
  report_.reached = true;
  report_.call_number = call_number;
  reached_ = true;
  stop_ = true;
}

void Tracer::resume(const Tracee& tracee, int signal) {
  // Those who are not the target and whose role is known need no watching; the keeper must be watched for its
  // children.
  const pid_t pid = tracee.child.pid;
  const bool watch_calls = tracee.target || tracee.child.role == "?";
  if (tracee.stepping) {
    ptrace(PTRACE_SINGLESTEP, pid, nullptr, signal);
  } else if (watch_calls && !(tracee.target && tracee.breakpoint != 0 && options_.point.commit != 0)) {
    ptrace(PTRACE_SYSCALL, pid, nullptr, signal);
  } else if (!tracee.target && (tracee.child.role == "supervisor" || tracee.child.role == "logger")) {
    const std::lock_guard lock(mutex_);
    ptrace(PTRACE_DETACH, pid, nullptr, signal);
    released_[pid] = tracee.child;
    tracees_.erase(pid);
  } else {
    ptrace(PTRACE_CONT, pid, nullptr, signal);
  }
}

void Tracer::let_go(pid_t pid) {
  ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  const std::lock_guard lock(mutex_);
  tracees_.erase(pid);
}

void Tracer::let_all_go() {
  // A tracee can only be detached while it is stopped; killed ones are reaped here, the others are stopped first.
  std::vector<pid_t> pids;
  for (const auto& [pid, tracee] : tracees_) pids.push_back(pid);
  for (pid_t pid : pids) {
    if (ptrace(PTRACE_DETACH, pid, nullptr, nullptr) == 0) continue;
    syscall(SYS_tgkill, pid, pid, SIGSTOP);
    for (;;) {
      int status = 0;
      const pid_t got = waitpid(pid, &status, __WALL);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 || WIFEXITED(status) || WIFSIGNALED(status)) break;
      const bool our_stop = WSTOPSIG(status) == SIGSTOP && status >> 16 == 0;
      const int signal = our_stop || status >> 16 != 0 || WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
      if (our_stop) {
        ptrace(PTRACE_DETACH, pid, nullptr, 0);
        break;
      }
      ptrace(PTRACE_CONT, pid, nullptr, signal);
    }
  }
  const std::lock_guard lock(mutex_);
  for (auto& [pid, tracee] : tracees_)
    if (tracee.child.role != "service") gone_[pid] = tracee.child;
  tracees_.clear();
}

}  // namespace hearth::kill_anywhere
