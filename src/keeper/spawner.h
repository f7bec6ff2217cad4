// The spawner: a fork of the keeper that makes the runs. Disposable: it owns nothing but the descriptors of
// the spawn at hand, and may be killed at any instruction.
//
// Model
// -----
// It reads plans (message `short_plan`: which run, the plan, the descriptors it numbers; or `plan`, where a memfd has
// the plan) and for each:
//
//   claim    the entry must hold that run; CAS claim 0 -> our generation; look at the run again, because the
//            entry may have been freed, and ordered anew, between the two. Whoever loses drops the plan: some
//            other plan for that run is at work.
//   check    copied into a private buffer, plan_problem() on that copy
//   clone    CLONE_PARENT: the child is the keeper's. CLONE_VM|CLONE_VFORK: it costs no copy, and we wait until
//            it executes or ends. CLONE_PARENT_SETTID into entry.pid: the run is known before it runs.
//   tell     mark the entry for keeper and supervisor; ring the keeper once for many, which rings the supervisor.
//
// A child that hangs before its program (in exec on a dead file server, stopped by its user) holds us in the
// clone; the supervisor sees it in SpawnerWork and has us replaced. Then the child goes on alone, in memory
// that was ours. It must therefore never return into our code: see child.cc.
#pragma once

#include <sys/resource.h>

#include "wire/slot_table.h"
#include "wire/spawn_plan.h"

namespace hearth::keeper {

struct SpawnerContext {
  wire::SlotTable* table;
  uint32_t index;
  uint32_t generation;
  int socket, to_keeper, to_supervisor;
  rlimit nofile;  // for services
};

// Never returns: it ends with the keeper. Expects all signals blocked, none handled, none ignored.
[[noreturn]] void spawner_main(const SpawnerContext& context);

// What the child needs; lives in the spawner's memory, untouched until the child executes or ends.
struct ChildOrder {
  wire::SlotTable* table;
  wire::RunEntry* entry;
  EntryIndex index;
  wire::PlanHeader* plan;  // checked; its bytes follow
  const int* fds;          // descriptors that came with the message, the plan's not counted
  bool enter_cgroup;       // the kernel has not put us into the leaf: do it by hand
  rlimit nofile;
};

// Sets argv and envp up for the child. Before the clone, so that the child does less.
void prepare_child(const wire::PlanHeader& plan);

// The function the child begins in, on a stack of its own.
int child_main(void* order);

// clone3 with a function and a stack, as clone(2) has it. Returns the pid or -errno; ENOSYS where this machine
// type has no code for it.
struct CloneArguments;
long clone3_call(CloneArguments* arguments, int (*function)(void*), void* argument);

// struct clone_args of <linux/sched.h>, first published size that has `cgroup`.
struct CloneArguments {
  alignas(8) uint64_t flags;
  uint64_t pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
static_assert(sizeof(CloneArguments) == 88);

}  // namespace hearth::keeper
