#include "logger/sinks.h"

#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "gtest/gtest.h"
#include "unit/logger/mover_world.h"

namespace hearth::logger::test {
namespace {

constexpr WallNs noon = 1'738'324'800 * ns_per_s;  // 2025-01-31T12:00:00Z

class SinksTest : public testing::Test {
 protected:
  SinksTest() {
    setenv("TZ", "UTC", 1);
    tzset();
    world.configure(0, "blog.web.2", wire::LogFormat::raw, 0);
  }
  os::Fd listen(const std::string& path) {
    os::Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::vector<std::string> taken(const os::Fd& fd) {
    std::vector<std::string> found;
    char bytes[65'536];
    for (;;) {
      const ssize_t got = read(fd.get(), bytes, sizeof bytes);
      if (got <= 0) return found;
      found.emplace_back(bytes, static_cast<std::size_t>(got));
    }
  }
  void say(Sinks& sinks, std::string_view bytes, RunId run = 7) {
    sinks.offer(0, run, noon, bytes.data(), bytes.size());
  }
  std::uint64_t dropped() { return world.page().policy[0].sink_dropped.load(); }

  World world;
  SinkPlaces places{.journal = world.path("journal"), .syslog = world.path("syslog"), .out = 1};
};

TEST_F(SinksTest, JournaldHasFieldsForTheServiceAndItsRun) {
  world.page().policy[0].sink = wire::LogSink::journal;
  const os::Fd journal = listen(places.journal);
  Sinks sinks(world.page(), places);
  say(sinks, "one\ntw");
  say(sinks, "o\n");
  EXPECT_EQ(taken(journal),
            (std::vector<std::string>{
                "MESSAGE=one\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=web\nHEARTH_PROJECT=blog\n"
                "HEARTH_SERVICE=web\nHEARTH_INDEX=2\nHEARTH_RUN=7\n",
                "MESSAGE=two\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=web\nHEARTH_PROJECT=blog\n"
                "HEARTH_SERVICE=web\nHEARTH_INDEX=2\nHEARTH_RUN=7\n"}));
  EXPECT_EQ(dropped(), 0u);
}

TEST_F(SinksTest, SyslogHasWhatTheLibraryWouldWrite) {
  world.page().policy[0].sink = wire::LogSink::syslog;
  const os::Fd log = listen(places.syslog);
  Sinks sinks(world.page(), places);
  say(sinks, "one\n\ntwo\n");
  EXPECT_EQ(taken(log), (std::vector<std::string>{"<30>Jan 31 12:00:00 web: one", "<30>Jan 31 12:00:00 web: two"}))
      << "an empty line tells nothing there";
}

TEST_F(SinksTest, ALineThatAnotherRunCutsOffIsHandedOver) {
  world.page().policy[0].sink = wire::LogSink::syslog;
  const os::Fd log = listen(places.syslog);
  Sinks sinks(world.page(), places);
  say(sinks, "Segmentation fau", 7);
  say(sinks, "hello\n", 8);
  EXPECT_EQ(taken(log),
            (std::vector<std::string>{"<30>Jan 31 12:00:00 web: Segmentation fau", "<30>Jan 31 12:00:00 web: hello"}));
}

TEST_F(SinksTest, AVeryLongLineGoesOutInPieces) {
  world.page().policy[0].sink = wire::LogSink::syslog;
  const os::Fd log = listen(places.syslog);
  Sinks sinks(world.page(), places);
  say(sinks, std::string(20'000, 'x') + "\n");
  std::size_t total = 0;
  for (const std::string& message : taken(log))
    total += message.size() - std::string("<30>Jan 31 12:00:00 web: ").size();
  EXPECT_EQ(total, 20'000u);
}

TEST_F(SinksTest, WhatADeadOrFullSinkDoesNotTakeIsCountedAndNothingWaits) {
  world.page().policy[0].sink = wire::LogSink::journal;
  Sinks sinks(world.page(), places);
  say(sinks, "nobody\nlistens\n");
  EXPECT_EQ(dropped(), 2u);
  EXPECT_EQ(world.page().policy[0].sink_error.load(), ENOENT);
  const os::Fd journal = listen(places.journal);
  for (int i = 0; i < 1'000; ++i) say(sinks, "nobody reads\n");
  const std::size_t arrived = taken(journal).size();
  EXPECT_GT(arrived, 0u);
  EXPECT_EQ(dropped(), 2u + 1'000u - arrived);
  EXPECT_EQ(world.page().policy[0].sink_error.load(), EAGAIN);
  say(sinks, "somebody reads again\n");
  EXPECT_EQ(taken(journal).size(), 1u);
}

TEST_F(SinksTest, HearthsOutputHasTheNameBeforeEachLineAndIsNeverWaitedFor) {
  world.page().policy[0].sink = wire::LogSink::out;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const os::Fd read_end(ends[0]), write_end(ends[1]);
  fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  places.out = write_end.get();
  Sinks sinks(world.page(), places);
  say(sinks, "one\n");
  EXPECT_EQ(taken(read_end), (std::vector<std::string>{"web.2 | one\n"}));
  for (int i = 0; i < 10'000; ++i) say(sinks, "nobody reads this line\n");
  EXPECT_GT(dropped(), 0u);
}

TEST_F(SinksTest, ATerminalThatStandsStillIsNotWaitedFor) {
  world.page().policy[0].sink = wire::LogSink::out;
  const os::Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal && grantpt(terminal.get()) == 0 && unlockpt(terminal.get()) == 0);
  char name[64];
  ASSERT_EQ(ptsname_r(terminal.get(), name, sizeof name), 0);
  const os::Fd shown(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  places.out = shown.get();
  Sinks sinks(world.page(), places);
  // Each line is longer than what room is left some day: a write that waits would wait for ever.
  for (int i = 0; i < 200; ++i) say(sinks, std::string(3'000, 'x') + "\n");
  EXPECT_GT(dropped(), 0u);
  EXPECT_EQ(fcntl(shown.get(), F_GETFL) & O_NONBLOCK, 0) << "who shares it waits as before";
}

TEST_F(SinksTest, WhatIsDetachedHasNoOutput) {
  world.page().policy[0].sink = wire::LogSink::out;
  const os::Fd file(open(world.path("hearth.log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  places.out = file.get();
  Sinks sinks(world.page(), places);
  say(sinks, "one\n");
  EXPECT_EQ(lseek(file.get(), 0, SEEK_END), 0);
  EXPECT_EQ(dropped(), 0u);
}

}  // namespace
}  // namespace hearth::logger::test
