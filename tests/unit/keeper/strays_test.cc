// The index of pids against a plain set.

#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

// True when the index leads from the pid to its entry, as finding a stray does.
bool indexed(const Keeper& k, EntryIndex entry) {
  for (const uint16_t bucket : k.pid_bucket)
    if (bucket == entry + 1) return true;
  return false;
}

TEST(PidIndex, HoldsExactlyWhatItWasTold) {
  auto k = std::make_unique<Keeper>();
  std::mt19937 random(7);
  std::map<EntryIndex, int> model;
  for (int i = 0; i < 30'000; ++i) {
    const EntryIndex entry = random() % wire::max_entries;
    if (model.contains(entry)) {
      forget_pid(*k, entry);
      k->run[entry].pid = 0;
      model.erase(entry);
    } else {
      k->run[entry].pid = static_cast<int>(1 + i * 7 % 32'768 + (i / 32'768) * 32'768);
      bool taken = false;
      for (const auto& [e, pid] : model) taken = taken || pid == k->run[entry].pid;
      if (taken) continue;
      remember_pid(*k, entry);
      model[entry] = k->run[entry].pid;
    }
    if (model.size() > 2'000) {  // churn at a load that has chains
      const EntryIndex victim = model.begin()->first;
      forget_pid(*k, victim);
      model.erase(victim);
    }
  }
  std::size_t used = 0;
  for (const uint16_t bucket : k->pid_bucket) used += bucket != 0;
  EXPECT_EQ(used, model.size());
  for (const auto& [entry, pid] : model) EXPECT_TRUE(indexed(*k, entry));
  for (const auto& [entry, pid] : std::map(model)) forget_pid(*k, entry);
  for (const uint16_t bucket : k->pid_bucket) ASSERT_EQ(bucket, 0) << "an entry could not be found again";
}

}  // namespace
}  // namespace hearth::keeper
