#include "log_witness.h"

#include <algorithm>
#include <cstdio>

#include "support/lines.h"

namespace hearth::chaos {
namespace {

// What one batch can hold: an in-flight pipe (1 MiB at most), with a cut line at each of its ends.
constexpr std::uint64_t kLongestLine = 6200;
constexpr std::uint64_t kLargestBatch = (1u << 20) + 2 * kLongestLine;

}  // namespace

std::string LogWitness::named(std::uint64_t number, std::uint64_t run) const {
  return "log of " + slot_ + ": line " + std::to_string(number) + " of run " + std::to_string(run);
}

void LogWitness::take(const support::LogLine& line) {
  marked_ += line.lost;
  torn_ += line.torn ? 1 : 0;
  if (line.lost != 0) return;
  // Nobody writes one: a line that was torn before its text, or its line end alone.
  if (line.text.empty() && !line.whole) return;
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

// Where the output of two runs comes at the same time, because a full disk or a stopped logger held up the first one's,
// a line of one is cut by one of the other, and goes on in the next: each piece is a line of the log.
void LogWitness::gather(Run& run, std::uint64_t number, const std::string& line) {
  std::erase_if(strange_, [&](const support::LogLine& piece) {
    const std::size_t at = line.find(piece.text);
    if (at == line.npos || piece.text.empty()) return false;
    // What ends as the line does had its line end, too.
    run.pieces[number] += piece.text.size() + (line.ends_with(piece.text + "\n") ? 1 : 0);
    return true;
  });
}

void LogWitness::miss(Missing& missing, std::uint64_t& previous, Run& run, std::uint64_t number,
                      std::uint64_t run_number) {
  const std::string line = support::make_line(number, run_number);
  gather(run, number, line);
  const std::size_t there = run.pieces.contains(number) ? run.pieces.at(number) : 0;
  if (there == line.size()) return;
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
    Run& run = runs_[truth.run];
    if (run.next > truth.lines_begun)
      verdict.violations.push_back(named(run.next - 1, truth.run) + " was never written");
    std::uint64_t previous = UINT64_MAX - 1;
    for (const std::uint64_t number : run.missing)
      if (number < truth.lines_finished) miss(missing, previous, run, number, truth.run);
    const bool tail_excused = allowance.ended_unseen.contains(truth.run);
    for (std::uint64_t number = run.next; number < truth.lines_finished && !tail_excused; ++number)
      miss(missing, previous, run, number, truth.run);
    for (std::uint64_t number = run.next; number < truth.lines_begun && tail_excused && !strange_.empty(); ++number)
      gather(run, number, support::make_line(number, truth.run));
    // What it had begun when it was killed.
    const std::string begun = support::make_line(truth.lines_finished, truth.run);
    std::erase_if(strange_, [&](const support::LogLine& piece) {
      return truth.lines_begun > truth.lines_finished && begun.starts_with(piece.text);
    });
  }
  const std::uint64_t uncounted = missing.bytes > marked_ ? missing.bytes - marked_ : marked_ - missing.bytes;
  const std::uint64_t more = missing.stretches > tolerated_batches_ ? missing.stretches - tolerated_batches_ : 0;
  // What was discarded ends where the pipe ended: the line that was cut there may be any part of it.
  const std::uint64_t cuts =
      missing.stretches + static_cast<std::uint64_t>(std::count_if(runs.begin(), runs.end(), [](const TrueRun& r) {
        return r.lines_begun > r.lines_finished;
      }));
  const bool more_than_missing = marked_ > missing.bytes && !allowance.ended_unseen.empty();
  const bool all_there = uncounted <= told_ || more_than_missing || (marked_ > 0 && uncounted <= kLongestLine * cuts);
  const bool excused =
      batches_used + more <= allowance.batches && uncounted <= kLargestBatch * (tolerated_batches_ + more);
  if (!last && (!strange_.empty() || !all_there)) {
    verdict.complete = false;  // the rest may be on its way
    return verdict;
  }
  for (const support::LogLine& piece : strange_)
    verdict.violations.push_back("log of " + slot_ + ": in " + piece.where +
                                 " is what was never written: " + support::shown(piece.text));
  strange_.clear();
  // Whoever goes on after the death of everything ends the line and the object.
  if (torn_ > 0)
    verdict.violations.push_back("log of " + slot_ + ": " + std::to_string(torn_) + " objects have no end");
  if (all_there) return verdict;
  if (excused) {
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
