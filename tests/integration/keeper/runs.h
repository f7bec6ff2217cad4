// A keeper whose supervisor the test is, and runs of the program `service.cc`.
#pragma once

#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "integration/keeper/harness.h"

namespace hearth::test {

class Runs : public testing::Test {
 protected:
  explicit Runs(const KeeperOptions& options = {}) : h(options) {}
  void SetUp() override {
    h.accept_supervisor();
    h.take_over_from_keeper();
  }
  // Starts the service's "describe" and returns what it says.
  std::map<std::string, std::string> describe(Plan plan, std::vector<int> fds = {}) {
    auto [read_end, write_end] = make_pipe();
    plan.descriptors.push_back({static_cast<std::uint32_t>(fds.size()), 1});
    fds.push_back(write_end.get());
    h.spawn(plan, fds);
    write_end.reset();
    std::istringstream lines(read_some(read_end.get(), 1 << 20));
    EXPECT_TRUE(h.until([&] { return h.exited(plan.entry); }));
    EXPECT_EQ(h.entry(plan.entry).fail_stage.load(), 0u);
    std::map<std::string, std::string> said;
    for (std::string line; std::getline(lines, line);) {
      const std::size_t at = line.find_first_of("=:");
      if (at != std::string::npos) said[line.substr(0, at)] += line.substr(at + 1);
    }
    return said;
  }
  // Starts a service that says one byte when it is there; returns where it says it.
  Fd start_speaking(EntryIndex entry, RunId run, const std::vector<std::string>& arguments, std::string first = "r") {
    auto [read_end, write_end] = make_pipe();
    Plan plan = service_plan(entry, run, arguments);
    plan.descriptors = {{0, 1}};
    h.spawn(plan, {write_end.get()});
    write_end.reset();
    EXPECT_EQ(read_some(read_end.get(), 1), first);
    EXPECT_TRUE(h.until([&] { return h.entry(entry).phase.load() == wire::EntryPhase::watched || h.exited(entry); }));
    return std::move(read_end);
  }
  void expect_failure(EntryIndex entry, wire::SpawnStage stage, int error) {
    EXPECT_TRUE(h.until([&] { return h.entry(entry).fail_stage.load() != 0; }));
    EXPECT_EQ(h.entry(entry).fail_stage.load(), static_cast<std::uint32_t>(stage));
    EXPECT_EQ(h.entry(entry).fail_errno, error) << strerror(h.entry(entry).fail_errno);
  }
  Instance h;
};

}  // namespace hearth::test
