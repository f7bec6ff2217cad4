#include "os/listeners.h"

#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "os/messages.h"
#include "os/parked.h"
#include "os/port_owner.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

std::uint16_t port_of(int fd) {
  SocketAddress bound;
  socklen_t size = sizeof bound.bytes;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(bound.bytes), &size);
  return bound.port();
}

// A port that was free a moment ago.
std::uint16_t free_port() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return port_of(fd.get());
}

TEST(Addresses, literal_hosts_wildcards_and_localhost_are_understood_and_names_are_not) {
  EXPECT_EQ(AF_INET, parse_listen_address("tcp:127.0.0.1:80")->family());
  EXPECT_EQ(AF_INET6, parse_listen_address("tcp:[::1]:80")->family());
  EXPECT_TRUE(parse_listen_address("tcp:*:80")->any);
  EXPECT_TRUE(parse_listen_address("tcp::80")->any);
  EXPECT_EQ(AF_INET, parse_listen_address("tcp:localhost:80")->family());
  EXPECT_EQ("/run/x", parse_listen_address("unix:/run/x")->path);
  for (const char* text : {"tcp:example.com:80", "tcp:127.0.0.1", "tcp:127.0.0.1:0", "tcp:127.0.0.1:70000",
                           "tcp:127.0.0.1:80x", "udp:127.0.0.1:80", "unix:x", "unix:", ""})
    EXPECT_FALSE(parse_listen_address(text)) << text;
  EXPECT_FALSE(parse_listen_address("unix:/" + std::string(107, 'x')));
}

