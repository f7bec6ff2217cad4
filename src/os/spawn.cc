// KeeperClient::spawn and what belongs to it. The order of the steps is in keeper_client.h.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <span>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/instance.h"
#include "os/keeper_client.h"
#include "os/listeners.h"
#include "os/privileges.h"
#include "os/sandbox.h"
#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

using ports::SpawnAnswer;
using ports::SpawnOrder;
using ports::SpawnOutcome;
using wire::ParkClass;

wire::LogSink sink_of(std::string_view name) {
  if (name == "stdout") return wire::LogSink::out;
  if (name == "journald") return wire::LogSink::journal;
  return name == "syslog" ? wire::LogSink::syslog : wire::LogSink::none;
}

wire::LogFormat format_of(const std::string& name) {
  if (name == "stamped") return wire::LogFormat::stamped;
  if (name == "json") return wire::LogFormat::json;
  return wire::LogFormat::raw;
}

// The number under which a service says with a newline that it is ready; -1: it does not.
int ready_descriptor(const SpawnOrder& order) {
  const bool asked = order.role == SlotRole::service && order.spec->ready->type == ProbeType::fd;
  return asked ? order.spec->ready->descriptor : -1;
}

// The remedy tells the supervisor whose fault it is: a bad command or setting, what is not there or may not be read stays so;
// everything else (descriptors, memory, disk, a port) may come right.
SpawnAnswer refused(Error error) {
  return {SpawnOutcome::refused, std::move(error)};
}

// An entry that holds the run already cannot be refused any more: it is asked for again, and status says after what.
SpawnAnswer again(const Error& error) {
  return {SpawnOutcome::later,
          {Remedy::try_later, error.operation, error.subject, "another try: " + error.text(), "", error.code}};
}

// Of what hearth makes for itself nothing is the service's fault, whatever the kernel says of it.
std::unexpected<Error> lacking(Error error) {
  error.remedy = Remedy::try_later;
  return failure(std::move(error));
}

}  // namespace

