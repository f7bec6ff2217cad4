// A run that an earlier hearth has left, and the supervisor's side of a keeper that nobody has told of it.
#pragma once

#include <fcntl.h>
#include <memory>
#include <optional>
#include <signal.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/keeper_client.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/marked.h"

namespace hearth::os {

using wire::EntryPhase;
using wire::ParkClass;

// A copy of ours that waits, or becomes a program when it is let go.
struct Child {
  explicit Child(int at_3 = -1, const char* becomes = nullptr) {
    int ends[2];
    EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC));
    go = Fd(ends[1]);
    Fd wait(ends[0]);
    pid = ::fork();
    if (pid != 0) {
      test::mark_as_run(pid);
      return;
    }
    const int out = ::fcntl(ends[0], F_DUPFD_CLOEXEC, 100);
    if (at_3 >= 0) ::dup2(at_3, 3);
    ::close_range(4, 99, 0);
    char byte = 0;
    (void)!::read(out, &byte, 1);
    if (becomes != nullptr) ::execl(becomes, becomes, "60", nullptr);
    for (;;) ::pause();
  }
  ~Child() { end(); }
  void end() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = -1;
  }
  pid_t pid = -1;
  Fd go;
};

struct AdoptionTest : ::testing::Test {
  test::FakeKeeper keeper;
  test::OrderMaker maker;
  std::unique_ptr<KeeperLink> link = keeper.connect();
  std::unique_ptr<KeeperClient> client =
      std::make_unique<KeeperClient>(*link, CgroupTree(), ClientOptions{keeper.instance().directory, std::nullopt});

  wire::RunEntry& left(RunId run, pid_t pid, std::uint64_t ticks) {
    wire::RunEntry& entry = keeper.table().entry[0];
    entry.pid = pid;
    entry.start_ticks = ticks;
    entry.run = run;
    return entry;
  }
  void fill_the_socket() {
    for (std::uint64_t key = 1000;
         link->park(park_record(ParkClass::spec, no_slot, key), std::move(*make_memfd("m", 1)));)
      ++key;
  }
  void restart_supervisor() {
    client.reset();
    link.reset();
    link = keeper.connect();
    client =
        std::make_unique<KeeperClient>(*link, CgroupTree(), ClientOptions{keeper.instance().directory, std::nullopt});
  }
  void make_client_without_descriptors() {
    client.reset();
    const test::FewDescriptors none(0);
    client =
        std::make_unique<KeeperClient>(*link, CgroupTree(), ClientOptions{keeper.instance().directory, std::nullopt});
  }
  // The output of a run, as its service has it: with this in it, which nobody has read.
  Fd output_with(RunId run, const std::string& text) {
    const std::string name = keeper.instance().directory + "/" + fifo_name(run);
    ::mkfifo(name.c_str(), 0600);
    Fd writer(::open(name.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(static_cast<ssize_t>(text.size()), ::write(writer.get(), text.data(), text.size())) << name;
    return writer;
  }
  static std::string said_in(const Parked* output) {
    char said[64] = {};
    return output != nullptr && ::read(output->fd, said, sizeof said - 1) > 0 ? said : "";
  }
  void settle() {
    for (int i = 0; i < 100; ++i) {
      keeper.handle();
      client->flush();
    }
    keeper.handle();
  }
};

}  // namespace hearth::os
