// What hearth.log tells of hearth's own processes: one JSON line for each that died (docs/formats/hearth-log.md).
//
// The keeper counts deaths in the slot table and wakes the supervisor after each; the supervisor compares, because the
// keeper shall format and write nothing. A supervisor's own death is told by its successor. Several deaths of one
// member between two looks are one line, whose "deaths" shows it.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/time.h"
#include "wire/slot_table.h"

namespace hearth::apps {

class MemberLog {
 public:
  // The first look of a supervisor: what there is, and how its predecessor ended. `revived`: all of hearth had died, and
  // nobody saw how; what the table counts has been told by then.
  void begin(const wire::SlotTable& table, bool revived, WallNs now);
  void look(const wire::SlotTable& table, WallNs now);
  void keeper_replaced(const wire::SlotTable& table, WallNs now);
  // SIGUSR1: `status` is the JSON object of the API.
  static void status(std::string_view status, WallNs now);

 private:
  struct Known {
    std::uint32_t deaths = 0;
    std::int32_t pid = 0;
  };
  std::array<Known, 2 + wire::spawner_count> known_;
  std::int32_t keeper_ = 0;
};

}  // namespace hearth::apps
