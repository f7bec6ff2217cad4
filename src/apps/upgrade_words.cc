#include "apps/upgrade_words.h"

#include <csignal>
#include <cstring>

namespace hearth::apps {

std::string version_of(const wire::SlotTable& table) {
  return {table.supervisor_version, strnlen(table.supervisor_version, sizeof table.supervisor_version)};
}

namespace {

std::string words_of(wire::ReturnCause cause, int wait_code, int wait_status) {
  const std::string end =
      (wait_code == CLD_EXITED ? "exited with code " : "was killed by signal ") + std::to_string(wait_status);
  switch (cause) {
    case wire::ReturnCause::silent: return "the new program did not take over in time";
    case wire::ReturnCause::hung: return "the new program was up, and then gave no sign of life";
    case wire::ReturnCause::kept_dying: return "the new program died again and again; at last it " + end;
    default:
      return wait_code == CLD_EXITED && wait_status == 127 ? std::string("the new program could not be executed")
                                                           : "the new program " + end + " before it was up";
  }
}

}  // namespace

std::string return_words(const wire::SlotTable& table) {
  return words_of(table.return_cause, table.return_wait_code, table.return_wait_status);
}

std::string logger_return_words(const wire::SlotTable& table) {
  const wire::LoggerReturn& last = table.logger_return;
  return words_of(static_cast<wire::ReturnCause>(last.cause), last.wait_code, last.wait_status);
}

}  // namespace hearth::apps
