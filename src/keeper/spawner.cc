#include "keeper/spawner.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "keeper/message.h"
#include "keeper/system.h"

namespace hearth::keeper {
namespace {

constexpr uint64_t into_cgroup = 0x200000000;  // CLONE_INTO_CGROUP, Linux 5.7
constexpr uint32_t ring_after = 60;
constexpr size_t stack_bytes = 64 << 10;

struct Spawner {
  SpawnerContext context;
  char* stack;          // lowest usable byte; an unmapped page lies below
  bool clone3_refused;  // by a filter or an old kernel: do not ask again
  uint32_t unrung;      // plans done since the doorbells were rung
  Received message;
  ChildOrder order;
};

alignas(8) unsigned char plan_bytes[wire::plan_size_max];

// Copies of the plan: nobody can change it after it was checked. Null and errno when it cannot be had; what holds
// is checked by the caller.
const wire::PlanHeader* copy_plan(const unsigned char* bytes, uint64_t length) {
  errno = EINVAL;
  if (length < sizeof(wire::PlanHeader)) return nullptr;
  memcpy(plan_bytes, bytes, length);
  return reinterpret_cast<const wire::PlanHeader*>(plan_bytes);
}

const wire::PlanHeader* read_plan(int fd, uint64_t& length) {
  struct stat file;
  if (fstat(fd, &file) < 0) return nullptr;
  length = 0;
  const uint64_t size = static_cast<uint64_t>(file.st_size);
  errno = EINVAL;
  if (size < sizeof(wire::PlanHeader) || size > sizeof plan_bytes) return nullptr;
  while (length < size) {
    const ssize_t got = pread(fd, plan_bytes + length, size - length, static_cast<off_t>(length));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return nullptr;
    length += static_cast<uint64_t>(got);
  }
  return reinterpret_cast<const wire::PlanHeader*>(plan_bytes);
}

void fail(wire::RunEntry& entry, wire::SpawnStage stage, int error) {
  entry.fail_errno = error;
  entry.fail_stage.store(static_cast<uint32_t>(stage), std::memory_order_release);
}

// True: the run is ours to start.
bool claim(const SpawnerContext& c, wire::RunEntry& entry, RunId run) {
  for (uint32_t tries = 0; entry.run.load(std::memory_order_acquire) == run; ++tries) {
    uint32_t owner = 0;
    if (entry.claim.compare_exchange_strong(owner, c.generation)) {
      if (entry.run.load(std::memory_order_acquire) == run) return true;
      entry.claim.store(0, std::memory_order_release);
      return false;
    }
    // The keeper, between two stores of freeing the entry's last run; it is there again in a moment.
    if (owner != wire::claim_keeper || tries > 1'000) return false;
    sched_yield();
  }
  return false;
}

bool is_refusal(int error) {
  return error == ENOSYS || error == EPERM;
}

// What the kernel says when it is the leaf that will not do.
bool blames_cgroup(int error) {
  return error == ENODEV || error == EACCES || error == EBUSY || error == EOPNOTSUPP || error == ENOENT ||
         error == EBADF || error == EINVAL;
}

// The pid, or -errno. The kernel has stored it in the entry by then, before the child ran.
long clone_child(Spawner& s, int leaf) {
  constexpr uint64_t flags = CLONE_PARENT | CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID;
  ChildOrder& order = s.order;
  auto* tid = reinterpret_cast<pid_t*>(&order.entry->pid);
  if (!s.clone3_refused) {
    CloneArguments arguments = {};
    arguments.flags = flags | (leaf >= 0 ? into_cgroup : 0);
    arguments.parent_tid = reinterpret_cast<uint64_t>(tid);
    arguments.exit_signal = 0;  // with CLONE_PARENT the child gets ours: SIGCHLD
    arguments.stack = reinterpret_cast<uint64_t>(s.stack);
    arguments.stack_size = stack_bytes;
    arguments.cgroup = leaf >= 0 ? static_cast<uint64_t>(leaf) : 0;
    order.enter_cgroup = false;
    const long pid = clone3_call(&arguments, child_main, &order);
    if (pid >= 0 || !is_refusal(static_cast<int>(-pid))) return pid;
    s.clone3_refused = true;
  }
  order.enter_cgroup = leaf >= 0;
  const long pid = clone(child_main, s.stack + stack_bytes, static_cast<int>(flags), &order, tid);
  return pid < 0 ? -errno : pid;
}

void start_run(Spawner& s, EntryIndex index, wire::RunEntry& entry, RunId run) {
  if (s.message.short_of_descriptors) return fail(entry, wire::SpawnStage::descriptor, EMFILE);
  const bool in_message = s.message.header.type == wire::MessageType::short_plan;
  const uint32_t own = in_message ? 0 : 1;  // descriptors that are the plan's, and not of it
  if (s.message.descriptors < own) return fail(entry, wire::SpawnStage::plan, EBADF);
  uint64_t length = s.message.rest;
  const wire::PlanHeader* plan =
      in_message ? copy_plan(s.message.records + sizeof(wire::RunRecord), length) : read_plan(s.message.fds[0], length);
  if (plan == nullptr) return fail(entry, wire::SpawnStage::plan, errno);
  if (wire::plan_problem(plan, length, s.message.descriptors - own) != nullptr || plan->entry != index ||
      plan->run != run)
    return fail(entry, wire::SpawnStage::plan, EINVAL);
  const int* fds = s.message.fds + own;
  const int leaf = plan->cgroup >= 0 ? fds[plan->cgroup] : -1;
  s.order = {s.context.table, &entry, index, const_cast<wire::PlanHeader*>(plan), fds, false, s.context.nofile};
  prepare_child(*plan);
  const long pid = clone_child(s, leaf);
  if (pid > 0) {
    // The run may be over and its entry hold a later one by now.
    RunId known = entry.exec_over.load();
    while (known < run && !entry.exec_over.compare_exchange_weak(known, run)) {
    }
  } else {
    const int error = static_cast<int>(-pid);
    fail(entry, leaf >= 0 && blames_cgroup(error) ? wire::SpawnStage::cgroup : wire::SpawnStage::clone, error);
  }
  // The child's change of user took it from the memory we share. It is safe to have it back only now: before,
  // that user could have traced a process with our memory in it.
  if (plan->uid != wire::plan_keep_id) prctl(PR_SET_DUMPABLE, 1);
}

void handle_plan(Spawner& s) {
  const wire::MessageType type = s.message.header.type;
  if (type != wire::MessageType::plan && type != wire::MessageType::short_plan) return;
  if (s.message.header.count != 1) return;
  wire::RunRecord record;
  memcpy(&record, s.message.records, sizeof record);
  if (record.entry >= wire::max_entries || record.run == no_run) return;
  wire::SlotTable& table = *s.context.table;
  wire::SpawnerWork& work = table.work[s.context.index];
  wire::RunEntry& entry = table.entry[record.entry];
  // Before the claim: whoever buries us must find all that we have begun.
  uint32_t end = work.entries_end.load();
  while (end <= record.entry && !work.entries_end.compare_exchange_weak(end, record.entry + 1)) {
  }
  work.since_ns = now_ns();
  work.entry_plus_1 = record.entry + 1;
  if (claim(s.context, entry, record.run)) start_run(s, record.entry, entry, record.run);
  work.entry_plus_1 = 0;
  wire::mark_changed(table.changed_for_keeper, record.entry);
  wire::mark_changed(table.changed_for_supervisor, record.entry);
  ++s.unrung;
}

// The keeper rings the supervisor when it watches the run, which is what the supervisor waits for. But of a whole
// window of plans the supervisor is told at once, as the next window need not wait for the keeper.
void ring_for(Spawner& s) {
  if (s.unrung == 0) return;
  if (s.unrung >= ring_after) ring(s.context.to_supervisor);
  s.unrung = 0;
  ring(s.context.to_keeper);
}

// An empty message looks like the end, but only then has everybody closed the other side.
bool hung_up(int socket) {
  pollfd p = {socket, POLLRDHUP, 0};
  return poll(&p, 1, 0) == 1;
}

// A stack for children, with an unmapped page below: one that needs more ends instead of writing into us.
char* make_stack() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* at = mmap(nullptr, page + stack_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  char* lowest = static_cast<char*>(at) + page;
  return mprotect(lowest, stack_bytes, PROT_READ | PROT_WRITE) == 0 ? lowest : nullptr;
}

}  // namespace

void spawner_main(const SpawnerContext& context) {
  static Spawner s;
  s.context = context;
  s.stack = make_stack();
  if (s.stack == nullptr) _exit(1);  // no memory: the keeper tries again, with a delay
  for (;;) {
    const bool got = receive(context.socket, s.message, s.unrung != 0 ? MSG_DONTWAIT : 0);
    if (got)
      handle_plan(s);
    else if (errno == EAGAIN && s.unrung != 0)
      ring_for(s);
    else if (s.message.end && hung_up(context.socket))
      _exit(0);
    s.message.drop();
    if (s.unrung >= ring_after) ring_for(s);
  }
}

}  // namespace hearth::keeper
