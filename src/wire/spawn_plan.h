// A spawn plan: everything a spawner needs to start one run, in a sealed memfd. The spawner preads it into a
// private buffer and checks that copy, so that nobody can change it under the child.
//
// Layout: PlanHeader, then tables and NUL-terminated strings at the offsets it names, all inside `size`.
// Offsets count from the start of the plan. docs/formats/spawn-plan.md
#pragma once

#include <stdint.h>

#include "base/ids.h"

namespace hearth::wire {

inline constexpr uint32_t plan_magic = 0x31505448;  // "HTP1"
inline constexpr uint32_t plan_version = 4;
inline constexpr uint32_t plan_size_max = 2u << 20;
inline constexpr uint32_t plan_strings_max = 16384;  // argv + env + paths
inline constexpr uint32_t plan_descriptors_max = 240;
inline constexpr uint32_t plan_limits_max = 16;
inline constexpr uint32_t plan_groups_max = 256;
inline constexpr uint32_t plan_cpu_words_max = 64;    // 4,096 processors
inline constexpr uint32_t plan_keep_id = UINT32_MAX;  // uid, gid: stay as we are
inline constexpr int32_t plan_keep = INT32_MIN;       // nice, oom_score_adj, umask, io_priority: stay as we are

// PlanHeader::flags. Capabilities are sets: bit n is the capability of number n in capabilities(7).
inline constexpr uint32_t plan_no_new_privs = 1u << 0;
inline constexpr uint32_t plan_bounds = 1u << 1;        // `bounding` holds; else nothing is taken from any set
inline constexpr uint32_t plan_capabilities = 1u << 2;  // `capabilities` and `ambient` hold
inline constexpr uint32_t plan_flags_end = 1u << 3;

inline constexpr uint32_t plan_filter_max = 4096;  // BPF_MAXINSNS

struct PlanTable {
  uint32_t offset;
  uint32_t count;
};

// Descriptor `index` of the message (0 = the one after the plan itself) becomes `target` in the child.
// Targets are distinct and below plan_descriptors_max + 16. What is not named is closed.
struct PlanDescriptor {
  uint32_t index;
  int32_t target;
};

struct PlanLimit {
  uint32_t resource;  // RLIMIT_*
  uint32_t reserved;
  uint64_t soft;
  uint64_t hard;
};

struct PlanHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t size;
  EntryIndex entry;
  RunId run;

  PlanTable paths;        // u32 offsets: candidates for execve, tried in order as execvp(3) does
  PlanTable argv;         // u32 offsets
  PlanTable env;          // u32 offsets
  PlanTable pid_patches;  // u32 offsets of ten-byte fields ("0000000000" followed by NUL) inside env strings;
                          // the child writes its PID there, left-aligned and NUL-terminated
  PlanTable descriptors;  // PlanDescriptor
  PlanTable limits;       // PlanLimit
  PlanTable groups;       // u32 supplementary group ids; used when uid or gid is set
  uint32_t cwd;           // offset, 0 = stay
  int32_t cgroup;         // index in the message of an O_DIRECTORY descriptor of the leaf, -1 = none
  uint32_t uid;
  uint32_t gid;
  int32_t umask;
  int32_t nice;
  int32_t oom_score_adj;
  int32_t io_priority;  // for ioprio_set(2): class in bits 13..15, level below
  PlanTable cpus;       // u64 words, for sched_setaffinity(2); none: as we are
  uint32_t input;       // offset of a path that is opened for reading and becomes descriptor 0; 0 = none
  uint32_t flags;       // plan_*

  // What is not named in its flag is 0.
  uint64_t bounding;      // what stays of the bounding set, and at most of the other sets
  uint64_t capabilities;  // permitted and effective are these and no others; within `bounding`
  uint64_t ambient;  // inheritable and ambient are these: what an exec leaves to who is not root; of `capabilities`

  // Both need plan_no_new_privs, and hold from right before the exec on.
  PlanTable filter;  // u64: struct sock_filter of seccomp(2) each; none: no filter. The kernel checks what is in it
  int32_t ruleset;   // index in the message of a ruleset of landlock(7), -1 = none
  uint32_t reserved;
};

// Null when every offset, count and string of `plan` (`length` bytes) holds; else a constant English phrase
// that says what does not. `descriptors` is how many came with the message, the plan itself not counted.
const char* plan_problem(const void* plan, uint64_t length, uint32_t descriptors);

}  // namespace hearth::wire
