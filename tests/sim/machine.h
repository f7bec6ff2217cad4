// One simulated machine with one hearth on it: kernel, ports, page, the real supervisor, and clients that repeat
// their requests until they are answered. Used by the simulator (everything by chance) and by the scenarios
// (everything by hand).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/kernel.h"
#include "sim/outside.h"
#include "sim/page_reader.h"
#include "supervisor/supervisor.h"

namespace hearth::sim {

class Machine;

// Places where a planted bug takes hold, all outside the supervisor. Null: nothing is planted there.
struct Sabotage {
  std::string name;
  std::function<std::unique_ptr<ports::Keeper>(Machine&, ports::Keeper&)> keeper;
  std::function<std::unique_ptr<ports::Inputs>(Machine&, ports::Inputs&)> inputs;
  std::function<std::unique_ptr<ports::Store>(Machine&, ports::Store&)> store;
  std::function<void(Machine&, bool published)> between_stores;
  std::function<void(Machine&, const std::string& where)> died;
  std::function<void(Machine&)> before_takeover;  // the page as the successor will find it
  std::function<void(Machine&)> before_handover;  // a new keeper is there, and has been told nothing
  std::function<void(Machine&)> before_revival;   // the table as the next keeper will find it, after everybody's death
  std::function<void(ports::Heritage&)> heritage;
  std::function<void(Machine&)> after_create;
  std::function<void(Machine&)> after_turn;
  bool strays_are_taken_for_runs = false;
};

// What a client wants, until it knows that hearth has it.
struct ClientCall {
  Request request;
  bool sent = false;
  bool answered = false;
  bool forgotten = false;                  // it was answered by a hearth of which nothing is left but what is on disk
  std::optional<Result<Accepted>> answer;  // the first one
};

// What goes down with a supervisor.
enum class Death : std::uint8_t { supervisor, everybody, everybody_and_state };

// Told by the machine, beside what ports and kernel tell an Observer.
class Watcher : public Observer {
 public:
  virtual void committed() {}                             // a commit number has just been stored
  virtual void absent(MonoNs /*from*/, MonoNs /*to*/) {}  // nobody watched; called before the turn that ends it
  virtual void before_death() {}
  virtual void keeper_replaced() {}  // and the supervisor is about to be told
  virtual void everybody_died(bool /*state_lost*/) {}
  virtual void inherits(const ports::Heritage&) {}  // a supervisor begins, and knows nothing but this
  virtual void turn_done() {}                       // a whole turn without a crash
};

class Machine {
 public:
  Machine(std::uint64_t seed, const Faults& faults, Casting casting, bool keep_trace,
          const Sabotage* sabotage = nullptr);
  ~Machine();

  // One event or one turn. False: nothing more happens until then (time is moved there).
  bool step(MonoNs until);
  void run_for(SpanNs span) {
    const MonoNs until = after(time.now.mono, span);
    while (step(until)) {
    }
  }

  // ---- faults ----
  void kill_supervisor(const std::string& why);  // SIGKILL between turns; dead_for() says when the next begins
  void kill_keeper();                            // the supervisor makes another; without one, everybody is dead
  void kill_everybody(bool state_lost);
  void stop_supervisor(SpanNs span) { stopped_until_ = after(time.now.mono, span); }
  void suspend(SpanNs span) { time.step_wall(span); }
  // SIGSTOP of everything but the clocks, and SIGCONT.
  void freeze(SpanNs span, SpanNs apart);
  std::function<SpanNs()> dead_for = [] { return milliseconds(5); };
  std::function<SpanNs()> keeper_away_for = [] { return milliseconds(5); };
  std::function<SpanNs()> nobody_for = [] { return milliseconds(50); };
  std::function<Death()> who_dies = [] { return Death::supervisor; };  // when one is killed in a turn
  std::function<void()> before_turn = [] {};
  std::function<SpanNs()> wake_latency = [] { return SpanNs{50'000}; };

  // ---- clients ----
  // Sent now, and again (same key) to each successor until it is answered.
  ClientCall& send(Request request);
  void send_again(ClientCall& call) {
    if (call.forgotten) {
      call.forgotten = call.answered = false;
      call.answer.reset();
    }
    inputs_port.post_request(call.request);
  }

  bool alive() const { return supervisor_ != nullptr; }
  supervisor::Supervisor& supervisor() { return *supervisor_; }
  PageView page() const { return read_page(*page_); }
  wire::DecisionPage& raw_page() { return *page_; }
  MonoNs turn_started() const { return turn_started_; }
  MonoNs due() const { return due_; }  // what the last turn asked for

  Faults faults;
  Timeline time;
  Trace trace;
  CrashPoints crash;
  Watcher* watcher = nullptr;
  Observer* observer = nullptr;  // the same, as ports and kernel see it
  Kernel kernel;
  KeeperPort keeper_port;
  InputsPort inputs_port;
  ProbesPort probes_port;
  StorePort store_port;
  std::deque<ClientCall> calls;
  std::uint64_t steps = 0;
  std::uint32_t crashes = 0;
  std::uint32_t suspended = 0;
  std::uint32_t keepers_killed = 0;
  std::uint32_t everybody_killed = 0;
  std::uint32_t states_lost = 0;

  void watch(Watcher* who) {
    watcher = who;
    observer = kernel.observer = who;
  }

 private:
  Outside outside() { return {kernel, time, trace, crash, faults, &observer}; }
  void begin_supervisor();
  void turn();
  void died(const std::string& where, Death death);
  void keeper_is_dead();
  void replace_keeper();
  void everybody_is_dead(bool state_lost);
  void begin_keeper(bool fresh);
  ports::Heritage inherit();
  void renew_page();
  void between_stores();
  void scribble_on_a_spare_copy();

  Random random_;
  std::uint64_t seed_;
  const Sabotage* sabotage_;
  wire::DecisionPage* page_;
  std::unique_ptr<ports::Keeper> planted_keeper_;
  std::unique_ptr<ports::Inputs> planted_inputs_;
  std::unique_ptr<ports::Store> planted_store_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  bool was_away_ = false;  // the next turn is the first after a death
  MonoNs due_ = never;
  MonoNs wake_at_ = never;
  MonoNs restart_at_ = 0;
  MonoNs stopped_until_ = 0;
  MonoNs last_turn_ = 0;
  MonoNs turn_started_ = 0;
  std::uint64_t commit_before_ = 0;
};

}  // namespace hearth::sim
