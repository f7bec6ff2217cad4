// A program that hearth is to run as a part of itself: held by descriptor, so that what was looked at is what runs.
#pragma once

#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

// O_PATH. Refused: what is no ordinary file, cannot be executed, belongs to somebody else than root and us, or may be
// written by others, because whoever can write it would be us.
Result<Fd> open_program(const std::string& path);

// Refused: an ELF file that ends before its last segment, or its section headers, as one does whose copying was broken off: what is
// missing may be wanted only after days. What it cannot look into (a file that may be executed and not read) and what is no ELF
// file of this machine's size counts as whole. `program` is of open_program. Reads from disk.
Status check_whole(const Fd& program, const std::string& path);

// The program `hearth` of an installation whose supervisor is in `directory`: beside it or, where that is PREFIX/libexec/hearth, in
// PREFIX/bin. Refused as by open_program, or because there is none.
Result<std::string> find_client(const std::string& directory);

// What that process runs, O_PATH: of a dead one nobody can tell. None: it is gone, or we may not look.
Fd program_of(pid_t pid);

// "DEVICE:INODE:SIZE:CHANGED_NS", decimal. Another file under the same name has another one, and so has the same file when it
// was written, or its mode or owner changed. "" = it cannot be told.
std::string program_identity(int fd);

// By device and inode as the kernel knows them: no server is asked, as that may hang. False also when it cannot be told.
bool same_file(int a, int b);

}  // namespace hearth::os
