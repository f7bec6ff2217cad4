#include "keeper/message.h"

#include <fcntl.h>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace hearth::keeper {
namespace {

class Messages : public testing::Test {
 protected:
  Messages() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0); }
  ~Messages() override {
    close(pair[0]);
    if (pair[1] >= 0) close(pair[1]);
  }
  int pair[2] = {-1, -1};
  Received message;
};

TEST_F(Messages, ArriveWithTheirRecordsAndDescriptors) {
  const wire::RunRecord records[2] = {{1, 0, 2}, {3, 0, 4}};
  ASSERT_EQ(send_message(pair[1], wire::MessageType::adopt, records, 2, pair, 2), 0);
  ASSERT_TRUE(receive(pair[0], message));
  EXPECT_EQ(message.header.type, wire::MessageType::adopt);
  EXPECT_EQ(message.header.count, 2u);
  EXPECT_EQ(memcmp(message.records, records, sizeof records), 0);
  ASSERT_EQ(message.descriptors, 2u);
  EXPECT_EQ(fcntl(message.fds[0], F_GETFD), FD_CLOEXEC);
  const int fd = message.fds[1];
  message.drop();
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST_F(Messages, AreReadAfterTheirSenderHasDiedWithSomethingUnread) {
  ASSERT_EQ(send_message(pair[0], wire::MessageType::ready, nullptr, 0, nullptr, 0), 0);
  ASSERT_EQ(send_message(pair[1], wire::MessageType::ack, nullptr, 0, nullptr, 0), 0);
  close(pair[1]);
  pair[1] = -1;
  ASSERT_TRUE(receive(pair[0], message));
  EXPECT_EQ(message.header.type, wire::MessageType::ack);
  EXPECT_FALSE(receive(pair[0], message));
  EXPECT_TRUE(message.end);
}

TEST_F(Messages, ThatAreEmptyAreNotTheEnd) {
  tell_ends(pair[0]);
  ASSERT_EQ(send(pair[1], "", 0, 0), 0);
  ASSERT_EQ(send_message(pair[1], wire::MessageType::ack, nullptr, 0, nullptr, 0), 0);
  close(pair[1]);
  pair[1] = -1;
  EXPECT_FALSE(receive(pair[0], message));
  EXPECT_EQ(errno, EBADMSG);
  EXPECT_FALSE(message.end);
  EXPECT_TRUE(receive(pair[0], message));
  EXPECT_FALSE(receive(pair[0], message));
  EXPECT_TRUE(message.end);
}

TEST_F(Messages, OnlyAShortPlanMayHaveMoreBytesThanItsRecords) {
  struct {
    wire::MessageHeader header;
    wire::RunRecord record;
    char rest[5];
  } bytes = {{wire::MessageType::short_plan, 1}, {1, 0, 2}, "plan"};
  const size_t length = offsetof(decltype(bytes), rest) + sizeof bytes.rest;
  ASSERT_EQ(send(pair[1], &bytes, length, 0), static_cast<ssize_t>(length));
  ASSERT_TRUE(receive(pair[0], message));
  EXPECT_EQ(message.rest, 5u);
  EXPECT_STREQ(reinterpret_cast<const char*>(message.records + sizeof(wire::RunRecord)), "plan");
  bytes.header.type = wire::MessageType::plan;
  ASSERT_EQ(send(pair[1], &bytes, length, 0), static_cast<ssize_t>(length));
  EXPECT_FALSE(receive(pair[0], message));
  EXPECT_EQ(errno, EBADMSG);
}

TEST_F(Messages, OfRandomBytesAreIgnoredUnlessTheyFit) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (bytes.size() >= 8 && i % 2 == 0) {  // half of them nearly right
      const wire::MessageHeader header{static_cast<wire::MessageType>(random() % 22),
                                       static_cast<std::uint32_t>(random() % 4)};
      memcpy(bytes.data(), &header, sizeof header);
      if (record_size(header.type) != UINT32_MAX && i % 4 == 0)
        bytes.resize(8 + record_size(header.type) * header.count);
    }
    ASSERT_EQ(send(pair[1], bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    if (receive(pair[0], message)) {
      EXPECT_EQ(bytes.size(),
                sizeof message.header + record_size(message.header.type) * message.header.count + message.rest);
    }
  }
}

}  // namespace
}  // namespace hearth::keeper
