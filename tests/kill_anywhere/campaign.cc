#include "campaign.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "elf_symbol.h"
#include "failures.h"
#include "os/clock.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {

using namespace support;

namespace {

// Covers all stores of a commit, the copies as well as the number.
constexpr const char* commit_symbol = "_ZN6hearth10supervisor10Supervisor6commitENS_3NowE";

constexpr std::uint64_t every_of_last_instructions = 200;
constexpr std::uint64_t some_of_other_instructions = 20;
constexpr std::uint64_t clean_runs = 8;
// A call that is not there this time is followed by one that can fail as well: fewer need to be alike.
constexpr std::uint64_t clean_runs_for_failures = 3;
// Of a sample a few may be missed by chance.
constexpr double percent_needed_of_all = 98.0, percent_needed_of_sample = 95.0;
// Of one role: what a short life does at its end, as the logger's, is not the same each time.
constexpr double percent_needed_of_role = 80.0;

// "recvmsg 120, epoll_wait 88, ...": what a process that is busier than it should be is busy with.
std::string frequent(const Course& course) {
  std::map<long, std::uint64_t> counts;
  for (const Call& call : course.calls) ++counts[call.kind];
  std::vector<std::pair<std::uint64_t, long>> order;
  for (const auto& [call, count] : counts) order.emplace_back(count, call);
  std::sort(order.rbegin(), order.rend());
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, order.size()); ++i)
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", call_name(order[i].second), order[i].first);
  return text;
}

// By its name, as one time there is a point more and another time one fewer: FNV-1a.
std::uint64_t part_of(const Point& point, std::uint64_t parts) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text_of(point)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return (hash >> 32) % parts;
}

std::size_t fewest(const std::vector<std::vector<Call>>& runs) {
  std::size_t least = SIZE_MAX;
  for (const std::vector<Call>& run : runs) least = std::min(least, run.size());
  return least;
}

class Campaign {
 public:
  explicit Campaign(CampaignOptions options) : options_(std::move(options)) {}

