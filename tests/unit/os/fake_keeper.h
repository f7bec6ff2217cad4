// A keeper and two spawners without processes: it keeps what is parked over the deaths of supervisors, and its
// spawners claim entries and give them invented PIDs. What it was told is kept for a test to look at.
#pragma once

#include <atomic>
#include <fcntl.h>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/fd.h"
#include "os/instance.h"
#include "os/keeper_client.h"
#include "os/keeper_link.h"
#include "os/messages.h"
#include "os/parked.h"
#include "unit/os/temp_directory.h"

namespace hearth::test {

struct TakenPlan {
  EntryIndex entry;
  RunId run;
  std::string bytes;
  std::vector<os::Fd> descriptors;  // without the plan
};

class FakeKeeper {
 public:
  explicit FakeKeeper(std::uint32_t first_pid = 1u << 22) : next_pid_(static_cast<std::int32_t>(first_pid)) {
    os::HostFacts host = os::host_facts();
    instance_ = os::Instance{"test", directory_ / "i", directory_ / "i/logs"};
    auto opened = os::make_instance(instance_, host);
    EXPECT_TRUE(opened) << opened.error().text();
    at(wire::HelloDescriptor::slot_table) = std::move(*os::make_memfd("t", sizeof(wire::SlotTable)));
    at(wire::HelloDescriptor::decision_page) = std::move(*os::make_memfd("d", sizeof(wire::DecisionPage)));
    at(wire::HelloDescriptor::log_page) = std::move(*os::make_memfd("l", sizeof(wire::LogPage)));
    at(wire::HelloDescriptor::lock) = std::move(*os::make_memfd("k", 0));
    at(wire::HelloDescriptor::directory) = std::move(*opened);
    at(wire::HelloDescriptor::to_supervisor) = std::move(*os::make_eventfd());
    at(wire::HelloDescriptor::to_keeper) = std::move(*os::make_eventfd());
    at(wire::HelloDescriptor::to_logger) = std::move(*os::make_eventfd());
    int ends[2];
    EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    at(wire::HelloDescriptor::log_pipe_read) = os::Fd(ends[0]);
    at(wire::HelloDescriptor::log_pipe_write) = os::Fd(ends[1]);
    at(wire::HelloDescriptor::log_buffer) = std::move(*os::make_memfd("b", 4096));
    table_ = std::move(
        *os::Mapping<wire::SlotTable>::map(at(wire::HelloDescriptor::slot_table).get(), os::Access::write, "t"));
    table_->magic = wire::slot_table_magic;
    table_->version = wire::slot_table_version;
    table_->size = sizeof(wire::SlotTable);
    table_->keeper_generation = 1;
    logs_ =
        std::move(*os::Mapping<wire::LogPage>::map(at(wire::HelloDescriptor::log_page).get(), os::Access::write, "l"));
    wire::log_page_init(*logs_);
    wire::raise_entries_end(*table_, 64);  // tests write entries without a spawner that would claim them
    for (std::uint32_t i = 0; i < wire::spawner_count; ++i) start_spawner(i);
  }

  // The socket of a new supervisor, with everything it needs on its way.
  os::Fd start_supervisor() {
    handle();
    int ends[2];
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    supervisor_ = os::Fd(ends[0]);
    std::vector<int> numbers;
    for (const os::Fd& fd : descriptors_) numbers.push_back(fd.get());
    const wire::HelloRecord hello{wire::message_version, 1, ++generation_, static_cast<std::uint32_t>(parked_.size())};
    send<wire::HelloRecord>(wire::MessageType::hello, {hello}, numbers);
    for (std::uint32_t i = 0; i < wire::spawner_count; ++i) announce_spawner(i);
    for (std::uint32_t type = 1; type <= 7; ++type)
      for (const os::Parked& parked : parked_.all(static_cast<wire::ParkClass>(type)))
        send<wire::ParkRecord>(wire::MessageType::parked, {os::park_record(static_cast<wire::ParkClass>(type), parked)},
                               {parked.fd});
    EXPECT_EQ(os::Sent::yes, os::send_message(supervisor_.get(), wire::MessageType::ready, nullptr, 0, 0));
    return os::Fd(ends[1]);
  }

  std::unique_ptr<os::KeeperLink> connect() {
    auto link = os::KeeperLink::connect(start_supervisor(), seconds(5));
    EXPECT_TRUE(link) << link.error().text();
    return std::move(*link);
  }

  bool has_room = true;  // else it refuses what is parked

