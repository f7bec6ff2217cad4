// What clients ask of the supervisor, and what it answers. Pure data between api/ and supervisor/.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
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
  scale,     // another number of replicas
  signal,    // a signal to what runs
  reload,    // has services read their own configuration again
  upgrade,   // other programs of hearth go on in the place of ours
};

struct Request {
  OperationKey key{};
  Verb verb = Verb::start;
  Peer peer;                       // who sent it
  std::vector<std::string> names;  // "service", "project.service", "service.INDEX", globs; empty + all
  bool all = false;
  std::string project;         // restricts names; "" = any
  Document document;           // apply, down
  bool start = true;           // apply: also start
  bool reload = false;         // apply: of what is there already, only what has changed; what is stopped stays so
  bool dry_run = false;        // apply: only tell what it would do
  bool force = false;          // down: what is being stopped already is killed at once
  bool dependencies = true;    // start, restart: also what is needed and nobody wants up
  int signal = 0;              // signal: its number,
  bool all_processes = false;  // and whether the whole group gets it, not the main process alone
  std::vector<std::pair<std::string, std::uint32_t>>
      replicas;  // scale: names of services, and how many each shall have
  // upgrade: absolute paths, those of supervisor and logger together or none, that of the keeper or none; and which files
  // are meant (os::program_identity), "" = whichever they are
  std::string supervisor_program, logger_program, keeper_program;
  std::string supervisor_file, logger_file, keeper_file;
};

// What an apply means to one service.
enum class Measure : std::uint8_t {
  none,     // it is as it was
  live,     // it goes on as it is, and what has changed holds from now on
  restart,  // it is restarted; what is not up has it with its next start
  start,    // it is new
  know,     // it is new, and not to be started by itself
  stop,     // it is not there any more: stopped and forgotten
};

struct ServiceChange {
  std::string service;
  Measure measure = Measure::none;
  std::vector<std::string> keys;      // of hearth.toml, in which it differs
  std::uint32_t replicas_before = 0;  // 0: it was not there
  std::uint32_t replicas = 0;         // 0: it is not there any more
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
  std::vector<std::string> removed;    // apply, scale, down: PROJECT.SERVICE.INDEX of what is stopped and forgotten
  std::vector<ServiceChange> changes;  // apply: of each service of the file, before and after
};

struct OrderReport {
  OrderId order = 0;
  Verb verb = Verb::start;
  bool settled = false;         // no slot is pending
  std::uint32_t overtaken = 0;  // slots that a later order has taken over; they are not in `slots`
  std::vector<SlotOutcome> slots;
};

}  // namespace hearth
