// The supervisor's end of the socket to the keeper, and what came over it: the pages, the parked descriptors, the
// sockets to the spawners. KeeperClient (orders), Inbox (inputs) and DocumentShelf (documents) share one.
//
// Waking. All descriptors of services sit in one epoll of our own, which the program's event loop holds as a
// single descriptor (epoll()). It is level-triggered: readable as long as a turn would find something. A timer in
// it (wake_in) brings back what could not be handed over.
//
// A descriptor in the epoll is removed by hand before it is closed: the keeper holds the same open file, so closing
// ours would leave the registration behind.
//
// The keeper's death. The line is *up*, or *lost*, or *handing over* to a new keeper:
//
//   up            -> lost           its end of the socket is closed
//   lost          -> handing over   hand_over_to(): a new keeper was started (keeper_successor.h)
//   handing over  -> up             it has been told everything and says so by announcing a spawner
//                 -> lost           it went away, or time is up: it is killed, and only then its socket is closed, so
//                                   that it can neither be a second keeper nor start a second supervisor
//
// What is told meanwhile waits (signals, reaps), or is kept here and told later (park), since for a time this process
// is the only holder anyway. Supervision goes on with what needs no keeper.
//
// One thread. Nothing here blocks but connect(), and park(), keep() and adopt() where they are asked to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/messages.h"
#include "os/parked.h"
#include "wire/decision_page.h"
#include "wire/log_page.h"
#include "wire/slot_table.h"

namespace hearth::os {

// What an event of the epoll is about: the upper 8 bits of its data; the lower 56 name it.
enum class Watched : std::uint8_t {
  doorbell = 1,  // to_supervisor
  keeper,        // the keeper's socket
  timer,
  notify,      // of a run
  output,      // of a run: all writers have closed
  stored,      // a descriptor number: a stored descriptor has come to its end
  ready_pipe,  // of a run: it has written to its readiness descriptor
};
constexpr std::uint64_t watch_tag(Watched what, std::uint64_t id) {
  return (std::uint64_t(what) << 56) | id;
}
constexpr Watched tag_kind(std::uint64_t tag) {
  return Watched(tag >> 56);
}
constexpr std::uint64_t tag_id(std::uint64_t tag) {
  return tag & ((std::uint64_t{1} << 56) - 1);
}

struct SpawnerLine {
  Fd socket;                     // none: not announced yet, or gone
  std::uint32_t generation = 0;  // 0 = never announced
};

// A keeper that has been started and waits for hello.
struct NewKeeper {
  Fd socket;   // our end
  Fd process;  // pidfd
};

class KeeperLink {
 public:
  // Takes hello, spawners and everything parked; returns after `ready`. Blocks as long as the keeper lives and says nothing
  // (it does until our predecessor has ended), and from its first word on at most `timeout`.
  static Result<std::unique_ptr<KeeperLink>> connect(Fd socket, SpanNs timeout = seconds(30));
  ~KeeperLink();
  KeeperLink(const KeeperLink&) = delete;
  KeeperLink& operator=(const KeeperLink&) = delete;

  wire::SlotTable& table() { return *table_; }
  const wire::SlotTable& table() const { return *table_; }
  wire::DecisionPage& decisions() { return *decisions_; }
  wire::LogPage& logs() { return *logs_; }
  const wire::LogPage& logs() const { return *logs_; }
  const wire::HelloRecord& hello() const { return hello_; }
  int descriptor(wire::HelloDescriptor which) const { return descriptors_[static_cast<std::size_t>(which)].get(); }
  const ParkedTable& parked() const { return parked_; }
  // Whether the keeper can take so many descriptors more. It refuses by counting, when nobody can act on it any more: output
  // that it does not park no logger reads. True also when nobody can tell.
  bool keeper_has_room(std::size_t descriptors) const;
  SpawnerLine& spawner(std::uint32_t index) { return spawners_[index]; }

