#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/port_owner.h"
#include "unit/os/fake_keeper.h"

namespace hearth::os {
namespace {

using ports::SpawnOutcome;

struct ServicePorts : ::testing::Test {
  test::FakeKeeper keeper;
  test::OrderMaker maker;
  std::unique_ptr<KeeperLink> link = keeper.connect();
  std::unique_ptr<KeeperClient> client =
      std::make_unique<KeeperClient>(*link, CgroupTree(), ClientOptions{keeper.instance().directory, std::nullopt});
  Fd socket;

  // A port of the loopback that we listen on.
  std::uint16_t take_port() {
    socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(0, ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(socket.get(), 1));
    EXPECT_EQ(0, ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size));
    return ntohs(address.sin_port);
  }
};

TEST_F(ServicePorts, a_port_that_somebody_listens_on_is_in_use_and_has_an_owner) {
  const std::uint16_t port = take_port();
  EXPECT_TRUE(tcp_port_in_use(port));
  EXPECT_EQ(::getpid(), find_port_owner(port).pid);
  socket.reset();
  EXPECT_FALSE(tcp_port_in_use(port));
  EXPECT_EQ("", find_port_owner(port).text);
}

TEST_F(ServicePorts, a_start_is_refused_while_somebody_else_has_the_port_and_says_who) {
  const std::uint16_t port = take_port();
  maker.spec().around.edit().ports = {port};
  const ports::SpawnAnswer answer = client->spawn(maker.order(0, 7));
  EXPECT_EQ(SpawnOutcome::refused, answer.outcome);
  EXPECT_EQ(Remedy::conflict, answer.error.remedy);
  const std::string text = answer.error.text();
  EXPECT_NE(std::string::npos, text.find("port " + std::to_string(port) + " is in use by ")) << text;
  EXPECT_NE(std::string::npos, text.find("(PID " + std::to_string(::getpid()) + ")")) << text;
  EXPECT_EQ(0u, keeper.table().entry[0].run);
  socket.reset();
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
}

}  // namespace
}  // namespace hearth::os
