// What is done with the files of a stream that are complete: they are compressed, and the oldest are removed while all
// of them are larger than they may be. Runs in a child of the logger (janitor.h), one stream at a time, and may be
// killed at any instruction.
//
// A file becomes NUMBER.tmp first, gets its name NUMBER.log.zst when all of it is on the disk, and only then
// NUMBER.log is removed. So what is found says what is left to do: a NUMBER.tmp is of no use; a NUMBER.log beside its
// NUMBER.log.zst is to be removed; a NUMBER.log alone is to be compressed.
#pragma once

#include <stdint.h>

#include "logger/system.h"
#include "wire/log_page.h"

namespace hearth::logger {

struct TidyOrder {
  uint64_t current = 0;  // the file that is written; nothing is done to it and to later ones
  bool compress = false;
  uint64_t max_total = 0;  // of all files together, the current one counted as of `reserve` bytes; 0 = any
  uint64_t reserve = 0;
  uint32_t uid = UINT32_MAX, gid = UINT32_MAX;  // owner of what is made; UINT32_MAX = as it is
};

// 0, or the errno of the first thing that could not be done; the others are tried all the same.
int tidy(System& system, int directory, const TidyOrder& order);

}  // namespace hearth::logger
