// Who of hearth works beside the supervisor: the slot table names them, /proc tells what they do.
#include <cerrno>

#include "os/keeper_client.h"
#include "os/proc_stat.h"
#include "os/upgrade_words.h"

namespace hearth::os {
namespace {

// `ticks`: when it began, 0 = the table does not say. Who cannot be looked at is believed to be there.
Companion look_at(std::int32_t pid, std::uint64_t ticks) {
  ProcStat stat;
  if (pid <= 0) return {};
  if (!read_stat(pid, stat)) return {errno == ENOENT || errno == ESRCH ? 0 : pid, false};
  if (ticks != 0 && stat.start_ticks != ticks) return {};
  return {pid, stat.stopped()};
}

Companion look_at(const wire::Member& member) {
  return look_at(member.pid.load(), member.start_ticks);
}

}  // namespace

Companions KeeperClient::companions() const {
  const wire::SlotTable& table = link_.table();
  Companions all;
  if (!link_.lost()) all.keeper = look_at(table.keeper_pid.load(), 0);
  all.logger_awaited = table.logger_awaited.load() != 0;
  all.logger = look_at(table.logger);
  for (const wire::Member& spawner : table.spawner) all.spawners.push_back(look_at(spawner));
  all.logger_returns = table.logger_returns.load();
  if (all.logger_returns > 0) all.logger_return_reason = logger_return_words(table);
  return all;
}

}  // namespace hearth::os
