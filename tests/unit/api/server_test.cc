#include "unit/api/server_fixture.h"

namespace hearth::api {
namespace {

TEST_F(ServerTest, answers_several_requests_on_one_connection) {
  Client client(path);
  client.send(get("/v1/health"));
  ASSERT_TRUE(answered(client, 1));
  client.send(get("/v1/status"));
  ASSERT_TRUE(answered(client, 2));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(client.received.find("Hearth-Exit: 3\r\n"), std::string::npos);
  EXPECT_EQ(server->connections(), 1u);
}

TEST_F(ServerTest, requests_sent_in_one_go_are_answered_in_order) {
  Client client(path);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += get(i % 2 == 0 ? "/v1/health" : "/nothing");
  ASSERT_TRUE(until([&] {
    many.erase(0, client.send(many));
    client.collect();
    return many.empty();
  }));
  ASSERT_TRUE(answered(client, 2000));
  const std::size_t second = client.received.find("HTTP/1.1", 1);
  EXPECT_TRUE(client.received.substr(second).starts_with("HTTP/1.1 404"));
}

TEST_F(ServerTest, a_request_may_come_byte_by_byte) {
  Client client(path);
  for (const char c : post("/v1/orders", R"({"verb":"shutdown"})", key_one)) {
    ASSERT_TRUE(send_all(client, {&c, 1}));
    io.restart();
    io.poll();
  }
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  server->answer(submitted[0].token, Accepted{.order = 5});
  ASSERT_TRUE(answered(client));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 202 Accepted\r\n"));
  EXPECT_NE(client.received.find(R"({"order":5,"key":"01010101010101010101010101010101","repeated":false)"),
            std::string::npos);
}

TEST_F(ServerTest, a_chunked_body_is_a_body) {
  Client client(path);
  client.send("POST /v1/orders HTTP/1.1\r\nHost: h\r\nIdempotency-Key: " + std::string(key_one) +
              "\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"verb\r\n");
  client.send("d\r\n\":\"shutdown\"}\r\n0\r\n\r\n");
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  EXPECT_EQ(submitted[0].request.verb, Verb::shutdown);
}

TEST_F(ServerTest, an_answer_may_come_from_within_submit) {
  server.reset();
  io.restart();
  io.poll();
  ::unlink(path.c_str());
  os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  server = std::make_unique<Server>(
      io, std::move(listener), control,
      [this](ports::Input input) {
        server->answer(input.token, failure(Remedy::try_later, "start", "web", "the disk is full", "free some space"));
      },
      options);
  const std::string answer = ask(post("/v1/orders", R"({"verb":"start","names":["web"]})", key_one));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("the disk is full"), std::string::npos);
}

TEST_F(ServerTest, the_same_key_twice_reaches_the_supervisor_twice_which_knows_it) {
  Client first(path), second(path);
  const std::string request = post("/v1/orders", R"({"verb":"stop","all":true})", key_one);
  first.send(request);
  second.send(request);
  ASSERT_TRUE(until([&] { return submitted.size() == 2; }));
  EXPECT_EQ(submitted[0].request.key, submitted[1].request.key);
  EXPECT_NE(submitted[0].token, submitted[1].token);
  server->answer(submitted[1].token, Accepted{.order = 9, .repeated = true});
  ASSERT_TRUE(answered(second));
  EXPECT_NE(second.received.find("\"repeated\":true"), std::string::npos);
  EXPECT_EQ(first.answers(), 0u);
}

TEST_F(ServerTest, a_client_that_was_cut_off_leaves_nothing_and_its_answer_goes_nowhere) {
  {
    Client half(path);
    half.send(post("/v1/orders", R"({"verb":"stop","all":true})", key_one).substr(0, 60));
    ASSERT_TRUE(until([&] { return server->connections() == 1; }));
  }
  ASSERT_TRUE(until([&] { return server->connections() == 0; }));
  EXPECT_TRUE(submitted.empty());

  Client waiting(path);
  waiting.send(post("/v1/orders", R"({"verb":"stop","all":true})", key_one));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  waiting.close();
  ASSERT_TRUE(until([&] { return server->connections() == 0; }));
  server->answer(submitted[0].token, Accepted{});
  server->answer(12345, Accepted{});
}

TEST_F(ServerTest, a_client_that_only_finished_sending_still_gets_its_answer) {
  Client client(path);
  client.send(post("/v1/orders", R"({"verb":"stop","all":true})", key_one));
  client.finish_sending();
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  io.restart();
  io.run_for(std::chrono::milliseconds(20));
  server->answer(submitted[0].token, Accepted{.order = 3});
  ASSERT_TRUE(answered(client));
  ASSERT_TRUE(ended(client));
}

TEST_F(ServerTest, a_waiter_is_answered_when_a_turn_settles_its_order) {
  OrderReport& report = control.orders[key_of(1)];
  report.slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  Client client(path);
  client.send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=60000"));
  ASSERT_TRUE(until([&] { return control.looks > 0; }));
  server->turn_done();
  io.restart();
  io.run_for(std::chrono::milliseconds(50));
  client.collect();
  EXPECT_EQ(client.answers(), 0u);
  report.settled = true;
  report.slots[0].outcome = Outcome::done;
  server->turn_done();
  ASSERT_TRUE(answered(client));
  EXPECT_NE(client.received.find("\"settled\":true"), std::string::npos);
}

TEST_F(ServerTest, many_turns_in_a_row_cost_few_looks) {
  OrderReport& report = control.orders[key_of(1)];
  report.slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  Client client(path);
  client.send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=60000"));
  ASSERT_TRUE(until([&] { return control.looks > 0; }));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) server->turn_done();
  EXPECT_LE(control.looks, 2 + (std::chrono::steady_clock::now() - begin) / options.look_pause);
  report.settled = true;  // seen by the look that is due, without another turn
  ASSERT_TRUE(answered(client));
}

TEST_F(ServerTest, a_waiter_whose_time_is_up_is_told_how_things_stand) {
  control.orders[key_of(1)].slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  Client client(path);
  client.send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=30"));
  ASSERT_TRUE(answered(client));
  EXPECT_NE(client.received.find("\"settled\":false"), std::string::npos);
  client.send(get("/v1/health"));
  EXPECT_TRUE(answered(client, 2));
}

TEST_F(ServerTest, a_waiter_that_went_away_is_forgotten) {
  control.orders[key_of(1)].slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  Client client(path);
  client.send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=60000"));
  ASSERT_TRUE(until([&] { return control.looks > 0; }));
  client.close();
  ASSERT_TRUE(until([&] { return server->connections() == 0; }));
  const int before = control.looks;
  server->turn_done();
  EXPECT_EQ(control.looks, before);
}

TEST_F(ServerTest, head_has_the_length_but_no_body) {
  Client client(path);
  client.send("HEAD /v1/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(ended(client));
  EXPECT_NE(client.received.find("Content-Length: 16"), std::string::npos);
  EXPECT_TRUE(client.received.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, http_1_0_ends_after_its_answer) {
  Client client(path);
  client.send("GET /v1/health HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(ended(client));
  EXPECT_EQ(client.answers(), 1u);
}

TEST_F(ServerTest, ends_in_the_middle_of_everything_without_harm) {
  control.orders[key_of(1)].slots = {{Outcome::pending, slot("app", "web", Phase::starting)}};
  Client polling(path), waiting(path), reading(path), idle(path);
  polling.send(get("/v1/orders/" + std::string(key_one) + "?wait_ms=60000"));
  waiting.send(post("/v1/orders", R"({"verb":"stop","all":true})", key_one));
  reading.send("GET /v1");
  ASSERT_TRUE(until([&] { return submitted.size() == 1 && server->connections() == 4; }));
  server.reset();
  for (Client* client : {&polling, &waiting, &reading, &idle}) EXPECT_TRUE(ended(*client));
}

}  // namespace
}  // namespace hearth::api
