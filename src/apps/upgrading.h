// An upgrade in the supervisor that is to go: from its order to our end.
//
// Model
// -----
// One order at a time; those that come meanwhile wait, and are the next supervisor's when this one goes. So do those that
// come while the keeper is dead, until the next one has taken over.
//
//   none      -- an order -----------------> opening    its programs are opened by a thread: their disk may hang
//   opening   -- they are open ------------> telling    the keeper is given them; where there is one for the keeper:
//             ------------------------------> executing  first that, alone (keeper/exec.cc has the model)
//   executing -- the keeper is that program -> telling   or, when there is no other, deciding
//   executing -- it refuses, dies, or 10 s -> none      and so is the order: nothing has changed
//   telling   -- the keeper has them ------> deciding   the order goes the way of all orders
//   telling   -- it refuses, or 10 s ------> none       and so is the order: nothing has changed
//   deciding  -- accepted, committed ------> leaving    we end, and the keeper executes what it has
//   deciding  -- refused ------------------> none       the keeper is told to forget them
//
// Whether the keeper has them stands in the slot table, where it counts what it took and what it refused: that a message
// was sent says nothing, for a keeper that dies has not read it, and if we were gone by then nobody would be left who
// starts another. A new keeper knows nothing of what the one before was given: it is told again, also when we are leaving.
//
// Those counts name no order. One that was given up is still owed its answer: who comes after it waits for that, and the
// keeper is told of one at a time.
//
// The keeper has them *before* the order is committed. Killed in between, we are succeeded by the new program, and the
// client, who repeats its order, has no loss of that.
//
// The keeper's own program comes first, as it is what can be refused still: the order is then refused, too, and nothing is
// left half way. It is a goal, not an act: a keeper that runs that very file is left alone, so that a successor of ours, to
// whom the client repeats its order, executes it at most once more, by the keeper's own rules. What a successor sees may be
// the end of what its predecessor had ordered; so what counts is which file the keeper is, not that it has executed one.
//
// A keeper that dies of it, or before it was given the other programs, has its order refused: the next one is not given what
// the one before may have died of. We start that one, of the program before where the death came within ten seconds
// (held_programs.h). A keeper that has not answered in 10 s is stopped, or starved, or hangs in that program: it is told to
// forget what it has, and does so when it reads that; and of who runs the program already it is said how to be rid of it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "os/aside.h"
#include "os/fd.h"
#include "os/keeper_link.h"
#include "ports/inputs.h"
#include "supervisor/supervisor.h"

namespace hearth::apps {

class Upgrading {
 public:
  // All of it is borrowed, and lives as long as this.
  struct Ways {
    std::function<void(ports::Input)> decide;                // hands the order to the supervisor
    std::function<void(const ports::Input&, Error)> refuse;  // answers it
  };
  Upgrading(os::KeeperLink& link, supervisor::Supervisor& supervisor, Ways ways)
      : link_(link), supervisor_(supervisor), ways_(std::move(ways)) {}

  // Events of the first turn: what became of an upgrade. Told again by the next one if that turn is never committed.
  void tell_outcome();
  // What has become of a logger, and of the keeper, since.
  void look_at_logger();
  void look_at_keeper(WallNs now);
  // After each turn; only the first one has something to say to the keeper.
  void came_up();

  void submit(ports::Input order);
  // An order that was handed to ways.decide has its answer, whichever.
  void decided(const ports::Input& order);
  // What can be done now, after a turn. Returns when to call it again (`never`: an event will come).
  MonoNs step(MonoNs now);
  // The order is committed, and the keeper has what it is to execute.
  bool may_leave() const { return stage_ == Stage::leaving && told_ == Told::taken; }

 private:
  enum class Stage { none, opening, executing, telling, deciding, leaving };
  enum class Told { no, sent, taken };
  struct Programs {
    os::Fd supervisor, logger, keeper;
    bool keeper_is_it = false;  // runs that very file already
    std::optional<Error> error;
  };
  static std::shared_ptr<Programs> open_all(const Request& request, pid_t keeper);

  MonoNs wait_to_take_back(MonoNs now);
  MonoNs open_next(MonoNs now);
  MonoNs look_at_opening(MonoNs now);
  MonoNs execute(MonoNs now);
  MonoNs give_up_keeper(MonoNs now);
  Error of_silent_keeper() const;  // which is the program of the order in hand
  MonoNs go_on_after_keeper(MonoNs now);
  void keeper_died();
  void decide();
  MonoNs tell(MonoNs now);
  MonoNs give_up_telling(MonoNs now);
  std::uint32_t answers() const;  // of the keeper, to all that it was told
  void refuse(Error error);
  void drop();

  os::KeeperLink& link_;
  supervisor::Supervisor& supervisor_;
  Ways ways_;
  std::deque<ports::Input> orders_;  // the first is in hand, but for `leaving`
  Stage stage_ = Stage::none;
  Told told_ = Told::no;
  os::Aside<std::shared_ptr<Programs>> opening_;
  std::weak_ptr<const void> given_up_;  // a thread that has not come back
  std::shared_ptr<Programs> programs_;
  std::uint32_t taken_before_ = 0, refused_before_ = 0;  // of the slot table, when the keeper was told
  std::optional<std::uint32_t> owed_answer_;             // answers() when it has answered an order that was given up
  std::uint32_t execs_before_ = 0, keeper_refused_before_ = 0;
  std::optional<std::pair<std::uint32_t, std::uint8_t>> keeper_seen_;  // execs and refusals that were looked at
  MonoNs opening_since_ = 0;
  MonoNs execute_until_ = 0, take_until_ = 0, take_back_until_ = never;
  bool keeper_given_ = false;     // it has had its program of the order in hand,
  bool keeper_executed_ = false;  // and is that now
  bool decided_ = false;          // the order in hand has been
  bool take_back_ = false;        // the keeper has programs whose order was refused
  bool up_ = false;
};

}  // namespace hearth::apps
