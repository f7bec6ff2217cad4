#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/port_look.h"
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
  // On a busy machine the thread that looks may take longer than is waited for.
  ports::SpawnAnswer spawn() {
    ports::SpawnAnswer answer;
    const MonoNs deadline = after(read_mono(), seconds(20));
    do answer = client->spawn(maker.order(0, 7));
    while (answer.outcome == SpawnOutcome::later && read_mono() < deadline);
    return answer;
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
  const ports::SpawnAnswer answer = spawn();
  EXPECT_EQ(SpawnOutcome::refused, answer.outcome);
  EXPECT_EQ(Remedy::conflict, answer.error.remedy);
  const std::string text = answer.error.text();
  EXPECT_NE(std::string::npos, text.find("port " + std::to_string(port) + " is in use by ")) << text;
  EXPECT_NE(std::string::npos, text.find("(PID " + std::to_string(::getpid()) + ")")) << text;
  EXPECT_EQ(0u, keeper.table().entry[0].run);
  socket.reset();
  EXPECT_EQ(SpawnOutcome::sent, client->spawn(maker.order(0, 7)).outcome);
}

// A /proc that answers when the test says so.
struct PortLooksTest : ::testing::Test {
  struct Proc {
    std::mutex mutex;
    std::condition_variable changed;
    bool answers = false;
    int asked = 0;
    PortLooks::Holders look(const std::vector<std::uint16_t>& ports) {
      std::unique_lock lock(mutex);
      ++asked;
      changed.wait(lock, [this] { return answers; });
      PortLooks::Holders holders;
      for (const std::uint16_t port : ports) holders.emplace_back().owner = {"PID " + std::to_string(port), port};
      return holders;
    }
    void answer() {
      const std::lock_guard lock(mutex);
      answers = true;
      changed.notify_all();
    }
  };
  std::shared_ptr<Proc> proc = std::make_shared<Proc>();
  PortLooks looks{[proc = proc](const std::vector<std::uint16_t>& ports) { return proc->look(ports); }};
  void TearDown() override { proc->answer(); }

  static std::string label(RunId run) { return "shop.web." + std::to_string(run); }
  std::string owners(RunId run, const std::vector<std::uint16_t>& ports) {
    std::optional<Result<PortLooks::Holders>> answer;
    const MonoNs deadline = after(read_mono(), seconds(20));
    while (!answer && read_mono() < deadline) answer = looks.of(run, label(run), ports, 1);
    std::string text;
    if (answer && *answer)
      for (const PortHolder& one : **answer) text += one.owner.text + ";";
    return text;
  }
};

TEST_F(PortLooksTest, are_not_waited_for_and_answer_each_run_for_itself_and_anew_each_time) {
  EXPECT_FALSE(looks.of(7, label(7), {80, 443}, 1));
  EXPECT_FALSE(looks.of(8, label(8), {81}, 1));
  EXPECT_FALSE(looks.of(7, label(7), {80, 443}, 1));
  proc->answer();
  EXPECT_EQ("PID 81;", owners(8, {81}));
  EXPECT_EQ("PID 80;PID 443;", owners(7, {80, 443}));
  EXPECT_EQ("PID 80;PID 443;", owners(7, {80, 443}));
  EXPECT_EQ("PID 443;", owners(7, {443})) << "one of them is free by now";
  const std::lock_guard lock(proc->mutex);
  EXPECT_EQ(4, proc->asked);
}

TEST_F(PortLooksTest, that_hang_are_given_up_and_hold_nobody_else_up) {
  MonoNs now = 1;
  for (RunId run = 1; run <= LeftBehind::left_behind_max; ++run, now += 1 + PortLooks::hangs_after) {
    EXPECT_FALSE(looks.of(run, label(run), {80}, now)) << run;
    const std::optional<Result<PortLooks::Holders>> given_up =
        looks.of(run, label(run), {80}, now + PortLooks::hangs_after);
    ASSERT_TRUE(given_up && !*given_up);
    EXPECT_EQ(Remedy::try_later, given_up->error().remedy);
  }
  const std::optional<Result<PortLooks::Holders>> again = looks.of(300, label(1), {80}, now);
  ASSERT_TRUE(again && !*again) << "a service whose look hangs has one thread, however often it is started";
  EXPECT_EQ(0, again->error().code);
  EXPECT_FALSE(looks.of(99, label(99), {80}, now));
  EXPECT_FALSE(looks.of(99, label(99), {80}, now + PortLooks::hangs_after - 1)) << "there is no thread for it yet";
  const std::optional<Result<PortLooks::Holders>> no_room = looks.of(99, label(99), {80}, now + PortLooks::hangs_after);
  ASSERT_TRUE(no_room && !*no_room) << "the start does not wait for ever without a word";
  EXPECT_EQ(EAGAIN, no_room->error().code);
  EXPECT_FALSE(looks.of(99, label(99), {80}, now + seconds(100))) << "the next start waits anew";
  looks.forget(99);
  EXPECT_FALSE(looks.of(99, label(99), {80}, now + seconds(200))) << "and a run that was forgotten has not waited";
}

TEST_F(PortLooksTest, at_work_at_once_are_so_many) {
  for (RunId run = 1; run <= PortLooks::at_once_max + 1; ++run) EXPECT_FALSE(looks.of(run, label(run), {80}, 1));
  std::unique_lock lock(proc->mutex);
  EXPECT_LE(proc->asked, static_cast<int>(PortLooks::at_once_max));
}

}  // namespace
}  // namespace hearth::os