  // Hands a descriptor to the keeper and keeps it; without a keeper it is kept for the next one. False: the socket
  // is full, and stayed so for `patience`; the descriptor is closed and nothing has changed. The result of put()
  // follows in parked().
  bool park(const wire::ParkRecord& record, Fd fd, SpanNs patience = 0);
  // Several in one message: all or none. As many descriptors as records.
  bool park(std::span<const wire::ParkRecord> records, std::span<Fd> descriptors, SpanNs patience = 0);
  // As park(), but nothing is lost: what the keeper does not take within `patience` goes out with a later flush(). Who
  // is late makes those that come after him not wait.
  void keep(std::span<const wire::ParkRecord> records, std::span<Fd> descriptors, SpanNs patience = seconds(1));
  // What is not output goes out once more with the next flush(): the keeper may have refused it when it had no room, and
  // takes what it has for the same. Output would be read anew by the logger, which counts what is left of it.
  void offer_again();
  // Closes ours at once; the keeper is told with the next flush().
  void unpark(wire::ParkClass type, std::uint64_t key, std::string_view name = {}, std::uint64_t file = 0);
  void signal(const wire::SignalRecord& record) { signals_.push_back(record); }
  void reap(const wire::RunRecord& record) { reaps_.push_back(record); }
  bool has_news() const { return !signals_.empty() || !reaps_.empty(); }
  void replace_spawner(std::uint32_t index, std::uint32_t generation);
  void finish(wire::FinishMode mode, std::uint32_t exit_status);
  // False: without a keeper, or the socket is full, and stayed so for `patience`.
  bool adopt(const wire::RunRecord& record, int pidfd, SpanNs patience = 0);
  // Whom the slot table named as runs and a handover has left alone (run_identity.h), since the last call.
  struct Stranger {
    RunId run;
    std::int32_t pid;
  };
  std::vector<Stranger> take_strangers() { return std::exchange(strangers_, {}); }
  // The same.
  bool follow(const wire::FollowRecord& record, int pidfd);
  // An upgrade: what the keeper is to execute for the next supervisor and, when that is up, for the next logger. False as
  // for follow().
  bool give_programs(int supervisor, int logger);
  // What it is to execute in its own place; SlotTable::keeper_execs and keeper_refusal tell what has become of that.
  bool give_keeper(int program);
  // Its order was refused. The keeper forgets those that it has not started, and its own if that is not executed.
  bool take_back_programs();
  // We have taken over and committed: with the next flush(). And whenever the keeper has asked for it.
  void say_up() { up_wanted_ = true; }
  // The timer of at_work.h, for this keeper and each that comes after it. Borrowed; -1 = there is none.
  void show_work(int timer);
  // The run's process is gone, and nobody saw how: recorded for everybody as a keeper would.
  void record_unseen_end(EntryIndex entry);
  // Sends what has gathered: signals before reaps, because a reap gives the group's id away. False: the rest
  // waits; wake_in() is set.
  bool flush();

  // Takes what the keeper has sent meanwhile: new spawners. Sets lost() at its end.
  void receive();
  bool lost() const { return lost_ && !hand_over_; }
  // Goes on with another keeper: it is given the pages, pidfds of all live runs, and everything parked.
  void hand_over_to(NewKeeper keeper, SpanNs timeout = seconds(10));
  bool handing_over() const { return hand_over_ != nullptr; }
  // While handing_over(): the next step. True: the new keeper has everything; the error: it was given up.
  Result<bool> continue_hand_over();
  // When to call that again if the epoll does not say so earlier.
  MonoNs hand_over_due() const;

  int epoll() const { return epoll_.get(); }
  int socket() const { return socket_.get(); }
  // Again: the later events and tag hold. What the kernel has no room for now is tried again until it is unwatched.
  void watch(int fd, std::uint32_t events, std::uint64_t tag);
  void unwatch(int fd);
  // Makes epoll() readable in `span`, or earlier if that was asked for already.
  void wake_in(SpanNs span);
  void timer_fired();

