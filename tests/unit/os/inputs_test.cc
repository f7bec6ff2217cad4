#include "os/inputs.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/un.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/few_descriptors.h"

namespace hearth::os {
namespace {

using ports::Input;
using ports::InputKind;
using wire::ParkClass;

struct InboxTest : ::testing::Test {
  test::FakeKeeper keeper;
  test::OrderMaker maker;
  std::unique_ptr<KeeperLink> link = keeper.connect();
  std::unique_ptr<KeeperClient> client =
      std::make_unique<KeeperClient>(*link, CgroupTree(), ClientOptions{keeper.instance().directory, std::nullopt});
  std::unique_ptr<Inbox> inbox = std::make_unique<Inbox>(*link, nullptr);
  std::vector<Input> inputs;

  void restart_supervisor() {
    inbox.reset();
    client.reset();
    link.reset();
    link = keeper.connect();
    client =
        std::make_unique<KeeperClient>(*link, CgroupTree(), ClientOptions{keeper.instance().directory, std::nullopt});
    inbox = std::make_unique<Inbox>(*link, nullptr);
  }
  void start(SlotIndex slot, RunId run) {
    ASSERT_EQ(ports::SpawnOutcome::sent, client->spawn(maker.order(slot, run)).outcome);
    keeper.handle();
    keeper.spawn_all();
  }
  bool awake() {
    pollfd polled{link->epoll(), POLLIN, 0};
    return ::poll(&polled, 1, 0) > 0;
  }
  // What a turn does: the doorbell of the start is heard.
  void settle() {
    std::vector<EntryIndex> changed;
    client->take_changed(changed);
    inbox->peek(inputs);
    consume_all();
  }
  // What a service does with sd_notify(3).
  int notify(RunId run, const std::string& text, std::vector<int> descriptors = {}) {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (keeper.instance().directory + "/n/" + std::to_string(run)).c_str());
    iovec part{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = {};
    msghdr header{};
    header.msg_name = &address;
    header.msg_namelen = sizeof address;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!descriptors.empty()) {
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
      std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size() * sizeof(int));
    }
    return ::sendmsg(socket.get(), &header, MSG_DONTWAIT) < 0 ? errno : 0;
  }
  void consume_all() {
    for (const Input& input : inputs) inbox->consume(input);
  }
};

TEST_F(InboxTest, a_notification_is_peeked_with_its_sender_and_is_there_again_for_a_successor) {
  start(0, 7);
  ASSERT_EQ(0, notify(7, "READY=1"));
  EXPECT_TRUE(awake());
  inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ(InputKind::notify, inputs[0].kind);
  EXPECT_EQ(7u, inputs[0].run);
  EXPECT_EQ(0u, inputs[0].slot);
  EXPECT_EQ("READY=1", inputs[0].data);
  EXPECT_EQ(::getpid(), inputs[0].sender_pid);
  restart_supervisor();
  inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ("READY=1", inputs[0].data);
  consume_all();
  inbox->peek(inputs);
  EXPECT_TRUE(inputs.empty());
  client->take_changed(*std::make_unique<std::vector<EntryIndex>>());
  EXPECT_FALSE(awake());
}

TEST_F(InboxTest, each_peek_takes_one_datagram_per_socket_so_that_a_flood_delays_only_its_sender) {
  start(0, 7);
  start(1, 8);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(0, notify(7, "STATUS=" + std::to_string(i)));
  ASSERT_EQ(0, notify(8, "READY=1"));
  inbox->peek(inputs);
  EXPECT_EQ(2u, inputs.size());
  consume_all();
  for (int i = 1; i < 5; ++i) {
    inbox->peek(inputs);
    ASSERT_EQ(1u, inputs.size());
    EXPECT_EQ("STATUS=" + std::to_string(i), inputs[0].data);
    consume_all();
  }
}

TEST_F(InboxTest, stored_descriptors_are_parked_once_and_passed_to_the_next_run) {
  start(0, 7);
  Fd cache = std::move(*make_memfd("cache", 10));
  ASSERT_EQ(0, notify(7, "FDSTORE=1\nFDNAME=cache", {cache.get()}));
  for (int repeat = 0; repeat < 2; ++repeat) {
    inbox->peek(inputs);
    ASSERT_EQ(1u, inputs.size());
    EXPECT_EQ(1u, inputs[0].descriptors);
    inbox->store_descriptors(inputs[0], "cache", 16, true);
    keeper.handle();
    if (repeat == 0) restart_supervisor();  // before it could consume
  }
  consume_all();
  EXPECT_EQ(1u, keeper.parked().all(ParkClass::store).size());
  keeper.exit_run(0, CLD_EXITED, 0);
  client->reap(0, 7);
  client->flush();
  keeper.handle();
  start(0, 8);
  ASSERT_EQ(2u, keeper.taken().size());
  ASSERT_EQ(3u, keeper.taken()[1].descriptors.size());
  EXPECT_EQ(file_identity(cache.get()), file_identity(keeper.taken()[1].descriptors[2].get()));
  EXPECT_NE(std::string::npos, keeper.taken()[1].bytes.find("LISTEN_FDNAMES=cache"));
  inbox->remove_descriptors(0, "cache");
  client->flush();
  keeper.handle();
  EXPECT_EQ(0u, keeper.parked().all(ParkClass::store).size());
}

