// Parked descriptors: they outlive the supervisor, and output goes on to the logger.

#include <fcntl.h>
#include <map>
#include <set>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/keeper/harness.h"

namespace hearth::test {
namespace {

using wire::MessageType;
using wire::ParkClass;
using wire::ParkRecord;

ino_t inode_of(int fd) {
  struct stat file;
  return fstat(fd, &file) == 0 ? file.st_ino : 0;
}

class ParkedDescriptors : public testing::Test {
 protected:
  void SetUp() override {
    h.accept_supervisor();
    h.take_over_from_keeper();
  }
  bool park(const ParkRecord& record, int fd) {
    return h.supervisor.send<ParkRecord>(MessageType::park, {record}, {fd});
  }
  void succeed() {
    h.kill_supervisor();
    h.accept_supervisor();
    h.take_over_from_keeper();
  }
  // The next message to the logger; its hello is passed over.
  std::optional<Message> to_logger() {
    for (;;) {
      std::optional<Message> message = h.logger.receive();
      if (!message || message->header.type != MessageType::hello) return message;
      EXPECT_EQ(message->fds.size(), static_cast<std::size_t>(wire::LoggerDescriptor::count_));
    }
  }
  Instance h;
};

TEST_F(ParkedDescriptors, AreHandedToTheNextSupervisor) {
  auto [a, b] = make_pipe();
  ASSERT_TRUE(park(park_record(ParkClass::store, 4, "model"), a.get()));
  succeed();
  EXPECT_EQ(h.hello_record.parked, 1u);
  ASSERT_EQ(h.parked.size(), 1u);
  EXPECT_EQ(h.parked[0].first.key, 4u);
  EXPECT_STREQ(h.parked[0].first.name, "model");
  EXPECT_EQ(inode_of(h.parked[0].second.get()), inode_of(a.get()));
}

TEST_F(ParkedDescriptors, OfEqualIdentityReplaceTheOldOne) {
  auto [a, b] = make_pipe();
  Fd null(open("/dev/null", O_RDONLY));
  ASSERT_TRUE(park(park_record(ParkClass::listen, 1, "http"), a.get()));
  ASSERT_TRUE(park(park_record(ParkClass::listen, 1, "https"), null.get()));
  ASSERT_TRUE(park(park_record(ParkClass::listen, 1, "http"), null.get()));
  a.reset();
  succeed();
  ASSERT_EQ(h.parked.size(), 2u);
  for (const auto& [record, fd] : h.parked) EXPECT_EQ(inode_of(fd.get()), inode_of(null.get())) << record.name;
  // Nobody holds the replaced one: its other end says so.
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(write(b.get(), "x", 1), -1);
}

TEST_F(ParkedDescriptors, AreClosedWhenUnparked) {
  auto [a, b] = make_pipe();
  ASSERT_TRUE(park(park_record(ParkClass::notify, 1), a.get()));
  ASSERT_TRUE(park(park_record(ParkClass::notify, 2), a.get()));
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark,
                                            {park_record(ParkClass::notify, 2), park_record(ParkClass::notify, 9)}));
  succeed();
  ASSERT_EQ(h.parked.size(), 1u);
  EXPECT_EQ(h.parked[0].first.key, 1u);
}

TEST_F(ParkedDescriptors, SentByASupervisorThatIsKilledAtOnceAreNotLost) {
  auto [a, b] = make_pipe();
  for (std::uint64_t round = 1; round <= 50; ++round) {
    // The keeper is held, so that it cannot have read before the death; every second time the supervisor has
    // something unread itself, which makes the kernel report a reset.
    kill(h.keeper, SIGSTOP);
    ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
    ASSERT_TRUE(park(park_record(ParkClass::store, round), a.get()));
    const pid_t pid = h.supervisor.pid;
    h.kill_supervisor();
    ASSERT_TRUE(h.until([&] { return !alive(pid); }));
    kill(h.keeper, SIGCONT);
    h.accept_supervisor();
    // Before it is told something it is the successor that waits for the end of the one before, and says nothing.
    ASSERT_TRUE(h.until([&] { return h.supervisor.has_mail(); }));
    if (round % 2 == 0) {
      h.take_over_from_keeper();
      ASSERT_EQ(h.parked.size(), round);
    }
  }
}

