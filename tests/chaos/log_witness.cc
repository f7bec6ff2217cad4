#include "log_witness.h"

#include <algorithm>
#include <cstdio>

#include "support/lines.h"

namespace hearth::chaos {
namespace {

// What one batch can hold: an in-flight pipe (1 MiB at most), with a cut line at each of its ends.
constexpr std::uint64_t kLargestBatch = (1u << 20) + 2 * 6200;

}  // namespace

std::string LogWitness::named(std::uint64_t number, std::uint64_t run) const {
  return "log of " + slot_ + ": line " + std::to_string(number) + " of run " + std::to_string(run);
}

void LogWitness::take(const support::LogLine& line) {
  marked_ += line.lost;
  if (line.lost != 0) return;
  if (!line.whole) return take_piece(line);
  ++lines_;
  Run& run = runs_[line.run];
  if (line.number < run.next) {
    const bool late = run.missing.erase(line.number) != 0;
    violations_.push_back(named(line.number, line.run) +
                          (late ? " comes after its successor, in " : " stands there twice, in ") + line.where);
    return;
  }
  while (run.next < line.number) run.missing.insert(run.next++);
  run.next = line.number + 1;
}

// The first part of a line names itself. Another part is looked for when it is known where something is missing.
void LogWitness::take_piece(const support::LogLine& line) {
  unsigned long long number = 0;
  unsigned long long run = 0;
  const bool named = std::sscanf(line.text.c_str(), "%8llu r%llu ", &number, &run) == 2;
  if (!named || !support::make_line(number, run).starts_with(line.text)) {
    strange_.push_back(line);
    return;
  }
  Run& its = runs_[run];
  if (number < its.next) {
    violations_.push_back("log of " + slot_ + ": a piece of line " + std::to_string(number) + " of run " +
                          std::to_string(run) + " stands there again, in " + line.where);
    return;
  }
  while (its.next < number) its.missing.insert(its.next++);
  its.next = number + 1;
  its.missing.insert(number);
  its.pieces[number] += line.text.size();
}

void LogWitness::miss(Missing& missing, std::uint64_t& previous, const Run& run, std::uint64_t number,
                      std::uint64_t run_number) {
  const std::string line = support::make_line(number, run_number);
  std::size_t there = run.pieces.contains(number) ? run.pieces.at(number) : 0;
  // The rest of a line that was cut at the end of what is lost.
  std::erase_if(strange_, [&](const support::LogLine& piece) {
    const bool rest = piece.text.size() < line.size() && line.ends_with(piece.text + "\n");
    if (rest) there += piece.text.size() + 1;
    return rest;
  });
  missing.bytes += line.size() - std::min(there, line.size());
  if (number != previous + 1) ++missing.stretches;
  previous = number;
  if (missing.example.empty()) missing.example = named(number, run_number) + " is not there";
}

LogVerdict LogWitness::compare(const std::vector<TrueRun>& runs, const Allowance& allowance, bool last,
                               std::uint64_t& batches_used) {
  LogVerdict verdict;
  verdict.violations.swap(violations_);
  verdict.complete = std::all_of(runs.begin(), runs.end(), [&](const TrueRun& truth) {
    return runs_[truth.run].next >= truth.lines_finished || allowance.ended_unseen.contains(truth.run);
  });
  if (!verdict.complete && !last) return verdict;
  Missing missing;
  for (const TrueRun& truth : runs) {
    const Run& run = runs_[truth.run];
    if (run.next > truth.lines_begun)
      verdict.violations.push_back(named(run.next - 1, truth.run) + " was never written");
    std::uint64_t previous = UINT64_MAX - 1;
    for (const std::uint64_t number : run.missing)
      if (number < truth.lines_finished) miss(missing, previous, run, number, truth.run);
    const bool tail_excused = allowance.ended_unseen.contains(truth.run);
    for (std::uint64_t number = run.next; number < truth.lines_finished && !tail_excused; ++number)
      miss(missing, previous, run, number, truth.run);
  }
  for (const support::LogLine& piece : strange_)
    verdict.violations.push_back("log of " + slot_ + ": in " + piece.where +
                                 " is what was never written: " + support::shown(piece.text));
  strange_.clear();
  const std::uint64_t uncounted = missing.bytes > marked_ ? missing.bytes - marked_ : marked_ - missing.bytes;
  // What was discarded ends where the pipe ended: the line that was cut there may be any part of it.
  if (uncounted <= told_ || (marked_ > 0 && uncounted <= 6200 * missing.stretches)) return verdict;
  const std::uint64_t more = missing.stretches > tolerated_batches_ ? missing.stretches - tolerated_batches_ : 0;
  if (batches_used + more <= allowance.batches && uncounted <= kLargestBatch * (tolerated_batches_ + more)) {
    batches_used += more;
    tolerated_batches_ += more;
    verdict.tolerated = uncounted - told_;
  } else {
    verdict.violations.push_back(missing.example + " (" + std::to_string(missing.bytes) + " bytes missing in " +
                                 std::to_string(missing.stretches) + " stretches, " + std::to_string(marked_) +
                                 " counted by hearth)");
  }
  told_ = uncounted;
  return verdict;
}

}  // namespace hearth::chaos
