// Ports that hand everything on: a planted bug changes one call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ports/inputs.h"
#include "ports/keeper.h"
#include "ports/store.h"

namespace hearth::sim {

class KeeperDecorator : public ports::Keeper {
 public:
  explicit KeeperDecorator(ports::Keeper& inner) : inner_(inner) {}
  ports::EntryView entry(EntryIndex entry) const override { return inner_.entry(entry); }
  void take_changed(std::vector<EntryIndex>& entries) override { inner_.take_changed(entries); }
  ports::SpawnAnswer spawn(const ports::SpawnOrder& order) override { return inner_.spawn(order); }
  Status can_listen(const ListenSocket& socket, const ServiceSpec& spec) override {
    return inner_.can_listen(socket, spec);
  }
  Status can_start(const ServiceSpec& spec) override { return inner_.can_start(spec); }
  std::string not_held(const ServiceSpec& spec) const override { return inner_.not_held(spec); }
  std::optional<Status> can_find(const std::vector<ports::SpawnOrder>& orders) override {
    return inner_.can_find(orders);
  }
  bool signal(EntryIndex entry, RunId run, OpId op, int signal) override {
    return inner_.signal(entry, run, op, signal);
  }
  ports::MainAnswer follow(const ports::SpawnOrder& order, const ports::MainWish& wish) override {
    return inner_.follow(order, wish);
  }
  bool end_tree(EntryIndex entry, RunId run, const std::string& label) override {
    return inner_.end_tree(entry, run, label);
  }
  bool sweep_tree(EntryIndex entry, RunId run) override { return inner_.sweep_tree(entry, run); }
  std::string take_leftover(RunId run) override { return inner_.take_leftover(run); }
  bool adopt(const ports::SpawnOrder& order, std::int32_t pid, std::uint64_t start_ticks) override {
    return inner_.adopt(order, pid, start_ticks);
  }
  void take_up(const ports::SpawnOrder& order) override { inner_.take_up(order); }
  std::string keep_open(const ports::SpawnOrder& order, bool its_spec) override {
    return inner_.keep_open(order, its_spec);
  }
  bool reap(EntryIndex entry, RunId run) override { return inner_.reap(entry, run); }
  void release_run(SlotIndex slot, RunId run) override { inner_.release_run(slot, run); }
  void release_slot(SlotIndex slot) override { inner_.release_slot(slot); }
  std::uint64_t start_ticks(EntryIndex entry, std::int32_t pid) override { return inner_.start_ticks(entry, pid); }
  bool is_alive(EntryIndex entry) const override { return inner_.is_alive(entry); }
  bool output_drained(SlotIndex slot, RunId run) override { return inner_.output_drained(slot, run); }
  bool left_behind(RunId run, const std::string& label) const override { return inner_.left_behind(run, label); }
  void output_ended(SlotIndex slot, RunId run) override { inner_.output_ended(slot, run); }
  const char* containment() const override { return inner_.containment(); }
  SpanNs stuck_for(EntryIndex entry, MonoNs now) const override { return inner_.stuck_for(entry, now); }
  void finish(bool leave_running, bool failed) override { inner_.finish(leave_running, failed); }

 protected:
  ports::Keeper& inner_;
};

class InputsDecorator : public ports::Inputs {
 public:
  explicit InputsDecorator(ports::Inputs& inner) : inner_(inner) {}
  void peek(std::vector<ports::Input>& inputs) override { inner_.peek(inputs); }
  void store_descriptors(const ports::Input& input, const std::string& name, std::uint32_t most, bool poll) override {
    inner_.store_descriptors(input, name, most, poll);
  }
  void remove_descriptors(SlotIndex slot, const std::string& name) override { inner_.remove_descriptors(slot, name); }
  void consume(const ports::Input& input) override { inner_.consume(input); }
  void answer(const ports::Input& input, const Result<Accepted>& result) override { inner_.answer(input, result); }
  void breadcrumb(const ports::Input& input) override { inner_.breadcrumb(input); }
  void clear_breadcrumb() override { inner_.clear_breadcrumb(); }
  bool poisonous(const ports::Input& input) const override { return inner_.poisonous(input); }

 protected:
  ports::Inputs& inner_;
};

class StoreDecorator : public ports::Store {
 public:
  explicit StoreDecorator(ports::Store& inner) : inner_(inner) {}
  Status put_document(const Document& document) override { return inner_.put_document(document); }
  Status keep_document(const Document& document) override { return inner_.keep_document(document); }
  void drop_document(std::uint64_t version) override { inner_.drop_document(version); }
  Result<std::vector<Document>> documents(const std::vector<std::uint64_t>& versions) override {
    return inner_.documents(versions);
  }
  Status reserve(std::uint32_t slots) override { return inner_.reserve(slots); }
  void note_runs(const std::vector<ports::SlotNote>& changed, RunId next_run) override {
    inner_.note_runs(changed, next_run);
  }
  void mark(SlotIndex slot, const std::vector<ports::Mark>& marks) override { inner_.mark(slot, marks); }
  bool finish(RunId next_run) override { return inner_.finish(next_run); }
  Result<ports::JournalMark> continue_journal(std::optional<ports::JournalMark> mark) override {
    return inner_.continue_journal(mark);
  }
  Result<std::uint64_t> append_events(const std::vector<EventRecord>& events) override {
    return inner_.append_events(events);
  }
  void events_committed(ports::JournalMark mark) override { inner_.events_committed(mark); }
  ports::EventLines read_events(EventId after, std::size_t most_bytes) const override {
    return inner_.read_events(after, most_bytes);
  }
  std::optional<std::string> trouble() const override { return inner_.trouble(); }

 protected:
  ports::Store& inner_;
};

}  // namespace hearth::sim
