#include "os/port_look.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "os/proc_stat.h"

namespace hearth::os {

std::vector<PortHolder> find_port_holders(const std::vector<std::uint16_t>& ports) {
  std::vector<PortHolder> holders;
  for (const std::uint16_t port : ports) {
    PortHolder& holder = holders.emplace_back();
    holder.owner = find_port_owner(port);
    const pid_t pid = holder.owner.pid;
    if (pid == 0) continue;
    holder.instance = environment_of(pid, "HEARTH_INSTANCE");
    holder.slot = environment_of(pid, "HEARTH_SLOT");
    holder.run = std::strtoull(environment_of(pid, "HEARTH_RUN").c_str(), nullptr, 10);
  }
  return holders;
}

namespace {

std::unexpected<Error> unanswered(const std::string& what) {
  return failure(Remedy::try_later, "find out", what, "it is in use, and /proc does not answer: a process hangs");
}

}  // namespace

std::optional<Result<PortLooks::Holders>> PortLooks::of(RunId run, const std::string& label,
                                                        const std::vector<std::uint16_t>& ports, MonoNs now) {
  const std::string what = "who has port " + std::to_string(ports.front());
  const auto known = asked_.find(run);
  const bool fresh = known == asked_.end() || known->second.ports != ports;
  if (fresh) {
    const Room room = left_behind_.room_for(label, now);
    if (room == Room::own_hangs) return unanswered(what);
    if (room != Room::yes) {
      const MonoNs since = unasked_.try_emplace(run, now).first->second;
      if (now - since < hangs_after) return {};
      unasked_.erase(run);
      Error problem = errno_error("find out", what, EAGAIN);
      problem.hint = "try again: the looks before it hang, of which no more are begun";
      return failure(std::move(problem));
    }
    unasked_.erase(run);
    Asked one{ports, {}, now};
    if (const int error = one.aside.ask("hearth-port", [how = how_, ports] { return how(ports); }); error != 0)
      return errno_failure("find out", what, error);
    left_behind_.add(label, one.aside.trace(), now);
    asked_[run] = std::move(one);
  }
  const Asked& asked = asked_[run];
  std::optional<Holders> answer = asked.aside.answer(fresh ? patience : 0);
  const bool hangs = now - asked.since >= hangs_after;
  if (!answer && !hangs) return {};
  asked_.erase(run);
  if (!answer) return unanswered(what);
  return std::move(*answer);
}

}  // namespace hearth::os
