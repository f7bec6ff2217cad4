// The table of parked descriptors against a plain map.

#include <fcntl.h>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

#include <gtest/gtest.h>

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

using Identity = std::tuple<wire::ParkClass, std::uint64_t, std::uint64_t, std::string>;

class ParkTable : public testing::Test {
 protected:
  ParkTable() : k(std::make_unique<Keeper>()), table_(std::make_unique<wire::SlotTable>()) {
    k->table = table_.get();
    k->nofile_now = 1'000'000;
    for (MemberState& member : k->member) member.socket = member.peer = -1;
  }
  static wire::ParkRecord record_of(const Identity& id) {
    wire::ParkRecord r{std::get<0>(id), 3, std::get<1>(id), std::get<2>(id), {}};
    strcpy(r.name, std::get<3>(id).c_str());
    return r;
  }
  std::map<Identity, int> contents() const {
    std::map<Identity, int> all;
    for (std::uint32_t i = 0; i < k->parked.end; ++i) {
      const Parked& item = k->parked.item[i];
      if (!item.used || item.dropped) continue;
      wire::ParkRecord r;
      fill_record(*k, item, r);
      EXPECT_TRUE(all.emplace(Identity{r.type, r.key, r.file, r.name}, item.fd).second) << "twice";
    }
    return all;
  }
  std::unique_ptr<Keeper> k;

 private:
  std::unique_ptr<wire::SlotTable> table_;
};