TEST_F(ParkedDescriptors, OfManyServicesComeInWindowsToASupervisorWithFewDescriptorsInFlight) {
  // Few of them are allowed to be on their way at a time, where the user is not privileged.
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 8192) GTEST_SKIP() << "needs 8192 descriptors";
  Fd null(open("/dev/null", O_RDONLY));
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::string> expected;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    std::vector<ParkRecord> records = {park_record(ParkClass::output, key), park_record(ParkClass::notify, key),
                                       park_record(ParkClass::listen, key, "a long name of a socket")};
    for (const ParkRecord& r : records) expected[{static_cast<std::uint32_t>(r.type), r.key}] = r.name;
    ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, records, {null.get(), null.get(), null.get()}));
  }
  for (int round = 0; round < 3; ++round) {
    succeed();
    EXPECT_EQ(h.hello_record.parked, 3000u);
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::string> got;
    for (const auto& [record, fd] : h.parked) got[{static_cast<std::uint32_t>(record.type), record.key}] = record.name;
    EXPECT_EQ(got, expected);
    EXPECT_EQ(h.parked.size(), 3000u);
  }
  // And they go as they came.
  for (std::uint64_t key = 0; key < 1000; ++key)
    ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark,
                                              {park_record(ParkClass::output, key), park_record(ParkClass::notify, key),
                                               park_record(ParkClass::listen, key, "a long name of a socket")}));
  succeed();
  EXPECT_TRUE(h.parked.empty());
}

TEST_F(ParkedDescriptors, WaitForAcknowledgementsAndGoOnWhereTheyWere) {
  Fd null(open("/dev/null", O_RDONLY));
  for (std::uint64_t key = 0; key < 1000; ++key) ASSERT_TRUE(park(park_record(ParkClass::probe, key), null.get()));
  h.kill_supervisor();
  h.accept_supervisor();
  std::size_t windows = 0;
  for (std::optional<Message> message; (message = h.supervisor.receive(300));)
    windows += message->header.type == MessageType::parked;
  EXPECT_EQ(windows, 2u);
  ASSERT_TRUE(h.supervisor.acknowledge());
  std::optional<Message> third = h.supervisor.receive();
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->header.type, MessageType::parked);
  EXPECT_EQ(third->header.count, wire::records_per_message_max);
  EXPECT_FALSE(h.supervisor.receive(100).has_value());
}

TEST_F(ParkedDescriptors, OfOutputGoToTheLoggerAndToItsSuccessor) {
  h.accept_logger();
  auto [a, b] = make_pipe();
  ASSERT_TRUE(park(park_record(ParkClass::output, 11), a.get()));
  std::optional<Message> message = to_logger();
  ASSERT_TRUE(message && message->header.type == MessageType::parked && message->fds.size() == 1);
  EXPECT_EQ(message->at<ParkRecord>().key, 11u);
  EXPECT_EQ(inode_of(message->fds[0].get()), inode_of(a.get()));
  ASSERT_TRUE(h.logger.acknowledge());
  ASSERT_TRUE(park(park_record(ParkClass::output, 12), a.get()));
  ASSERT_TRUE(park(park_record(ParkClass::notify, 13), a.get()));  // not the logger's business
  message = to_logger();
  ASSERT_TRUE(message && message->header.type == MessageType::parked);
  EXPECT_EQ(message->at<ParkRecord>().key, 12u);
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark, {park_record(ParkClass::output, 11)}));
  message = to_logger();
  ASSERT_TRUE(message && message->header.type == MessageType::unpark);
  EXPECT_EQ(message->at<ParkRecord>().key, 11u);
  EXPECT_TRUE(message->fds.empty());
  // Neither acknowledged: the successor is told all the same.
  kill(h.logger.pid, SIGKILL);
  h.logger.socket.reset();
  h.accept_logger();
  message = to_logger();
  ASSERT_TRUE(message && message->header.type == MessageType::parked && message->fds.size() == 1);
  EXPECT_EQ(message->at<ParkRecord>().key, 12u);
}

