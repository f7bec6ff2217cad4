// The real keeper, spawners and logger, with the test as their supervisor (lender.cc says how).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/inputs.h"
#include "os/instance.h"
#include "os/keeper_client.h"
#include "os/keeper_link.h"
#include "os/keeper_successor.h"
#include "unit/os/temp_directory.h"

namespace hearth::test {

struct RealKeeper : ::testing::Test {
  RealKeeper();
  ~RealKeeper() override;

  // Makes the instance and starts the keeper and a first supervisor. Called by each test, so that one may become
  // another user before.
  void start(bool cgroups = false);
  // SIGKILL to the supervisor; the next one connects.
  void crash_supervisor();
  void connect();
  // Turns without decisions until `done`; false when ten seconds have passed.
  bool turn_until(const std::function<bool()>& done);
  bool turn_until_watched(EntryIndex entry);
  bool turn_until_exited(EntryIndex entry);
  // Reaps and releases a run that has ended.
  void bury(const ports::SpawnOrder& order);

  // Without what is made ahead, which is nobody's.
  std::size_t parked_for_slots() const;

  ports::SpawnOrder order(SlotIndex slot, RunId run);
  ServiceSpec& spec() { return document.services[0]; }
  // What the service has written so far, as the logger has it on disk.
  std::string logged(SlotIndex slot);
  // Processes of this instance with that HEARTH_RUN.
  std::vector<pid_t> processes_of(RunId run);
  os::SuccessorCommand successor_command() const;

  TempDirectory directory;
  os::Instance instance;
  Document document;
  std::unique_ptr<os::KeeperLink> link;
  std::unique_ptr<os::KeeperClient> client;
  std::unique_ptr<os::Inbox> inbox;
  std::vector<ports::Input> inputs;    // of the last turn
  std::vector<ports::Input> notified;  // all notify inputs, consumed
  bool consume = true;
  pid_t keeper = 0;
  pid_t supervisor = 0;
  bool with_cgroups = false;

 private:
  os::Fd lending_;
};

std::string bin(const std::string& name);

}  // namespace hearth::test
