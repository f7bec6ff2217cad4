#include "sim/machine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace hearth::sim {
namespace {

// How late a turn may be before deadlines that ran out meanwhile count as unwatched (supervisor/turn.cc says the
// same; the simulator keeps its own number).
constexpr SpanNs tolerated_lateness = milliseconds(500);

OperationKey key_of(std::uint64_t number) {
  OperationKey key{};
  std::memcpy(key.data(), &number, sizeof number);
  key[15] = 1;
  return key;
}

}  // namespace

Machine::Machine(std::uint64_t seed, const Faults& with, Casting casting, bool keep_trace, const Sabotage* sabotage)
    : faults(with),
      trace(keep_trace),
      kernel(seed, time, trace, faults, std::move(casting)),
      keeper_port(outside(), seed),
      inputs_port(outside(), keeper_port, seed),
      probes_port(outside(), inputs_port, seed),
      store_port(outside(), seed),
      random_(seed, "machine"),
      seed_(seed),
      sabotage_(sabotage),
      page_(nullptr) {
  renew_page();
  kernel.keeper_died = [this] { keeper_is_dead(); };
  kernel.wake = [this] { wake_at_ = std::min(wake_at_, after(time.now.mono, wake_latency())); };
  inputs_port.deliver = [this](const Request& request, const Result<Accepted>& result) {
    for (ClientCall& call : calls) {
      if (call.request.key != request.key) continue;
      call.answered = true;
      if (!call.answer) call.answer = result;
    }
  };
  if (sabotage_ == nullptr) return;
  kernel.strays_are_taken_for_runs = sabotage_->strays_are_taken_for_runs;
  if (sabotage_->keeper) planted_keeper_ = sabotage_->keeper(*this, keeper_port);
  if (sabotage_->inputs) planted_inputs_ = sabotage_->inputs(*this, inputs_port);
  if (sabotage_->store) planted_store_ = sabotage_->store(*this, store_port);
}

Machine::~Machine() {
  supervisor_.reset();
  std::free(page_);
}

bool Machine::step(MonoNs until) {
  MonoNs turn_at = restart_at_;
  if (supervisor_ != nullptr) turn_at = std::max({std::min(due_, wake_at_), stopped_until_, time.now.mono});
  if (keeper_port.finished) turn_at = never;
  const MonoNs event_at = time.next();
  if (std::min(turn_at, event_at) > until) {
    time.advance_to(until);
    return false;
  }
  ++steps;
  if (event_at <= turn_at) {
    time.run_next();
    return true;
  }
  time.advance_to(turn_at);
  turn();
  return true;
}

// Not set to 0 by hand: most of it is never touched.
void Machine::renew_page() {
  std::free(page_);
  page_ = static_cast<wire::DecisionPage*>(std::calloc(1, sizeof(wire::DecisionPage)));
  if (page_ == nullptr) std::abort();
}

void Machine::begin_supervisor() {
  const bool fresh = !supervisor::Supervisor::readable(*page_);
  if (!kernel.keeper_lives()) begin_keeper(fresh);
  // What its predecessor had sent is handled first: it may carry the only copy of something.
  kernel.handle_everything_sent();
  if (sabotage_ != nullptr && sabotage_->before_takeover) sabotage_->before_takeover(*this);
  trace.note(time.now.mono, "a supervisor begins");
  supervisor::Options options;
  options.instance = "sim";
  options.seed = seed_;
  options.pid = 2;
  options.keeper_pid = 1;
  options.keeper_generation = kernel.keeper_generation();
  options.continued_by = kernel.continued_by();
  options.signals = inputs_port.signals();
  options.between_stores = [this] { between_stores(); };
  ports::Keeper& keeper = planted_keeper_ ? *planted_keeper_ : static_cast<ports::Keeper&>(keeper_port);
  ports::Inputs& inputs = planted_inputs_ ? *planted_inputs_ : static_cast<ports::Inputs&>(inputs_port);
  ports::Store& store = planted_store_ ? *planted_store_ : static_cast<ports::Store&>(store_port);
  const ports::Heritage heritage = fresh ? inherit() : ports::Heritage();
  Result<std::unique_ptr<supervisor::Supervisor>> begun =
      supervisor::Supervisor::create({keeper, inputs, probes_port, store}, *page_, options, heritage, time.now);
  if (!begun) throw Crash{"store refused"};
  supervisor_ = std::move(*begun);
  if (fresh) kernel.leave_the_rest_alone();
  if (sabotage_ != nullptr && sabotage_->after_create) sabotage_->after_create(*this);
  due_ = time.now.mono;
  for (ClientCall& call : calls) {
    if (!call.sent || call.answered) continue;
    time.in(random_.between(1'000'000, 50'000'000), [this, &call] {
      if (!call.answered && supervisor_ != nullptr) send_again(call);
    });
  }
}