TEST_F(InboxTest, the_fd_store_holds_at_most_what_the_service_may_store) {
  start(0, 7);
  std::vector<Fd> files;
  std::vector<int> numbers;
  for (int i = 0; i < 5; ++i) {
    files.push_back(std::move(*make_memfd("x", 1)));
    numbers.push_back(files.back().get());
  }
  ASSERT_EQ(0, notify(7, "FDSTORE=1", numbers));
  inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  inbox->store_descriptors(inputs[0], "", 3, true);
  consume_all();
  EXPECT_EQ(3u, link->parked().all(ParkClass::store).size());
  EXPECT_EQ("stored", link->parked().all(ParkClass::store)[0].name());
}

TEST_F(InboxTest, a_stored_connection_is_dropped_when_its_peer_goes_unless_FDPOLL_is_0) {
  start(0, 7);
  for (bool poll : {true, false}) {
    int ends[2];
    ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    Fd ours(ends[0]);
    Fd peer(ends[1]);
    ASSERT_EQ(0, notify(7, "FDSTORE=1", {ours.get()}));
    inbox->peek(inputs);
    ASSERT_EQ(1u, inputs.size());
    inbox->store_descriptors(inputs[0], poll ? "polled" : "kept", 16, poll);
    consume_all();
    ours.reset();
    peer.reset();
    inbox->peek(inputs);
  }
  ASSERT_EQ(1u, link->parked().all(ParkClass::store).size());
  EXPECT_EQ("kept", link->parked().all(ParkClass::store)[0].name());
}

TEST_F(InboxTest, consuming_closes_all_copies_which_answers_a_barrier) {
  start(0, 7);
  int ends[2];
  ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  Fd reader(ends[0]);
  ASSERT_EQ(0, notify(7, "BARRIER=1", {ends[1]}));
  ::close(ends[1]);
  pollfd polled{reader.get(), POLLIN, 0};
  inbox->peek(inputs);
  EXPECT_EQ(0, ::poll(&polled, 1, 0));
  consume_all();
  EXPECT_EQ(1, ::poll(&polled, 1, 0));
  EXPECT_TRUE(polled.revents & POLLHUP);
}

