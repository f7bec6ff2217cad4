// The API's answers as the client's own data: what of docs/reference/api.md the commands need.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/client.h"

namespace hearth::cli {

struct SlotNews {
  std::string project, name;
  std::uint32_t index = 0;
  std::int64_t replicas = 1;
  std::string outcome;  // of an order: pending, done, failed, superseded; of a status: empty
  std::string state;
  bool ready = false;
  bool has_readiness = false;
  std::int64_t pid = 0;
  std::uint64_t run = 0;
  std::int64_t restarts = 0;
  WallNs ended = 0;        // the last run that did; 0: none
  bool not_begun = false;  // ... it never became its program
  int exit_code = -1;      // of the last run that ended, 128 + N for signal N; -1: none, or nobody knows
  bool want_up = false;
  WallNs since = 0;  // when it came into the state that state_word() says; 0: not told
  std::string reason;
  std::string reason_text;
  std::vector<std::string> tags;
  std::vector<std::string> waits_for;  // full names
  std::string ailing;
  std::string status;
  std::string log_directory;
  std::string log_trouble;  // what is lost of its log, or waits; "" = nothing
  std::string removed;      // why it is forgotten once it is stopped: "it has left the file"; "" = it is not

  bool forgotten = false;  // `down`: hearth knows nothing of it any more

  // The phase, with `running` split by readiness, as in the table of `hearth status`.
  std::string state_word() const;
};

struct OrderNews {
  std::string verb;
  bool settled = false;
  std::string seen;
  std::vector<SlotNews> slots;
  std::uint64_t overtaken = 0;  // slots that a later order has taken over
};

// What an apply means to one service.
struct ChangeNews {
  std::string service;
  std::string measure;  // none, live, scale, restart, start, know, stop
  std::vector<std::string> keys;
  std::int64_t replicas_before = 0, replicas = 0;
  bool at_rest = false;  // no replica of it is to be up: mark_at_rest()
};

struct AcceptedNews {
  std::uint64_t order = 0;
  std::vector<std::string> notes;
  std::size_t slots = 0;          // how many it concerns
  std::vector<SlotNews> removed;  // only their names: what is stopped and forgotten
  std::vector<ChangeNews> changes;
};

struct InstanceNews {
  std::string version;
  std::int64_t supervisor_pid = 0;
  std::int64_t keeper_pid = 0;
  std::int64_t keeper_generation = 0;
  std::int64_t keeper_execs = 0;  // programs that it has executed in its own place
  std::int64_t upgrades = 0;
  std::int64_t returns = 0;  // upgrades that were taken back, and why the last one was
  std::string return_reason;
  std::int64_t logger_pid = 0;  // 0 = it is not there now
  bool logger_awaited = false;  // that of an upgrade has yet to come up, or to be given up
  std::int64_t logger_returns = 0;
  std::string logger_return_reason;
  std::vector<std::int64_t> spawner_pids;
};

// Commands that the supervisor names in its reasons, as this hearth is called (base/placed.h).
void place_commands(std::vector<SlotNews>& slots, std::string_view option);

// Each fails with the server's own Error when the answer is a refusal, and for anything that is not understood.
Result<OrderNews> order_news(const Answer& answer);
Result<AcceptedNews> accepted_news(const Answer& answer);
Result<InstanceNews> instance_news(const Answer& answer);
Result<std::vector<SlotNews>> services_news(const Answer& answer);

// The report of `up` and `down`, for --json: with what was removed, of which the supervisor itself soon knows no more.
std::string with_removed(std::string report, const std::vector<SlotNews>& removed);

// DIR/runs.json (docs/formats/runs.md), as much of it as tells whether a run lives.
struct NotedRun {
  std::string label;
  std::uint64_t run = 0;
  std::int32_t pid = 0;
  std::uint64_t start_ticks = 0;
};
struct NotedRuns {
  std::string boot_id;
  std::uint64_t pid_namespace = 0;
  std::vector<NotedRun> runs;
};
Result<NotedRuns> noted_runs(std::string_view text);
// The same list with nothing in it; the number of the next run stays.
Result<std::string> without_runs(std::string_view text);

// The Error of a refusal (status 400 and above).
Error refusal(const Answer& answer);

// As api/ writes it, for --json.
std::string error_json(const Error& error);

std::string json_text(std::string_view text);                   // with quotes; invalid UTF-8 is replaced
std::string names_json(const std::vector<std::string>& names);  // a list of texts

// Names of slots among others: "stt", "stt.1" where there are several replicas, "blog.stt" where there are several projects.
// Hearth's own runs are none of a project's: "_hearth.upgrade" leaves the names of the others alone.
class Labels {
 public:
  explicit Labels(const std::vector<SlotNews>& slots);  // borrowed
  std::string of(const SlotNews& slot) const;           // one of them

 private:
  bool projects_ = false;
  std::set<std::pair<std::string_view, std::string_view>> replicated_;  // project and name
};

// "project.name.index", which is one slot's alone.
std::string full_name(const SlotNews& slot);

}  // namespace hearth::cli