  // Handles all that the supervisor has sent.
  void handle() {
    os::Message message;
    while (supervisor_ && os::receive_message(supervisor_.get(), message, 0) == os::Received::message) {
      ++messages_;
      if (message.type == wire::MessageType::park)
        for (std::uint32_t i = 0; i < message.count; ++i)
          if (has_room) parked_.put(*message.record<wire::ParkRecord>(i), std::move(message.descriptors[i]));
      if (message.type == wire::MessageType::unpark)
        for (std::uint32_t i = 0; i < message.count; ++i) {
          const auto* r = message.record<wire::ParkRecord>(i);
          parked_.drop(r->type, r->key, r->name, r->file);
        }
      if (message.type == wire::MessageType::signal)
        for (std::uint32_t i = 0; i < message.count; ++i) take_signal(*message.record<wire::SignalRecord>(i));
      if (message.type == wire::MessageType::reap)
        for (std::uint32_t i = 0; i < message.count; ++i) take_reap(*message.record<wire::RunRecord>(i));
      if (message.type == wire::MessageType::replace_spawner)
        for (std::uint32_t i = 0; i < message.count; ++i) {
          const auto* r = message.record<wire::SpawnerRecord>(i);
          if (r->generation == spawners_[r->index].generation) replace_spawner(r->index);
        }
      if (message.type == wire::MessageType::adopt)
        for (std::uint32_t i = 0; i < message.count; ++i) adopted_.insert(message.record<wire::RunRecord>(i)->run);
      if (message.type == wire::MessageType::up) ++ups_;
      if (message.type == wire::MessageType::program) programs_.push_back(message.count);
      if (message.type == wire::MessageType::finish) finished_ = message.record<wire::FinishRecord>(0)->mode;
    }
  }

  // The spawners take their plans: who claims an entry gives it a PID.
  void spawn_all() {
    for (std::uint32_t i = 0; i < wire::spawner_count; ++i) {
      os::Message message;
      while (os::receive_message(spawners_[i].ours.get(), message, 0) == os::Received::message) {
        const auto* record = message.record<wire::RunRecord>(0);
        wire::RunEntry& entry = table_->entry[record->entry];
        std::uint32_t none = 0;
        if (entry.run != record->run || !entry.claim.compare_exchange_strong(none, spawners_[i].generation)) {
          ++dropped_plans_;
          continue;
        }
        TakenPlan plan{record->entry, record->run, {}, {}};
        std::size_t own = 0;  // descriptors that are the plan's
        if (message.type == wire::MessageType::short_plan) {
          plan.bytes.assign(message.records.begin() + sizeof *record, message.records.end());
        } else {
          own = 1;
          plan.bytes.resize(*os::file_size(message.descriptors[0].get(), "plan"));
          EXPECT_EQ(static_cast<ssize_t>(plan.bytes.size()),
                    ::pread(message.descriptors[0].get(), plan.bytes.data(), plan.bytes.size(), 0));
        }
        for (std::size_t d = own; d < message.descriptors.size(); ++d)
          plan.descriptors.push_back(std::move(message.descriptors[d]));
        entry.pid = next_pid_++;
        entry.phase = wire::EntryPhase::watched;
        tell(record->entry);
        taken_.push_back(std::move(plan));
      }
    }
  }

  // Killed and reaped: its queue is gone, its claims are given back.
  void replace_spawner(std::uint32_t index) {
    const std::uint32_t dead = spawners_[index].generation;
    start_spawner(index);
    for (EntryIndex i = 0; i < 64; ++i) {
      wire::RunEntry& entry = table_->entry[i];
      if (entry.claim == dead && entry.pid == 0) {
        entry.claim = 0;
        tell(i);
      }
    }
    table_->work[index].entry_plus_1 = 0;
    announce_spawner(index);
  }

  void exit_run(EntryIndex index, int code, int status) {
    wire::RunEntry& entry = table_->entry[index];
    entry.wait_code = code;
    entry.wait_status = status;
    entry.exited_at_ns = 1;
    entry.phase = wire::EntryPhase::exited;
    tell(index);
  }

  void tell(EntryIndex entry) {
    wire::mark_changed(table_->changed_for_supervisor, entry);
    os::ring(at(wire::HelloDescriptor::to_supervisor).get());
  }

  void lose() { supervisor_.reset(); }

  // Another keeper in the place of a dead one: it has nothing, and its spawners are not announced yet.
  os::NewKeeper replace(int buffer_bytes = 0) {
    for (std::uint32_t type = 1; type <= 7; ++type)
      while (!parked_.all(static_cast<wire::ParkClass>(type)).empty()) {
        const wire::ParkRecord record =
            os::park_record(static_cast<wire::ParkClass>(type), parked_.all(static_cast<wire::ParkClass>(type))[0]);
        parked_.drop(record.type, record.key, record.name, record.file);
      }
    adopted_.clear();
    for (std::uint32_t i = 0; i < wire::spawner_count; ++i) start_spawner(i);
    int ends[2];
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    if (buffer_bytes != 0) ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    supervisor_ = os::Fd(ends[0]);
    return {os::Fd(ends[1]), os::Fd()};
  }
  void announce_spawners() {
    for (std::uint32_t i = 0; i < wire::spawner_count; ++i) announce_spawner(i);
  }

