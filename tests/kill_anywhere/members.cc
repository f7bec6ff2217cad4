#include "members.h"

#include <algorithm>
#include <signal.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/wait.h>

#include <boost/json.hpp>

#include "os/fd.h"
#include "views.h"

namespace hearth::kill_anywhere {
namespace {

namespace json = boost::json;

std::int64_t number(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

void add(Deaths& deaths, std::string_view role, std::uint32_t spawners) {
  if (role == "keeper") deaths.keeper = true;
  if (role == "supervisor") ++deaths.supervisors;
  if (role == "logger") ++deaths.loggers;
  if (role == "spawner") deaths.spawners += spawners;
}

}  // namespace

std::string_view role_of(Story story, std::uint32_t ordinal) {
  constexpr std::string_view usual[] = {"keeper", "supervisor", "logger", "spawner", "spawner"};
  if (ordinal < std::size(usual)) return usual[ordinal];
  if (story == Story::upgrade) return ordinal == 5 ? "supervisor" : ordinal == 6 ? "logger" : "";
  if (story == Story::keeper) return ordinal == 5 ? "dry-run" : ordinal <= 7 ? "spawner" : "";
  return "";
}

Deaths deaths_of(Story story, const Point& point, std::string_view role) {
  Deaths deaths;
  deaths.everything = point.scope == Scope::everything;
  add(deaths, role.empty() ? role_of(story, point.ordinal) : role, 1);
  add(deaths, partner(point.scope), wire::spawner_count);  // everybody of that role
  return deaths;
}

Starts allowed_starts(Story story, const Deaths& deaths, std::uint32_t revivals) {
  const bool upgrade = story == Story::upgrade, exec = story == Story::keeper;
  const std::uint32_t programs = upgrade ? 2 : 1, spawners = wire::spawner_count * (exec ? 2 : 1);
  const std::uint32_t before = story == Story::revival ? 1 : 0;  // hearths that the slot table has counted
  if (revivals > 0 || deaths.everything) {
    // While the kills of everything go round, its supervisor may have started another keeper, which nobody kills.
    const std::uint32_t lives = before + 1 + std::max(revivals, 1U);
    return {lives, programs * lives, programs * lives, spawners * lives};
  }
  const std::uint32_t lives = before + 1;
  Starts allowed{lives, programs * lives + deaths.supervisors, programs * lives + deaths.loggers,
                 spawners * lives + deaths.spawners};
  // A successor that does not find the order gives the programs once more when it comes again.
  if (upgrade) allowed.loggers += deaths.supervisors;
  // Nor does one who is told of it before the keeper is seen to be that program: it executes once more (apps/upgrading.h).
  if (exec) allowed.spawners += wire::spawner_count * deaths.supervisors;
  if (deaths.keeper) {
    // The successor's own, and in the story `keeper` those of its exec.
    ++allowed.keepers;
    ++allowed.loggers;
    allowed.spawners += spawners;
  }
  return allowed;
}

bool MemberCounts::look_at(pid_t keeper) {
  const os::Fd fd = open_file_of(keeper, "slot-table");
  if (!fd) return false;
  void* at = mmap(nullptr, sizeof(wire::SlotTable), PROT_READ, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return false;
  table_.reset(static_cast<const wire::SlotTable*>(at),
               [](const wire::SlotTable* table) { munmap(const_cast<wire::SlotTable*>(table), sizeof *table); });
  if (!wire::slot_table_valid(*table_, sizeof(wire::SlotTable))) table_.reset();
  return known();
}

Starts MemberCounts::starts() const {
  Starts starts{table_->keeper_generation, table_->supervisor.generation, table_->logger.generation, 0};
  // They count together.
  for (const wire::Member& spawner : table_->spawner)
    starts.spawners = std::max(starts.spawners, spawner.generation.load());
  return starts;
}

std::vector<NamedEnd> reap_named() {
  std::vector<NamedEnd> ends;
  for (;;) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD) < 0 || info.si_pid == 0) break;
    NamedEnd end;
    end.name = os::read_file("/proc/" + std::to_string(info.si_pid) + "/comm").value_or("");
    if (end.name.ends_with('\n')) end.name.pop_back();
    end.ended.pid = waitpid(info.si_pid, &end.ended.status, WNOHANG | __WALL | __WNOTHREAD);
    if (end.ended.pid <= 0) break;
    ends.push_back(std::move(end));
  }
  return ends;
}

std::string crash_of(const NamedEnd& end) {
  const bool of_hearth = end.name.starts_with("hearth-") && !end.name.starts_with("hearth-ka-serv");
  const int status = end.ended.status;
  if (!of_hearth || !WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL) return "";
  // A service that was told to stop before it was executed is called as the spawner that made it, which nobody terminates.
  if (end.name.starts_with("hearth-spawn") && WTERMSIG(status) == SIGTERM) return "";
  return end.name + " (PID " + std::to_string(end.ended.pid) + ") died of signal " + std::to_string(WTERMSIG(status));
}

std::vector<std::string> bugs_in(const std::string& standard_error) {
  std::vector<std::string> bugs;
  std::istringstream in(standard_error);
  for (std::string line; std::getline(in, line);)
    if (line.find("hearth: bug:") != std::string::npos) bugs.push_back(line);
  return bugs;
}

std::vector<std::string> crashes_in(const std::string& standard_error) {
  std::vector<std::string> crashes;
  std::istringstream in(standard_error);
  for (std::string line; std::getline(in, line);) {
    json::error_code error;
    const json::value value = json::parse(line, error);
    const json::object* told = error ? nullptr : value.if_object();
    const json::value* event = told == nullptr ? nullptr : told->if_contains("event");
    if (event == nullptr || !event->is_string() || event->get_string() != "died") continue;
    const std::int64_t code = number(*told, "code"), signal = number(*told, "signal");
    if (code != 0 || (signal != 0 && signal != SIGKILL)) crashes.push_back("hearth says: " + line);
  }
  return crashes;
}

}  // namespace hearth::kill_anywhere
