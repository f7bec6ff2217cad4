// What clients ask of the supervisor, and what it answers. Pure data between api/ and supervisor/.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/event.h"
#include "model/service_spec.h"
#include "model/status.h"

namespace hearth {

// 128 bits made by the client. It is the operation's id: the same key again is the same operation, answered
// from the decision page, also by a successor of the supervisor that accepted it.
using OperationKey = std::array<unsigned char, 16>;

enum class Verb : std::uint32_t {
  apply = 1,  // take the document over and start what is new or changed
  start,
  stop,
  restart,
  down,      // stop and forget: names or all, else what was applied from document.path, else project
  shutdown,  // stop everything, then end hearth
  leave,     // end hearth, leave the services running (SIGQUIT)
};

struct Request {
  OperationKey key{};
  Verb verb = Verb::start;
  Peer peer;                       // who sent it
  std::vector<std::string> names;  // "service", "project.service", "service.INDEX", globs; empty + all
  bool all = false;
  std::string project;       // restricts names; "" = any
  Document document;         // apply, down
  bool start = true;         // apply: also start
  bool dependencies = true;  // start, restart: also what is needed and nobody wants up
};

// How one slot stands towards an order.
// incomplete: stopped, but something of its tree could not be ended (SlotStatus::leftover).
enum class Outcome : std::uint8_t { pending, done, failed, superseded, incomplete };

struct SlotOutcome {
  Outcome outcome = Outcome::pending;
  SlotStatus status;
};

// The answer to a mutation: accepted and committed, or refused (then nothing changed).
struct Accepted {
  OrderId order = 0;
  bool repeated = false;           // the key was known already
  std::vector<std::string> notes;  // "web is already running" and the like
  std::vector<SlotIndex> slots;
  std::vector<std::string> removed;  // apply, down: PROJECT.SERVICE.INDEX of what is stopped and forgotten
};

struct OrderReport {
  OrderId order = 0;
  Verb verb = Verb::start;
  bool settled = false;         // no slot is pending
  std::uint32_t overtaken = 0;  // slots that a later order has taken over; they are not in `slots`
  std::vector<SlotOutcome> slots;
};

}  // namespace hearth