  // Runs whose last writer has closed, as the epoll told: filled by Inbox, taken by KeeperClient.
  std::vector<RunId>& closed_outputs() { return closed_outputs_; }

  // With the next flush(): once for all whose end was decided in a turn.
  void ring_logger() { logger_wanted_ = true; }

 private:
  KeeperLink() = default;
  Status open_epoll();
  // For those without which nothing would be heard any more, and so nothing tried again.
  Status watch_surely(int fd, std::uint64_t tag);
  Status take_hello(Message& message);
  Result<bool> take(Message& message);  // true: it was `ready`
  void take_parked(Message& message);
  void take_spawner(Message& message);
  void ask_for_spawners();
  void watch_parked(wire::ParkClass type, const Parked& parked);
  template <typename Record>
  bool send_some(wire::MessageType type, std::vector<Record>& records);
  bool wait_for_room(int timeout_ms);
  template <typename Send>
  Sent send_patiently(SpanNs patience, Send send);
  void hold(std::span<const wire::ParkRecord> records, std::span<Fd> descriptors);
  Sent send_park(std::span<const wire::ParkRecord> records, std::span<const int> numbers);
  bool send_late_parks();
  bool send_up();
  bool send_work();

  // keeper_handover.cc. Functions that send say whether all has been sent.
  struct HandOver {
    Fd keeper;  // pidfd
    MonoNs deadline = 0;
    bool greeted = false;                  // hello is sent
    bool handed = false;                   // runs and everything parked, too
    bool confirmed = false;                // it has announced a spawner; `runs` are those found since
    std::vector<wire::RunRecord> runs;     // still to be adopted; each is opened when it is sent
    std::uint32_t type = 1;                // of ParkClass, at work
    std::optional<wire::ParkRecord> last;  // of that class, sent
  };
  enum class Runs { all, unseen };  // unseen: that no keeper watches or has adopted
  std::vector<wire::RunRecord> live_runs(Runs which) const;
  bool hand_over_some();
  static constexpr SpanNs late_wait_first = milliseconds(5), late_wait_most = milliseconds(250);

  bool hand_over_runs();
  bool hand_over_window();
  bool sent_to_new_keeper(Sent sent);
  void give_up_hand_over();

  Fd socket_;
  Fd epoll_;
  Fd timer_;
  MonoNs timer_at_ = 0;
  struct Unwatched {
    int fd = -1;
    std::uint32_t events = 0;
    std::uint64_t tag = 0;
  };
  std::vector<Unwatched> unwatched_;  // the epoll had no room for them (ENOMEM, ENOSPC)
  bool lost_ = false;
  bool logger_wanted_ = false;
  bool up_wanted_ = false;
  int work_timer_ = -1;
  bool work_untold_ = false;
  wire::HelloRecord hello_{};
  Fd descriptors_[static_cast<std::size_t>(wire::HelloDescriptor::count_)];
  Mapping<wire::SlotTable> table_;
  Mapping<wire::DecisionPage> decisions_;
  Mapping<wire::LogPage> logs_;
  ParkedTable parked_;
  SpawnerLine spawners_[wire::spawner_count];
  std::vector<wire::SignalRecord> signals_;
  std::vector<wire::RunRecord> reaps_;
  std::vector<wire::ParkRecord> unparks_;
  std::vector<wire::ParkRecord> late_parks_;  // the last is sent first
  SpanNs late_wait_ = late_wait_first;
  std::unique_ptr<HandOver> hand_over_;
  std::vector<wire::SpawnerRecord> unheard_;  // announced when we had no descriptor left; replaced at unheard_until_
  MonoNs unheard_until_ = 0;
  std::vector<wire::SpawnerRecord> replacements_;
  std::vector<wire::FinishRecord> finishes_;
  std::vector<RunId> closed_outputs_;
  std::vector<Stranger> strangers_;
};

}  // namespace hearth::os
