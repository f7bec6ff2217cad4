// What may be called, said and answered, and what must be known after a turn.
#include <algorithm>

#include "health/health.h"
#include "sim/checker.h"

namespace hearth::sim {
namespace {

bool is_up(Verb verb) {
  return verb == Verb::apply || verb == Verb::start || verb == Verb::restart;
}

// Brings replicas of the service, also ones that were on their way out, when others of it are wanted up.
bool scales(const Request& request, const std::string& service) {
  return request.verb == Verb::scale && std::any_of(request.replicas.begin(), request.replicas.end(),
                                                    [&](const auto& each) { return each.first == service; });
}

bool same_store(const std::map<std::string, std::set<std::uint64_t>>& a,
                const std::map<std::string, std::set<std::uint64_t>>& b) {
  const auto covers = [](const auto& one, const auto& other) {
    return std::all_of(one.begin(), one.end(), [&](const auto& each) {
      const auto found = other.find(each.first);
      return each.second.empty() || (found != other.end() && found->second == each.second);
    });
  };
  return covers(a, b) && covers(b, a);
}

}  // namespace

// ---- in the machine ---------------------------------------------------------------------------------

void Checker::cloned(const Process& process) {
  if (!cloned_.insert(process.run).second) fail("run " + std::to_string(process.run) + " is spawned twice");
  for (const auto& [run, other] : m_.kernel.processes())
    if (other->slot == process.slot && other->running() && !other->left_alone)
      fail(process.label + ": runs " + std::to_string(run) + " and " + std::to_string(process.run) + " live at once");
  if (process.role == SlotRole::hook) hook_cloned(process);
}

void Checker::signal_delivered(const Process& process, int signal) {
  if (signal != 9 && process.stop_signals > process.forgotten_signals)
    fail(process.label + " hears its stop signal twice");
}

// ---- what the supervisor calls -----------------------------------------------------------------------

// What the order says of this service: nothing, up, or down.
std::optional<bool> Checker::goal_in(const Request& request, const std::string& project, const std::string& service) {
  switch (request.verb) {
    case Verb::apply: {
      if (request.document.project != project) return std::nullopt;
      const bool there = std::any_of(request.document.services.begin(), request.document.services.end(),
                                     [&](const ServiceSpec& spec) { return spec.name == service; });
      if (there && !request.start) return std::nullopt;
      return there;
    }
    case Verb::start:
    case Verb::stop:
    case Verb::restart:
      if (!request.all && std::count(request.names.begin(), request.names.end(), service) == 0) return std::nullopt;
      return request.verb != Verb::stop;
    case Verb::down:
      if (!request.names.empty() && std::count(request.names.begin(), request.names.end(), service) == 0)
        return std::nullopt;
      if (request.document.project != project) return std::nullopt;
      return false;
    case Verb::shutdown: return false;
    case Verb::scale:
    case Verb::signal:
    case Verb::reload:
    case Verb::upgrade:
    case Verb::leave: break;
  }
  return std::nullopt;
}

bool Checker::somebody_may_want_up(const ports::SpawnOrder& of, OrderId decided) const {
  const std::string& project = of.document->project;
  const std::string& service = of.spec->name;
  OrderId last = 0;
  // A replica that was not there yet goes up when one of the others is to.
  bool known = false, up = false;
  for (const auto& [label, wanted] : noted_goals_) {
    if (!label.starts_with(project + "." + service + ".")) continue;
    known = true;
    up = up || wanted;
  }
  const bool others_up = up;
  if (const auto own = noted_goals_.find(of.label); own != noted_goals_.end()) up = own->second;
  up = up || !known;
  for (const auto& [order, request] : accepted_) {
    std::optional<bool> goal = goal_in(request, project, service);
    const auto also = started_.find(order);
    if (!goal && also != started_.end() && also->second.contains(service)) goal = true;
    const auto ended = stopped_.find(order);
    if (ended != stopped_.end() && !ended->second.contains(service)) goal.reset();
    if (goal) last = order, up = *goal;
    if (others_up && scales(request, service)) up = true;
  }
  // A run that was decided upon before the stop may still be on its way.
  if (up || decided < last) return true;
  // An order whose answer is on its way may have been accepted after that; so may one that was refused and sent again.
  return std::any_of(m_.calls.begin(), m_.calls.end(), [&](const ClientCall& call) {
    const bool may = is_up(call.request.verb) || (others_up && scales(call.request, service));
    return call.sent && !call.forgotten && !orders_.contains(call.request.key) && may;
  });
}

void Checker::spawn_called(const ports::SpawnOrder& order) {
  const RunCell* cell = cell_in_page(order.run, order.entry);
  if (cell == nullptr || !cell->spawn)
    fail("run " + std::to_string(order.run) + " is spawned, and the page does not say so");
  if (order.role != SlotRole::service) return;
  const auto decided = decided_.find(order.run);
  if (decided != decided_.end() && !somebody_may_want_up(order, decided->second))
    fail(order.label + " is started after a deliberate stop");
}

// Unless the supervisor dies before it has decided that.
void Checker::spawn_refused(const ports::SpawnOrder& order) {
  if (order.role == SlotRole::ready_probe && order.slot < view_.slots.size())
    not_looked_at(view_.slots[order.slot].parent);
}

// Who could not look does not hold it against the service: its start clock begins anew.
void Checker::not_looked_at(SlotIndex parent) {
  if (parent >= view_.slots.size()) return;
  Clocks& clocks = clocks_[view_.slots[parent].run().run];
  if (clocks.start != 0) clocks.other_starts.push_back(after(m_.time.now.mono, clocks.start_span));
}

void Checker::signal_called(EntryIndex entry, RunId run, OpId op, int signal) {
  const RunCell* cell = cell_in_page(run, entry);
  if (cell == nullptr || cell->op != op || cell->signal != signal)
    fail("signal " + std::to_string(signal) + " to run " + std::to_string(run) +
         " is sent, and the page does not say so");
}

void Checker::reap_called(EntryIndex entry, RunId run) {
  const RunCell* cell = cell_in_page(run, entry);
  if (cell == nullptr || !cell->reap) fail("run " + std::to_string(run) + " is reaped, and its end is not in the page");
  const Process* process = m_.kernel.process(run);
  if (process != nullptr && process->running()) fail("run " + std::to_string(run) + " is reaped alive");
  if (process != nullptr && !process->output_ended)
    fail("run " + std::to_string(run) + " is reaped, and the logger does not know that it ended");
}

void Checker::end_tree_called(EntryIndex entry, RunId run) {
  const RunCell* cell = cell_in_page(run, entry);
  if (cell == nullptr || !cell->reap)
    fail("the tree of run " + std::to_string(run) + " is killed, and its end is not in the page");
  const Process* process = m_.kernel.process(run);
  if (process != nullptr && process->running())
    fail("the tree of run " + std::to_string(run) + " is killed while its leader lives");
}

void Checker::release_run_called(SlotIndex slot, RunId run) {
  for (EntryIndex entry = slot * 2; entry < slot * 2 + 2; ++entry)
    if (m_.kernel.entry(entry).run == run)
      fail("what run " + std::to_string(run) + " holds is released before it is reaped");
}

void Checker::release_slot_called(SlotIndex slot) {
  if (slot < view_.slots.size() && view_.slots[slot].used)
    fail("sockets and fd store of " + name_of(view_.slots[slot]) + " are released, and the page still has it");
  store_.erase(slot);
}

void Checker::finish_called(bool leave) {
  if (!view_.head.shutting_down) fail("hearth ends, and nobody has ordered it");
  if (leave != view_.head.leaving) fail("hearth ends otherwise than the page says");
  if (!leave && m_.kernel.live_count() > 0) fail("hearth ends while services live");
}

// ---- what services say -------------------------------------------------------------------------------

void Checker::notify_consumed(const Process& process, const Datagram& datagram) {
  const auto message = health::parse_notify(datagram.data.data(), datagram.data.size());
  Process& truth = *m_.kernel.process(process.run);
  const SlotState& state = view_.slots.at(process.slot);
  // What was consumed unhandled (the slot went on to another run, or is gone) is not missed.
  if (!state.used || state.run().run != process.run || !state.life.run_live || state.run().reap) return;
  Clocks& clocks = clocks_[process.run];
  if (state.life.phase != Phase::stopping) {
    if (message.ready && !truth.stopping_heard) truth.ready_heard = true;
    if (message.stopping) truth.stopping_heard = true;
    const MonoNs time = m_.turn_started();
    const SpanNs more = message.extend_timeout_usec >= 0 ? message.extend_timeout_usec * ns_per_us : not_at_all;
    if (message.watchdog && clocks.watchdog != 0) clocks.watchdog = after(time, clocks.watchdog_span);
    if (more != not_at_all && clocks.watchdog != 0 && after(time, more) > clocks.watchdog) {
      clocks.watchdog = after(time, more);
      clocks.watchdog_span = more;
    }
    if (more != not_at_all)
      for (MonoNs& start : clocks.other_starts) start = std::max(start, after(time, more));
    if (more != not_at_all && after(time, more) > clocks.start) {
      clocks.start = after(time, more);
      clocks.start_span = more;
    }
  }
  if (message.has_status) truth.status_heard = message.status;
}

void Checker::descriptor_consumed(SlotIndex slot, const Datagram& datagram) {
  const auto message = health::parse_notify(datagram.data.data(), datagram.data.size());
  if (slot >= view_.slots.size() || !view_.slots[slot].used) return;
  if (message.fdstore && datagram.file != 0) store_[slot][message.fdname].insert(datagram.file);
  if (message.fdstore_remove) store_[slot].erase(message.fdname);
}

void Checker::probe_answered(SlotIndex, RunId run, bool live, bool good) {
  if (good) probed_well_.insert(run);
  if (!live) return;
  if (good)
    probed_ill_.erase(run);
  else
    probed_ill_.insert(run);
}

// ---- absence -----------------------------------------------------------------------------------------

void Checker::absent(MonoNs from, MonoNs) {
  absent_from_ = std::min(absent_from_, from);
}

// Our absence never kills: what ran out meanwhile starts anew, with its whole span, when clocks are looked at again;
// and that is when nothing is left to be read.
void Checker::renew_what_was_missed() {
  if (absent_from_ == never || m_.inputs_port.peeked > 0) return;
  const MonoNs to = m_.turn_started();
  const auto renew = [&](MonoNs& at, SpanNs span) {
    if (at != 0 && at >= absent_from_ && at <= to) at = after(to, span);
  };
  for (auto& [run, clocks] : clocks_) {
    renew(clocks.start, clocks.start_span);
    for (MonoNs& start : clocks.other_starts) renew(start, clocks.start_span);
    renew(clocks.watchdog, clocks.watchdog_span);
  }
  for (auto& [slot, stop] : stops_) renew(stop.grace, stop.span);
  absent_from_ = never;
}

void Checker::before_death() {
  // A commit that was finished before the death holds, also when nothing was done about it.
  committed();
  remember_retries();
}

// ---- after a turn --------------------------------------------------------------------------------------

void Checker::turn_done() {
  renew_what_was_missed();  // also when that changed nothing, and so nothing was committed
  retries_at_death_.clear();
  check_accounted_for();
  for (const auto& [run, process] : m_.kernel.processes()) {
    if (process->life == Life::gone || process->entry == no_entry) continue;
    if (m_.kernel.entry(process->entry).run != run) continue;
    if (cell_in_page(run, process->entry) == nullptr)
      fail(process->label + ": run " + std::to_string(run) + " is in its entry, and the page does not know it");
  }
  for (SlotIndex slot = 0; slot < view_.slots.size(); ++slot) {
    const SlotState& state = view_.slots[slot];
    if (!state.used || state.role != SlotRole::service) continue;
    check_ready_file(state);
    const auto expected = store_.find(slot);
    const auto held = m_.keeper_port.fd_store.find(slot);
    static const std::map<std::string, std::set<std::uint64_t>> empty;
    if (!same_store(expected == store_.end() ? empty : expected->second,
                    held == m_.keeper_port.fd_store.end() ? empty : held->second))
      fail(name_of(state) + ": its fd store is not what it said");
    const Process* process = m_.kernel.process(state.run().run);
    const ServiceSpec* spec = spec_of(state);
    if (process == nullptr || spec == nullptr || !state.life.run_live || state.run().reap) continue;
    // The next one may have been committed already by somebody who died before consuming it.
    const bool ahead =
        !process->socket.empty() && process->socket.front().data == std::string("STATUS=") + state.health.status;
    if (!process->status_heard.empty() && process->status_heard != state.health.status && !ahead)
      fail(name_of(state) + ": STATUS=" + process->status_heard + " of run " + std::to_string(process->run) +
           " is lost, \"" + state.health.status + "\" is told");
    const bool up = state.life.phase == Phase::starting || state.life.phase == Phase::running;
    if (up && !state.health.forks && spec->ready->type == ProbeType::notify && process->ready_heard &&
        !process->stopping_heard && !state.health.ready)
      fail(name_of(state) + ": READY=1 of run " + std::to_string(process->run) + " is lost (" +
           phase_name(state.life.phase) + (state.health.watching ? ", watched)" : ", not watched)"));
  }
}

// ---- clients -------------------------------------------------------------------------------------------

void Checker::answered(const Request& request, const Result<Accepted>& result) {
  if (!result) {
    if (result.error().reason.empty()) fail("an order is refused without a reason");
    if (orders_.contains(request.key)) fail("an order that was taken is refused when it is repeated");
    return;
  }
  if (request.verb == Verb::start || request.verb == Verb::restart)
    for (const SlotIndex slot : result->slots)
      if (slot < view_.slots.size() && view_.slots[slot].used)
        started_[result->order].insert(name_of(view_.slots[slot]));
  if (request.verb == Verb::stop && request.all) {
    std::set<std::string>& stopped = stopped_[result->order];
    for (const SlotIndex slot : result->slots)
      if (slot < view_.slots.size() && view_.slots[slot].used) stopped.insert(name_of(view_.slots[slot]));
  }
  const auto [known, fresh] = orders_.emplace(request.key, result->order);
  if (!fresh && known->second != result->order)
    fail("one key is order " + std::to_string(known->second) + " and order " + std::to_string(result->order));
  if (fresh) {
    for (const auto& [key, order] : orders_)
      if (key != request.key && order == result->order) fail("two keys are order " + std::to_string(order));
    accepted_[result->order] = request;
  }
}

void Checker::journal_grew(const std::vector<EventRecord>& events) {
  for (const EventRecord& event : events) {
    const std::string id = "event " + std::to_string(event.id);
    if (event.id <= last_event_) fail(id + " comes after " + std::to_string(last_event_));
    const EventId missing = event.id - last_event_ - 1;
    if (missing > 0 && !loss_unknown_ && event.what != Happening::loss)
      fail(std::to_string(missing) + " events before " + id + " are missing, and none tells of it");
    const bool begins_anew = event.text.starts_with("events after ") && missing >= ports::ids_left_out;
    if (event.what == Happening::loss && !begins_anew && (event.text[0] < '1' || event.text[0] > '9'))
      fail(id + " does not tell how many are lost: " + event.text);
    loss_unknown_ = false;
    if (event.cause >= event.id) fail(id + " is caused by " + std::to_string(event.cause));
    last_event_ = event.id;
    if (event.what == Happening::loss) told_phases_.clear();
    if (event.what == Happening::removed) told_phases_.erase(event.service);
    if (event.what != Happening::state) continue;
    const auto known = told_phases_.find(event.service);
    if (known != told_phases_.end() && known->second != event.from)
      fail(id + ": " + event.service + " comes from " + event.from + ", and was last told to be " + known->second);
    told_phases_[event.service] = event.to;
  }
}

}  // namespace hearth::sim