  int run() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hearth-ka-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return fail("cannot make a directory for the runs");
    root_ = pattern;
    // Services of another user must be able to reach their sockets.
    chmod(root_.c_str(), 0711);
    become_reaper();
    const std::string supervisor =
        options_.supervisor.empty() ? options_.programs + "/hearth-supervisor" : options_.supervisor;
    commit_offset_ = symbol_offset(supervisor, commit_symbol);
    const bool others = options_.story == Story::upgrade || options_.story == Story::keeper;
    if (others && !copy_programs()) return fail("cannot copy hearth's programs");
    const int status = options_.only ? repeat() : everything();
    if (kept_ == 0 && !options_.keep) std::filesystem::remove_all(root_);
    return status;
  }

 private:
  int fail(const std::string& why) {
    std::fprintf(stderr, "hearth-kill-anywhere: %s\n", why.c_str());
    return 2;
  }

  // The same bytes in other files: another version, for all that can be seen.
  bool copy_programs() {
    namespace fs = std::filesystem;
    options_.next = root_ + "/next";
    std::error_code error;
    fs::create_directory(options_.next, error);
    for (const char* name : {"hearth-keeper", "hearth-supervisor", "hearth-logger"}) {
      const std::string path = options_.next + "/" + name;
      const bool planted = name == std::string_view("hearth-keeper") && !options_.next_keeper.empty();
      if (!error) fs::copy_file(planted ? options_.next_keeper : options_.programs + "/" + name, path, error);
      if (!error) fs::permissions(path, fs::perms(0755), error);
    }
    return !error;
  }

  void say(const std::string& text) {
    std::fputs(text.c_str(), options_.json ? stderr : stdout);
    std::fflush(options_.json ? stderr : stdout);
  }

  void complain(const RunResult& result, const std::string& what, const std::string& directory) {
    say(what + "\n");
    for (const std::string& violation : result.verdict.violations) say("    " + violation.substr(0, 4000) + "\n");
    if (!result.report.trail.empty()) say("    calls before: " + result.report.trail + "\n");
    say("    files: " + directory + "\n");
  }

  int repeat() {
    if (options_.only->commit != 0 && commit_offset_ == 0) return fail("the supervisor has no symbol for its commit");
    Planned planned;
    planned.point = *options_.only;
    bool good = false;
    run_points(options_, root_, commit_offset_, {planned}, [&](const Outcome& outcome) {
      const RunResult& result = outcome.result;
      good = result.report.reached && result.verdict.violations.empty();
      say(fmt::format("{}: {}, {:.0f} ms\n", text_of(*options_.only),
                      result.report.reached ? "reached, at " + call_name(result.report.call_number) : "not reached",
                      1000 * result.seconds));
      for (const std::string& text : result.verdict.tolerated) say("    tolerated: " + text + "\n");
      if (!result.verdict.violations.empty()) {
        ++kept_;
        complain(result, "violations:", outcome.directory);
      }
    });
    return good ? 0 : 1;
  }

  // Some clean runs for each process that is there from the start. False: one of them had violations.
  bool learn() {
    for (const std::uint32_t ordinal : ordinals_of(options_.story, options_.role)) {
      Course course;
      course.ordinal = ordinal;
      std::vector<std::vector<Call>> runs;
      std::size_t most = 0;
      double seconds = 0;
      ScenarioOptions run = options_of_runs(options_);
      run.point.ordinal = ordinal;
      run.learn_failures = options_.fail;
      const std::uint64_t count = options_.fail ? clean_runs_for_failures : clean_runs;
      for (std::uint64_t i = 0; i < count; ++i) {
        run.directory = fmt::format("{}/clean{}-{}", root_, ordinal, i);
        mkdir(run.directory.c_str(), 0755);
        RunResult result = isolated_run(run);
        if (!result.verdict.violations.empty()) {
          ++kept_;
          complain(result, fmt::format("a clean run of process {} has violations:", ordinal), run.directory);
          return false;
        }
        for (const std::string& text : result.verdict.tolerated) say("    " + text + "\n");
        if (result.report.calls.empty()) {
          say(fmt::format("process {} was not there\n", ordinal));
          return false;
        }
        course.role = result.report.role;
        most = std::max(most, result.report.calls.size());
        seconds += result.seconds;
        runs.push_back(std::move(result.report.calls));
      }
      course.calls = common_calls(runs);
      // Commits of one story are like those of another.
      const bool with_commits = options_.story == Story::life && options_.also == Scope::target && !options_.fail;
      if (course.role == "supervisor" && options_.role != "supervisor" && commit_offset_ != 0 && with_commits)
        course.commits = commits(run);
      say(fmt::format(
          "clean runs {}: {:<10} {:>5} to {} calls, {:>5} in all of them, {:>3} commits, {:.0f} ms; most: {}\n",
          ordinal, course.role, fewest(runs), most, course.calls.size(), course.commits.size(),
          1000 * seconds / static_cast<double>(count), frequent(course)));
      courses_.push_back(std::move(course));
    }
    return true;
  }

  std::vector<std::uint64_t> commits(ScenarioOptions run) {
    // Stepped through, twice: a commit is as long as the turn has changed slots, and that varies. Then at full
    // speed: the stepped ones are slower, so that turns are shorter and more.
    const std::string directory = run.directory + "-commits";
    run.commit_offset = commit_offset_;
    run.point.commit = UINT64_MAX;  // calls are not stopped at, and no commit is the one
    std::vector<std::uint64_t> lengths[3];
    for (int i = 0; i < 3; ++i) {
      run.directory = directory + std::to_string(i);
      run.count_commits = i < 2;
      run.attack = i == 2;
      mkdir(run.directory.c_str(), 0755);
      lengths[i] = isolated_run(run).report.commits;
    }
    std::vector<std::uint64_t> common;
    // The last tenth may not be there in another run: inputs that come together are one turn.
    for (std::size_t i = 0; i < std::min({lengths[0].size(), lengths[1].size(), lengths[2].size()}) * 9 / 10; ++i)
      common.push_back(std::min(lengths[0][i], lengths[1][i]));
    return common;
  }

  std::vector<Planned> plan() {
    std::vector<Planned> planned;
    const auto add = [&](std::vector<Planned> more) {
      // "supervisor+logger" is a kind of "supervisor".
      const auto role = [&] { return more.front().role.substr(0, more.front().role.find('+')); };
      if (more.empty() || (!options_.role.empty() && options_.role != role())) return;
      planned.insert(planned.end(), more.begin(), more.end());
    };
    for (const Course& course : courses_) {
      if (options_.fail) {
        add(fail_points(course));
        continue;
      }
      add(all_points(course, options_.also));
      if (options_.also == Scope::target) add(all_points(course, Scope::everything));
      add(commit_points(course, every_of_last_instructions, some_of_other_instructions));
    }
    std::erase_if(planned, [&](const Planned& one) {
      return one.at < options_.first_call || one.at > options_.last_call ||
             (one.point.commit == 0 && !is_attacked(options_.story, one.point.phase)) ||
             // There are many, and the exit of a call and the entry of the next are all the same to whom all of hearth is.
             (options_.story == Story::change && one.point.scope == Scope::everything && one.point.after) ||
             part_of(one.point, options_.parts) != options_.part ||
             // The one that dies with it is another one.
             partner(one.point.scope) == one.role.substr(0, one.role.find('+'));
    });
    for (const Planned& one : planned) {
      Row& row = table_[one.role];
      ++row.points;
      row.kinds.try_emplace(one.call_number, 0);
    }
    for (const Course& course : courses_) {
      const std::string pair =
          course.role + (options_.also == Scope::target ? "" : "+" + std::string(partner(options_.also)));
      if (table_.contains(pair)) table_[pair].calls += course.calls.size();
      if (table_.contains("all")) table_["all"].calls += course.calls.size();
    }
    return options_.sample == 0 ? planned : sample(planned, options_.sample, options_.seed);
  }

  void take(const Outcome& outcome) {
    Row& row = table_[outcome.planned.role];
    const RunResult& result = outcome.result;
    ++row.tried;
    ++done_;
    row.seconds += result.seconds;
    if (result.report.reached) {
      ++row.reached;
      ++row.kinds[result.report.call_number];
    }
    for (const std::string& text : result.verdict.tolerated) ++tolerated_[text.substr(0, text.find(':'))];
    if (result.verdict.violations.empty()) return;
    ++row.violations;
    ++kept_;
    complain(result,
             fmt::format("\nVIOLATION at {} of {}, {}. Again: {} --story {} --point {}",
                         call_name(result.report.call_number), outcome.planned.role, text_of(outcome.planned.point),
                         options_.self, name_of(options_.story), text_of(outcome.planned.point)),
             outcome.directory);
  }

  void progress(MonoNs begun) {
    const MonoNs now = os::read_mono();
    if (now < next_progress_ && done_ != total_) return;
    next_progress_ = now + seconds(isatty(STDOUT_FILENO) ? 1 : 15);
    const double spent = static_cast<double>(now - begun) / 1e9;
    const double left = done_ == 0 ? 0 : spent / static_cast<double>(done_) * static_cast<double>(total_ - done_);
    say(fmt::format("{}/{} points, {:.0f} s, {:.0f} s to go, {} with violations\n", done_, total_, spent, left, kept_));
  }

  int everything() {
    if (!learn()) return 1;
    const std::vector<Planned> planned = plan();
    if (planned.empty()) return fail("there is no point for the role \"" + options_.role + "\"");
    total_ = planned.size();
    if (options_.sample != 0) say(fmt::format("{} of the points, seed {}\n", total_, options_.seed));
    if (options_.parts != 1) say(fmt::format("part {} of {}: {} points\n", options_.part + 1, options_.parts, total_));
    const MonoNs begun = os::read_mono();
    run_points(options_, root_, commit_offset_, planned, [&](const Outcome& outcome) {
      take(outcome);
      progress(begun);
    });
    say("\n" + text_of(table_));
    for (const auto& [text, count] : tolerated_) say(fmt::format("tolerated, {} times: {}\n", count, text));
    if (options_.json) std::fputs(json_of(table_).c_str(), stdout);
    std::uint64_t tried = 0, reached = 0, violations = 0;
    for (const auto& [role, row] : table_) tried += row.tried, reached += row.reached, violations += row.violations;
    const double percent = tried == 0 ? 0 : 100.0 * static_cast<double>(reached) / static_cast<double>(tried);
    const double needed = options_.sample == 0 ? percent_needed_of_all : percent_needed_of_sample;
    say(fmt::format("{} of {} points reached ({:.1f} %, {:.0f} % needed), {} with violations, {:.0f} s\n", reached,
                    tried, percent, needed, violations, static_cast<double>(os::read_mono() - begun) / 1e9));
    if (options_.sample != 0) say(fmt::format("seed {}\n", options_.seed));
    bool enough = percent >= needed;
    for (const auto& [role, row] : table_) {
      if (is_reached(row, percent_needed_of_role)) continue;
      enough = false;
      say(fmt::format("too few of {}: {} of {} points reached\n", role, row.reached, row.tried));
    }
    return violations == 0 && enough && done_ == total_ ? 0 : 1;
  }

  CampaignOptions options_;
  std::string root_;
  std::uint64_t commit_offset_ = 0;
  std::vector<Course> courses_;
  Table table_;
  std::map<std::string, std::uint64_t> tolerated_;
  std::size_t done_ = 0, total_ = 0;
  std::uint64_t kept_ = 0;
  MonoNs next_progress_ = 0;
};

}  // namespace

int run_campaign(const CampaignOptions& options) {
  return Campaign(options).run();
}

}  // namespace hearth::kill_anywhere
