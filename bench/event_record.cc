#include "event_record.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sim/page_reader.h"

namespace hearth::bench {
namespace {

constexpr SpanNs crashes_after = milliseconds(500);

sim::Script life(const ServiceSpec& /*spec*/, SlotRole /*role*/, unsigned nth, const std::string& /*label*/) {
  sim::Script script;
  if (nth > 0) return script;
  script.exit_after = crashes_after;
  script.exit_status = 1;
  return script;
}

Request apply(std::vector<std::string> environment) {
  ServiceSpec spec;
  spec.name = "daemon";
  spec.command = {"/usr/bin/daemon", "--foreground"};
  spec.restart = RestartPolicy::always;
  spec.backoff.initial = 0;
  spec.backoff.jitter = 0;
  Request request;
  request.verb = Verb::apply;
  request.document.project = "bench";
  request.document.path = "/srv/bench/hearth.toml";
  request.document.environment = std::move(environment);
  request.document.services = {std::move(spec)};
  return request;
}

}  // namespace

Recording::Recording(std::vector<std::string> environment)
    : machine_(std::make_unique<sim::Machine>(1, sim::Faults::none(), life, false)) {
  machine_->send(apply(std::move(environment)));
  machine_->run_for(crashes_after / 2);
  machine_->watch(this);
  machine_->run_for(crashes_after * 2);
  machine_->watch(nullptr);
}

bool Recording::is_whole() const {
  std::size_t exits = 0, spawns = 0, reaps = 0;
  for (const Turn& turn : turns_) {
    exits += static_cast<std::size_t>(std::ranges::count(turn.events, Happening::exit, &EventRecord::what));
    spawns += turn.spawns.size();
    reaps += turn.reaps.size();
  }
  return exits == 1 && spawns == 1 && reaps == 1;
}

// Called once for each commit, and before what else is told of its turn.
void Recording::committed() {
  const wire::DecisionPage& page = machine_->raw_page();
  const std::uint64_t commit = page.commit.load();
  Turn& turn = turns_.emplace_back();
  for (const wire::HeadCopy& copy : page.head)
    if (copy.stamp == commit) std::memcpy(static_cast<void*>(&turn.head.emplace()), copy.bytes, sizeof *turn.head);
  const std::uint32_t slots = sim::read_page(page).head.slots_used;
  for (std::uint32_t slot = 0; slot < slots; ++slot)
    for (std::size_t i = 0; i < 2; ++i)
      if (const wire::SlotCopy& copy = page.slot[slot][i]; copy.stamp == commit)
        turn.records.push_back(sim::slot_of(copy, page.rest[slot][i]));
}

void Recording::journal_grew(const std::vector<EventRecord>& events) {
  if (!turns_.empty()) turns_.back().events = events;
}

void Recording::spawn_called(const ports::SpawnOrder& order) {
  if (!turns_.empty()) turns_.back().spawns.push_back(order);
}

void Recording::reap_called(EntryIndex entry, RunId run) {
  if (!turns_.empty()) turns_.back().reaps.push_back({entry, 0, run});
}

}  // namespace hearth::bench
