#include "cli/changes.h"

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

SlotNews slot(const char* name, const char* state, bool want_up) {
  SlotNews slot;
  slot.project = "shop";
  slot.name = name;
  slot.state = state;
  slot.want_up = want_up;
  return slot;
}

ChangeNews restart_of(const char* service) {
  ChangeNews change;
  change.service = service;
  change.measure = "restart";
  change.keys = {"command"};
  change.replicas_before = change.replicas = 1;
  return change;
}

TEST(Changes, what_somebody_has_stopped_has_them_with_its_next_start) {
  std::vector<ChangeNews> changes = {restart_of("up"), restart_of("off"), restart_of("half"), restart_of("failed"),
                                     restart_of("unknown")};
  mark_at_rest(changes, {slot("up", "running", true), slot("off", "stopped", false), slot("half", "stopped", false),
                         slot("half", "running", true), slot("failed", "failed", true)});
  EXPECT_EQ(changes_table(changes, true),
            "SERVICE  ACTION      WHAT\n"
            "up       restart     command\n"
            "off      next start  command\n"
            "half     restart     command\n"
            "failed   restart     command\n"
            "unknown  restart     command\n"
            "nothing was done: --dry-run\n");
}

}  // namespace
}  // namespace hearth::cli