std::string stored_name(const std::string& said) {
  const bool valid = !said.empty() && said.size() <= wire::park_name_max &&
                     std::all_of(said.begin(), said.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
  return valid ? said : "stored";
}

SpawnAnswer KeeperClient::spawn(const SpawnOrder& order) {
  const wire::RunEntry& entry = link_.table().entry[order.entry];
  const RunId held = entry.run.load(std::memory_order_acquire);
  if (held != no_run && held != order.run) return {SpawnOutcome::later, {}};
  const bool ordered = held == order.run;
  if (ordered && (entry.claim.load() != 0 || entry.pid.load() != 0 || entry.fail_stage.load() != 0))
    return {SpawnOutcome::sent, {}};
  prune_outstanding();
  if (is_outstanding(order.entry, order.run)) return {SpawnOutcome::sent, {}};
  if (outstanding_.size() >= window_max || spawner_at_work() == nullptr) return {SpawnOutcome::full, {}};
  std::erase_if(released_, [&](const Released& released) { return released.run == order.run; });

  std::optional<Result<Prepared>> prepared = prepare_run(order);
  if (!prepared)
    return {SpawnOutcome::later, {Remedy::try_later, "start", order.label, preparations_.waits_for(), "", 0}};
  if (!*prepared) {
    forget_preparation(order.run);
    return ordered ? again(prepared->error()) : refused(prepared->error());
  }
  Made made;
  made.ruleset = (*prepared)->ruleset;
  Result<bool> ready = make_run(order, made);
  Result<std::string> plan;
  if (ready && *ready) {
    plan = build_plan(order,
                      PlanContext{.instance_directory = options_.directory,
                                  .notify_path = order.notify ? options_.directory + "/" + notify_name(order.run) : "",
                                  .passed = passed_names(order),
                                  .own = std::move((*prepared)->variables),
                                  .ready_descriptor = ready_descriptor(order),
                                  .leaf = static_cast<bool>(made.leaf),
                                  .ruleset = made.ruleset != nullptr,
                                  .nofile = options_.nofile,
                                  .mark = made.leaf ? 0 : sweep_mark(options_.directory, order.label)});
    if (!plan) ready = failure(plan.error());
  }
  if (!ready) {
    if (ordered) return again(ready.error());
    undo(order, made);
    return refused(ready.error());
  }
  if (!*ready || !park_made(order, made)) return {SpawnOutcome::later, {}};
  preparations_.forget(order.run);
  port_looks_.forget(order.run);
  crash_point("run made");
  if (!ordered) order_entry(order, 0);
  crash_point("entry ordered");
  Result<bool> sent = send_plan(order, *plan, made);
  if (!sent) return again(sent.error());
  // No room in the spawner's socket: there is none for others either, and what they need must not be made in vain.
  return {*sent ? SpawnOutcome::sent : SpawnOutcome::full, {}};
}

Result<bool> KeeperClient::make_run(const SpawnOrder& order, Made& made) {
  if (const Status room = keeper_can_hold(order); !room) return lacking(room.error());
  if (Result<bool> free = look_at_ports(order); !free || !*free) return free;
  Result<bool> listening = make_listeners(order);
  if (!listening || !*listening) return listening;
  configure_log(order);
  if (const Status fifo = make_fifo(order, made); !fifo) return lacking(fifo.error());
  if (order.notify)
    if (const Status notify = make_notify(order, made); !notify) return lacking(notify.error());
  if (const Status pipe = make_ready_pipe(order, made); !pipe) return lacking(pipe.error());
  if (const Status terminal = make_terminal(order, made); !terminal) return lacking(terminal.error());
  if (cgroups_.usable()) {
    Result<Fd> opened = cgroups_.make_leaf(order.label, order.run);
    if (!opened) return lacking(opened.error());
    made.leaf = std::move(*opened);
    cgroups_.limit(made.leaf, order.spec->process->cgroup, read_mono());
    crash_point("leaf made");
  }
  return true;
}

Status KeeperClient::make_fifo(const SpawnOrder& order, Made& made) {
  if (const Parked* parked = link_.parked().find(ParkClass::output, order.run))
    return parked->slot != no_slot ? Status() : give_fifo(directory(), order.run, owner_of(*order.spec));
  Result<Fifo> fifo = open_fifo(directory(), order.run, owner_of(*order.spec));
  if (!fifo) return failure(fifo.error());
  made.fifo = std::move(fifo->reader);
  return {};
}

Status KeeperClient::make_notify(const SpawnOrder& order, Made& made) {
  if (const Parked* parked = link_.parked().find(ParkClass::notify, order.run))
    return parked->slot != no_slot ? Status() : give_notify(directory(), order.run, owner_of(*order.spec));
  Result<Fd> socket = bind_notify(directory(), options_.directory, order.run, owner_of(*order.spec));
  if (!socket) return failure(socket.error());
  made.notify = std::move(*socket);
  return {};
}

bool KeeperClient::needs_ready_pipe(const SpawnOrder& order) {
  return ready_descriptor(order) >= 0;
}

Status KeeperClient::make_ready_pipe(const SpawnOrder& order, Made& made) {
  if (!needs_ready_pipe(order) || link_.parked().find(ParkClass::probe, order.run) != nullptr) return {};
  Result<Fd> pipe = make_parked_pipe();
  if (!pipe) return failure(pipe.error());
  made.ready = std::move(*pipe);
  return {};
}

KeeperClient::ToPark KeeperClient::to_park(const SpawnOrder& order, Made& made) {
  ToPark all;
  const auto add = [&](ParkClass type, Fd& fd, std::string_view name = {}) {
    if (!fd) return;
    all.records.push_back(park_record(type, type == ParkClass::output ? log_slot(order) : order.slot, order.run, name));
    all.descriptors.push_back(std::move(fd));
  };
  add(ParkClass::output, made.fifo);
  add(ParkClass::notify, made.notify);
  add(ParkClass::probe, made.ready);
  add(ParkClass::probe, made.terminal, terminal_name);
  return all;
}

bool KeeperClient::park_made(const SpawnOrder& order, Made& made) {
  ToPark all = to_park(order, made);
  return link_.park(all.records, all.descriptors);
}

Result<bool> KeeperClient::make_listeners(const SpawnOrder& order) {
  if (order.role != SlotRole::service) return true;
  for (const ListenSocket& socket : order.spec->listen) {
    const Parked* parked = link_.parked().find(ParkClass::listen, order.slot, socket.name);
    if (parked != nullptr && listens_on(parked->fd, socket.address)) continue;
    // Another address under the same name: the old one is closed first, in case both overlap.
    if (parked != nullptr) link_.unpark(ParkClass::listen, order.slot, socket.name);
    Result<Fd> made = listen_on(socket, owner_of(*order.spec));
    if (!made) {
      // Its directory may be somebody else's to make, and come a moment later.
      Error error = made.error();
      if (error.code == ENOENT || error.code == ENOTDIR) error.remedy = Remedy::try_later;
      return failure(std::move(error));
    }
    crash_point("listener bound");
    if (!link_.park(park_record(ParkClass::listen, order.slot, order.slot, socket.name), std::move(*made)))
      return false;
  }
  return true;
}

Status KeeperClient::can_listen(const ListenSocket& socket, const ServiceSpec& spec) {
  for (const Parked& parked : link_.parked().all(ParkClass::listen))
    if (overlaps(parked.fd, socket.address)) return {};
  return could_listen_on(socket, owner_of(spec));
}

// Keeper and spawners have the privileges that we have: one has started the other, and none gives any up.
Status KeeperClient::can_start(const ServiceSpec& spec) {
  const ProcessSettings& process = *spec.process;
  if (const Status held = sandbox_refusal(*process.sandbox, sandbox_support(), spec.name); !held) return held;
  cgroups_.want(process.cgroup, read_mono());  // so that not_held() knows what its runs will have
  if (!process.capabilities && !process.capability_bounding_set) return {};
  const Result<PrivilegePlan> plan = plan_privileges(process, own_privileges(), spec.name);
  return plan ? Status() : failure(plan.error());
}

std::string KeeperClient::not_held(const ServiceSpec& spec) const {
  if (spec.process.is_usual()) return {};
  std::string text = sandbox_missing(*spec.process->sandbox, sandbox_support());
  const std::string limits = cgroups_.missing(spec.process->cgroup);
  return text + (text.empty() || limits.empty() ? "" : "; ") + limits;
}

void KeeperClient::undo(const SpawnOrder& order, const Made& made) {
  if (spare_.run == order.run) drop_spare();
  forget_preparation(order.run);
  if (made.fifo) remove_fifo(directory(), order.run);
  if (made.notify) remove_notify(directory(), order.run);
  if (made.leaf) (void)cgroups_.remove_leaf(order.label, order.run);
}

SlotIndex KeeperClient::log_slot(const SpawnOrder& order) {
  return order.log_slot == no_slot ? order.slot : order.log_slot;
}

// As its order said, when the entry was filled.
SlotIndex KeeperClient::slot_of_output(EntryIndex index) const {
  const std::uint32_t other = link_.table().entry[index].flags >> wire::entry_log_shift;
  return other == 0 ? index / wire::entries_per_slot : other - 1;
}

// Also one whose output goes elsewhere has its name there: sweeps look for it.
void KeeperClient::configure_log(const SpawnOrder& order) {
  configure_stream(order.slot, order, order.label);
  if (log_slot(order) != order.slot) configure_stream(log_slot(order), order, order.log_label);
}

void KeeperClient::configure_stream(SlotIndex slot, const SpawnOrder& order, const std::string& label) const {
  wire::LogStream& stream = link_.logs().stream[slot];
  wire::LogPolicy& policy = link_.logs().policy[slot];
  const LogSpec& log = order.spec->log;
  const Owner owner = owner_of(*order.spec);
  if (label != stream.directory) {
    stream.file.store(0);
    // What the slot's service of before has written is not this one's.
    stream.written.store(0);
    stream.discarded.store(0);
    stream.gaps.store(0);
    policy.sink_dropped.store(0);
    policy.sink_error.store(0);
    std::memset(stream.directory, 0, sizeof stream.directory);
    std::memcpy(stream.directory, label.data(), std::min(label.size(), sizeof stream.directory - 1));
  }
  stream.max_size = log.max_size;
  stream.max_files = std::max<std::uint32_t>(log.max_files, 1);
  stream.format = format_of(log.format);
  stream.full_wait_ns = log.full_wait;
  stream.uid = owner.uid.value_or(UINT32_MAX);
  stream.gid = owner.gid.value_or(UINT32_MAX);
  policy.max_age_ns = log.max_age;
  policy.max_total = log.max_total;
  policy.compress = log.compress ? 1 : 0;
  policy.sink = sink_of(log.sink);
  policy.per_process = log.per_process ? 1 : 0;
}

std::vector<std::string> KeeperClient::passed_names(const SpawnOrder& order) const {
  std::vector<std::string> names;
  if (order.role != SlotRole::service) return names;
  for (const ListenSocket& socket : order.spec->listen) names.push_back(socket.name);
  for (bool poll : {true, false}) {
    auto [first, last] = link_.parked().range(ParkClass::store, store_key(order.slot, poll));
    for (const Parked* parked = first; parked != last; ++parked) names.emplace_back(parked->name());
  }
  return names;
}

std::vector<int> KeeperClient::passed_descriptors(const SpawnOrder& order) const {
  std::vector<int> numbers;
  if (order.role != SlotRole::service) return numbers;
  for (const ListenSocket& socket : order.spec->listen) {
    const int fd = link_.parked().find(ParkClass::listen, order.slot, socket.name)->fd;
    // As sd_listen_fds(3) has it. The run before may have changed that: it is a matter of the socket, not of a descriptor,
    // so this must not be done while another run of the slot lives: it would hang in the accept(2) that it took for harmless.
    if (const int flags = ::fcntl(fd, F_GETFL); (flags & O_NONBLOCK) != 0) ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    numbers.push_back(fd);
  }
  for (bool poll : {true, false}) {
    auto [first, last] = link_.parked().range(ParkClass::store, store_key(order.slot, poll));
    for (const Parked* parked = first; parked != last; ++parked) numbers.push_back(parked->fd);
  }
  return numbers;
}

namespace {

// For a keeper that has to stop everything alone.
void write_stop(wire::RunEntry& entry, const SpawnOrder& order) {
  entry.stop_signal = static_cast<std::uint32_t>(order.spec->stop_signal);
  entry.stop_grace_ms =
      static_cast<std::uint32_t>(std::clamp<SpanNs>(order.spec->stop_timeout / ns_per_ms, 500, 3'600'000));
  entry.stop_rank = order.stop_rank;
}

}  // namespace

void KeeperClient::respecify(const SpawnOrder& order) {
  wire::RunEntry& entry = link_.table().entry[order.entry];
  if (entry.run.load(std::memory_order_acquire) != order.run) return;
  write_stop(entry, order);
  configure_log(order);
}

void KeeperClient::order_entry(const SpawnOrder& order, std::int32_t pid) {
  wire::RunEntry& entry = link_.table().entry[order.entry];
  write_stop(entry, order);
  entry.flags = log_slot(order) == order.slot ? 0 : (log_slot(order) + 1) << wire::entry_log_shift;
  wire::raise_entries_end(link_.table(), order.entry + 1);
  if (pid != 0) entry.pid.store(pid, std::memory_order_relaxed);
  entry.run.store(order.run, std::memory_order_release);
}

Result<bool> KeeperClient::send_plan(const SpawnOrder& order, const std::string& plan, const Made& made) {
  const Parked* output = link_.parked().find(ParkClass::output, order.run);
  if (output == nullptr) return false;
  const bool in_message = plan.size() <= wire::short_plan_max;
  Fd memory;
  if (!in_message) {
    Result<Fd> sealed = make_sealed_memfd("hearth-plan", plan);
    if (!sealed) return failure(sealed.error());
    memory = std::move(*sealed);
  }
  const bool spare = is_spare(order.run);
  Result<Fd> fifo = spare && spare_.output ? Result<Fd>(std::move(spare_.output))
                                           : open_fifo_for_service(directory(), order.run, output->fd);
  if (!fifo) return failure(fifo.error());
  std::vector<int> numbers;
  if (memory) numbers.push_back(memory.get());
  const Result<std::shared_ptr<const Fd>> input = input_of(order);
  if (!input) return failure(input.error());
  numbers.insert(numbers.end(), {(*input)->get(), fifo->get()});
  for (int number : passed_descriptors(order)) numbers.push_back(number);
  Fd ready;
  if (ready_descriptor(order) >= 0) {
    const Parked* pipe = link_.parked().find(ParkClass::probe, order.run);
    if (pipe == nullptr) return false;
    Result<Fd> end = open_pipe_for_service(pipe->fd);
    if (!end) return failure(end.error());
    ready = std::move(*end);
    numbers.push_back(ready.get());
  }
  if (made.leaf) numbers.push_back(made.leaf.get());
  if (made.ruleset != nullptr) {
    allow_open_file(made.ruleset->get(), fifo->get());
    numbers.push_back(made.ruleset->get());
  }
  const wire::RunRecord record{order.entry, 0, order.run};
  while (SpawnerLine* line = spawner_at_work()) {
    const Sent sent =
        in_message ? send_short_plan(line->socket.get(), record, plan, numbers)
                   : send_records<wire::RunRecord>(line->socket.get(), wire::MessageType::plan, {&record, 1}, numbers);
    crash_point("plan sent");
    if (sent == Sent::lost) {
      // Died; its successor is announced by the keeper. Meanwhile the spare one works.
      line->socket.reset();
      continue;
    }
    if (sent == Sent::full) return false;
    outstanding_.push_back({order.entry, order.run, line->generation, read_mono()});
    if (spare && !is_unassigned(order.run)) unassigned_.push_back({order.run, order.entry});
    if (spare_.run == order.run) spare_ = Spare{};
    last_run_ = std::max(last_run_, order.run);
    return true;
  }
  return false;
}

}  // namespace hearth::os
