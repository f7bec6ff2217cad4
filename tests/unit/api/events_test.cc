// GET /v1/events: the journal as server-sent events.
#include "unit/api/server_fixture.h"

namespace hearth::api {
namespace {

class EventsTest : public ServerTest {
 protected:
  void add(const std::string& service, const std::string& text = "x", const char* kind = "state") {
    const EventId id = control.dropped + control.journal.size() + 1;
    control.journal.push_back("{\"id\":" + std::to_string(id) + ",\"time\":\"t\",\"kind\":\"" + kind + "\"" +
                              (service.empty() ? "" : ",\"service\":\"" + service + "\"") + ",\"text\":\"" + text +
                              "\"}");
  }
  bool has(Client& client, const std::string& text) {
    return until([&] {
      client.collect();
      return client.received.find(text) != std::string::npos;
    });
  }
  static std::size_t count(const std::string& text, const std::string& of) {
    std::size_t found = 0;
    for (std::size_t at = text.find(of); at != text.npos; at = text.find(of, at + 1)) ++found;
    return found;
  }
};

TEST_F(EventsTest, what_is_kept_comes_first_and_then_what_happens) {
  add("p.web.0");
  Client client(path);
  client.send(get("/v1/events"));
  ASSERT_TRUE(has(client, "id: 1\nevent: state\ndata: {\"id\":1,"));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  add("p.db.0", "later");
  server->turn_done();
  ASSERT_TRUE(has(client, "later"));
  EXPECT_EQ(count(client.received, "data: "), 2u);
  client.close();
  EXPECT_TRUE(until([&] { return server->connections() == 0; }));
}

TEST_F(EventsTest, who_comes_back_goes_on_behind_the_last_id) {
  for (int i = 0; i < 5; ++i) add("p.web.0");
  Client client(path);
  client.send("GET /v1/events?after=1&follow=0 HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 3\r\n\r\n");
  ASSERT_TRUE(ended(client));
  EXPECT_EQ(count(client.received, "data: "), 2u);
  EXPECT_NE(client.received.find("id: 4\n"), std::string::npos);
  EXPECT_TRUE(client.received.ends_with(": end\n\n"));
}

TEST_F(EventsTest, names_choose_and_leave_out_what_is_of_hearth_itself) {
  add("", "order", "order");
  add("p.web.0");
  add("p.webber.0");
  add("q.web.1");
  add("p.x.0", "\\\"kind\\\":\\\"state\\\",\\\"service\\\":\\\"p.web.0\\\"");
  Client client(path);
  client.send(get("/v1/events?follow=0&names=web"));
  ASSERT_TRUE(ended(client));
  EXPECT_EQ(count(client.received, "data: "), 2u) << client.received;
  Client other(path);
  other.send(get("/v1/events?follow=0&names=q.*,p.web"));
  ASSERT_TRUE(ended(other));
  EXPECT_EQ(count(other.received, "data: "), 2u) << other.received;
}

TEST_F(EventsTest, a_tag_chooses_those_that_have_it) {
  SlotStatus web;
  web.project = "p";
  web.name = "web";
  web.tags = {"front"};
  control.told.services.push_back(web);
  add("p.web.0");
  add("p.db.0");
  Client client(path);
  client.send(get("/v1/events?follow=0&names=@fro*"));
  ASSERT_TRUE(ended(client));
  EXPECT_EQ(count(client.received, "data: "), 1u) << client.received;
  Client nobody(path);
  nobody.send(get("/v1/events?follow=0&names=@back"));
  ASSERT_TRUE(ended(nobody));
  EXPECT_EQ(count(nobody.received, "data: "), 0u) << nobody.received;
}

TEST_F(EventsTest, after_now_is_only_what_is_still_to_come) {
  add("p.web.0", "old");
  Client client(path);
  client.send(get("/v1/events?after=now"));
  ASSERT_TRUE(has(client, "\r\n\r\n"));
  add("p.web.0", "new");
  server->turn_done();
  ASSERT_TRUE(has(client, "new"));
  EXPECT_EQ(client.received.find("old"), std::string::npos);
}

TEST_F(EventsTest, a_slow_reader_gets_ten_thousand_events_and_nobody_waits_for_him) {
  Client slow(path);
  slow.send(get("/v1/events"));
  ASSERT_TRUE(has(slow, "\r\n\r\n"));
  for (int i = 0; i < 10'000; ++i) {
    add("p.web.0", std::string(150, 'y'));
    if (i % 100 == 0) server->turn_done();
  }
  server->turn_done();
  // He reads nothing; others are answered.
  EXPECT_TRUE(ask(get("/v1/health")).starts_with("HTTP/1.1 200"));
  const std::string last = "id: 10000\n";
  ASSERT_TRUE(until([&] {
    slow.collect(slow.received.size() + 50'000);
    return slow.received.find(last) != std::string::npos;
  }));
  EXPECT_EQ(count(slow.received, "\ndata: "), 10'000u);
}

TEST_F(EventsTest, who_is_further_behind_than_memory_reaches_is_told) {
  control.dropped = 100;
  add("p.web.0");
  Client client(path);
  client.send(get("/v1/events?after=7&follow=0"));
  ASSERT_TRUE(ended(client));
  EXPECT_NE(client.received.find("event: gap\ndata: {\"after\":7,\"oldest\":101}\n\nid: 101\n"), std::string::npos)
      << client.received;
}

TEST_F(EventsTest, what_is_no_id_is_refused) {
  EXPECT_TRUE(ask(get("/v1/events?after=x")).starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask(get("/v1/events?follow=2")).starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask(post("/v1/events", "{}", key_one)).starts_with("HTTP/1.1 405"));
}

TEST_F(EventsTest, more_streams_than_are_allowed_are_refused) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < options.most_streams; ++i) {
    clients.push_back(std::make_unique<Client>(path));
    clients.back()->send(get("/v1/events"));
    ASSERT_TRUE(has(*clients.back(), "\r\n\r\n"));
  }
  EXPECT_TRUE(ask(get("/v1/events")).starts_with("HTTP/1.1 503"));
}

TEST_F(EventsTest, an_order_carries_who_gave_it) {
  Client client(path);
  client.send(post("/v1/orders", R"({"verb":"shutdown"})", key_one));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  EXPECT_EQ(submitted[0].request.peer.pid, ::getpid());
  EXPECT_EQ(submitted[0].request.peer.uid, ::geteuid());
  EXPECT_NE(submitted[0].request.peer.command.find("api_server_test"), std::string::npos);
}

}  // namespace
}  // namespace hearth::api