// Descriptor numbers that are not open: closing them fails, and nobody minds.
TEST_F(ParkTable, IsAMapWhateverComesAndGoes) {
  std::mt19937 random(1);
  std::map<Identity, int> model;
  for (int i = 0; i < 60'000; ++i) {
    const Identity id{static_cast<wire::ParkClass>(1 + random() % 6), random() % 400, random() % 2,
                      random() % 2 != 0 ? "" : "name" + std::to_string(random() % 3)};
    if (random() % 3 != 0) {
      const int fd = 100'000 + i;
      park(*k, record_of(id), fd, 1);
      model[id] = fd;
    } else {
      unpark(*k, record_of(id));
      model.erase(id);
    }
    ASSERT_EQ(k->parked.count, model.size());
    if (i % 5'000 != 0) continue;
    ASSERT_EQ(contents(), model);
  }
  EXPECT_EQ(contents(), model);
}

TEST_F(ParkTable, RefusesWhatDoesNotFitAndCountsIt) {
  for (std::uint64_t key = 0; key < wire::max_parked + 5; ++key)
    park(*k, record_of({wire::ParkClass::store, key, 0, "n" + std::to_string(key)}), 1'000'000, 1);
  EXPECT_EQ(k->parked.count, wire::max_parked);
  EXPECT_EQ(k->table->parks_refused.load(), 5u);
  park(*k, record_of({wire::ParkClass::store, 0, 0, "n0"}), 1'000'001,
       1);  // a replacement always fits
  EXPECT_EQ(k->table->parks_refused.load(), 5u);
  unpark(*k, record_of({wire::ParkClass::store, 9, 0, "n9"}));
  park(*k, record_of({wire::ParkClass::store, 1, 0, "another"}), 1'000'002, 1);
  EXPECT_EQ(k->parked.count, wire::max_parked);
  EXPECT_EQ(k->table->parks_refused.load(), 5u);
}

// prlimit(2), by somebody who has read the note.
TEST_F(ParkTable, ParksAgainWhenItsLimitWasRaised) {
  rlimit before;
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
  const auto set = [&](rlim_t parked) {
    const rlimit limit = {wire::keeper_reserved_descriptors + parked, before.rlim_max};
    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
  };
  const auto park_five = [&](std::uint64_t from) {
    for (std::uint64_t key = from; key < from + 5; ++key)
      park(*k, record_of({wire::ParkClass::store, key, 0, ""}), 1'000'000, 1);
  };
  k->nofile_now = wire::keeper_reserved_descriptors + 4;
  set(4);
  park_five(0);
  EXPECT_EQ(k->parked.count, 4u);
  EXPECT_EQ(k->table->parks_refused.load(), 1u);
  set(9);
  park_five(10);
  EXPECT_EQ(k->parked.count, 9u);
  EXPECT_EQ(k->table->parks_refused.load(), 1u);
  park_five(20);
  EXPECT_EQ(k->parked.count, 9u);
  EXPECT_EQ(k->table->parks_refused.load(), 6u);
  EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
}

// It was open before, and is no service's: refused, the next supervisor would not know of it, and status would blame those
// that store.
TEST_F(ParkTable, TheProgramBeforeTheKeepersOwnTakesNobodysPlace) {
  const Identity before{wire::ParkClass::program, wire::program_before_keeper, 0, ""};
  rlimit limit;
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
  const rlimit few = {wire::keeper_reserved_descriptors + 4, limit.rlim_max};
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
  k->nofile_now = wire::keeper_reserved_descriptors + 4;
  const auto store = [&](std::uint64_t key) {
    park(*k, record_of({wire::ParkClass::store, key, 0, ""}), 1'000'000, 1);
  };
  for (std::uint64_t key = 0; key < 4; ++key) store(key);
  park(*k, record_of(before), 1'000'001, 0);
  EXPECT_TRUE(is_parked(*k, record_of(before)));
  EXPECT_EQ(k->table->parks_refused.load(), 0u);
  store(4);
  EXPECT_EQ(k->table->parks_refused.load(), 1u);
  unpark(*k, record_of({wire::ParkClass::store, 0, 0, ""}));
  store(5);
  EXPECT_EQ(k->table->parks_refused.load(), 1u) << "a supervisor that has not heard of it reckons with four";
  EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

TEST_F(ParkTable, HasAPlaceForTheProgramBeforeWhenItIsFull) {
  const Identity before{wire::ParkClass::program, wire::program_before_keeper, 0, ""};
  const auto store = [&](std::uint64_t key) {
    park(*k, record_of({wire::ParkClass::store, key, 0, ""}), 1'000'000, 1);
  };
  for (std::uint64_t key = 0; key <= wire::max_parked; ++key) store(key);
  EXPECT_EQ(k->table->parks_refused.load(), 1u);
  park(*k, record_of(before), 1'000'001, 0);
  EXPECT_TRUE(is_parked(*k, record_of(before)));
  EXPECT_EQ(k->parked.count, park_places);
  unpark(*k, record_of(before));
  store(wire::max_parked);
  EXPECT_EQ(k->parked.count, wire::max_parked) << "nobody else has it";
  park(*k, record_of(before), 1'000'001, 0);
  EXPECT_TRUE(is_parked(*k, record_of(before)));
  EXPECT_EQ(k->table->parks_refused.load(), 2u);
}

TEST_F(ParkTable, IgnoresRecordsThatAreNone) {
  wire::ParkRecord record = record_of({wire::ParkClass::store, 1, 0, ""});
  memset(record.name, 'x', sizeof record.name);
  park(*k, record, 1'000'000, 1);
  park(*k, record_of({static_cast<wire::ParkClass>(0), 1, 0, ""}), 1'000'000, 1);
  park(*k, record_of({static_cast<wire::ParkClass>(8), 1, 0, ""}), 1'000'000, 1);
  EXPECT_EQ(k->parked.count, 0u);
}

TEST_F(ParkTable, TellsTheLoggerOfOutputInOrder) {
  const Identity a{wire::ParkClass::output, 1, 0, ""}, b{wire::ParkClass::output, 2, 0, ""};
  k->member[role_logger].socket = 1'000'000;
  park(*k, record_of(a), 1'000'001, 1);
  park(*k, record_of(b), 1'000'002, 1);
  unpark(*k, record_of(a));
  park(*k, record_of(a), 1'000'003, 1);
  std::vector<std::pair<std::uint64_t, bool>> told;
  for (Parked* item = next_for_logger(*k); item != nullptr; item = next_for_logger(*k)) {
    told.emplace_back(item->key, item->dropped);
    told_logger(*k);
  }
  EXPECT_EQ(told, (std::vector<std::pair<std::uint64_t, bool>>{{1, true}, {2, false}, {1, false}}));
  // A new logger is told of what there is, and of nothing that is gone.
  unpark(*k, record_of(b));
  queue_outputs(*k);
  ASSERT_NE(next_for_logger(*k), nullptr);
  EXPECT_EQ(next_for_logger(*k)->key, 1u);
  told_logger(*k);
  EXPECT_EQ(next_for_logger(*k), nullptr);
}

TEST_F(ParkTable, TellsTheLoggerNothingOfOutputThatIsOfferedAgain) {
  const auto tell_all = [&] {
    std::vector<std::uint64_t> told;
    for (Parked* item = next_for_logger(*k); item != nullptr; item = next_for_logger(*k)) {
      told.push_back(item->key);
      told_logger(*k);
    }
    return told;
  };
  k->member[role_logger].socket = 1'000'000;
  wire::ParkRecord spare = record_of({wire::ParkClass::output, 1, 0, ""});
  const wire::ParkRecord assigned = spare;
  spare.slot = no_slot;
  park(*k, spare, 1'000'001, 1);
  EXPECT_EQ(tell_all(), std::vector<std::uint64_t>{});
  park(*k, assigned, 1'000'002, 1);
  EXPECT_EQ(tell_all(), std::vector<std::uint64_t>{1});
  park(*k, assigned, 1'000'003, 1);
  EXPECT_EQ(tell_all(), std::vector<std::uint64_t>{});
}

}  // namespace
}  // namespace hearth::keeper
