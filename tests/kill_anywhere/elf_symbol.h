// Where a function is in a program: just enough of ELF to set a breakpoint without a debugger.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace hearth::kill_anywhere {

// Address of a function symbol of the program's symbol table, relative to its load base; 0 = not there.
std::uint64_t symbol_offset(const std::string& program, const std::string& mangled);

// Where the program is mapped in the process; 0 for one that is not position-independent.
std::uint64_t load_base(pid_t pid, const std::string& program);

}  // namespace hearth::kill_anywhere
