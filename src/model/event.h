// One thing that happened, as the event journal keeps it. Pure data between supervisor/ (makes it) and store/ (writes
// it as a line of JSON). docs/formats/events.md says what each member means.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "model/slot_state.h"

namespace hearth {

// Ids count from 1 in the life of an instance directory; they grow and are never given twice.
using EventId = std::uint64_t;
inline constexpr EventId no_event = 0;

enum class Happening : std::uint8_t {
  order,     // somebody asked for something
  state,     // a slot is in another phase
  run,       // a process was started
  exit,      // a run ended, or could not be started
  ready,     // became ready
  unready,   // is not ready any more
  removed,   // the slot is forgotten
  takeover,  // another supervisor goes on
  keeper,    // another keeper
  loss,      // events that could not be kept
  note,      // what hearth tells of itself
  hook,      // a hook has failed
  upgrade,   // another version of hearth, or not
};
const char* happening_name(Happening what);  // as the enumerators

// Who asked: of the Unix socket's peer. pid 0: nobody that is known.
struct Peer {
  std::int32_t pid = 0;
  std::uint32_t uid = 0;
  std::string command;  // its arguments with spaces between them, cut; "" = it could not be read
};

struct EventRecord {
  EventId id = no_event;
  WallNs time = 0;
  Happening what = Happening::note;
  std::string service;       // PROJECT.SERVICE.INDEX; "" = of hearth itself
  EventId cause = no_event;  // the event that led to this one; always an earlier one
  std::string from, to;      // state: names of the phases; `from` is "" where there was nothing before
  Reason reason = Reason::none;
  RunId run = no_run;
  std::int32_t pid = 0;
  ExitInfo exit;               // exit, hook
  SpanNs lasted = 0;           // exit: of the run
  RunUse use;                  // exit
  std::uint32_t restarts = 0;  // exit: before this run's end
  OrderId order = 0;           // order
  std::string operation;       // order: the key, 32 hex digits
  Peer by;                     // order
  std::string hook;            // hook: its key, "reload_command"
  SlotIndex slot = no_slot;    // hook: whose newest event it becomes; not written
  std::string text;            // for people, one line
};

}  // namespace hearth
