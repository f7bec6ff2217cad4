#include "probe/prober.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/listeners.h"
#include "unit/os/temp_directory.h"

namespace hearth::probe {
namespace {

struct ProberTest : ::testing::Test {
  std::vector<ports::Input> results;
  std::unique_ptr<Prober> prober =
      std::move(*Prober::create([this](ports::Input input) { results.push_back(std::move(input)); }));
  os::Fd server;
  std::uint16_t port = 0;

  void listen() {
    server = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(0, ::bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    ASSERT_EQ(0, ::listen(server.get(), 8));
    ASSERT_EQ(0, ::getsockname(server.get(), reinterpret_cast<sockaddr*>(&address), &size));
    port = ntohs(address.sin_port);
  }
  Probe http(const std::string& path = "/") {
    Probe probe;
    probe.type = ProbeType::http;
    probe.url = "http://127.0.0.1:" + std::to_string(port) + path;
    return probe;
  }
  Probe tcp() {
    Probe probe;
    probe.type = ProbeType::tcp;
    probe.address = "localhost:" + std::to_string(port);
    return probe;
  }
  // Lets the prober work until there is a result, or for as long as something may still come.
  void run() {
    const MonoNs end = os::read_mono() + seconds(10);
    while (results.empty() && os::read_mono() < end) {
      pollfd polled{prober->epoll(), POLLIN, 0};
      ::poll(&polled, 1, 100);
      prober->ready();
    }
  }
  // Takes the connection, reads the request, answers with these parts.
  std::string serve(std::vector<std::string> parts) {
    os::Fd client(::accept(server.get(), nullptr, nullptr));
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
      pollfd polled{client.get(), POLLIN, 0};
      prober->ready();
      if (::poll(&polled, 1, 10) <= 0) continue;
      char bytes[512];
      const ssize_t n = ::read(client.get(), bytes, sizeof bytes);
      if (n <= 0) break;
      request.append(bytes, static_cast<std::size_t>(n));
    }
    for (const std::string& part : parts) {
      EXPECT_TRUE(os::write_all(client.get(), part, "answer"));
      prober->ready();
    }
    return request;
  }
};

TEST_F(ProberTest, an_http_server_that_answers_200_is_good_and_gets_a_proper_request) {
  listen();
  prober->begin(3, true, 7, http("/health"));
  EXPECT_TRUE(serve({"HTTP/1.1 200 OK\r\n\r\n"}).starts_with("GET /health HTTP/1.0\r\nHost: 127.0.0.1:"));
  run();
  ASSERT_EQ(1u, results.size());
  EXPECT_EQ(ports::InputKind::probe_result, results[0].kind);
  EXPECT_EQ(3u, results[0].slot);
  EXPECT_TRUE(results[0].live);
  EXPECT_EQ(7u, results[0].attempt);
  EXPECT_TRUE(results[0].good);
  EXPECT_EQ(0u, prober->under_way());
  EXPECT_EQ(never, prober->next_deadline());
}

TEST_F(ProberTest, a_status_that_arrives_in_pieces_is_put_together) {
  listen();
  prober->begin(0, false, 1, http());
  serve({"HTT", "P/1.0 5", "03 Busy", "\r\n"});
  run();
  ASSERT_EQ(1u, results.size());
  EXPECT_FALSE(results[0].good);
  EXPECT_EQ("status 503", results[0].data);
}

TEST_F(ProberTest, a_server_that_talks_something_else_or_for_ever_is_bad) {
  listen();
  prober->begin(0, false, 1, http());
  serve({"SSH-2.0-x\r\n"});
  run();
  EXPECT_FALSE(results.at(0).good);
  results.clear();
  prober->begin(0, false, 2, http());
  serve({"HTTP/1.1 200 " + std::string(2 * Prober::answer_max, 'x')});
  run();
  EXPECT_FALSE(results.at(0).good);
}

TEST_F(ProberTest, a_server_that_closes_without_an_answer_is_bad) {
  listen();
  prober->begin(0, false, 1, http());
  serve({});
  run();
  EXPECT_FALSE(results.at(0).good);
}

TEST_F(ProberTest, a_refused_connection_is_bad_and_an_open_port_is_good_for_tcp) {
  listen();
  prober->begin(0, false, 1, tcp());
  run();
  EXPECT_TRUE(results.at(0).good);
  results.clear();
  server.reset();
  prober->begin(0, false, 2, tcp());
  run();
  EXPECT_FALSE(results.at(0).good);
  EXPECT_EQ(2u, results.at(0).attempt);
}

TEST_F(ProberTest, a_silent_server_is_given_up_when_the_callers_clock_says_so) {
  listen();
  Probe probe = http();
  probe.timeout = seconds(2);
  prober->begin(0, false, 1, probe);
  const MonoNs deadline = prober->next_deadline();
  prober->advance_to(deadline - 1);
  EXPECT_TRUE(results.empty());
  prober->advance_to(deadline);
  EXPECT_FALSE(results.at(0).good);
  EXPECT_EQ("no answer in time", results.at(0).data);
  prober->ready();
  EXPECT_EQ(1u, results.size());
}

TEST_F(ProberTest, a_cancelled_try_gives_no_result) {
  listen();
  prober->begin(0, false, 1, http());
  prober->begin(1, false, 1, http());
  prober->cancel(0);
  EXPECT_EQ(1u, prober->under_way());
  prober->advance_to(never);
  ASSERT_EQ(1u, results.size());
  EXPECT_EQ(1u, results[0].slot);
}

TEST_F(ProberTest, a_bad_address_is_a_bad_result_that_says_why) {
  Probe probe;
  probe.type = ProbeType::http;
  probe.url = "http://example.com/";
  prober->begin(0, false, 1, probe);
  ASSERT_EQ(1u, results.size());
  EXPECT_FALSE(results[0].good);
  EXPECT_NE(std::string::npos, results[0].data.find("names are not looked up"));
}

TEST_F(ProberTest, a_unix_socket_is_probed_as_well) {
  test::TempDirectory directory;
  server = std::move(*os::listen_on({.name = "x", .address = "unix:" + directory / "s"}, {}));
  Probe probe;
  probe.type = ProbeType::http;
  probe.url = "unix:" + (directory / "s") + ":/live";
  prober->begin(0, false, 1, probe);
  EXPECT_TRUE(serve({"HTTP/1.1 302 Found\r\n"}).starts_with("GET /live "));
  run();
  EXPECT_TRUE(results.at(0).good);
}

}  // namespace
}  // namespace hearth::probe
