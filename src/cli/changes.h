// What applying a file means to each of its services, for people.
#pragma once

#include <string>
#include <vector>

#include "cli/answers.h"

namespace hearth::cli {

// Which of them somebody has stopped, all replicas: `slots` are those of the project before it was applied.
void mark_at_rest(std::vector<ChangeNews>& changes, const std::vector<SlotNews>& slots);

// "web  restart  command, env", aligned; `dry`: as something that would be. Services that stay as they are are left
// out; "nothing has changed" when all do.
std::string changes_table(const std::vector<ChangeNews>& changes, bool dry);

// What `up` does not show by itself: what holds from now on for those that go on.
std::vector<std::string> notes_of(const std::vector<ChangeNews>& changes);

// "old has left the file: it is stopped and removed"
std::string removal_note(const AcceptedNews& accepted, const SlotNews& slot);

// Why what the order stops and forgets is forgotten.
std::string why_removed(const AcceptedNews& accepted, const SlotNews& slot);

}  // namespace hearth::cli
