// Each cell names the places where the transition leads, one letter each:
//   capital   it must be met
//   small     it may be met: it takes more chance than the seeds of one run have. A note below each table says how, and
//             which test makes it happen by hand
//   "."       it changes nothing
//   ""        it can not be met at all
// What is not named is impossible, and fails a run of the simulator as a broken promise does.
#include "sim/coverage.h"

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "model/status.h"

namespace hearth::sim {
namespace {

struct Row {
  const char* what;
  std::vector<const char*> cells;  // by column
};

struct Table {
  const char* name;
  const char* letters;               // of places, by number
  std::vector<std::string> columns;  // where it comes from
  std::vector<Row> rows;             // what happens, by number
};

// ---- lifecycle (src/lifecycle/lifecycle.h) ----------------------------------------------------------
// clang-format off
const Table& lifecycle_table() {
  static const Table table = {
      "lifecycle", "SWTRPBFC",
      {"stopped", "waiting", "starting", "running", "stopping", "backoff", "failed", "completed"},
      {
       //                        stopped waiting starting running  stopping backoff failed completed
       {"order_start",          {"WT", "WT", ".",     ".",     "P",      "WT",  "WT",  "WT"}},
       {"order_stop",           {".",  "SP", "P",     "P",     "P",      "SP",  "SP",  "SP"}},
       {"order_restart",        {"WT", "WT", "P",     "P",     "P",      "wT",  "WT",  "WT"}},
       {"release_stop",         {".",  ".",  ".",     ".",     "P",      ".",   ".",   "."}},
       {"dependencies_met",     {".",  "TB", ".",     ".",     ".",      ".",   "Tb",  "."}},
       {"dependencies_unmet",   {".",  ".",  ".",     ".",     ".",      "W",   "W",   "."}},
       {"dependency_failed",    {".",  "F",  ".",     ".",     ".",      "F",   ".",   "."}},
       {"dependency_restarted", {".",  ".",  "P",     "P",     ".",      ".",   ".",   "."}},
       {"dependency_gone",      {".",  ".",  "P",     "P",     ".",      ".",   ".",   "."}},
       {"spawned",              {".",  ".",  "TR",    ".",     "P",      ".",   ".",   "."}},
       {"spawn_failed",         {".",  ".",  "TWBF",  "twbf",  "SPTWBF", ".",   ".",   "."}},
       {"exited",               {".",  ".",  "TWBFC", "TWBFC", "SPTWBF", ".",   ".",   "."}},
       {"became_ready",         {".",  ".",  "R",     "R",     ".",      ".",   ".",   "."}},
       {"lost_ready",           {".",  ".",  ".",     "R",     ".",      ".",   ".",   "."}},
       {"start_timeout",        {".",  ".",  "P",     ".",     ".",      ".",   ".",   "."}},
       {"unhealthy",            {".",  ".",  "P",     "P",     ".",      ".",   ".",   "."}},
       {"hook_ended",           {".",  "W",  "TWBF",  ".",     "SPTW",   "B",   "F",   "C"}},
       {"time_passed",          {".",  ".",  "T",     "R",     "P",      "TWB", "TWF", "."}},
      }};
  return table;
}

// ---- health (src/health/health.h) -------------------------------------------------------------------
const Table& health_table() {
  static const Table table = {
      "health", "UFSRLE",
      {"unwatched", "forks", "starting", "ready", "lost", "ending"},
      {
       //                      unwatched forks starting ready  lost   ending
       {"watched",             {"FSR", "",   "",   "",   "",   ""}},
       {"adopted",             {"SR",  "",   "R",  "",   "r",  ""}},
       {"main_found",          {".",   "SR", ".",  ".",  ".",  "."}},
       {"unwatched",           {".",   "U",  "U",  "U",  "U",  "U"}},
       {"respecified",         {".",   "F",  "SR", "R",  "Lr", "."}},
       {"READY=1",             {".",   ".",  "SR", ".",  "Lr", "."}},
       {"RELOADING=1",         {".",   ".",  ".",  ".",  ".",  "."}},
       {"STOPPING=1",          {".",   "E",  "E",  "E",  "E",  "."}},
       {"WATCHDOG=1",          {".",   ".",  ".",  ".",  ".",  "."}},
       {"WATCHDOG=trigger",    {".",   "U",  "U",  "U",  "U",  "u"}},
       {"WATCHDOG_USEC=",      {"",    "",   "",   "",   "",   ""}},  // nobody here says it
       {"EXTEND_TIMEOUT_USEC", {".",   ".",  ".",  ".",  ".",  "."}},
       {"newline",             {"",    "",   "",   "",   "",   ""}},  // nor that
       {"good readiness try",  {".",   ".",  "SR", "R",  "LR", "."}},
       {"bad readiness try",   {".",   ".",  "S",  "RL", "L",  "."}},
       {"good liveness try",   {".",   ".",  ".",  "R",  "L",  "."}},
       {"bad liveness try",    {".",   ".",  ".",  "RU", "LU", "."}},
       {"readiness refused",   {".",   ".",  "S",  "R",  "L",  "."}},
       {"liveness refused",    {".",   ".",  ".",  "R",  "l",  "."}},
       {"start clock",         {".",   "U",  "U",  "",   "",   "u"}},
       {"watchdog clock",      {".",   "",   "",   "U",  "u",  "u"}},
       {"readiness limit",     {".",   "",   "S",  "RL", "L",  ""}},
       {"liveness limit",      {".",   "",   "",   "RU", "lU", ""}},
       {"uptime",              {".",   "",   "R",  "",   "r",  ""}},
      }};
  return table;
}

// ---- restart policy (the end of lifecycle.h's prose) -------------------------------------------------
const Table& policy_table() {
  static const Table table = {
      "restart policy", "TWBFLC",
      {"always", "on-failure", "never"},
      {
       //                      always  on-failure never
       {"success",              {"TWBLc", "C",    "C"}},
       {"ordered",              {"",      "",     ""}},
       {"dependency_missing",   {"",      "",     ""}},
       {"dependency_failed",    {"",      "",     ""}},
       {"exited",               {"TWBL",  "TWBL", "F"}},
       {"spawn_failed",         {"TWBL",  "TWBL", "F"}},
       {"start_timeout",        {"TWBL",  "TWBL", "F"}},
       {"watchdog",             {"TWBL",  "TWBL", "F"}},
       {"liveness",             {"TWBl",  "TWBL", "F"}},
       {"crash_loop",           {"",      "",     ""}},
       {"policy",               {"",      "",     ""}},
       {"adopted",              {"",      "",     ""}},
       {"lost",                 {"TWBL",  "TWBL", "F"}},
       {"refused",              {"TWB",   "TWB",  "TWB"}},
       {"shutdown",             {"",      "",     ""}},
       {"dependency_restarted", {"",      "",     ""}},
       {"hook_failed",          {"TWBL",  "TWBL", "F"}},
       {"hook_timeout",         {"TWBL",  "TWBL", "F"}},
       {"memory",               {"TWBl",  "Twbl", "F"}},
      }};
  return table;
}
// clang-format on

// Small letters: two things have to meet in one turn (a dependency goes as its dependent is restarted; it fails for good and
// is back within the time to a retry), or in one run (STOPPING=1 or lost readiness, and a watchdog that bites; a limit of
// memory or a liveness probe, and a crash limit). tests/unit/lifecycle/table_test.cc and tests/unit/health/table_test.cc walk every one of them.

struct Count {
  unsigned met = 0, all = 0, rare = 0, rare_met = 0;
  std::string missing, impossible;
};

std::string place_name(const Table& table, std::size_t place) {
  if (place < table.columns.size() && std::strcmp(table.name, "restart policy") != 0) return table.columns[place];
  static const char* const followed[] = {"starting", "waiting", "backoff", "failed", "failed (crash loop)",
                                         "completed"};
  return followed[place];
}

void count_cell(const Table& table, std::size_t row, std::size_t column, std::uint8_t led_to, Count& count) {
  const std::string cell = table.rows[row].cells[column];
  const std::string from = table.columns[column] + ", " + table.rows[row].what + " -> ";
  for (std::size_t place = 0; table.letters[place] != '\0'; ++place) {
    const bool met = (led_to >> place & 1) != 0;
    const char letter = table.letters[place];
    const bool required = cell.find(letter) != std::string::npos;
    const bool rare = cell.find(static_cast<char>(std::tolower(letter))) != std::string::npos;
    const bool nothing = cell == "." && place == column;
    count.all += required;
    count.met += required && met;
    count.rare += rare;
    count.rare_met += rare && met;
    if (required && !met) count.missing += "  not met: " + from + place_name(table, place) + "\n";
    if (met && !required && !rare && !nothing)
      count.impossible += "  met, and cannot be: " + from + place_name(table, place) + "\n";
  }
}

template <typename LedTo>
Count count_table(const Table& table, LedTo led_to) {
  Count count;
  for (std::size_t row = 0; row < table.rows.size(); ++row)
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      count_cell(table, row, column, led_to(row, column), count);
  return count;
}

std::vector<std::pair<const Table*, Count>> count_all(const Coverage& coverage) {
  static_assert(lifecycle::event_count == 18 && health::happened_count == 24 && lifecycle::cause_count == 19,
                "a row for each");
  const auto of_lifecycle = [&](std::size_t row, std::size_t column) { return coverage.lifecycle.led_to[column][row]; };
  const auto of_health = [&](std::size_t row, std::size_t column) { return coverage.health.led_to[column][row]; };
  const auto of_policy = [&](std::size_t row, std::size_t column) { return coverage.lifecycle.followed[column][row]; };
  return {{&lifecycle_table(), count_table(lifecycle_table(), of_lifecycle)},
          {&health_table(), count_table(health_table(), of_health)},
          {&policy_table(), count_table(policy_table(), of_policy)}};
}

}  // namespace

Coverage coverage_so_far() {
  return {lifecycle::coverage(), health::coverage()};
}

void forget_coverage() {
  lifecycle::coverage() = {};
  health::coverage() = {};
}

bool is_possible(const Coverage& coverage) {
  for (const auto& [table, count] : count_all(coverage))
    if (!count.impossible.empty()) return false;
  return true;
}

bool print_coverage(const Coverage& coverage, bool details) {
  bool complete = true;
  for (const auto& [table, count] : count_all(coverage)) {
    std::printf("%s: %u of %u transitions met", table->name, count.met, count.all);
    if (count.rare > 0) std::printf(", and %u of %u rare ones", count.rare_met, count.rare);
    std::printf("\n%s%s", details ? count.missing.c_str() : "", count.impossible.c_str());
    complete = complete && count.met == count.all;
    if (!count.impossible.empty()) complete = false;
  }
  return complete;
}

}  // namespace hearth::sim
