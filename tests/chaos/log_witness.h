// Holds the log of one slot against what its runs say that they have written: each line once, in order, and nothing
// missing but what hearth itself counts.
//
// Fed with the lines of the log as they come, and asked at times when writers pause. Pure, so that its test can feed
// what no log has.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/log_lines.h"
#include "truth.h"

namespace hearth::chaos {

// What may be missing without having been counted.
struct Allowance {
  std::uint64_t batches = 0;             // deaths of all of hearth so far: each may cost one batch of one log
  std::set<std::uint64_t> ended_unseen;  // runs that ended while all of hearth was dead: their end may be missing
};

struct LogVerdict {
  std::vector<std::string> violations;
  std::uint64_t tolerated = 0;  // bytes missing as allowed
  bool complete = false;        // all that was finished is there, or allowed to be missing: nothing more to wait for
};

class LogWitness {
 public:
  explicit LogWitness(std::string slot) : slot_(std::move(slot)) {}

  void take(const support::LogLine& line);
  // Each violation is told once. `last`: what has not come by now is missing. `batches_used` counts over all slots.
  LogVerdict compare(const std::vector<TrueRun>& runs, const Allowance& allowance, bool last,
                     std::uint64_t& batches_used);
  std::uint64_t lines() const { return lines_; }

 private:
  struct Run {
    std::uint64_t next = 0;                       // the first line that has not come
    std::set<std::uint64_t> missing;              // before it
    std::map<std::uint64_t, std::size_t> pieces;  // of lines that are not whole: bytes
  };
  struct Missing {
    std::uint64_t bytes = 0;
    std::uint64_t stretches = 0;
    std::string example;
  };
  void take_piece(const support::LogLine& line);
  void miss(Missing& missing, std::uint64_t& previous, Run& run, std::uint64_t number, std::uint64_t run_number);
  void gather(Run& run, std::uint64_t number, const std::string& line);
  std::string named(std::uint64_t number, std::uint64_t run) const;

  std::string slot_;
  std::map<std::uint64_t, Run> runs_;
  std::vector<support::LogLine> strange_;  // pieces of nobody knows what, until compare()
  std::vector<std::string> violations_;
  std::uint64_t lines_ = 0;
  std::uint64_t torn_ = 0;
  std::uint64_t marked_ = 0;  // bytes that hearth says it has thrown away
  std::uint64_t tolerated_batches_ = 0;
  std::uint64_t told_ = 0;  // bytes that were told to be missing
};

}  // namespace hearth::chaos
