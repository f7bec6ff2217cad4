// The book by itself: marks, slots that come and go, and the questions that are asked of it.
#include "supervisor/book.h"

#include <gtest/gtest.h>

#include "supervisor/dependencies.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {
namespace {

using Slots = std::vector<SlotIndex>;

ServiceSpec service(const std::string& name, std::vector<Dependency> depends_on = {}) {
  ServiceSpec spec;
  spec.name = name;
  spec.command = {"/bin/" + name};
  spec.depends_on = std::move(depends_on);
  return spec;
}

// A project whose services have the slots 0, 1, 2 ... and have never run.
class Book : public testing::Test {
 protected:
  void apply(std::vector<ServiceSpec> services) {
    Document document;
    document.version = 1;
    document.project = "shop";
    document.path = "/srv/shop.toml";
    document.services = std::move(services);
    book.head.last_document = 1;
    ASSERT_TRUE(book.registry.add(document));
    const auto count = static_cast<SlotIndex>(document.services.size());
    book.grow_to(count);
    for (SlotIndex slot = 0; slot < count; ++slot) {
      SlotState fresh;
      fresh.used = true;
      fresh.document = 1;
      fresh.service = slot;
      book.take_into_use(slot, fresh);
    }
    book.index_slots();
  }

  void runs(SlotIndex slot, RunId run) {
    SlotState& state = book.slots[slot];
    state.run().run = run;
    state.run().started = 1;
    state.life.run_live = state.life.want_up = true;
    state.life.phase = Phase::running;
  }

