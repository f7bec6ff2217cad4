// Where to kill: points, how they are written on the command line, and how they are chosen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::kill_anywhere {

// Who is killed: the process that reached the point, it and another one of hearth, or all of hearth.
enum class Scope : std::uint8_t { target, with_keeper, with_supervisor, with_logger, with_spawner, everything };

// The role that dies together with the target; "" when none does, or all do.
std::string_view partner(Scope scope);
// The other way round.
std::optional<Scope> scope_with(std::string_view role);

inline constexpr long any_kind = -1;

// Steps of the scenario. How many calls a process makes in one varies (how much comes in one turn is a matter of
// time), so that its 400th openat is now here, now there; the third openat of `restart` is there in each run.
enum class Phase : std::uint8_t {
  launch,
  up,
  say,
  exit,
  restart,
  end,
  stop,
  down,
  probes,
  hooks,
  signal,
  live,
  apply,
  backlog,
  upgrade,
  after,
  any
};

struct Point {
  std::uint32_t ordinal = 0;      // which child of the keeper, in the order of their start; 0 = the keeper itself
  Phase phase = Phase::any;       // count only calls in this step of the scenario
  long kind = any_kind;           // count only calls with this system call number
  std::uint64_t call = 0;         // number of the call among those, from 0
  bool after = false;             // at its exit instead of at its entry
  std::uint64_t commit = 0;       // from 1: inside this commit of the supervisor instead; 0 = not
  std::uint64_t instruction = 0;  // after so many instructions of it, or at its end where it has fewer
  Scope scope = Scope::target;
  // Instead of being killed: the call, and `times` - 1 of its kind after it in the same step, fail (failures.h).
  std::uint32_t times = 0;
  int failure = 0;
};

// "2:stop/openat#3:exit", "2:openat#17:entry:all", "1:88:entry:with-keeper"; "commit:12:345"; "1:up/write#2:fail-EIO",
// "1:up/write#2:fail-EIOx10". By phase and kind is how points are chosen.
std::string text_of(const Point& point);
std::optional<Point> parse_point(const std::string& text);

struct Call {
  long kind = any_kind;
  Phase phase = Phase::any;
  bool returned = false;
  std::vector<int> failures;  // how it may fail, where that was asked
};

// What the clean runs showed of one process.
struct Course {
  std::uint32_t ordinal = 0;
  std::string role;
  std::vector<Call> calls;
  std::vector<std::uint64_t> commits;  // instructions of each; only of the supervisor
};

struct Planned {
  Point point;
  std::string role;  // in the table: that of the process, "supervisor+logger", or "all"
  long call_number = -1;
  std::uint64_t at = 0;  // number of the call, or of the commit, in the clean run
};

// The calls of the first run, without those that not every run had: of each kind in each phase as many as the run with
// the fewest. Empty when there is no run.
std::vector<Call> common_calls(const std::vector<std::vector<Call>>& runs);

// Entry and exit of every call, and steps of commits: of the last `every_of_last` instructions of the first commit each, of those
// of the others an eighth, in each commit another one, and of each commit `some_of_rest` of those before.
std::vector<Planned> all_points(const Course& course, Scope scope);
std::vector<Planned> commit_points(const Course& course, std::uint64_t every_of_last, std::uint64_t some_of_rest);

// `count` of `planned` (or a few more), spread evenly over the roles, so that every kind of call of every role is
// hit at entry or exit. The same seed makes the same choice of the same points.
std::vector<Planned> sample(const std::vector<Planned>& planned, std::size_t count, std::uint64_t seed);

// "openat", or "call 437" for one without a known name.
std::string call_name(long number);
// The other way round; -1 for none.
long call_number(std::string_view name);

}  // namespace hearth::kill_anywhere
