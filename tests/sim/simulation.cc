#include "sim/simulation.h"

#include <algorithm>

#include "sim/checker.h"
#include "sim/liveness.h"
#include "sim/troupe.h"

namespace hearth::sim {
namespace {

class Simulation {
 public:
  explicit Simulation(const Plan& plan)
      : plan_(plan),
        troupe_(plan.seed, plan.faults.misbehaviour),
        machine_(
            plan.seed, plan.faults,
            [this](const ServiceSpec& spec, SlotRole role, unsigned nth, const std::string& label) {
              return cast(spec, role, nth, label);
            },
            plan.keep_trace, plan.sabotage),
        checker_(machine_),
        crash_(plan.seed, "crash"),
        absence_(plan.seed, "absence"),
        orders_(plan.seed, "orders"),
        clocks_(plan.seed, "clocks"),
        keeper_(plan.seed, "keeper"),
        everybody_(plan.seed, "everybody"),
        state_(plan.seed, "state"),
        scarcity_(plan.seed, "scarcity"),
        disk_(plan.seed, "disk"),
        leaps_(plan.seed, "leaps"),
        freeze_(plan.seed, "freeze"),
        latency_(plan.seed, "wake") {
    machine_.watch(&checker_);
    machine_.before_turn = [this] { before_turn(); };
    machine_.dead_for = [this] { return dead_for(); };
    machine_.keeper_away_for = [this] { return keeper_away_for(); };
    machine_.nobody_for = [this] { return nobody_for(); };
    machine_.who_dies = [this] { return who_dies(); };
    everybody_dies_ = everybody_.percent(30);
    state_dies_ = state_.percent(12);
    machine_.wake_latency = [this] { return latency_.between(5'000, 300'000); };
    services_ =
        static_cast<std::uint32_t>(std::min<std::int64_t>(Random(plan.seed, "size").between(1, 6), plan.services_max));
  }

  Outcome run() {
    Outcome outcome;
    try {
      live();
    } catch (const Violation& violation) {
      outcome.failed = true;
      outcome.what = violation.what;
    }
    outcome.events = machine_.trace.events();
    outcome.steps = machine_.steps;
    outcome.hash = machine_.trace.hash();
    outcome.crashes = machine_.crashes;
    outcome.keepers = machine_.keepers_killed;
    outcome.everybody = machine_.everybody_killed;
    outcome.states = machine_.states_lost;
    outcome.places = machine_.crash.passed();
    outcome.simulated_s = static_cast<double>(machine_.time.now.mono - Trace::origin) / 1e9;
    outcome.trace = machine_.trace.lines();
    return outcome;
  }

 private:
  static constexpr SpanNs under_faults = seconds(20);

  Script cast(const ServiceSpec& spec, SlotRole role, unsigned nth, const std::string& label) {
    bool answers = false;
    if (is_probe(role)) {
      for (const auto& [run, process] : machine_.kernel.processes()) {
        if (process->role != SlotRole::service || !process->running() || !label.starts_with(process->label + "."))
          continue;
        answers = process->answers(role == SlotRole::live_probe, machine_.time.now.mono);
      }
    }
    return troupe_.script(spec, role, nth, answers);
  }

  void before_turn() {
    const std::uint64_t countdown = 1 + crash_.below(crash_.one_in(3) ? 200 : 40);
    const bool now = crash_.one_in(12);
    if (healed_ || !plan_.faults.crash || machine_.crashes >= plan_.faults.crashes_max) return;
    if (now && !machine_.crash.armed()) machine_.crash.arm(countdown);
  }

