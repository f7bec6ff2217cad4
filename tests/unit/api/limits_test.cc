// What hostile, slow and too many clients can do to the API: nothing to the others.
#include <algorithm>
#include <csignal>
#include <deque>
#include <memory>
#include <random>
#include <sched.h>
#include <sys/wait.h>
#include <vector>

#include <gmock/gmock.h>

#include "unit/api/server_fixture.h"

namespace hearth::api {
namespace {

class LimitsTest : public ServerTest {};

class ImpatientTest : public ServerTest {
 protected:
  ImpatientTest() {
    options.patience = std::chrono::milliseconds(60);
    options.answer_within = std::chrono::milliseconds(60);
    options.most_connections = 8;
  }
};

TEST_F(LimitsTest, garbage_is_answered_with_400_and_the_connection_ends) {
  for (const std::string_view garbage :
       {std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string_view("\0\0\0\0\r\n\r\n", 8),
        std::string_view("GET\r\n\r\n"), std::string_view("GET / HTTP/9.9\r\n\r\n"),
        std::string_view("GET / HTTP/1.1\r\nno colon\r\n\r\n"),
        std::string_view("POST /v1/orders HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string_view("POST /v1/orders HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        std::string_view("POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    Client client(path);
    client.send(garbage);
    client.finish_sending();
    ASSERT_TRUE(ended(client)) << garbage;
    EXPECT_TRUE(client.received.starts_with("HTTP/1.1 400 ")) << garbage << "\n" << client.received;
    EXPECT_NE(client.received.find("Connection: close"), std::string::npos);
  }
  EXPECT_TRUE(until([&] { return server->connections() == 0; }));
}

TEST_F(LimitsTest, random_bytes_never_hurt) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string bytes =
        round % 3 == 0 ? get("/v1/status") : post("/v1/orders", R"({"verb":"stop","all":true})", key_one);
    for (int change = 0; change < 1 + round % 5; ++change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    Client client(path);
    client.send(bytes);
    client.finish_sending();
    // Answered, refused or left waiting for the supervisor, but never stuck in between.
    const std::size_t before = submitted.size();
    ASSERT_TRUE(until([&] {
      client.collect();
      return client.ended || submitted.size() > before;
    })) << bytes;
  }
  ASSERT_TRUE(until([&] { return server->connections() == 0; }));
}

TEST_F(LimitsTest, a_header_beyond_16_kib_is_refused_before_it_ends) {
  Client client(path);
  client.send("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x'));
  ASSERT_TRUE(answered(client));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 431 ")) << client.received;
}

TEST_F(LimitsTest, a_body_beyond_8_mib_is_refused_before_it_is_read) {
  Client client(path);
  client.send("POST /v1/apply HTTP/1.1\r\nHost: h\r\nContent-Length: 8388609\r\n\r\nxxxx");
  ASSERT_TRUE(answered(client));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 413 ")) << client.received;
}

TEST_F(LimitsTest, a_client_that_sends_on_after_a_refusal_can_still_read_it) {
  Client client(path);
  client.send("POST /v1/apply HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
  ASSERT_TRUE(send_all(client, std::string(9'000'000, 'x')));
  ASSERT_TRUE(answered(client));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 413 "));
}

TEST_F(LimitsTest, bodies_of_all_clients_together_are_bounded) {
  std::vector<std::unique_ptr<Client>> clients;
  const std::string head = "POST /v1/apply HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n";
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<Client>(path));
    clients.back()->send(head);
  }
  ASSERT_TRUE(until([&] {
    return server->connections() == 4 &&
           std::ranges::all_of(clients, [](const auto& client) { return client->is_read(); });
  }));
  Client fifth(path);
  fifth.send(head);
  ASSERT_TRUE(answered(fifth));
  EXPECT_TRUE(fifth.received.starts_with("HTTP/1.1 503 ")) << fifth.received;
  clients.clear();
  ASSERT_TRUE(until([&] { return server->connections() <= 1; }));
  Client sixth(path);
  sixth.send("POST /v1/apply HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 8388608\r\n\r\n");
  ASSERT_TRUE(until([&] {
    sixth.collect();
    return sixth.received.starts_with("HTTP/1.1 100 Continue\r\n");
  }));
}

TEST_F(LimitsTest, three_hundred_connections_leave_room_for_the_next_one) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(std::make_unique<Client>(path));
    ASSERT_TRUE(clients.back()->connected);
    io.restart();
    io.poll();
  }
  Client next(path);
  next.send(get("/v1/health"));
  ASSERT_TRUE(answered(next));
  EXPECT_TRUE(next.received.starts_with("HTTP/1.1 200 "));
  EXPECT_LE(server->connections(), 256u);
}

TEST_F(LimitsTest, with_256_busy_clients_the_next_is_told_so) {
  control.orders[key_of(1)].slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 256; ++i) {
    clients.push_back(std::make_unique<Client>(path));
    clients.back()->send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=60000"));
  }
  ASSERT_TRUE(until([&] { return control.looks >= 256; }));
  Client next(path);
  ASSERT_TRUE(answered(next));
  EXPECT_TRUE(next.received.starts_with("HTTP/1.1 503 ")) << next.received;
  control.orders[key_of(1)].settled = true;
  server->turn_done();
  for (const auto& client : clients) ASSERT_TRUE(answered(*client));
}

TEST_F(LimitsTest, whoever_comes_beyond_all_that_are_being_told_so_is_told_so_too) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 600; ++i) {
    clients.push_back(std::make_unique<Client>(path));
    clients.back()->send("GET /v1/sta");
    io.restart();
    io.poll();
  }
  for (int i = 0; i < 5; ++i) {
    Client next(path);
    next.send(get("/v1/health"));
    ASSERT_TRUE(answered(next));
    EXPECT_TRUE(next.received.starts_with("HTTP/1.1 503 ")) << next.received;
    EXPECT_NE(next.received.find("256 clients are connected"), std::string::npos) << next.received;
  }
  EXPECT_LE(server->connections(), 256u + 32u);
}

