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
            [this](const ServiceSpec& spec, SlotRole role, unsigned nth) { return cast(spec, role, nth); },
            plan.keep_trace, plan.sabotage),
        checker_(machine_),
        crash_(plan.seed, "crash"),
        absence_(plan.seed, "absence"),
        orders_(plan.seed, "orders"),
        clocks_(plan.seed, "clocks"),
        latency_(plan.seed, "wake") {
    machine_.watch(&checker_);
    machine_.before_turn = [this] { before_turn(); };
    machine_.dead_for = [this] { return dead_for(); };
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
    outcome.places = machine_.crash.passed();
    outcome.simulated_s = static_cast<double>(machine_.time.now.mono - Trace::origin) / 1e9;
    outcome.trace = machine_.trace.lines();
    return outcome;
  }

 private:
  static constexpr SpanNs under_faults = seconds(20);

  Script cast(const ServiceSpec& spec, SlotRole role, unsigned nth) {
    bool answers = false;
    if (role != SlotRole::service) {
      for (const auto& [run, process] : machine_.kernel.processes()) {
        if (process->service != spec.name || process->role != SlotRole::service || !process->running()) continue;
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

  // ---- what happens without anybody's wish ----

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

  // ---- what users do ----

  Request apply(std::uint32_t count, std::uint32_t version) {
    Request request;
    request.verb = Verb::apply;
    request.document = troupe_.document("p", "/home/p/hearth.toml", count, version);
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
    for (const auto& [run, process] : machine_.kernel.processes()) process->script.sick_after = not_at_all;
    machine_.faults = Faults{false, false, false, false, false, false, false, false, false, 0};
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
  Random crash_, absence_, orders_, clocks_, latency_;
  std::uint32_t services_ = 1;
  bool healed_ = false;
};

}  // namespace

Outcome simulate(const Plan& plan) {
  return Simulation(plan).run();
}

}  // namespace hearth::sim