  SpanNs dead_for() {
    const SpanNs soon = crash_.between(100'000, milliseconds(25));
    const SpanNs late = absence_.between(milliseconds(100), absence_.one_in(3) ? seconds(90) : seconds(4));
    const bool away = absence_.one_in(8);
    return away && plan_.faults.absence && !healed_ ? late : soon;
  }

  // A service manager may be the one to start the next keeper, and is waited for (os/service_manager.h).
  SpanNs keeper_away_for() {
    const SpanNs soon = keeper_.between(500'000, milliseconds(20));
    const SpanNs late = keeper_.between(milliseconds(100), seconds(6));
    const bool waits = keeper_.one_in(6);
    return waits && !healed_ ? late : soon;
  }

  SpanNs nobody_for() { return everybody_.between(milliseconds(1), everybody_.one_in(4) ? seconds(60) : seconds(2)); }

  bool may_crash() const { return !healed_ && machine_.crashes < plan_.faults.crashes_max; }

  Death who_dies() {
    const bool everybody = everybody_.one_in(10), state = state_.one_in(40);
    if (!may_crash()) return Death::supervisor;
    if (state && state_dies_ && plan_.faults.state) return Death::everybody_and_state;
    return everybody && everybody_dies_ && plan_.faults.everybody ? Death::everybody : Death::supervisor;
  }

  // ---- what happens without anybody's wish ----

  void schedule_deaths() {
    const bool keeper_dies = keeper_.percent(45);
    for (MonoNs at = keeper_.between(0, seconds(3)); at < under_faults;
         at += keeper_.between(milliseconds(1), seconds(12))) {
      if (keeper_dies)
        machine_.time.in(at, [this] {
          if (!healed_ && plan_.faults.keeper) machine_.kill_keeper();
        });
    }
    for (MonoNs at = everybody_.between(0, seconds(8)); at < under_faults;
         at += everybody_.between(milliseconds(10), seconds(20))) {
      if (everybody_dies_)
        machine_.time.in(at, [this] {
          if (may_crash() && plan_.faults.everybody) machine_.kill_everybody(false);
        });
    }
    const SpanNs at = state_.between(0, under_faults);
    if (state_dies_)
      machine_.time.in(at, [this] {
        if (may_crash() && plan_.faults.state) machine_.kill_everybody(true);
      });
  }

  void schedule_faults() {
    for (MonoNs at = 0; at < under_faults; at += absence_.between(milliseconds(500), seconds(8))) {
      const SpanNs span = absence_.between(milliseconds(1), absence_.one_in(4) ? seconds(60) : seconds(2));
      machine_.time.in(at, [this, span] {
        if (healed_ || !plan_.faults.absence) return;
        machine_.trace.note(machine_.time.now.mono, "the supervisor is stopped for %ld ms",
                            static_cast<long>(span / ns_per_ms));
        machine_.stop_supervisor(span);
      });
    }
    for (MonoNs at = 0; at < under_faults; at += clocks_.between(milliseconds(300), seconds(6))) {
      const SpanNs span = clocks_.between(-seconds(100), seconds(4'000));
      machine_.time.in(at, [this, span] {
        if (!healed_ && plan_.faults.clocks) machine_.suspend(span);
      });
    }
    for (MonoNs at = 0; at < under_faults; at += crash_.between(milliseconds(200), seconds(5))) {
      machine_.time.in(at, [this] {
        if (!healed_ && plan_.faults.crash && machine_.crashes < plan_.faults.crashes_max)
          machine_.kill_supervisor("between turns");
      });
    }
  }

  // From time to time there is none of something, for a moment or for long. Not in every seed: a shortage that is always
  // there would hide what comes of the others.
  void schedule_shortage(Random& random, bool Shortage::* of, bool Faults::* fault, const char* what) {
    const bool in_this_seed = random.percent(25);
    for (MonoNs at = random.between(0, seconds(6)); at < under_faults;
         at += random.between(milliseconds(50), seconds(8))) {
      const SpanNs span = random.between(milliseconds(1), random.one_in(3) ? seconds(4) : milliseconds(300));
      if (!in_this_seed) continue;
      machine_.time.in(at, [this, of, fault, what] { set_shortage(of, plan_.faults.*fault, what); });
      machine_.time.in(at + span, [this, of, what] { set_shortage(of, false, what); });
    }
  }

  void set_shortage(bool Shortage::* of, bool there, const char* what) {
    if (healed_ || machine_.kernel.shortage.*of == there) return;
    machine_.kernel.shortage.*of = there;
    machine_.trace.note(machine_.time.now.mono, there ? "there is no %s left" : "there is %s again", what);
  }

  void schedule_leaps_and_freezes() {
    const bool leaps = leaps_.percent(20), freezes = freeze_.percent(25);
    for (MonoNs at = leaps_.between(0, seconds(6)); at < under_faults;
         at += leaps_.between(milliseconds(100), seconds(9))) {
      const SpanNs span = leaps_.between(-seconds(1'600'000'000), seconds(1'600'000'000));
      if (leaps && plan_.faults.leaps) machine_.time.in(at, [this, span] { leap(span); });
    }
    for (MonoNs at = freeze_.between(0, seconds(6)); at < under_faults;
         at += freeze_.between(milliseconds(100), seconds(9))) {
      const SpanNs span = freeze_.between(milliseconds(1), freeze_.one_in(3) ? seconds(15) : milliseconds(1'500));
      const SpanNs apart = freeze_.between(0, milliseconds(1));
      if (!freezes || !plan_.faults.freeze) continue;
      machine_.time.in(at, [this, span, apart] {
        if (!healed_) machine_.freeze(std::min<SpanNs>(span, end_of_faults_ - machine_.time.now.mono), apart);
      });
    }
  }

  // To somewhere between 1970 and 2100, as by a clock without a battery.
  void leap(SpanNs span) {
    const WallNs to = machine_.time.now.wall + span;
    if (!healed_ && to > seconds(1) && to < seconds(4'100'000'000)) machine_.time.step_wall(span);
  }

  // ---- what users do ----

  Request apply(std::uint32_t count, std::uint32_t version) {
    Request request;
    request.verb = Verb::apply;
    request.document = troupe_.document("p", "/home/p/hearth.toml", count, version);
    request.reload = version % 4 == 3;
    return request;
  }

  void send(Request request) {
    ClientCall& call = machine_.send(std::move(request));
    // A client that is impatient, and one that lost its answer.
    if (orders_.one_in(8) && machine_.alive()) machine_.send_again(call);
    if (orders_.one_in(4))
      machine_.time.in(orders_.between(milliseconds(1), seconds(3)), [this, &call] {
        if (machine_.alive()) machine_.send_again(call);
      });
  }

  void schedule_orders() {
    machine_.time.in(orders_.between(0, milliseconds(3)), [this] { send(apply(services_, 0)); });
    std::uint32_t version = 0;
    for (SpanNs at = orders_.between(milliseconds(1), seconds(3)); at < under_faults;
         at += orders_.between(milliseconds(1), seconds(5))) {
      Request request;
      const std::uint64_t kind = orders_.below(100);
      const std::string name(1, static_cast<char>('a' + orders_.below(services_)));
      request.names = {name};
      std::uint32_t count = services_, apply_version = 0;
      bool applies = false;
      if (kind < 30) {
        request.verb = Verb::stop;
      } else if (kind < 55) {
        request.verb = Verb::start;
      } else if (kind < 70) {
        request.verb = Verb::restart;
      } else if (kind < 78) {
        request.verb = orders_.one_in(2) ? Verb::stop : Verb::start;
        request.names.clear();
        request.all = true;
      } else if (kind < 83) {
        request.verb = Verb::scale;
        request.names.clear();
        request.replicas = {{name, static_cast<std::uint32_t>(orders_.between(1, 3))}};
      } else if (kind < 92) {
        applies = true;
        apply_version = orders_.one_in(2) ? ++version : 0;
        count = static_cast<std::uint32_t>(orders_.between(1, services_));
      } else {
        request.verb = Verb::down;
        if (kind < 97) request.names.clear();  // the whole project
        request.project = "p";
        request.document.project = "p";
        request.document.path = "/home/p/hearth.toml";
      }
      machine_.time.in(at, [this, request, applies, count, apply_version] {
        if (plan_.faults.orders) send(applies ? apply(count, apply_version) : request);
      });
    }
  }

  // ---- the three acts ----

  void live() {
    schedule_orders();
    schedule_faults();
    schedule_deaths();
    schedule_shortage(scarcity_, &Shortage::resources, &Faults::scarcity, "descriptor, no memory and no PID");
    schedule_shortage(disk_, &Shortage::disk, &Faults::disk, "room on the disk");
    schedule_leaps_and_freezes();
    machine_.run_for(under_faults);
    heal();
    come_to_rest();
    shut_down();
  }

  void heal() {
    machine_.trace.note(machine_.time.now.mono, "nothing fails any more");
    healed_ = true;
    troupe_.heal();
    machine_.crash.disarm();
    machine_.stop_supervisor(0);
    for (const auto& [run, process] : machine_.kernel.processes()) {
      process->script.sick_after = not_at_all;
    }
    // One that got a probe only when it was running has no start clock (health.h, respecify). While nobody is there to
    // see that it runs, an order that gives it one may be on its way.
    for (const SlotState& state : machine_.page().slots) {
      const auto process = machine_.kernel.processes().find(state.run().run);
      if ((state.life.phase == Phase::running || !machine_.alive()) && process != machine_.kernel.processes().end() &&
          process->second->script.ready_after == not_at_all)
        process->second->script.ready_after = 0;
    }
    machine_.kernel.shortage = {};
    machine_.faults = Faults::none();
  }

  void come_to_rest() {
    std::string wrong;
    for (int second = 0; second < 200; second += 5) {
      machine_.run_for(seconds(5));
      wrong = not_at_rest(machine_, checker_, troupe_);
      if (wrong.empty()) return;
    }
    throw Violation{"after 200 s without a fault: " + wrong};
  }

  void shut_down() {
    if (Random(plan_.seed, "shutdown").one_in(2)) {
      Request request;
      request.verb = Verb::shutdown;
      machine_.send(request);
    } else {
      machine_.inputs_port.post_keeper_signal(15);
    }
    for (int second = 0; second < 60 && !machine_.keeper_port.finished; ++second) machine_.run_for(seconds(1));
    if (!machine_.keeper_port.finished) throw Violation{"60 s after the shutdown hearth is still there"};
  }

  const Plan& plan_;
  Troupe troupe_;
  Machine machine_;
  Checker checker_;
  Random crash_, absence_, orders_, clocks_, keeper_, everybody_, state_, scarcity_, disk_, leaps_, freeze_, latency_;
  bool everybody_dies_ = false, state_dies_ = false;  // in this seed
  std::uint32_t services_ = 1;
  const MonoNs end_of_faults_ = after(Trace::origin, under_faults);
  bool healed_ = false;
};

}  // namespace

Outcome simulate(const Plan& plan) {
  return Simulation(plan).run();
}

}  // namespace hearth::sim
