// What goes on beside each story, so that hearth is never attacked in peace:
//
//   m, o     live from beginning to end and write lines, stamped and json, with rotation at 4 KiB; with them the story's
//            own writer of a raw log
//   u        writes raw lines, exits with a code of its own and is started again, over and over
//   client   asks status over a connection of its own (clients.h)
//
// Model
// -----
// It has no clock, as what comes by a clock comes now in this step of the story and now in that one, and the points of a
// step are calls that each run of it makes. It is driven by three occasions:
//
//   step    one begins: each writer gets a line to write, the client asks, and in some u writes and exits. They do so while
//           the story's own order is carried out. A step ends when u is back, the lines are in their pipes and the client
//           has its answers, so that what the load costs stands in the step in which it was caused.
//   beat    a service has answered, or an order has settled: one of the writers writes a line or the client asks, in turn.
//   point   the victim stands: u writes and exits, the writers get lines, the client asks. Nobody waits for them: they go
//           on while the victim dies and its successor takes over.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "clients.h"
#include "hub.h"

namespace hearth::kill_anywhere {

class Load {
 public:
  // `counters`: directory in which services count their lines. Hub and circumstances must outlive it. `raw`: the story's
  // writer.
  Load(Hub& hub, std::string counters, const std::string& raw)
      : hub_(hub), counters_(std::move(counters)), writers_{raw, "m", "o"} {}

  // The client asks from now on. `may_break`: whether its connection may just now, asked from its thread.
  void begin(Circumstances& circumstances, std::function<bool()> may_break);
  // Its services have greeted.
  void is_up() { up_ = true; }

  void step(bool with_exit);
  void beat();
  void at_the_point();  // on the tracer's thread

  // What a step still waits for; "" = nothing.
  std::string unfinished() const;

  // The client is not asked any more.
  const Asked& end();

 private:
  void write_to_all(int lines);
  void end_u();

  Hub& hub_;
  std::string counters_;
  std::array<std::string, 3> writers_;
  StatusClient client_;
  std::atomic<bool> up_{false};
  std::uint64_t run_of_u_ = 0;  // that was told to exit by the step at hand
  std::size_t turn_ = 0;
};

}  // namespace hearth::kill_anywhere
