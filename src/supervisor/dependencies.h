// How the slots of a document stand to each other: questions to the book, answered from its graph and the records. They
// change nothing; what follows from the answers is propagate.h's and goals.h's.
//
// `restart = true` means: no run of this service outlives a restart of that one. Run numbers grow, and a service is
// started after what it depends on, so a dependency whose run has the greater number was started again since; once
// that stands as the condition asks, the dependent is restarted. That is a comparison and no memory, and holds across
// crashes and take-overs. Until then the dependent stays up: a dependency that crashed and does not come back costs
// nobody else a loaded model. Where we end the dependency ourselves, on an order, its dependents end before it does,
// as they do at every stop, and come up after it.
//
// `stop = true` means: this service does not run while that one has gone. A dependency has gone when it is stopped or over
// (failed, completed) and nothing but an order brings it back, or when it waits for one that has gone. One that crashed
// and is tried again has not. Of the dependency itself all replicas have to have gone; of what that waits for, one is
// enough, because it starts only when all are there. The goal of the dependent stays up: it waits, and starts when the
// dependency is there again. This is a state and no event, too: it holds whoever died in between.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "lifecycle/graph.h"
#include "model/slot_state.h"

namespace hearth::supervisor {

struct AppliedDocument;
class SlotBook;

// What the dependent of this edge finds: may it start, as far as this one is concerned? All replicas have to stand as
// the edge asks; one that has failed for good counts before one that is merely not there yet.
lifecycle::Standing standing_of(const SlotBook& book, const AppliedDocument& applied, lifecycle::Edge edge);
// The same of one replica.
lifecycle::Standing standing_of(const SlotBook& book, SlotIndex dependency, lifecycle::Edge edge);

// May it be started? `why` and `what` (names) say what is missing; one that failed for good counts before others.
bool dependencies_met(const SlotBook& book, SlotIndex slot, Reason* why = nullptr, std::string* what = nullptr);

// The same without regard to turns.
bool needs_met(const SlotBook& book, SlotIndex slot, Reason* why = nullptr, std::string* what = nullptr);

// Are as many of the document starting as may at a time (start_concurrency)? Not counted is the slot itself. Who is kept
// back by that alone waits like one whose dependency is not there, and has its turn when one of them has come up or
// failed, the longest waiting first (propagate.h).
bool must_wait_its_turn(const SlotBook& book, SlotIndex slot, const AppliedDocument& applied);

// Must its stop signal be held back, because dependents are still ending?
bool must_hold(const SlotBook& book, SlotIndex slot);

// Is it up, and older than a dependency that it has to be restarted with?
bool outlived_a_dependency(const SlotBook& book, SlotIndex slot);

// Who has lost what it is to stop with. What was found out of the services on the way is kept until a slot changes: a turn
// that looks at each of a chain that waits costs one look at each, and not the square.
class Losses {
 public:
  explicit Losses(const SlotBook& book) : book_(book) {}

  // Those that are up and find that one has gone with which they are to stop: this one, or one that waits for it, directly
  // or through others that wait, as far as they have not been told since the last change. None while this one is there.
  std::vector<SlotIndex> left_by(SlotIndex slot);
  // Is it up, and has one of those gone without which it is to stop?
  bool is_left(SlotIndex slot);

 private:
  struct Found {
    std::vector<bool> walked;    // by service: those that wait for it have been looked at
    std::vector<char> has_gone;  // by service: 0 unknown, 'y', 'n'
  };
  Found& found_of(const AppliedDocument& applied);
  bool has_gone(const AppliedDocument& applied, std::uint32_t service);

  const SlotBook& book_;
  std::uint64_t as_of_ = 0;  // SlotBook::changes
  std::map<const AppliedDocument*, Found> found_;
};

// And all that is up and is restarted with one of them, their dependents included; behind those that were given.
std::vector<SlotIndex> with_restarted_dependents(const SlotBook& book, std::vector<SlotIndex> chosen);

// In the order of their starts: who waits only for what is not stopped must see it starting.
std::vector<SlotIndex> dependencies_first(const SlotBook& book, std::vector<SlotIndex> slots);

}  // namespace hearth::supervisor