TEST_F(InboxTest, without_free_descriptors_the_datagram_waits_and_nothing_spins) {
  HEARTH_SKIP_IF_SANITIZED();
  start(0, 7);
  Fd file = std::move(*make_memfd("x", 1));
  ASSERT_EQ(0, notify(7, "FDSTORE=1", {file.get()}));
  client->take_changed(*std::make_unique<std::vector<EntryIndex>>());
  {
    const test::FewDescriptors none(0);
    const MonoNs before = read_mono();
    inbox->peek(inputs);
    EXPECT_TRUE(inputs.empty());
    const bool spins = awake();
    EXPECT_TRUE(!spins || read_mono() - before >= Inbox::scarce_wait);
  }
  pollfd polled{link->epoll(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&polled, 1, 30'000)) << "its timer wakes";
  inbox->peek(inputs);
  if (inputs.empty()) inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ(1u, inputs[0].descriptors);
}

TEST_F(InboxTest, keeper_signals_are_told_until_consumed_with_their_count) {
  keeper.table().signals_term = 2;
  inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ(SIGTERM, inputs[0].number);
  EXPECT_EQ(2u, inputs[0].count);
  inbox->peek(inputs);
  EXPECT_EQ(1u, inputs.size());
  consume_all();
  inbox->peek(inputs);
  EXPECT_TRUE(inputs.empty());
}

TEST_F(InboxTest, the_death_of_the_keeper_is_one_input_and_does_not_keep_the_loop_awake) {
  keeper.lose();
  EXPECT_TRUE(awake());
  inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_EQ(InputKind::keeper_lost, inputs[0].kind);
  consume_all();
  inbox->peek(inputs);
  EXPECT_TRUE(inputs.empty());
  EXPECT_FALSE(awake());
}

TEST_F(InboxTest, pushed_inputs_come_with_the_next_peek_and_requests_are_answered) {
  std::vector<std::uint64_t> answered;
  Inbox answering(*link, [&](const Input& input, const Result<Accepted>&) { answered.push_back(input.token); });
  Input request;
  request.kind = InputKind::request;
  request.token = 42;
  answering.push(request);
  EXPECT_TRUE(answering.pending());
  answering.peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_FALSE(answering.pending());
  answering.answer(inputs[0], Accepted{});
  EXPECT_EQ((std::vector<std::uint64_t>{42}), answered);
}

TEST_F(InboxTest, an_input_that_killed_two_supervisors_in_a_row_is_poisonous_to_the_third) {
  start(0, 7);
  ASSERT_EQ(0, notify(7, "BAD"));
  for (int deaths = 0; deaths < 2; ++deaths) {
    inbox->peek(inputs);
    ASSERT_EQ(1u, inputs.size());
    EXPECT_FALSE(inbox->poisonous(inputs[0])) << deaths;
    inbox->breadcrumb(inputs[0]);
    restart_supervisor();
  }
  inbox->peek(inputs);
  ASSERT_EQ(1u, inputs.size());
  EXPECT_TRUE(inbox->poisonous(inputs[0]));
  consume_all();
  restart_supervisor();  // a death without a breadcrumb clears the count
  EXPECT_EQ(0u, keeper.table().breadcrumb_deaths);
}

TEST_F(InboxTest, an_input_is_not_to_blame_when_somebody_kills_the_supervisor) {
  start(0, 7);
  ASSERT_EQ(0, notify(7, "READY=1"));
  keeper.table().supervisor.last_wait_code = CLD_KILLED;
  keeper.table().supervisor.last_wait_status = SIGKILL;
  for (int deaths = 0; deaths < 3; ++deaths) {
    inbox->peek(inputs);
    ASSERT_EQ(1u, inputs.size());
    EXPECT_FALSE(inbox->poisonous(inputs[0])) << deaths;
    inbox->breadcrumb(inputs[0]);
    restart_supervisor();
  }
}

struct ReadyPipe : InboxTest {
  void start_with_pipe() {
    maker.spec().ready.edit().type = ProbeType::fd;
    maker.spec().ready.edit().descriptor = 5;
    start(0, 7);
    settle();
  }
  // What the service does with its end.
  void write(const std::string& text) {
    const Parked* pipe = link->parked().find(ParkClass::probe, 7);
    ASSERT_NE(nullptr, pipe);
    const Result<Fd> end = open_pipe_for_service(pipe->fd);
    ASSERT_TRUE(end);
    ASSERT_EQ(static_cast<ssize_t>(text.size()), ::write(end->get(), text.data(), text.size()));
  }
  std::size_t ready_lines() {
    inbox->peek(inputs);
    return static_cast<std::size_t>(std::count_if(inputs.begin(), inputs.end(), [](const Input& input) {
      return input.kind == InputKind::ready_line && input.run == 7 && input.slot == 0;
    }));
  }
};

TEST_F(ReadyPipe, a_newline_is_seen_again_until_it_is_consumed_also_by_a_successor) {
  start_with_pipe();
  EXPECT_FALSE(awake());
  write("\n");
  EXPECT_TRUE(awake());
  EXPECT_EQ(1u, ready_lines());
  EXPECT_EQ(1u, ready_lines());
  restart_supervisor();
  EXPECT_EQ(1u, ready_lines());
  consume_all();
  EXPECT_EQ(nullptr, link->parked().find(ParkClass::probe, 7));
  EXPECT_EQ(0u, ready_lines());
}

TEST_F(ReadyPipe, bytes_without_a_newline_are_thrown_away_and_wake_nobody_again) {
  start_with_pipe();
  write(std::string(20'000, 'x'));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(0u, ready_lines());
  EXPECT_FALSE(awake());
  write("x\nmore");
  EXPECT_EQ(1u, ready_lines());
}

TEST_F(ReadyPipe, is_dropped_with_its_run) {
  start_with_pipe();
  EXPECT_NE(nullptr, link->parked().find(ParkClass::probe, 7));
  client->release_run(0, 7);
  client->flush();
  EXPECT_EQ(nullptr, link->parked().find(ParkClass::probe, 7));
}

TEST_F(InboxTest, a_terminal_is_held_for_its_run_and_wakes_nobody) {
  maker.spec().around.edit().stdin_from = StdinFrom::pty;
  start(0, 7);
  settle();
  const Parked* master = link->parked().find(ParkClass::probe, 7, terminal_name);
  ASSERT_NE(nullptr, master);
  const Result<Fd> input = open_pty_for_service(master->fd);
  ASSERT_TRUE(input);
  EXPECT_TRUE(::isatty(input->get()));
  EXPECT_EQ(2, ::write(input->get(), "x\n", 2));
  EXPECT_FALSE(awake());
  restart_supervisor();
  EXPECT_NE(nullptr, link->parked().find(ParkClass::probe, 7, terminal_name));
  client->release_run(0, 7);
  client->flush();
  EXPECT_EQ(nullptr, link->parked().find(ParkClass::probe, 7, terminal_name));
}

}  // namespace
}  // namespace hearth::os
