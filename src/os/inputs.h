// ports::Inputs over Linux: notify datagrams, the keeper's signals, the keeper's death, and what others push
// (probe results, requests).
//
// Each peek of a datagram installs its descriptors anew. They are kept for the turn, closed by consume(), which
// then takes the datagram away without a control buffer. When descriptors run out (EMFILE) the datagram stays where
// it is, its socket is left alone for a while, and nothing is lost. One that a stranger sent (notify_sender.h) is dropped
// at once and told: the first of a run, the tenth, the hundredth.
//
// A pipe has no MSG_PEEK: what is in a readiness pipe is copied by tee(2), without being taken, into a scratch pipe, and
// looked at there. Without a newline it is thrown away; with one it stays for a successor until that is consumed, which
// ends the pipe.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/status.h"
#include "os/keeper_link.h"
#include "os/notify_sender.h"
#include "ports/inputs.h"

namespace hearth::os {

class Inbox final : public ports::Inputs {
 public:
  static constexpr std::size_t inputs_max = 64;      // per peek
  static constexpr std::size_t datagram_max = 8192;  // longer notifications are dropped, as nobody sends any
  static constexpr SpanNs scarce_wait = milliseconds(100);

  using Answer = std::function<void(const ports::Input&, const Result<Accepted>&)>;

  // `link` is borrowed. `answer` gets what answer() is told: the API's business.
  Inbox(KeeperLink& link, Answer answer, NotifySenders senders = NotifySenders());

  // Adds an input of another source; seen by the next peek. Its token is the source's own.
  void push(ports::Input input);
  // Something was pushed or left over: a turn has work even if epoll() is silent.
  bool pending() const { return !pushed_.empty(); }

  void peek(std::vector<ports::Input>& inputs) override;
  void store_descriptors(const ports::Input& input, const std::string& name, std::uint32_t most, bool poll) override;
  void remove_descriptors(SlotIndex slot, const std::string& name) override;
  void consume(const ports::Input& input) override;
  void answer(const ports::Input& input, const Result<Accepted>& result) override;
  void breadcrumb(const ports::Input& input) override;
  void clear_breadcrumb() override;
  bool poisonous(const ports::Input& input) const override;
  // What is worth telling people, since the last call; without times.
  std::vector<Note> take_notes() { return std::exchange(notes_, {}); }

 private:
  struct Peeked {
    std::uint64_t token;
    std::vector<Fd> descriptors;
    bool hold = false;  // its descriptors could not be parked: it stays for another turn
  };

  void peek_signals(std::vector<ports::Input>& inputs);
  void peek_notify(RunId run, std::vector<ports::Input>& inputs);
  bool refuse_stranger(const Parked& parked, RunId run, std::int32_t sender);
  bool have_scratch();
  void peek_ready(RunId run, std::vector<ports::Input>& inputs);
  void leave_alone(int fd, RunId run);
  void look_again();
  void drop_ended(int fd);
  Peeked* peeked(std::uint64_t token);

  KeeperLink& link_;
  Fd scratch_read_, scratch_write_;  // for tee(2); made when they are needed
  Answer answer_;
  NotifySenders senders_;
  std::map<RunId, std::uint64_t> refused_;  // notifications of strangers, of runs that are there
  std::vector<Note> notes_;
  std::deque<ports::Input> pushed_;
  std::vector<Peeked> peeked_;
  std::vector<RunId> left_alone_;
  MonoNs look_again_at_ = 0;
  std::uint32_t handled_[6] = {};
  bool lost_told_ = false;
  std::uint64_t next_token_ = 1;
  std::uint64_t poison_ = 0;  // breadcrumb that killed two in a row
};

// Hash of source and content; never 0. The same input has the same in every supervisor.
std::uint64_t breadcrumb_of(const ports::Input& input);

}  // namespace hearth::os
