// How a supervisor comes to its knowledge: from decision page, slot table and documents, or from what an earlier hearth
// has left on disk.
//
// Model
// -----
// resume()  a predecessor's page holds. Its records are the book; each entry is looked at; what may have been under
//           way is done again. *Revived*: all of hearth had died, the page is older than the keeper. What was parked is
//           opened again by name, and what was said meanwhile nobody has heard.
// adopt()   the page is new. Documents and the list of runs come from disk (Heritage): what still lives is taken into a
//           slot and given to the keeper, unless the slot table holds it already; what is gone counts as ended, nobody
//           knows how.
// What cannot be taken over is named in a note and left alone: never ended, never started twice. So is what nobody can have
// written (makes_sense): a head that makes no sense leads to adopt().
#pragma once

#include <string>
#include <unordered_map>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/slot_state.h"
#include "ports/keeper.h"
#include "ports/store.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

class Evidence;
class Lives;
class Placing;
class SlotBook;
struct Options;
struct World;

// Of one create(); borrows all that it is given.
class Takeover {
 public:
  Takeover(SlotBook& book, Lives& lives, Evidence& evidence, Placing& placing, const World& world,
           const Options& options, Now now);

  // True: all of hearth had died. Fails as Store::documents does, before anything is done.
  Result<bool> resume(wire::DecisionPage& page);
  void adopt(const ports::Heritage& heritage);
  // Of a new page: where the events go on.
  void begin_events(const ports::JournalMark& mark, EventId last_of_ended);

 private:
  Status continue_journal();
  Status read_documents();
  void revive();
  void resume_slot(SlotIndex slot, bool revived);
  void give_up(SlotIndex slot);
  void disbelieve(SlotIndex slot);
  void take_up(SlotIndex slot);
  void keep_open(SlotIndex slot);
  void take_for_ready(SlotIndex slot, const std::string& when);
  void forget_tries(SlotIndex slot);

  void find_taken(const ports::Heritage& heritage);
  void adopt_run(const ports::RunNote& note);
  void give_to_keeper(SlotIndex slot, const ports::RunNote& note);
  void take_other_run(SlotIndex slot);
  void mourn(const ports::RunNote& note);
  void go_on_removing();
  void keep_documents();
  SlotIndex place(const ports::RunNote& note);
  void start_again(SlotIndex slot);
  void note(std::string text, std::string slot = {});

  SlotBook& book_;
  Lives& lives_;
  Evidence& evidence_;
  Placing& placing_;
  ports::Keeper& keeper_;
  ports::Store& store_;
  const Options& options_;
  Now now_;
  std::unordered_map<RunId, EntryIndex> taken_;  // adopt: runs that an entry of the table holds already
};

}  // namespace hearth::supervisor
