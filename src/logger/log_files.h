// Names and descriptors of a stream's files: LOGDIR/<directory>/<at least 8 digits>.log, .idx beside it, and the
// symbolic link `current`. Nothing here knows about batches.
//
// A directory may belong to the service's user, who then can put anything there: everything is opened relative
// to descriptors and without following links, a file must be a regular one with a single name and the expected
// owner, and a new file is made with O_EXCL. docs/formats/log-files.md
#pragma once

#include <stdint.h>

#include "logger/system.h"
#include "wire/log_page.h"

namespace hearth::logger {

struct FileName {
  char text[32];
};
FileName file_name(uint64_t number);
FileName index_name(uint64_t number);
FileName compressed_name(uint64_t number);  // .log.zst
FileName unfinished_name(uint64_t number);  // .tmp
// False when `name` is not the name of a numbered file.
bool parse_name(const char* name, NumberedFile& out);

// One component: not empty, not "." or "..", no slash, NUL-terminated.
bool directory_name_valid(const char (&name)[128]);

// All return a descriptor (or 0) or a negative errno.

// Opens the stream's directory, makes it when it is missing.
int64_t open_directory(System& system, int log_directory, const wire::LogStream& stream);
// Makes a file; one of that name is removed first.
int64_t create_named(System& system, int directory, const char* name, const wire::LogStream& stream);
// Opens a file for writing. -ENOENT also when what stands there is not a file of ours.
int64_t open_named(System& system, int directory, const char* name, const wire::LogStream& stream);
// Makes file `number`, without an index; one that stands there already (left by a killed logger) is removed first.
int64_t create_file(System& system, int directory, uint64_t number, const wire::LogStream& stream);
int64_t open_file(System& system, int directory, uint64_t number, const wire::LogStream& stream);
// Removes file `number`, compressed or not, and its index.
int64_t remove_file(System& system, int directory, uint64_t number);
// Points `current` at file `number`. A failure is not worth stopping for.
void point_current(System& system, int directory, uint64_t number);
// Points LOGDIR/NAME_PID.log at file `number` of the stream (NAME: of the service in PROJECT.NAME.INDEX), and removes
// such links of NAME that point to nothing any more. A failure is not worth stopping for.
void link_run(System& system, int log_directory, const wire::LogStream& stream, int32_t pid, uint64_t number);
// Removes `first`, `first` + 1 ... up to one that is missing; the greatest first, so that a reader never finds
// a file missing while a later one stands, which would look like a gap.
int64_t remove_from(System& system, int directory, uint64_t first);

}  // namespace hearth::logger