TEST(Listeners, a_port_in_use_is_refused_with_the_name_of_who_has_it) {
  const std::string address = "tcp:127.0.0.1:" + std::to_string(free_port());
  Result<Fd> first = listen_on({.name = "http", .address = address}, {});
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_TRUE(listens_on(first->get(), address));
  EXPECT_FALSE(listens_on(first->get(), "tcp:127.0.0.1:1"));
  EXPECT_FALSE(listens_on(first->get(), "tcp:*:" + std::to_string(port_of(first->get()))));
  Result<Fd> second = listen_on({.name = "http", .address = address}, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(Remedy::conflict, second.error().remedy);
  EXPECT_NE(std::string::npos, second.error().text().find("PID " + std::to_string(::getpid())))
      << second.error().text();
}

TEST(Listeners, whether_one_could_listen_is_known_without_a_trace) {
  const std::string address = "tcp:127.0.0.1:" + std::to_string(free_port());
  EXPECT_TRUE(could_listen_on({.name = "http", .address = address}, {}));
  Result<Fd> first = listen_on({.name = "http", .address = address}, {});
  ASSERT_TRUE(first) << "nothing is left of the look: " << first.error().text();
  const Status second = could_listen_on({.name = "http", .address = address}, {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text().find("is in use by"), std::string::npos) << second.error().text();
  EXPECT_TRUE(overlaps(first->get(), "tcp:*:" + std::to_string(port_of(first->get()))));
  EXPECT_FALSE(overlaps(first->get(), "tcp:127.0.0.1:1"));

  test::TempDirectory directory;
  const ListenSocket unix_socket{.name = "app", .address = "unix:" + directory / "s"};
  EXPECT_TRUE(could_listen_on(unix_socket, {}));
  Result<Fd> listening = listen_on(unix_socket, {});
  ASSERT_TRUE(listening);
  EXPECT_FALSE(could_listen_on(unix_socket, {}));
  EXPECT_TRUE(overlaps(listening->get(), unix_socket.address));
  listening->reset();
  EXPECT_TRUE(could_listen_on(unix_socket, {})) << "a stale one is in nobody's way";
  struct stat st{};
  EXPECT_EQ(::stat((directory / "s").c_str(), &st), 0) << "and is still there";
}

TEST(Listeners, a_wildcard_listens_on_its_port_and_is_known_again) {
  const std::string address = "tcp:*:" + std::to_string(free_port());
  Result<Fd> any = listen_on({.name = "http", .address = address}, {});
  ASSERT_TRUE(any) << any.error().text();
  EXPECT_TRUE(listens_on(any->get(), address));
}

TEST(Listeners, a_stale_unix_socket_is_replaced_a_living_one_and_a_file_are_not) {
  test::TempDirectory directory;
  const ListenSocket socket{.name = "app", .address = "unix:" + directory / "s"};
  Result<Fd> first = listen_on(socket, {});
  ASSERT_TRUE(first);
  Result<Fd> second = listen_on(socket, {});
  ASSERT_FALSE(second);
  EXPECT_NE(std::string::npos, second.error().text().find("PID " + std::to_string(::getpid())));
  first->reset();
  EXPECT_TRUE(listen_on(socket, {}));
  std::ofstream(directory / "file") << "precious";
  EXPECT_FALSE(listen_on({.name = "x", .address = "unix:" + directory / "file"}, {}));
  struct stat st{};
  ASSERT_EQ(0, ::stat((directory / "file").c_str(), &st));
  EXPECT_EQ(8, st.st_size);
}

std::string victim;  // what a link in the socket's place leads to
std::string place;

TEST(Listeners, a_link_that_takes_a_unix_sockets_place_hands_nobody_elses_file_out) {
  test::TempDirectory directory;
  victim = directory / "victim";
  place = directory / "s";
  std::ofstream(victim) << "precious";
  ASSERT_EQ(0, ::chmod(victim.c_str(), 0600));
  for (const bool hard : {false, true}) {
    crash_hook = hard ? CrashHook([](const char*) {
      (void)::unlink(place.c_str());
      (void)!::link(victim.c_str(), place.c_str());
    })
                      : CrashHook([](const char*) {
                          (void)::unlink(place.c_str());
                          (void)!::symlink(victim.c_str(), place.c_str());
                        });
    const Result<Fd> listening = listen_on({.name = "app", .address = "unix:" + place}, Owner{65534, 65534});
    crash_hook = nullptr;
    EXPECT_FALSE(listening);
    struct stat st{};
    ASSERT_EQ(0, ::stat(victim.c_str(), &st));
    EXPECT_EQ(0600u, st.st_mode & 07777);
    EXPECT_EQ(::geteuid(), st.st_uid);
  }
}

TEST(ParkedTable, equal_identity_replaces_and_a_key_has_its_names_in_order) {
  ParkedTable table;
  auto fd = [] { return Fd(::dup(1)); };
  table.put(park_record(wire::ParkClass::listen, 1, 1, "b"), fd());
  table.put(park_record(wire::ParkClass::listen, 1, 1, "a"), fd());
  table.put(park_record(wire::ParkClass::listen, 2, 2, "a"), fd());
  const int last = table.put(park_record(wire::ParkClass::listen, 1, 1, "b"), fd())->fd;
  EXPECT_EQ(3u, table.size());
  auto [first, end] = table.range(wire::ParkClass::listen, 1);
  ASSERT_EQ(2, end - first);
  EXPECT_EQ("a", first[0].name());
  EXPECT_EQ(last, first[1].fd);
  EXPECT_EQ(nullptr, table.find(wire::ParkClass::output, 1, "a"));
  EXPECT_TRUE(table.drop(wire::ParkClass::listen, 1, "a"));
  EXPECT_FALSE(table.drop(wire::ParkClass::listen, 1, "a"));
  EXPECT_EQ(32u, sizeof(Parked));
}

TEST(Messages, records_and_descriptors_arrive_together_and_a_dead_peer_is_told_apart_from_a_full_socket) {
  int ends[2];
  ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  Fd a(ends[0]);
  Fd b(ends[1]);
  const wire::RunRecord records[] = {{1, 0, 10}, {2, 0, 20}};
  const int numbers[] = {0, 1, 2};
  EXPECT_EQ(Sent::yes, send_records<wire::RunRecord>(a.get(), wire::MessageType::adopt, records, numbers));
  Message message;
  ASSERT_EQ(Received::message, receive_message(b.get(), message, 0));
  EXPECT_EQ(wire::MessageType::adopt, message.type);
  EXPECT_EQ(20u, message.record<wire::RunRecord>(1)->run);
  EXPECT_EQ(nullptr, message.record<wire::RunRecord>(2));
  EXPECT_EQ(nullptr, message.record<wire::ParkRecord>(0)) << "too short for that";
  EXPECT_EQ(3u, message.descriptors.size());
  EXPECT_EQ(Received::nothing, receive_message(b.get(), message, 0));
  EXPECT_EQ(2, ::write(a.get(), "xx", 2));
  EXPECT_EQ(Received::malformed, receive_message(b.get(), message, 0));
  Sent sent = Sent::yes;
  for (int i = 0; i < 100'000 && sent == Sent::yes; ++i)
    sent = send_records<wire::RunRecord>(a.get(), wire::MessageType::reap, records);
  EXPECT_EQ(Sent::full, sent);
  b.reset();
  EXPECT_EQ(Sent::lost, send_records<wire::RunRecord>(a.get(), wire::MessageType::reap, records));
}

}  // namespace
}  // namespace hearth::os
