#include "apps/member_log.h"

#include <signal.h>
#include <unistd.h>

#include "base/rfc3339.h"

namespace hearth::apps {
namespace {

const wire::Member& member_of(const wire::SlotTable& table, std::size_t index) {
  return index == 0 ? table.supervisor : index == 1 ? table.logger : table.spawner[index - 2];
}

const char* name_of(std::size_t index) {
  return index == 0 ? "supervisor" : index == 1 ? "logger" : "spawner";
}

std::string number_or_null(std::int64_t number) {
  return number > 0 ? std::to_string(number) : "null";
}

// One write, so that lines of several processes do not mix. A log that cannot be written holds nobody up.
void write_line(WallNs now, const std::string& rest) {
  const std::string line = "{\"time\":\"" + rfc3339(now) + "\"," + rest + "}\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void tell_death(const wire::Member& member, std::size_t index, std::int32_t pid, WallNs now) {
  const bool exited = member.last_wait_code == CLD_EXITED;
  write_line(now, std::string("\"event\":\"died\",\"process\":\"") + name_of(index) + "\",\"pid\":" +
                      number_or_null(pid) + ",\"code\":" + (exited ? std::to_string(member.last_wait_status) : "null") +
                      ",\"signal\":" + (exited ? "null" : number_or_null(member.last_wait_status)) +
                      ",\"deaths\":" + std::to_string(member.deaths.load()));
}

}  // namespace

void MemberLog::status(std::string_view status, WallNs now) {
  while (status.ends_with('\n')) status.remove_suffix(1);
  write_line(now, "\"event\":\"status\",\"status\":" + std::string(status));
}

void MemberLog::begin(const wire::SlotTable& table, bool revived, WallNs now) {
  keeper_ = table.keeper_pid.load();
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const wire::Member& member = member_of(table, i);
    known_[i] = {member.deaths.load(), member.pid.load()};
    // Who was started after us died while nobody looked.
    const bool unseen = !revived && (i == 0 || member.since_ns >= table.supervisor.since_ns);
    if (known_[i].deaths > 0 && unseen) tell_death(member, i, 0, now);
  }
}

void MemberLog::look(const wire::SlotTable& table, WallNs now) {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const wire::Member& member = member_of(table, i);
    const std::uint32_t deaths = member.deaths.load();
    if (deaths != known_[i].deaths) tell_death(member, i, known_[i].pid, now);
    known_[i] = {deaths, member.pid.load()};
  }
}

void MemberLog::keeper_replaced(const wire::SlotTable& table, WallNs now) {
  const std::int32_t successor = table.keeper_pid.load();
  write_line(now, "\"event\":\"replaced\",\"process\":\"keeper\",\"pid\":" + number_or_null(keeper_) +
                      ",\"successor\":" + number_or_null(successor) +
                      ",\"generation\":" + std::to_string(table.keeper_generation.load()));
  keeper_ = successor;
  // The new one counts its members anew.
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const wire::Member& member = member_of(table, i);
    known_[i] = {member.deaths.load(), member.pid.load()};
  }
}

}  // namespace hearth::apps