void Machine::turn() {
  before_turn();
  turn_started_ = time.now.mono;
  inputs_port.peeked = 0;
  commit_before_ = page_->commit.load();
  try {
    if (supervisor_ == nullptr) {
      begin_supervisor();
      was_away_ = true;
    }
    const bool late = due_ != never && time.now.mono > after(due_, tolerated_lateness);
    if (watcher != nullptr && last_turn_ != 0 && (was_away_ || late))
      watcher->absent(was_away_ ? last_turn_ : due_, time.now.mono);
    was_away_ = false;
    wake_at_ = never;
    last_turn_ = time.now.mono;
    due_ = supervisor_->turn(time.now);
    // A turn costs something; two never begin at the same instant.
    if (due_ <= time.now.mono) due_ = time.now.mono + 20'000;
    if (sabotage_ != nullptr && sabotage_->after_turn) sabotage_->after_turn(*this);
    if (watcher != nullptr) watcher->turn_done();
  } catch (const Crash& crash_here) {
    died(crash_here.where, who_dies());
  }
}

void Machine::freeze(SpanNs span, SpanNs apart) {
  const MonoNs until = after(time.now.mono, span);
  trace.note(time.now.mono, "everything is stopped for %ld ms", static_cast<long>(span / ns_per_ms));
  time.hold(until, apart);
  stopped_until_ = std::max(stopped_until_, until);
  restart_at_ = std::max(restart_at_, until);
}

void Machine::kill_supervisor(const std::string& why) {
  if (supervisor_ == nullptr) return;
  commit_before_ = page_->commit.load();
  died(why, Death::supervisor);
}

void Machine::died(const std::string& where, Death death) {
  trace.note(time.now.mono, "the supervisor is killed at: %s", where.c_str());
  ++crashes;
  crash.disarm();
  supervisor_.reset();
  if (sabotage_ != nullptr && sabotage_->died) sabotage_->died(*this, where);
  if (where == "in commit") scribble_on_a_spare_copy();
  if (watcher != nullptr) watcher->before_death();
  kernel.supervisor_died();
  keeper_port.supervisor_died();
  inputs_port.supervisor_died();
  probes_port.supervisor_died();
  store_port.supervisor_died();
  was_away_ = true;
  wake_at_ = never;
  restart_at_ = after(time.now.mono, dead_for());
  if (death != Death::supervisor || !kernel.keeper_lives()) everybody_is_dead(death == Death::everybody_and_state);
}

// Killed in the middle of writing a copy: half of its bytes are new, its stamp is old.
void Machine::scribble_on_a_spare_copy() {
  const std::uint64_t commit = page_->commit.load();
  const PageView view = read_page(*page_);
  if (view.slots.empty()) return;
  wire::SlotCopy(&copies)[2] = page_->slot[random_.below(view.slots.size())];
  const wire::SlotCopy* holds = copy_that_holds(copies, commit);
  for (wire::SlotCopy& copy : copies)
    if (holds != nullptr && &copy != holds && copy.stamp <= commit)
      std::memset(copy.bytes, 0xa5, sizeof copy.bytes / 2);
}

void Machine::between_stores() {
  const bool published = page_->commit.load() != commit_before_;
  if (sabotage_ != nullptr && sabotage_->between_stores) sabotage_->between_stores(*this, published);
  if (published && watcher != nullptr) watcher->committed();
  crash.point(published ? "after commit" : "in commit");
}

ClientCall& Machine::send(Request request) {
  calls.emplace_back();
  ClientCall& call = calls.back();
  request.key = key_of(calls.size());
  call.request = std::move(request);
  call.sent = true;
  trace.note(time.now.mono, "a client sends: %s", words(call.request).c_str());
  if (supervisor_ != nullptr) send_again(call);
  return call;
}

}  // namespace hearth::sim
