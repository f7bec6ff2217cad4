// A stage for short scenarios: the real supervisor on the simulated machine (tests/sim), where nothing happens by
// chance. Services do what their scripts say, the clock moves when a scenario says so, and the simulator's checker
// watches all the while.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sim/checker.h"
#include "sim/machine.h"

namespace hearth::scenario {

using sim::Script;

// A service that is ready `after` milliseconds and lives until it is told to stop.
Script good(std::int64_t ready_ms = 10);
// One that ends by itself.
Script ends(std::int64_t after_ms, int status);

ServiceSpec service(const std::string& name, ProbeType ready = ProbeType::notify);
// With a command for each of these hooks.
void hooks(ServiceSpec& spec, const std::vector<Hook>& which);
Dependency on(const std::string& name, Condition condition = Condition::ready);
Dependency restarted_with(const std::string& name);

class Stage {
 public:
  // `begun`: a supervisor is there before anything else happens.
  explicit Stage(bool begun = true);

  // The scripts of its runs, in order; the last one is repeated.
  void plays(const std::string& service, std::vector<Script> scripts) { scripts_[service] = std::move(scripts); }
  // The scripts of one of its hooks ("before_start"), likewise; a hook without any succeeds after 1 ms.
  void hook_plays(const std::string& service, const std::string& hook, std::vector<Script> scripts) {
    hooks_[service + "/" + hook] = std::move(scripts);
  }
  void probe_plays(const std::string& service, std::vector<Script> scripts) { probes_[service] = std::move(scripts); }

  // `hearth up` of project p with these services.
  sim::ClientCall& up(std::vector<ServiceSpec> services);
  sim::ClientCall& order(Verb verb, std::vector<std::string> names = {}, bool dependencies = true);
  sim::ClientCall& down();
  // `hearth reload` of the same file.
  sim::ClientCall& reload(std::vector<ServiceSpec> services, bool dry_run = false);
  sim::ClientCall& scale(const std::string& service, std::uint32_t replicas);

  void run_ms(std::int64_t milliseconds);
  // Until `done` holds; fails the test after `limit_ms` of simulated time.
  void run_until(const std::function<bool()>& done, std::int64_t limit_ms = 60'000);
  // kill -9 of the supervisor; its successor begins `dead_ms` later.
  void kill_supervisor(std::int64_t dead_ms);

  SlotStatus status(const std::string& name);  // of replica 0
  SlotStatus status(const std::string& name, std::uint32_t index);
  std::vector<std::uint32_t> replicas_of(const std::string& name);  // their indices
  const SlotState& state(const std::string& name);
  bool is_ready(const std::string& name) { return status(name).ready; }
  const sim::Process& process(const std::string& name);  // of its newest run
  unsigned runs_of(const std::string& name) const;
  // All runs of hooks of a service, in order: "before_start after_stop"
  std::string hooks_of(const std::string& name) const;
  std::string hooks_of(const std::string& name, std::uint32_t index) const;
  unsigned stop_signals_of(const std::string& name) const;
  std::string problems() const { return problems_; }
  std::string trace() const;

  sim::Machine& machine() { return *machine_; }
  MonoNs now() const { return machine_->time.now.mono; }

 private:
  Script cast(const ServiceSpec& spec, SlotRole role, unsigned nth) const;

  std::map<std::string, std::vector<Script>> scripts_, probes_, hooks_;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::Checker> checker_;
  sim::PageView page_;
  std::string problems_;
  SpanNs dead_for_ = milliseconds(5);
};

// A fixture that shows the trace of what went wrong, and fails when the checker has found something.
class Scenario : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(stage.problems(), "");
    if (HasFailure()) std::printf("%s", stage.trace().c_str());
  }
  Stage stage;
};

}  // namespace hearth::scenario
