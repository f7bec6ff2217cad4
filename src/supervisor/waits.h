// What ends the wait of a slot: found along those that wait themselves, for many slots at once.
//
// A waits for B, which waits for C, which is stopped: what a person does about A is `hearth start C`. So the text names
// the next one and the one at the end, and is as long for the third of a chain as for the three thousandth. Whatever is
// found at one slot is kept for those behind it: a report of all costs one look at each slot and edge, and no call
// stands on the one before, however long the chain is.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "model/slot_state.h"

namespace hearth::supervisor {

class SlotBook;

// Another try of its start would be the same, though its policy may go on trying.
bool start_has_failed(const SlotState& state);

// Of one report, or of one turn's events: the book must not change while it lives.
class Waits {
 public:
  explicit Waits(const SlotBook& book) : book_(book) {}

  // "waits for db, which is stopped: `hearth start db`"; of a slot that waits for its dependencies, or for its turn.
  std::string words(SlotIndex slot);
  // PROJECT.SERVICE.INDEX of all that is not there yet of what a slot depends on.
  std::vector<std::string> labels(SlotIndex slot) const;
  // Does the slot wait for somebody whose own start has failed?
  bool for_a_failure(SlotIndex slot);

 private:
  // What is not there yet of what a slot depends on. Of many only some are named.
  struct Missing {
    void add(const SlotBook& book, SlotIndex slot, const std::string& name);
    std::string words() const;

    struct Names {
      void add(const std::string& name);
      std::string text(const char* between, const char* more) const;
      std::vector<std::string> first;
      std::size_t count = 0;
    };
    Names all, stopped, gone;
    SlotIndex only = no_slot;  // when it is one alone
  };

  Missing missing_of(SlotIndex slot) const;
  // What it alone waits for, if that waits itself; else none.
  SlotIndex next_of(const Missing& missing) const;
  // The last one of a chain of such: its wait is the one to end.
  SlotIndex last_of(SlotIndex slot);
  const std::string& words_of_last(SlotIndex slot);

  enum class Failure { looked_for, none, found };

  const SlotBook& book_;
  std::unordered_map<SlotIndex, SlotIndex> last_;
  std::unordered_map<SlotIndex, std::string> words_of_last_;
  std::unordered_map<SlotIndex, Failure> failure_;
};

}  // namespace hearth::supervisor
