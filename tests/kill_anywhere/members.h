// Hearth's own processes: how often each was started, as the slot table counts, how often the point accounts for, and who
// ended in a way that no kill explains.
//
// Without this a second death is not seen, as others go on: that is what hearth is there for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "points.h"
#include "story.h"
#include "support/processes.h"
#include "wire/slot_table.h"

namespace hearth::kill_anywhere {

struct Starts {
  std::uint32_t keepers = 1, supervisors = 1, loggers = 1, spawners = 2;
};

// The role of the keeper's child with that ordinal; "keeper" for 0.
std::string_view role_of(Story story, std::uint32_t ordinal);

// Who has died, of what a point can bring about.
struct Deaths {
  bool keeper = false, everything = false;
  std::uint32_t supervisors = 0, loggers = 0, spawners = 0;
};
// Who is started as which child is not quite the same in every run. `role`: of the one that was there, where it is known,
// and it is not before its exec; "" = of whoever is that child as a rule.
Deaths deaths_of(Story story, const Point& point, std::string_view role = {});

// The most that there may be. `revivals`: how often the test has started another hearth.
Starts allowed_starts(Story story, const Deaths& deaths, std::uint32_t revivals);

// The slot table as `keeper` has it. It is held on to, so that it can be read when hearth has ended.
class MemberCounts {
 public:
  // False when it cannot be read.
  bool look_at(pid_t keeper);
  bool known() const { return table_ != nullptr; }
  Starts starts() const;
  // The keeper has taken programs of an upgrade.
  bool upgrade_taken() const { return known() && table_->upgrades.load() > 0; }

 private:
  std::shared_ptr<const wire::SlotTable> table_;
};

// As support::reap(), with what the kernel says the process was called.
struct NamedEnd {
  support::Ended ended;
  std::string name;  // at most 15 characters
};
std::vector<NamedEnd> reap_named();

// "" for one of the services, and for an end that a kill or an exit explains.
std::string crash_of(const NamedEnd& end);

// What hearth's standard error says of a failed check, and of members that ended neither with 0 nor of SIGKILL.
std::vector<std::string> bugs_in(const std::string& standard_error);
std::vector<std::string> crashes_in(const std::string& standard_error);

}  // namespace hearth::kill_anywhere
