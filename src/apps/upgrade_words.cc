#include "apps/upgrade_words.h"

#include <csignal>
#include <cstring>

namespace hearth::apps {

std::string version_of(const wire::SlotTable& table) {
  return {table.supervisor_version, strnlen(table.supervisor_version, sizeof table.supervisor_version)};
}

std::string return_words(const wire::SlotTable& table) {
  const std::string end = (table.return_wait_code == CLD_EXITED ? "exited with code " : "was killed by signal ") +
                          std::to_string(table.return_wait_status);
  switch (table.return_cause) {
    case wire::ReturnCause::silent: return "the new program did not take over within 15 s";
    case wire::ReturnCause::kept_dying: return "the new program died again and again; at last it " + end;
    default:
      return table.return_wait_code == CLD_EXITED && table.return_wait_status == 127
                 ? std::string("the new program could not be executed")
                 : "the new program " + end + " before it was up";
  }
}

}  // namespace hearth::apps