TEST_F(ParkedDescriptors, OfOutputThatIsMadeAheadReachTheLoggerOnceTheyAreSomebodys) {
  h.accept_logger();
  auto [a, b] = make_pipe();
  ParkRecord ahead = park_record(ParkClass::output, 11);
  ahead.slot = no_slot;
  ASSERT_TRUE(park(ahead, a.get()));
  ASSERT_TRUE(park(park_record(ParkClass::output, 12), a.get()));
  std::optional<Message> message = to_logger();
  ASSERT_TRUE(message && message->header.count == 1);
  EXPECT_EQ(message->at<ParkRecord>().key, 12u);
  ASSERT_TRUE(h.logger.acknowledge());
  // Neither is the next logger told.
  kill(h.logger.pid, SIGKILL);
  h.logger.socket.reset();
  h.accept_logger();
  message = to_logger();
  ASSERT_TRUE(message && message->header.count == 1);
  EXPECT_EQ(message->at<ParkRecord>().key, 12u);
  ASSERT_TRUE(h.logger.acknowledge());
  ASSERT_TRUE(park(park_record(ParkClass::output, 11), a.get()));
  message = to_logger();
  ASSERT_TRUE(message && message->header.type == MessageType::parked && message->fds.size() == 1);
  EXPECT_EQ(message->at<ParkRecord>().key, 11u);
}

TEST_F(ParkedDescriptors, OfOutputReachALoggerInOrderEvenWhenItLagsBehind) {
  h.accept_logger();
  Fd null(open("/dev/null", O_RDONLY));
  // Parked, dropped and parked again, while the logger acknowledges nothing.
  for (std::uint64_t key = 0; key < 400; ++key) ASSERT_TRUE(park(park_record(ParkClass::output, key), null.get()));
  for (std::uint64_t key = 0; key < 400; key += 2)
    ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark, {park_record(ParkClass::output, key)}));
  for (std::uint64_t key = 0; key < 400; key += 4) ASSERT_TRUE(park(park_record(ParkClass::output, key), null.get()));
  std::set<std::uint64_t> has, expected;
  for (std::uint64_t key = 0; key < 400; ++key)
    if (key % 2 == 1 || key % 4 == 0) expected.insert(key);
  for (int i = 0; i < 2000 && has != expected; ++i) {
    std::optional<Message> message = to_logger();
    ASSERT_TRUE(message.has_value());
    for (std::uint32_t r = 0; r < message->header.count; ++r) {
      if (message->header.type == MessageType::parked)
        has.insert(message->at<ParkRecord>(r).key);
      else
        has.erase(message->at<ParkRecord>(r).key);
    }
    if (message->header.type == MessageType::parked) {
      ASSERT_TRUE(h.logger.acknowledge());
    }
  }
  EXPECT_EQ(has, expected);
}

TEST(ParkedDescriptorsOfAPoorKeeper, ThatCannotBeHadAreCountedAndNothingElseSuffers) {
  Instance h({.nofile = 200});
  h.accept_supervisor();
  h.take_over_from_keeper();
  Fd null(open("/dev/null", O_RDONLY));
  for (std::uint64_t key = 0; key < 300; ++key)
    ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, {park_record(ParkClass::store, key)}, {null.get()}));
  ASSERT_TRUE(h.until([&] { return h.table->parks_refused.load() > 100; }));
  h.spawn(service_plan(0, 1, {"exit", "2"}));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  h.kill_supervisor();
  h.accept_supervisor();
  h.take_over_from_keeper();
  EXPECT_EQ(h.parked.size() + h.table->parks_refused.load(), 300u);
}

