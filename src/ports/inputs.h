// What happened outside, peeked one by one and consumed only after the decision about it is committed.
//
// A turn: peek() gives inputs without removing them; after commit and act, consume() removes exactly those. A
// supervisor that dies in between leaves them to its successor, who sees them again. Therefore every input
// is either level state or an absolute statement, or carries an operation key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "model/request.h"

namespace hearth::ports {

enum class InputKind : std::uint8_t {
  notify,         // one datagram of a run's notify socket
  ready_line,     // a newline on the readiness descriptor of a run
  probe_result,   // not repeated to a successor: tries are forgotten with the supervisor
  request,        // not repeated by us: the client repeats it with its key
  keeper_signal,  // the keeper's counter of `number` went up
  keeper_lost,    // the keeper died
};

struct Input {
  InputKind kind = InputKind::notify;
  RunId run = no_run;             // notify, ready_line
  SlotIndex slot = no_slot;       // notify, ready_line, probe_result
  std::string data;               // notify: the datagram. probe_result: why it is bad or refused, in words
  std::uint32_t descriptors = 0;  // notify: how many came along (kept by the port until consume)
  std::int32_t sender_pid = 0;    // notify: SCM_CREDENTIALS
  std::uint64_t attempt = 0;      // probe_result
  bool live = false;              // probe_result: of the liveness probe
  bool good = false;              // probe_result; and refused: it was answered well, but its memory cannot be seen
  bool refused = false;           // probe_result: it could not be made, which says nothing of the service
  bool memory = false;            // probe_result: what is bad is the memory that the run uses:
  std::uint64_t used_kib = 0;
  int number = 0;  // keeper_signal: signal; its new count:
  std::uint32_t count = 0;
  Request request;          // request
  std::uint64_t token = 0;  // the port's own name for it
};

class Inputs {
 public:
  virtual ~Inputs() = default;
  // At most one datagram per notify socket per call; bounded in number. Clears `inputs` first.
  virtual void peek(std::vector<Input>& inputs) = 0;
  // Parks the descriptors of a notify input under the slot's fd store name; those beyond `most` in the store are
  // refused. Before consume(). Repeating it is harmless.
  virtual void store_descriptors(const Input& input, const std::string& name, std::uint32_t most, bool poll) = 0;
  virtual void remove_descriptors(SlotIndex slot, const std::string& name) = 0;
  // Closes descriptors that came along (BARRIER=1 is answered by that) and removes the input.
  virtual void consume(const Input& input) = 0;
  // Answers a request; only for InputKind::request.
  virtual void answer(const Input& input, const Result<Accepted>& result) = 0;
  // A breadcrumb before an input is handled: 0 clears. discarded(): true when this input killed two
  // supervisors in a row and shall be consumed unhandled.
  virtual void breadcrumb(const Input& input) = 0;
  virtual void clear_breadcrumb() = 0;
  virtual bool poisonous(const Input& input) const = 0;
};

}  // namespace hearth::ports
