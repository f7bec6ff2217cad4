#include "wire/slot_table.h"

namespace hearth::wire {

bool slot_table_valid(const SlotTable& table, uint64_t mapped) {
  return mapped >= sizeof(SlotTable) && table.magic == slot_table_magic && table.version == slot_table_version &&
         table.size == sizeof(SlotTable);
}

}  // namespace hearth::wire
