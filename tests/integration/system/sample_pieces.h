// Samples of what only crosses between processes, and so is in no directory: a spawn plan, the messages of the keeper, a
// hand-over record. They are written by the code that writes them in production, from the values here, and the values are
// what a later version must read in them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "keeper/state.h"
#include "model/service_spec.h"
#include "samples.h"
#include "wire/keeper_messages.h"

namespace hearth::test {

// The service of the recorded project that says something of nearly everything, and is never started.
inline constexpr const char* full_service = "full";
inline constexpr EntryIndex plan_entry = 6;
inline constexpr RunId plan_run = 77;
inline constexpr std::uint32_t plan_descriptors = 5;  // /dev/null, FIFO, a socket, the leaf, a ruleset
std::string plan_of(const Document& document);

namespace values {
inline constexpr wire::HelloRecord hello{wire::message_version, 3, 4, 5};
inline constexpr wire::SpawnerRecord spawner{1, 9};
inline constexpr wire::ParkRecord parked{wire::ParkClass::store, 12, 12 | std::uint64_t{1} << 32, 99, "cache"};
inline constexpr wire::ParkRecord output{wire::ParkClass::output, no_slot, 78, 0, ""};
inline constexpr wire::SignalRecord signal{6, 15, 77, 1001};
inline constexpr wire::RunRecord run{6, 0, 77};
inline constexpr wire::FollowRecord follow{6, 4711, 77, 123456};
inline constexpr wire::ProgramRecord programs[] = {{wire::ProgramRole::supervisor, 0}, {wire::ProgramRole::logger, 0}};
inline constexpr wire::FinishRecord finish{wire::FinishMode::all_stopped, 1};
inline constexpr const char* short_plan = "the bytes of a plan";
}  // namespace values
// One of each type, in the order of their numbers.
std::vector<SampledMessage> all_messages();

// A keeper that has something of everything that goes into the record. The table is its, and must live as long.
struct SampledKeeper {
  SampledKeeper();
  std::unique_ptr<wire::SlotTable> table = std::make_unique<wire::SlotTable>();
  std::unique_ptr<keeper::Keeper> keeper = std::make_unique<keeper::Keeper>();
};
void occupy(SampledKeeper& sampled);
std::string hand_over_of(const keeper::Keeper& keeper);

}  // namespace hearth::test
