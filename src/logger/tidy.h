// What is done with the files of a stream that are complete: they are compressed, and the oldest are removed while all
// of them are larger than they may be. Runs in a child of the logger (janitor.h), one stream at a time, and may be
// killed at any instruction.
//
// A file becomes NUMBER.tmp first, gets its name NUMBER.log.zst when all of it is on the disk, and only then
// NUMBER.log is removed. So what is found says what is left to do: a NUMBER.tmp is of no use; a NUMBER.log beside its
// NUMBER.log.zst is to be removed; a NUMBER.log alone is to be compressed. What stands under the name NUMBER.log.zst is
// believed only as far as its table says that it is whole: the rename of a dying predecessor may still be under way in
// the kernel when we write a NUMBER.tmp of our own.
//
// The logger meanwhile removes the oldest files, beyond as many as are kept, whatever they are named just then: a file
// that has lost its NUMBER.log so has no need of its other form.
#pragma once

#include <stdint.h>

#include "logger/system.h"
#include "wire/log_page.h"

namespace hearth::logger {

struct TidyOrder {
  uint64_t current = 0;  // the file that is written; nothing is done to it and to later ones
  bool compress = false;
  uint64_t keep = UINT64_MAX;  // as many files, the current one counted
  uint64_t max_total = 0;      // of all files together, the current one counted as of `reserve` bytes; 0 = any
  uint64_t reserve = 0;
  uint32_t uid = UINT32_MAX, gid = UINT32_MAX;  // owner of what is made; UINT32_MAX = as it is
};

// 0, or the errno of the first thing that could not be done; the others are tried all the same.
int tidy(System& system, int directory, const TidyOrder& order);

}  // namespace hearth::logger