  SlotBook book;
};

// ---- SlotQueue ---------------------------------------------------------------------------------------

TEST(SlotQueue, ASlotWaitsOnce) {
  SlotQueue queue;
  for (const SlotIndex slot : {7u, 2u, 7u, 2u}) queue.push(slot);
  EXPECT_EQ(queue.all(), (Slots{7, 2}));
}

TEST(SlotQueue, WhatWasTakenMayComeAgain) {
  SlotQueue queue;
  Slots taken = {9};
  queue.push(7);
  queue.take(taken);
  EXPECT_EQ(taken, Slots{7});
  EXPECT_TRUE(queue.empty());
  queue.push(7);
  EXPECT_EQ(queue.pop_newest(), 7u);
  queue.push(7);
  queue.clear();
  queue.push(7);
  EXPECT_EQ(queue.size(), 1u);
}

// ---- SlotBook ----------------------------------------------------------------------------------------

TEST_F(Book, ASlotThatIsTakenIntoUseIsCommitted) {
  apply({service("web"), service("db")});
  EXPECT_EQ(book.changed.all(), (Slots{0, 1}));
  EXPECT_TRUE(book.head_changed);
  EXPECT_EQ(book.head.slots_used, 2u);
  EXPECT_EQ(book.label(1), "shop.db.0");
}

TEST_F(Book, AForgottenSlotIsReleasedAfterTheCommitAndFreeAgain) {
  apply({service("web"), service("db")});
  book.slots[0].order = 5;
  EXPECT_EQ(book.first_free(), 2u);
  book.forget(0);
  EXPECT_EQ(book.first_free(), 0u);
  EXPECT_EQ(book.errands.released_slots, Slots{0});
  EXPECT_EQ(book.registry.find(1)->slots, (Slots{no_slot, 1}));
  EXPECT_EQ(book.slots[0].order, 5u) << "whoever asks for the order still finds it";
  Slots services;
  for (const SlotIndex slot : book.services()) services.push_back(slot);
  EXPECT_EQ(services, Slots{1});
}

TEST_F(Book, ADocumentIsDroppedWhenNoSlotNamesIt) {
  apply({service("web")});
  book.drop_unused_documents();
  EXPECT_NE(book.registry.find(1), nullptr);
  book.forget(0);
  book.drop_unused_documents();
  EXPECT_EQ(book.registry.find(1), nullptr);
  EXPECT_EQ(book.errands.dropped_documents, std::vector<std::uint64_t>{1});
}

TEST_F(Book, ASlotIsOverWhenNothingOfItIsToBeSpawnedOrReaped) {
  apply({service("web")});
  EXPECT_TRUE(book.over(0));
  runs(0, 1);
  EXPECT_FALSE(book.over(0));
  book.slots[0].life.run_live = false;
  book.slots[0].cell[1].reap = true;
  EXPECT_FALSE(book.over(0));
  book.slots[0].cell[1].reap = false;
  EXPECT_TRUE(book.over(0));
}

// ---- dependencies ------------------------------------------------------------------------------------
//
//   web --> api --> db        web restarts with api, api with db
//            `----> cache     api needs it started, and is not restarted with it

class Dependents : public Book {
 protected:
  void SetUp() override {
    apply({service("web", {{"api", Condition::ready, true, true}}),
           service("api", {{"db", Condition::ready, true, true}, {"cache", Condition::started, true, false}}),
           service("db"), service("cache")});
  }
  static constexpr SlotIndex web = 0, api = 1, db = 2, cache = 3;
};

TEST_F(Dependents, WhoWaitsIsToldForWhom) {
  runs(db, 1);
  Reason why = Reason::none;
  std::string what;
  EXPECT_FALSE(dependencies_met(book, api, &why, &what));
  EXPECT_EQ(why, Reason::dependency_missing);
  EXPECT_EQ(what, "cache");
  runs(cache, 2);
  EXPECT_TRUE(dependencies_met(book, api));
}

TEST_F(Dependents, AFailureCountsBeforeWhatIsMerelyMissing) {
  book.slots[cache].life.phase = Phase::failed;
  Reason why = Reason::none;
  std::string what;
  EXPECT_FALSE(dependencies_met(book, api, &why, &what));
  EXPECT_EQ(why, Reason::dependency_failed);
  EXPECT_EQ(what, "db, cache");
}

TEST_F(Dependents, AStopIsHeldWhileDependentsEnd) {
  for (const SlotIndex slot : {db, cache, api, web}) runs(slot, 10 + slot);
  EXPECT_FALSE(must_hold(book, db));
  book.slots[api].life.phase = Phase::stopping;
  EXPECT_TRUE(must_hold(book, db));
  EXPECT_TRUE(must_hold(book, cache));
  EXPECT_FALSE(must_hold(book, api));
  book.head.force = true;
  EXPECT_FALSE(must_hold(book, db));
}

TEST_F(Dependents, ARunIsOlderThanItsDependencysWhenThatWasStartedAgain) {
  runs(db, 1), runs(cache, 2), runs(api, 3), runs(web, 4);
  EXPECT_FALSE(outlived_a_dependency(book, api));
  runs(cache, 5);
  EXPECT_FALSE(outlived_a_dependency(book, api)) << "it is not restarted with this one";
  runs(db, 6);
  EXPECT_TRUE(outlived_a_dependency(book, api));
  book.slots[db].life.phase = Phase::backoff;
  EXPECT_FALSE(outlived_a_dependency(book, api)) << "while it is away, the dependent stays up";
}

TEST_F(Dependents, ARestartTakesThoseAlongThatFollowIt) {
  runs(db, 1), runs(cache, 2), runs(api, 3), runs(web, 4);
  EXPECT_EQ(with_restarted_dependents(book, {db}), (Slots{db, api, web}));
  EXPECT_EQ(with_restarted_dependents(book, {cache}), Slots{cache});
  book.slots[web].life.run_live = false;
  EXPECT_EQ(with_restarted_dependents(book, {db}), (Slots{db, api}));
}

TEST_F(Dependents, DependenciesComeFirst) {
  EXPECT_EQ(dependencies_first(book, {web, api, cache, db}), (Slots{cache, db, api, web}));
}

// ---- selection ---------------------------------------------------------------------------------------

TEST_F(Dependents, ANameThatIsAlmostOneIsAnsweredWithIt) {
  Request request;
  request.names = {"cahce"};
  const Result<Slots> found = named(book, request);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().text().find("did you mean cache?"), std::string::npos) << found.error().text();
}

TEST_F(Dependents, WhatIsBeingRemovedIsNotFoundByName) {
  Request request;
  request.names = {"*"};
  book.slots[api].removing = true;
  EXPECT_EQ(named(book, request).value(), (Slots{web, db, cache}));
}

TEST_F(Dependents, DownOfAFileTakesAllThatWasAppliedFromIt) {
  Request request;
  request.verb = Verb::down;
  request.document.path = "/srv/shop.toml";
  EXPECT_EQ(to_take_down(book, request).value(), (Slots{web, api, db, cache}));
  request.document.path = "/srv/other.toml";
  EXPECT_FALSE(to_take_down(book, request));
}

}  // namespace
}  // namespace hearth::supervisor
