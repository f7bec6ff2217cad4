#include "logger/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace hearth::logger {
namespace {

void put_line(const char* line, int length, int capacity) {
  if (length <= 0) return;
  if (length >= capacity) length = capacity - 1;
  if (write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) return;  // nobody to tell
}

const char* reason(int code) {
  const char* text = strerrordesc_np(code);
  return text != nullptr ? text : "unknown error";
}

}  // namespace

void report(const char* what, int code) {
  char line[256];
  int length = code == 0 ? snprintf(line, sizeof line, "hearth-logger: %s\n", what)
                         : snprintf(line, sizeof line, "hearth-logger: %s: %s\n", what, reason(code));
  put_line(line, length, sizeof line);
}

void report_stream(const char* directory, int code) {
  char line[320];
  int length = snprintf(line, sizeof line, "hearth-logger: cannot write the log \"%.127s\": %s; trying again\n",
                        directory, reason(code));
  put_line(line, length, sizeof line);
}

void report_unwritten(const char* directory, uint64_t bytes, int code) {
  char line[400];
  int length = snprintf(line, sizeof line,
                        "hearth-logger: %llu bytes for the log \"%.127s\" could not be written: %s; they are lost, "
                        "unless their service goes on running and hearth is started again\n",
                        static_cast<unsigned long long>(bytes), directory, reason(code));
  put_line(line, length, sizeof line);
}

}  // namespace hearth::logger
