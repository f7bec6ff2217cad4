// How a system call may fail: which errors its man page names that a kernel short of everything, or a broken disk, gives
// to a process that has done nothing wrong. Not what only a mistake of the caller brings (EBADF, EFAULT, EINVAL).
//
// One table for both ends: the clean runs learn from it what each call of theirs may meet, and an attacked run asks
// it again about the call at hand, since the third `write` of a step is now one to a pipe and now one to a file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "points.h"

namespace hearth::kill_anywhere {

// Beside errno's numbers: the call does half of what it was asked for.
inline constexpr int short_count = -1;
// How often a call fails in the second mode: all of its kind, until so many, until the step ends, or for a second, since
// after each start that was refused the next one waits longer.
inline constexpr std::uint32_t many_times = 10;

enum class Object : std::uint8_t { none, file, pipe, socket, other };

struct CallFacts {
  long kind = any_kind;
  std::array<std::uint64_t, 6> args{};
  Object object = Object::none;  // of the first argument, where that is a descriptor
  Object second = Object::none;  // of splice's and tee's other one
  bool nonblocking = false;
  bool passes_descriptors = false;
};

// Of the process's thread `tid`, which stands at the entry of the call.
CallFacts look_at_call(pid_t tid, long kind, const std::uint64_t* args);

std::vector<int> failures_of(const CallFacts& call);

// "EMFILE", "short"; the other way round nullopt for what is in no row of the table.
std::string failure_name(int failure);
std::optional<int> failure_of(std::string_view name);

// For each call each of its failures, once and many times.
std::vector<Planned> fail_points(const Course& course);

}  // namespace hearth::kill_anywhere
