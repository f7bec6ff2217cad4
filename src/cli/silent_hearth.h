// A hearth that has its lock and does not answer: who that is, and what can be seen to keep it from it.
#pragma once

#include <cstdint>
#include <string>

#include "cli/context.h"

namespace hearth::cli {

struct Silence {
  std::string who;       // "hearth-keeper (PID 7, stopped), hearth-supervisor (PID 9)"; "" = nobody that we may look at
  std::string hint;      // what to do, as this hearth is called
  bool stopped = false;  // one of them is (SIGSTOP)
};

// Looks into each process of the machine (/proc/PID/fd): milliseconds, and more with thousands of processes.
Silence silence_of(const Context& context);

// What somebody says of a supervisor that does not answer, with who does not and what to do; as it is when that is not to be seen.
Error with_silence(const Context& context, Error error);

// Whether the process of that number is one of this hearth: it has its lock file open. A number that hearth tells is of its
// own PID namespace, and anybody's in another; and the one who had it may have died. Looks at no other process.
bool is_of_hearth(const std::string& instance_directory, std::int64_t pid);

}  // namespace hearth::cli
