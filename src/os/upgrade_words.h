// What the slot table tells of upgrades, in words.
#pragma once

#include <string>

#include "wire/slot_table.h"

namespace hearth::os {

// Of the supervisor that committed last; "" = it did not say.
std::string version_of(const wire::SlotTable& table);
// Why the last program of a supervisor, and of a logger, was given up: "the new program exited with code 3 before it was up".
std::string return_words(const wire::SlotTable& table);
std::string logger_return_words(const wire::SlotTable& table);

// Why another program was not executed in the keeper's place, or went back; "" = it never happened.
std::string keeper_refusal_words(const wire::KeeperRefusal& refusal);

}  // namespace hearth::os