TEST_F(ImpatientTest, a_client_that_stops_sending_is_dropped) {
  Client header(path), body(path), nothing(path);
  header.send("GET /v1/sta");
  body.send("POST /v1/apply HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nxx");
  EXPECT_TRUE(ended(header));
  EXPECT_TRUE(ended(body));
  EXPECT_TRUE(ended(nothing));
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(ImpatientTest, a_client_that_does_not_read_its_answer_is_dropped) {
  for (int i = 0; i < 4000; ++i) control.told.services.push_back(slot("app", "web", Phase::running));
  Client client(path);
  client.send(get("/v1/status"));
  EXPECT_TRUE(until([&] { return server->connections() == 1; }));
  EXPECT_TRUE(until([&] { return server->connections() == 0; }));
}

struct SlowReaderTest : ImpatientTest {
  SlowReaderTest() { options.patience = std::chrono::milliseconds(120); }
};

TEST_F(SlowReaderTest, that_goes_on_reading_gets_everything) {
  for (int i = 0; i < 4000; ++i) control.told.services.push_back(slot("app", "web", Phase::running));
  using Clock = std::chrono::steady_clock;
  // A buffer is emptied in fewer turns, and as many may pass before the client sees that it was dropped.
  constexpr std::size_t turns_seen = 16;
  const Clock::time_point end = Clock::now() + std::chrono::seconds(30);
  for (bool longer_than_patience = false; !longer_than_patience;) {
    ASSERT_LT(Clock::now(), end);
    Client client(path);
    client.send(get("/v1/status"));
    const Clock::time_point begin = Clock::now();
    std::deque<Clock::time_point> turns;
    std::size_t allowed = 0;
    ASSERT_TRUE(until([&] {
      turns.push_back(Clock::now());
      if (turns.size() > turns_seen) turns.pop_front();
      client.collect(allowed += 32'768);
      return client.answers() == 1 || client.ended;
    }));
    longer_than_patience = client.answers() == 1 && Clock::now() - begin > options.patience;
    if (client.answers() == 1) continue;
    // But where the machine held this thread up for so long it was no reader that goes on: once more.
    ASSERT_GE(Clock::now() - turns.front(), options.patience) << "dropped while it read";
  }
}

TEST_F(ImpatientTest, a_supervisor_that_does_not_answer_is_said_to_be_late) {
  Client client(path);
  client.send(post("/v1/orders", R"({"verb":"stop","all":true})", key_one));
  ASSERT_TRUE(answered(client));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 503 ")) << client.received;
  ASSERT_EQ(submitted.size(), 1u);
  server->answer(submitted[0].token, Accepted{});
}

TEST_F(ImpatientTest, refused_clients_that_stay_are_bounded_too) {
  control.orders[key_of(1)].slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(path));
    clients.back()->send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=60000"));
    io.restart();
    io.poll();
  }
  EXPECT_LE(server->connections(), 8u + 32u);
}

TEST_F(LimitsTest, other_users_are_refused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ::chmod(directory.c_str(), 0755);
  ::chmod(path.c_str(), 0777);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(2);
    Client client(path);
    client.send(get("/v1/health"));
    while (!client.ended) client.collect();
    ::_exit(client.received.starts_with("HTTP/1.1 403 ") ? 0 : 1);
  }
  int status = -1;
  EXPECT_TRUE(until([&] { return ::waitpid(child, &status, WNOHANG) == child; }));
  EXPECT_EQ(status, 0);
}

// A process of a sandbox may leave its connection to its parent, so that nobody is left to look at.
TEST_F(LimitsTest, who_has_ended_is_refused_as_soon_as_any_service_has_a_sandbox) {
  for (const bool sandboxes : {false, true}) {
    control.sandboxes = sandboxes;
    EXPECT_THAT(ask(get("/v1/health")), testing::StartsWith("HTTP/1.1 200 ")) << "who lives and is in no leaf";
    Client* left = nullptr;
    // Shares our descriptors and memory, and so leaves us what it has connected.
    struct Work {
      Client*& left;
      const std::string& path;
    } work{left, path};
    const auto connect = [](void* argument) {
      Work& mine = *static_cast<Work*>(argument);
      mine.left = new Client(mine.path);
      return 0;
    };
    std::vector<char> stack(256u << 10);
    const pid_t child =
        ::clone(connect, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &work);
    ASSERT_GT(child, 0);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const std::unique_ptr<Client> client(left);
    ASSERT_TRUE(client);
    EXPECT_TRUE(send_all(*client, get("/v1/health")));
    EXPECT_TRUE(answered(*client));
    if (sandboxes) {
      EXPECT_THAT(client->received, testing::StartsWith("HTTP/1.1 403 "));
      EXPECT_THAT(client->received, testing::HasSubstr("has ended, and it is not known whether it had a sandbox"));
    } else {
      EXPECT_THAT(client->received, testing::StartsWith("HTTP/1.1 200 "));
    }
  }
}

}  // namespace
}  // namespace hearth::api