  wire::SlotTable& table() { return *table_; }
  wire::LogPage& logs() { return *logs_; }
  const os::ParkedTable& parked() const { return parked_; }
  const os::Instance& instance() const { return instance_; }
  std::vector<TakenPlan>& taken() { return taken_; }
  std::uint32_t dropped_plans() const { return dropped_plans_; }
  std::vector<wire::SignalRecord>& signals() { return signals_; }
  std::set<RunId>& reaped() { return reaped_; }
  std::set<RunId>& adopted() { return adopted_; }
  wire::FinishMode finished() const { return finished_; }
  std::uint32_t messages() const { return messages_; }
  std::uint32_t ups() const { return ups_; }
  // Records of each `program` message, none of which is answered.
  const std::vector<std::uint32_t>& programs() const { return programs_; }
  void ask() { EXPECT_EQ(os::Sent::yes, os::send_message(supervisor_.get(), wire::MessageType::ask, nullptr, 0, 0)); }
  std::uint32_t spawner_generation(std::uint32_t index) const { return spawners_[index].generation; }

 private:
  struct Spawner {
    os::Fd ours;
    os::Fd theirs;
    std::uint32_t generation = 0;
  };

  os::Fd& at(wire::HelloDescriptor which) { return descriptors_[static_cast<std::size_t>(which)]; }

  void start_spawner(std::uint32_t index) {
    int ends[2];
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    spawners_[index] = {os::Fd(ends[0]), os::Fd(ends[1]), ++spawner_generations_};
  }

  void announce_spawner(std::uint32_t index) {
    if (!supervisor_) return;
    send<wire::SpawnerRecord>(wire::MessageType::spawner, {{index, spawners_[index].generation}},
                              {spawners_[index].theirs.get()});
  }

  template <typename Record>
  void send(wire::MessageType type, std::vector<Record> records, std::vector<int> numbers) {
    EXPECT_EQ(os::Sent::yes, os::send_records<Record>(supervisor_.get(), type, records, numbers));
  }

  void take_signal(const wire::SignalRecord& record) {
    wire::RunEntry& entry = table_->entry[record.entry];
    if (entry.run != record.run || (record.op <= entry.last_op && record.signal != 9)) return;
    if (record.op > entry.last_op) entry.last_op = record.op;
    signals_.push_back(record);
    tell(record.entry);
  }

  void take_reap(const wire::RunRecord& record) {
    wire::RunEntry& entry = table_->entry[record.entry];
    if (entry.run != record.run) return;
    reaped_.insert(record.run);
    entry.pid = 0;
    entry.phase = wire::EntryPhase::none;
    entry.last_op = 0;
    entry.start_ticks = 0;
    entry.fail_stage = 0;
    entry.run = no_run;
    entry.claim = 0;
    tell(record.entry);
  }

  TempDirectory directory_;
  os::Instance instance_;
  os::Fd descriptors_[static_cast<std::size_t>(wire::HelloDescriptor::count_)];
  os::Mapping<wire::SlotTable> table_;
  os::Mapping<wire::LogPage> logs_;
  os::Fd supervisor_;
  os::ParkedTable parked_;
  Spawner spawners_[wire::spawner_count];
  std::uint32_t spawner_generations_ = 0;
  std::uint32_t generation_ = 0;
  std::int32_t next_pid_;
  std::vector<TakenPlan> taken_;
  std::uint32_t dropped_plans_ = 0;
  std::uint32_t messages_ = 0, ups_ = 0;
  std::vector<std::uint32_t> programs_;
  std::vector<wire::SignalRecord> signals_;
  std::set<RunId> reaped_;
  std::set<RunId> adopted_;
  wire::FinishMode finished_{};
};

// A service that could be started, and the order for it.
struct OrderMaker {
  OrderMaker() {
    document.version = 1;
    document.project = "shop";
    document.environment = {"LANG=C", "PATH=/usr/bin:/bin"};
    ServiceSpec web;
    web.name = "web";
    web.command = {"/bin/sleep", "1000"};
    document.services = {web};
  }
  ServiceSpec& spec() { return document.services[0]; }
  ports::SpawnOrder order(SlotIndex slot, RunId run, std::uint32_t which = 0) {
    ports::SpawnOrder out;
    out.slot = slot;
    out.entry = slot * 2 + which;
    out.run = run;
    out.label = "shop.web." + std::to_string(slot);
    out.document = &document;
    out.spec = &spec();
    out.command = &spec().command;
    out.notify = true;
    return out;
  }
  Document document;
};

}  // namespace hearth::test
