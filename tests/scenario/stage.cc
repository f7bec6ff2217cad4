#include "scenario/stage.h"

#include <algorithm>
#include <functional>

#include "model/hook.h"

namespace hearth::scenario {

Script good(std::int64_t ready_ms) {
  Script script;
  script.ready_after = milliseconds(ready_ms);
  return script;
}

Script ends(std::int64_t after_ms, int status) {
  Script script;
  script.exit_after = milliseconds(after_ms);
  script.exit_status = status;
  return script;
}

ServiceSpec service(const std::string& name, ProbeType ready) {
  ServiceSpec spec;
  spec.name = name;
  spec.command = {"/bin/" + name};
  spec.ready.edit().type = ready;
  spec.ready.edit().command = {"/bin/check"};
  spec.backoff.jitter = 0;
  return spec;
}

void hooks(ServiceSpec& spec, const std::vector<Hook>& which) {
  for (const Hook hook : which) {
    // Which one it is tells the stage whose turn it is (Stage::cast).
    const_cast<Action&>(action_of(spec.actions.edit(), hook)).command = {"/bin/hook", hook_name(hook)};
  }
}

Dependency on(const std::string& name, Condition condition) {
  Dependency dependency;
  dependency.service = name;
  dependency.condition = condition;
  return dependency;
}

Dependency restarted_with(const std::string& name) {
  Dependency dependency = on(name);
  dependency.restart = true;
  return dependency;
}

Stage::Stage(bool begun) {
  machine_ = std::make_unique<sim::Machine>(
      1, sim::Faults::none(),
      [this](const ServiceSpec& spec, SlotRole role, unsigned nth, const std::string&) {
        return cast(spec, role, nth);
      },
      true);
  checker_ = std::make_unique<sim::Checker>(*machine_);
  machine_->watch(checker_.get());
  machine_->dead_for = [this] { return dead_for_; };
  if (begun) run_ms(1);
}

Script Stage::cast(const ServiceSpec& spec, SlotRole role, unsigned nth) const {
  const auto& scripts = role == SlotRole::service ? scripts_ : is_hook(role) ? hooks_ : probes_;
  const auto found = scripts.find(is_hook(role) ? spec.name + "/" + spec.command.back() : spec.name);
  if (found == scripts.end() || found->second.empty()) return role == SlotRole::service ? good() : ends(1, 0);
  return found->second[std::min<std::size_t>(nth, found->second.size() - 1)];
}

sim::ClientCall& Stage::up(std::vector<ServiceSpec> services) {
  Request request;
  request.verb = Verb::apply;
  request.document.project = "p";
  request.document.path = "/home/p/hearth.toml";
  request.document.services = std::move(services);
  return machine_->send(std::move(request));
}

sim::ClientCall& Stage::order(Verb verb, std::vector<std::string> names, bool dependencies) {
  Request request;
  request.verb = verb;
  request.all = names.empty();
  request.dependencies = dependencies;
  request.names = std::move(names);
  return machine_->send(std::move(request));
}

sim::ClientCall& Stage::down() {
  Request request;
  request.verb = Verb::down;
  request.project = request.document.project = "p";
  request.document.path = "/home/p/hearth.toml";
  return machine_->send(std::move(request));
}

sim::ClientCall& Stage::reload(std::vector<ServiceSpec> services, bool dry_run) {
  Request request;
  request.verb = Verb::apply;
  request.document.project = "p";
  request.document.path = "/home/p/hearth.toml";
  request.document.services = std::move(services);
  request.reload = true;
  request.dry_run = dry_run;
  return machine_->send(std::move(request));
}

sim::ClientCall& Stage::scale(const std::string& service, std::uint32_t replicas) {
  Request request;
  request.verb = Verb::scale;
  request.replicas = {{service, replicas}};
  return machine_->send(std::move(request));
}

void Stage::run_ms(std::int64_t span) {
  try {
    machine_->run_for(milliseconds(span));
  } catch (const sim::Violation& violation) {
    problems_ = violation.what;
  }
}

void Stage::run_until(const std::function<bool()>& done, std::int64_t limit_ms) {
  for (std::int64_t spent = 0; spent < limit_ms && problems_.empty(); ++spent) {
    if (done()) return;
    run_ms(1);
  }
  if (problems_.empty()) problems_ = "what was waited for did not happen within " + std::to_string(limit_ms) + " ms";
}

void Stage::kill_supervisor(std::int64_t dead_ms) {
  dead_for_ = milliseconds(dead_ms);
  machine_->kill_supervisor("a scenario's wish");
}

SlotStatus Stage::status(const std::string& name) {
  return status(name, 0);
}

SlotStatus Stage::status(const std::string& name, std::uint32_t index) {
  if (!machine_->alive()) return {};
  for (const SlotStatus& one : machine_->supervisor().status().services)
    if (one.name == name && one.index == index) return one;
  return {};
}

std::vector<std::uint32_t> Stage::replicas_of(const std::string& name) {
  std::vector<std::uint32_t> indices;
  for (const SlotStatus& one : machine_->supervisor().status().services)
    if (one.name == name) indices.push_back(one.index);
  std::sort(indices.begin(), indices.end());
  return indices;
}

const SlotState& Stage::state(const std::string& name) {
  static const SlotState none{};
  page_ = machine_->page();
  for (const SlotState& one : page_.slots)
    if (one.used && one.role == SlotRole::service && checker_->name_of(one) == name) return one;
  return none;
}

const sim::Process& Stage::process(const std::string& name) {
  static const sim::Process none{};
  const sim::Process* newest = &none;
  for (const auto& [run, process] : machine_->kernel.processes())
    if (process->service == name && process->role == SlotRole::service) newest = process.get();
  return *newest;
}

unsigned Stage::runs_of(const std::string& name) const {
  unsigned count = 0;
  for (const auto& [run, process] : machine_->kernel.processes())
    count += process->service == name && process->role == SlotRole::service;
  return count;
}

std::string Stage::hooks_of(const std::string& name) const {
  std::string all;
  for (const auto& [run, process] : machine_->kernel.processes())
    if (process->service == name && is_hook(process->role)) all += (all.empty() ? "" : " ") + process->hook;
  return all;
}

std::string Stage::hooks_of(const std::string& name, std::uint32_t index) const {
  std::string all;
  const std::string replica = "p." + name + "." + std::to_string(index) + ".";
  for (const auto& [run, process] : machine_->kernel.processes())
    if (is_hook(process->role) && process->label.starts_with(replica)) all += (all.empty() ? "" : " ") + process->hook;
  return all;
}

unsigned Stage::stop_signals_of(const std::string& name) const {
  unsigned count = 0;
  for (const auto& [run, process] : machine_->kernel.processes())
    if (process->service == name && process->role == SlotRole::service) count += process->stop_signals;
  return count;
}

std::string Stage::trace() const {
  std::string text;
  for (const std::string& line : machine_->trace.lines()) text += line + "\n";
  return text;
}

}  // namespace hearth::scenario
