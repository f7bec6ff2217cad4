#include "cli/operation.h"

#include <set>
#include <sys/eventfd.h>

#include "os/clock.h"
#include "unit/cli/fake_server.h"

namespace hearth::cli {
namespace {

constexpr const char* accepted = R"({"order":1,"key":"k","repeated":false,"notes":[],"slots":[]})";
constexpr const char* body = R"({"verb":"stop","all":true})";

Patience quick() {
  return {.reconnect = seconds(5),
          .first_pause = milliseconds(1),
          .last_pause = milliseconds(5),
          .lives = {},
          .unfinished = {},
          .last_of_all = -1};
}

std::string key_in(const std::string& request) {
  const std::size_t at = request.find("Idempotency-Key: ");
  return at == request.npos ? "" : request.substr(at + 17, 32);
}

TEST(Operation, keys_are_random_and_thirty_two_hex_digits) {
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.insert(make_key());
  EXPECT_EQ(keys.size(), 100u);
  for (const std::string& key : keys) {
    EXPECT_EQ(key.size(), 32u);
    EXPECT_EQ(key.find_first_not_of("0123456789abcdef"), key.npos);
  }
}

TEST(Operation, repeats_the_same_request_with_the_same_key_when_the_supervisor_dies_in_between) {
  FakeServer server({{""}, {""}, {http(202, accepted)}});
  Client client(server.path);
  Operation operation(client, nullptr, quick());
  const auto answer = operation.post("/v1/orders", body, never);
  ASSERT_TRUE(answer.has_value()) << answer.error().error.text();
  EXPECT_EQ(answer->status, 202);
  EXPECT_EQ(operation.reconnects(), 2);
  const std::vector<std::string> requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0], requests[1]);
  EXPECT_EQ(requests[1], requests[2]);
  EXPECT_EQ(key_in(requests[0]), operation.key());
}

TEST(Operation, repeats_when_the_answer_was_cut_in_the_middle) {
  FakeServer server({{http(202, accepted).substr(0, 90)}, {http(202, accepted)}});
  Client client(server.path);
  Operation operation(client, nullptr, quick());
  EXPECT_EQ(operation.post("/v1/orders", body, never)->body, accepted);
}

TEST(Operation, waits_by_its_key_through_a_change_of_supervisors) {
  FakeServer server({{http(202, accepted), ""}, {""}, {http(200, "{\"settled\":true}")}});
  Client client(server.path);
  Operation operation(client, nullptr, quick());
  ASSERT_TRUE(operation.post("/v1/orders", body, never).has_value());
  const auto answer = operation.look("00ff", milliseconds(1500), never);
  ASSERT_TRUE(answer.has_value()) << answer.error().error.text();
  const std::string expected = "GET /v1/orders/" + operation.key() + "?wait_ms=1500&seen=00ff HTTP/1.1\r\n";
  for (std::size_t i = 1; i < server.requests().size(); ++i) EXPECT_TRUE(server.requests()[i].starts_with(expected));
}

TEST(Operation, refusals_are_answers_and_are_not_repeated) {
  FakeServer server({{http(409, "{}")}});
  Client client(server.path);
  Operation operation(client, nullptr, quick());
  EXPECT_EQ(operation.post("/v1/orders", body, never)->status, 409);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(Operation, does_not_wait_for_a_hearth_that_was_never_there) {
  Client client("/nonexistent/api.sock");
  Operation operation(client, nullptr, {});
  EXPECT_EQ(operation.post("/v1/orders", body, never).error().trouble, Trouble::not_running);
  EXPECT_EQ(operation.reconnects(), 0);
}

TEST(Operation, waits_between_two_lives_of_the_supervisor_as_long_as_hearth_lives) {
  int asked = 0;
  Client client("/nonexistent/api.sock");
  Patience patience = quick();
  patience.lives = [&] { return ++asked < 4; };
  Operation operation(client, nullptr, patience);
  EXPECT_EQ(operation.post("/v1/orders", body, never).error().trouble, Trouble::not_running);
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(operation.reconnects(), 3);
}

TEST(Operation, gives_up_when_nobody_comes_back) {
  std::string path;
  Patience patience = quick();
  patience.reconnect = milliseconds(40);
  patience.lives = [] { return true; };
  Client client("/nonexistent/api.sock");
  Operation operation(client, nullptr, patience);
  const MonoNs begin = os::read_mono();
  EXPECT_FALSE(operation.post("/v1/orders", body, never).has_value());
  EXPECT_GE(os::read_mono() - begin, milliseconds(40));
}

TEST(Operation, a_pause_ends_with_the_last_process) {
  Patience patience = quick();
  patience.reconnect = patience.first_pause = seconds(3'600);  // without the end, longer than any test may take
  int asked = 0;
  patience.lives = [&asked] { return ++asked == 1; };
  os::Fd ended(::eventfd(1, EFD_CLOEXEC));  // readable, as the pidfd of a process that has ended
  patience.last_of_all = ended.get();
  Client client("/nonexistent/api.sock");
  Operation operation(client, nullptr, patience);
  EXPECT_FALSE(operation.post("/v1/orders", "{}", never).has_value());
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace hearth::cli
