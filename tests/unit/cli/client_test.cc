#include "cli/client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "os/clock.h"
#include "unit/cli/fake_server.h"

namespace hearth::cli {
namespace {

MonoNs soon() {
  return after(os::read_mono(), seconds(10));
}

TEST(Client, reads_status_body_and_exit_code) {
  FakeServer server({{http(200, "hello", "Hearth-Exit: 150\r\n")}});
  Client client(server.path);
  const auto answer = client.ask({.target = "/v1/status"}, soon());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_EQ(answer->exit_code, 150);
  EXPECT_TRUE(server.requests()[0].starts_with("GET /v1/status HTTP/1.1\r\nHost: hearth\r\n"));
}

TEST(Client, keeps_its_connection_for_the_next_question) {
  FakeServer server({{http(200, "1"), http(404, "2")}});
  Client client(server.path);
  EXPECT_EQ(client.ask({.target = "/a"}, soon())->body, "1");
  EXPECT_EQ(client.ask({.target = "/b"}, soon())->status, 404);
}

TEST(Client, a_kept_connection_that_was_closed_meanwhile_is_opened_anew) {
  FakeServer server({{http(200, "1")}, {http(200, "2")}});
  Client client(server.path);
  EXPECT_EQ(client.ask({.target = "/a"}, soon())->body, "1");
  const auto second = client.ask({.target = "/b"}, soon());
  ASSERT_TRUE(second.has_value()) << second.error().error.text();
  EXPECT_EQ(second->body, "2");
}

TEST(Client, an_answer_that_says_close_is_not_waited_behind) {
  FakeServer server({{http(200, "1", "Connection: close\r\n")}, {http(200, "2")}});
  Client client(server.path);
  EXPECT_EQ(client.ask({.target = "/a"}, soon())->body, "1");
  EXPECT_EQ(client.ask({.target = "/b"}, soon())->body, "2");
}

TEST(Client, says_not_running_when_there_is_no_socket_or_nobody_listens) {
  Client nowhere("/nonexistent/api.sock");
  EXPECT_EQ(nowhere.ask({.target = "/"}, soon()).error().trouble, Trouble::not_running);
  std::string path;
  {
    FakeServer server({});
    path = server.path;
  }
  Client stale(path);
  EXPECT_EQ(stale.ask({.target = "/"}, soon()).error().trouble, Trouble::not_running);
}

TEST(Client, says_cut_when_the_answer_ends_in_the_middle) {
  FakeServer server({{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"}});
  Client client(server.path);
  EXPECT_EQ(client.ask({.target = "/"}, soon()).error().trouble, Trouble::cut);
}

// Its socket is held by somebody else, as that of a process is one of whose threads the kernel holds.
TEST(Client, says_cut_when_the_server_is_dead_though_there_is_news_from_beside_all_the_time) {
  const std::string path = testing::TempDir() + "hearth-dead-" + std::to_string(getpid());
  const os::Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const pid_t server = fork();
  if (server == 0) _exit(listen(listener.get(), 1));
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(server), &info, WEXITED | WNOWAIT), 0);
  const os::Fd news(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const itimerspec often{{0, 50'000'000}, {0, 50'000'000}};
  ASSERT_EQ(timerfd_settime(news.get(), 0, &often, nullptr), 0);
  Client client(path);
  client.attend(news.get(), [&] { os::drain(news.get()); });
  const auto answer = client.ask({.target = "/"}, soon());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().trouble, Trouble::cut) << answer.error().error.text();
  waitpid(server, nullptr, 0);
  unlink(path.c_str());
}

TEST(Client, says_broken_for_what_is_no_hearth) {
  for (const std::string& answer : {std::string("SSH-2.0-OpenSSH\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\n\r\n"),
                                    std::string("HTTP/1.1 abc\r\nContent-Length: 1\r\n\r\nx"),
                                    std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")}) {
    FakeServer server({{answer}});
    Client client(server.path);
    EXPECT_EQ(client.ask({.target = "/"}, soon()).error().trouble, Trouble::broken) << answer;
  }
}

TEST(Client, gives_up_at_its_deadline) {
  FakeServer server({{std::string("HTTP/1.1 200 OK\r\n"), std::string()}});
  Client client(server.path);
  const MonoNs begin = os::read_mono();
  const auto answer = client.ask({.target = "/"}, after(begin, milliseconds(30)));
  EXPECT_EQ(answer.error().trouble, Trouble::timeout);
  EXPECT_GE(os::read_mono() - begin, milliseconds(30));
}

TEST(Client, ctrl_c_ends_a_wait_and_not_the_program) {
  FakeServer server({{std::string("HTTP/1.1 200 OK\r\n"), std::string()}});
  InterruptWatch watch;
  Client client(server.path, &watch);
  ::raise(SIGINT);
  EXPECT_EQ(client.ask({.target = "/"}, soon()).error().trouble, Trouble::interrupted);
  EXPECT_TRUE(watch.came());
}

// What is asked from the beginning of a stream on is not older than what it tells.
TEST(Client, a_stream_says_that_it_begins_before_anything_comes) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
  FakeServer server({{head + "id: 1\n\n"}, {head}});
  Client client(server.path);
  std::vector<std::string> pieces;
  const auto take = [&](std::string_view piece) {
    pieces.emplace_back(piece);
    return true;
  };
  const auto first = client.stream("/v1/events", take, never);
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().trouble, Trouble::cut);
  EXPECT_EQ(pieces, (std::vector<std::string>{"", "id: 1\n\n"}));
  EXPECT_FALSE(client.stream("/v1/events", take, never));
  EXPECT_EQ(pieces.back(), "") << "of one that tells nothing, too";
}

TEST(Client, what_is_attended_is_looked_after_while_an_answer_is_waited_for) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const os::Fd reading(ends[0]), writing(ends[1]);
  ASSERT_EQ(::write(writing.get(), "x", 1), 1);
  FakeServer server({{std::string("HTTP/1.1 200 OK\r\n"), std::string()}});  // and no more
  InterruptWatch watch;
  Client client(server.path, &watch);
  std::string seen;
  client.attend(reading.get(), [&] {
    char byte = 0;
    if (::read(reading.get(), &byte, 1) == 1) seen += byte;
    ::raise(SIGINT);  // or it would wait on
  });
  EXPECT_EQ(client.ask({.target = "/"}, soon()).error().trouble, Trouble::interrupted);
  EXPECT_EQ(seen, "x");
}

TEST(Client, a_path_too_long_for_a_socket_is_said_so) {
  Client client("/" + std::string(200, 'x'));
  EXPECT_EQ(client.ask({.target = "/"}, soon()).error().trouble, Trouble::broken);
}

}  // namespace
}  // namespace hearth::cli
