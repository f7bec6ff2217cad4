// Gives an order and stays with it until it settles: the common part of up, run, start, stop, restart, down and
// shutdown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "cli/answers.h"
#include "cli/context.h"
#include "cli/interrupt.h"
#include "cli/operation.h"
#include "cli/standstill.h"
#include "os/fd.h"

namespace hearth::cli {

struct Order {
  const char* target = "/v1/orders";
  std::string body;
  const char* doing = "start";  // "start", "stop": for what is said when it does not come to its end
  bool wait = true;
  bool quiet = false;           // without wait: somebody else says what becomes of it
  bool tells_removed = false;   // up, down: names what is stopped and forgotten
  bool applies_a_file = false;  // up, reload, scale: it is that because it has left the file, or is one too many
  bool tells_changes = false;   // reload: what it means to each service, first of all
  SpanNs timeout = never;       // of the waiting
  int keeper_pid = 0;           // shutdown: the order is done when this process is gone, and hearth
  SpanNs stands_after =
      Standstill::usual_pace;           // without an end it is looked whether hearth stands still; never: not at all
  std::string key = make_key();         // of the operation
  std::vector<std::string> names = {};  // as they were typed: one that means services of several projects is told
  std::vector<SlotNews> before = {};    // tells_changes: the services as they were, those at rest among them
};

// Of each name that selects services of several projects, "a is a service of 2 projects, ..., name one of them: ...".
// A pattern or a tag is meant to.
std::vector<std::string> shared_names(const std::vector<std::string>& names, const std::vector<SlotNews>& slots);

// died: all of hearth did, and not because it was done: services still run.
enum class End { settled, timeout, interrupted, gone, died, refused, broken };

struct Outcome {
  End end = End::settled;
  Error error;  // refused, broken
  Trouble trouble = Trouble::broken;
  std::optional<AcceptedNews> accepted;
  OrderNews news;    // the last seen
  std::string body;  // the last answer's, for --json
  SpanNs elapsed = 0;
  WallNs given = 0;
};

// Prints notes and progress (not with --json).
Outcome follow(const Context& context, Client& client, InterruptWatch& watch, const Order& order);

// A pidfd of the keeper that an answer told; none when it is gone, was not told, or cannot be seen from here.
os::Fd open_keeper(const std::string& instance_directory, std::int64_t pid);

// Waits until the hearth that answers has ended, which is when nobody has its lock any more; true also when nobody answers.
// False: interrupted, or `deadline` has passed.
bool wait_for_end(const Context& context, Client& client, InterruptWatch& watch, MonoNs deadline);

// Of a file that was refused, and its exit code. What it asks for and is not there is a mistake of the file, and not of the
// command line.
int complain_of_file(const Context& context, const Error& error);

// What is left to say, and the exit code. `done` is the verb's past participle: "started", "stopped".
int conclude(const Context& context, const Outcome& outcome, const Order& order, const char* done);

}  // namespace hearth::cli
