// The logger's own words, on standard error: few, because whoever reads that may be slow, and what matters is
// in the log page.
#pragma once

#include <stdint.h>

namespace hearth::logger {

// "hearth-logger: WHAT: strerror(code)"; 0 = no reason given.
void report(const char* what, int code);
// A stream that cannot be written now.
void report_stream(const char* directory, int code);
// What could not be written before the logger ends.
void report_unwritten(const char* directory, uint64_t bytes, int code);

}  // namespace hearth::logger
