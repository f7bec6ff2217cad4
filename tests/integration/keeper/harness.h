// A real keeper in a directory of its own, with this test in the place of supervisor and logger: the programs
// it starts hand their sockets over to us (member.cc).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <gtest/gtest.h>

#include "integration/keeper/plan_builder.h"
#include "integration/keeper/scarce_epoll.h"
#include "wire/keeper_messages.h"
#include "wire/slot_table.h"

namespace hearth::test {

inline constexpr int deadline_ms = 30'000;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  int release();
  void reset();

 private:
  int fd_;
};

struct Message {
  wire::MessageHeader header{};
  std::string records;
  std::vector<Fd> fds;
  template <typename Record>
  Record at(std::size_t index = 0) const {
    Record r;
    std::memcpy(&r, records.data() + index * sizeof r, sizeof r);
    return r;
  }
};

// One of the processes the keeper starts, as the test sees it.
struct Peer {
  char role = 0;
  pid_t pid = 0;
  Fd socket;

  // Nothing when the deadline passes or the keeper has closed its end.
  std::optional<Message> receive(int within_ms = deadline_ms);
  bool has_mail() const;  // a message, or the end
  bool send_bytes(const std::string& bytes, const std::vector<int>& fds = {});
  template <typename Record>
  bool send(wire::MessageType type, const std::vector<Record>& records, const std::vector<int>& fds = {}) {
    const wire::MessageHeader h{type, static_cast<std::uint32_t>(records.size())};
    std::string bytes(reinterpret_cast<const char*>(&h), sizeof h);
    bytes.append(reinterpret_cast<const char*>(records.data()), records.size() * sizeof(Record));
    return send_bytes(bytes, fds);
  }
  bool acknowledge();
};

struct KeeperOptions {
  std::optional<std::uint64_t> nofile;  // hard and soft limit of the keeper
  int refuse_clone3 = 0;                // errno of a filter, as container runtimes have it
  ScarceEpoll* scarce_epoll = nullptr;  // borrowed
  std::string up_within;                // ms; "": what the keeper takes
  std::vector<std::string> more;        // further options; descriptors that they name are the caller's
};

class Instance {
 public:
  explicit Instance(const KeeperOptions& options = {});
  ~Instance();

  pid_t keeper = 0;
  std::string dir;
  Fd control;  // members connect here
  Peer supervisor, logger;
  std::vector<Fd> hello;  // by HelloDescriptor
  wire::HelloRecord hello_record{};
  wire::SlotTable* table = nullptr;
  std::uint32_t spawner_generation[wire::spawner_count] = {};
  Fd spawner[wire::spawner_count];
  std::vector<std::pair<wire::ParkRecord, Fd>> parked;

  // Next member that starts, whichever it is.
  std::optional<Peer> accept(int within_ms = deadline_ms);
  // The next supervisor, or logger; others that come meanwhile are kept.
  void accept_supervisor();
  void accept_logger();
  // Reads hello, spawners and parked up to `ready`, acknowledging.
  void take_over_from_keeper();
  // One message that is not a spawner announcement; those are taken in.
  bool handle_message(int within_ms = deadline_ms);
  void kill_supervisor();  // with SIGKILL; and our copy of its socket

  wire::RunEntry& entry(EntryIndex i) { return table->entry[i]; }
  // Fills the entry and sends the plan. `fds` are those the plan numbers.
  void order(EntryIndex i, RunId run, std::uint32_t rank = 0, std::uint32_t grace_ms = 500);
  bool send_plan(const Plan& plan, const std::vector<int>& fds = {}, std::uint32_t spawner_index = 0);
  void spawn(const Plan& plan, const std::vector<int>& fds = {});
  bool signal(EntryIndex i, RunId run, OpId op, int signal);
  bool reap(EntryIndex i, RunId run);
  // Waits for the doorbell, and looks again now and then: not all that tests wait for rings it.
  bool until(const std::function<bool()>& holds, int within_ms = deadline_ms);
  // After the keeper's death: the supervisor lives (a stand-in does, whose socket we have) and starts another.
  void start_successor_of_keeper(std::uint32_t keeper_generation, const KeeperOptions& options = {});
  // Standard error of keepers and members.
  std::string said();
  // It comes to take no processor time for a fifth of a second: it waits, and spins about nothing.
  bool keeper_rests();
  bool exited(EntryIndex i) { return entry(i).phase.load() == wire::EntryPhase::exited; }

  // The first, unless `more` says otherwise.
  pid_t start_keeper(const std::vector<std::string>& more = {}, const KeeperOptions& options = {});

 private:
  std::vector<Peer> waiting_;
};

Plan service_plan(EntryIndex entry, RunId run, const std::vector<std::string>& arguments);
std::string program(const char* name);
Fd memfd_of(const std::string& bytes);
// Exit status as of waitpid, or nothing when the deadline passes.
std::optional<int> wait_child(pid_t pid, int within_ms = deadline_ms);
// Reads until there are `bytes` bytes or the deadline passes.
std::string read_some(int fd, std::size_t bytes, int within_ms = deadline_ms);
bool alive(pid_t pid);     // not a zombie either
char state_of(pid_t pid);  // as in /proc/PID/stat; 0 = gone
wire::ParkRecord park_record(wire::ParkClass type, std::uint64_t key, const char* name = "");
std::pair<Fd, Fd> make_pipe();

}  // namespace hearth::test