TEST(ParkedDescriptorsOfAPoorKeeper, AreTakenAgainWhenSomebodyHasRaisedItsLimit) {
  Instance h({.nofile = 200});
  h.accept_supervisor();
  h.take_over_from_keeper();
  Fd null(open("/dev/null", O_RDONLY));
  const auto park = [&](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t key = from; key < to; ++key)
      ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, {park_record(ParkClass::store, key)}, {null.get()}));
    h.kill_supervisor();
    h.accept_supervisor();
    h.take_over_from_keeper();  // by when all is handled that the one before has sent
  };
  park(0, 300);
  const std::size_t held = h.parked.size();
  const std::uint32_t refused = h.table->parks_refused;
  EXPECT_EQ(held + refused, 300u);
  EXPECT_GT(refused, 100u);
  const rlimit more{1000, 1000};
  if (prlimit(h.keeper, RLIMIT_NOFILE, &more, nullptr) < 0) GTEST_SKIP() << "needs CAP_SYS_RESOURCE to raise a limit";
  park(300, 500);
  EXPECT_EQ(h.parked.size(), held + 200);
  EXPECT_EQ(h.table->parks_refused.load(), refused);
}

TEST_F(ParkedDescriptors, InMessagesThatAreNotOneAreDropped) {
  auto [a, b] = make_pipe();
  const auto bytes_of = [](MessageType type, std::uint32_t count, std::size_t more) {
    const wire::MessageHeader header{type, count};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    return bytes + std::string(more, '\1');
  };
  const std::vector<int> one = {a.get()};
  std::vector<std::string> garbage = {"",
                                      "x",
                                      "1234567",
                                      bytes_of(static_cast<MessageType>(0), 0, 0),
                                      bytes_of(static_cast<MessageType>(99), 1, 128),
                                      bytes_of(MessageType::park, 1, 127),
                                      bytes_of(MessageType::park, 1, 129),
                                      bytes_of(MessageType::park, 121, 121 * 128),
                                      bytes_of(MessageType::park, UINT32_MAX, 128),
                                      bytes_of(MessageType::signal, 1, 8),
                                      bytes_of(MessageType::park, 2, 256),
                                      bytes_of(MessageType::park, 1, 128),
                                      bytes_of(MessageType::reap, 2, 32),
                                      bytes_of(MessageType::adopt, 1, 16),
                                      bytes_of(MessageType::replace_spawner, 1, 8),
                                      bytes_of(MessageType::finish, 1, 8),
                                      bytes_of(MessageType::hello, 1, 16),
                                      bytes_of(MessageType::plan, 1, 16),
                                      bytes_of(MessageType::spawner, 1, 8),
                                      std::string(60'000, 'z')};
  for (const std::string& bytes : garbage) {
    ASSERT_TRUE(h.supervisor.send_bytes(bytes));
    if (bytes.empty()) continue;
    ASSERT_TRUE(h.supervisor.send_bytes(bytes, one));
  }
  // Every byte of a good message, turned.
  const ParkRecord record = park_record(ParkClass::store, 1, "n");
  std::string good = bytes_of(MessageType::park, 1, 0);
  good.append(reinterpret_cast<const char*>(&record), sizeof record);
  for (std::size_t i = 0; i < sizeof(wire::MessageHeader); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x15);
    ASSERT_TRUE(h.supervisor.send_bytes(bad, one));
  }
  for (const Fd& to : h.spawner) {
    Peer spawner;
    spawner.socket = Fd(dup(to.get()));
    for (const std::string& bytes : garbage)
      ASSERT_TRUE(spawner.send_bytes(bytes, bytes.empty() ? std::vector<int>() : one));
  }
  a.reset();
  h.spawn(service_plan(0, 1, {"exit", "2"}));
  h.order(2, 2);
  ASSERT_TRUE(h.send_plan(service_plan(2, 2, {"exit", "3"}), {}, 1));
  ASSERT_TRUE(h.until([&] { return h.exited(0) && h.exited(2); }));
  EXPECT_EQ(h.table->supervisor.deaths.load(), 0u);
  EXPECT_EQ(h.table->spawner[0].deaths.load(), 0u);
  succeed();
  EXPECT_TRUE(h.parked.empty());
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(write(b.get(), "x", 1), -1) << "a descriptor of a dropped message was kept";
}

}  // namespace
}  // namespace hearth::test
