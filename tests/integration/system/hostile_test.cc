// Peers that mean harm, and what they leave in hearth's way: on the control socket, on a run's notify socket, in directories
// and in the slot table that a spawner has mapped. While they are at it, services run and orders are answered.
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "wire/keeper_messages.h"
#include "wire/slot_table.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

std::size_t descriptors_of(pid_t pid) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error), end; !error && it != end;
       it.increment(error))
    ++count;
  return count;
}

os::Fd socket_to(const std::string& path, int type) {
  os::Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) fd.reset();
  return fd;
}

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Hostile : Machine {
  // Up and ready; its watchdog would end it if it were not heard.
  Actor start(const std::string& more = "") {
    project("[service.web]\nready = \"notify\"\nwatchdog = \"60s\"\n" + more + puppet());
    Command waiting = begin({"up"});
    Actor web = stage->enter();
    EXPECT_EQ("ok", web.ask("notify READY=1"));
    EXPECT_EQ(0, waiting.wait().code);
    supervisor = status().supervisor;
    return web;
  }
  // Supervision is as ever: an order of status is answered, and a service is heard.
  void expect_all_well(const Actor& web) {
    EXPECT_EQ(0, hearth({"status"}).code);
    EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
    EXPECT_EQ("closed", web.ask("barrier"));
    EXPECT_EQ(web.pid, service().pid);
    EXPECT_EQ(supervisor, status().supervisor);
    EXPECT_EQ(0u, status().takeovers);
  }
  os::Fd api() { return socket_to(directory + "/api.sock", SOCK_STREAM); }
  pid_t supervisor = 0;
};

TEST_F(Hostile, clients_that_say_nothing_or_a_byte_at_a_time_or_never_read_hold_nobody_up) {
  const Actor web = start();
  std::vector<os::Fd> silent, slow, deaf;
  for (int i = 0; i < 60; ++i) {
    silent.push_back(api());
    slow.push_back(api());
    deaf.push_back(api());
  }
  std::string questions;
  for (int i = 0; i < 2'000; ++i) questions += "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string request = "POST /v1/orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{";
  std::vector<std::size_t> sent(deaf.size());
  for (std::size_t round = 0; round < 40; ++round) {
    for (const os::Fd& fd : slow) (void)::send(fd.get(), &request[round], 1, MSG_NOSIGNAL);
    for (std::size_t i = 0; i < deaf.size(); ++i) {
      const ssize_t n = ::send(deaf[i].get(), &questions[sent[i]], questions.size() - sent[i], MSG_NOSIGNAL);
      if (n > 0) sent[i] += static_cast<std::size_t>(n);
    }
    if (round % 10 == 0) expect_all_well(web);
  }
  expect_all_well(web);
  expect_clean_shutdown();
}

TEST_F(Hostile, ten_thousand_connections_leave_room_for_an_order_and_no_descriptor_behind) {
  const Actor web = start();
  const std::size_t before = descriptors_of(supervisor);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  // Below the 256 that are served at once: of those that are in the middle of a request none is closed for another one.
  const std::size_t held = std::min<std::size_t>(200, limit.rlim_cur / 2);
  std::vector<os::Fd> clients(held);
  for (std::size_t made = 0; made < 10'000;) {
    os::Fd fd = api();
    if (!fd) {  // its queue is full, and it is not waited for
      ::poll(nullptr, 0, 1);
      continue;
    }
    (void)::send(fd.get(), "GET /v1", made % 8, MSG_NOSIGNAL);
    clients[made % held] = std::move(fd);
    if (++made % 2'500 == 0) expect_all_well(web);
  }
  clients.clear();
  EXPECT_TRUE(until([&] { return descriptors_of(supervisor) <= before + 4; })) << descriptors_of(supervisor);
  expect_clean_shutdown();
}

TEST_F(Hostile, floods_of_descriptors_and_of_large_datagrams_on_a_notify_socket_cost_only_their_sender) {
  const Actor web = start();
  const std::size_t before = descriptors_of(supervisor);
  const os::Fd rude = socket_to(web.ask("variable NOTIFY_SOCKET"), SOCK_DGRAM);
  ASSERT_TRUE(rude);
  const std::string large(180'000, 'A');
  const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int round = 0; round < 200; ++round) {
    (void)::send(rude.get(), large.data(), large.size(), MSG_NOSIGNAL);
    for (const std::string& text :
         {std::string("STATUS=rude"), std::string("FDSTORE=1\nFDNAME=x"), large.substr(0, 9'000)}) {
      char control[CMSG_SPACE(253 * sizeof(int))] = {};
      iovec part{const_cast<char*>(text.data()), text.size()};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(253 * sizeof(int));
      for (std::size_t i = 0; i < 253; ++i) std::memcpy(CMSG_DATA(c) + i * sizeof(int), &null, sizeof(int));
      (void)::sendmsg(rude.get(), &message, MSG_NOSIGNAL);
    }
    if (round % 50 == 0) expect_all_well(web);
  }
  EXPECT_TRUE(until([&] { return descriptors_of(supervisor) <= before + 4; })) << descriptors_of(supervisor);
  expect_all_well(web);
  expect_clean_shutdown();
}

TEST_F(Hostile, another_user_reaches_neither_the_control_socket_nor_a_runs_notify_socket) {
  if (!root()) GTEST_SKIP() << "only root can become somebody else";
  const Actor web = start();
  const std::string notify = web.ask("variable NOTIFY_SOCKET");
  const pid_t other = ::fork();
  if (other == 0) {
    if (::setresgid(65534, 65534, 65534) < 0 || ::setresuid(65534, 65534, 65534) < 0) ::_exit(9);
    for (const std::string& path : {notify, directory + "/api.sock", directory + "/keeper.sock"})
      if (socket_to(path, path == notify ? SOCK_DGRAM : SOCK_STREAM)) ::_exit(1);
    ::_exit(0);
  }
  int ended = 0;
  ASSERT_EQ(other, ::waitpid(other, &ended, 0));
  EXPECT_EQ(0, ended);
  expect_all_well(web);
}

TEST_F(Hostile, links_in_a_log_directory_of_a_services_user_lead_root_nowhere) {
  if (!root()) GTEST_SKIP() << "only root works in directories of others";
  const Actor web = start("user = \"nobody\"\nlog = { max_size = \"4KiB\", max_files = 1000 }\n");
  write_file(base + "/secret", "precious", 0600);
  EXPECT_EQ("ok", web.ask("print first"));
  EXPECT_TRUE(until([&] { return logged() == "first\n"; }));
  const std::string logs = service().log_directory;
  struct stat of_logs{};
  ASSERT_EQ(0, ::stat(logs.c_str(), &of_logs));
  for (int i = 2; i < 6; ++i)
    std::filesystem::create_symlink(base + "/secret", logs + "/0000000" + std::to_string(i) + ".log");
  std::filesystem::create_symlink(base + "/secret", logs + "/00000006.idx");
  EXPECT_EQ(0, ::link((base + "/secret").c_str(), (logs + "/00000007.log").c_str()));
  EXPECT_EQ("ok", web.ask("lines 2000"));
  EXPECT_TRUE(until([&] { return logged().find("line 2000\n") != std::string::npos; }));
  EXPECT_EQ("precious", content(base + "/secret"));
  struct stat of_secret{};
  ASSERT_EQ(0, ::stat((base + "/secret").c_str(), &of_secret));
  EXPECT_EQ(0u, of_secret.st_uid);
  EXPECT_EQ(0600u, of_secret.st_mode & 07777);
}

// DIR/keeper.sock is for keepers that a service manager starts. Whoever else of hearth's user connects there is declined,
// whatever he says, or is not heard; and a keeper that dies meanwhile is followed all the same.
TEST_F(Hostile, whoever_is_no_keeper_is_declined_and_the_next_one_comes_all_the_same) {
  const Actor web = start();
  const std::string path = directory + "/keeper.sock";
  const auto closes = [&](const os::Fd& fd) {
    pollfd polled{fd.get(), POLLIN, 0};
    char byte;
    return ::poll(&polled, 1, patience_ms) == 1 && ::recv(fd.get(), &byte, 1, 0) <= 0;
  };
  wire::MessageHeader half{};
  half.type = wire::MessageType::hello;
  half.count = 1;
  std::string hello(reinterpret_cast<const char*>(&half), sizeof half);
  hello.append(sizeof(wire::HelloRecord), '\xff');
  std::vector<os::Fd> kept;
  const std::size_t before = descriptors_of(supervisor);
  for (int round = 0; round < 40; ++round)
    for (const std::string& text :
         {std::string(), std::string("x"), std::string(100'000, 'A'), hello.substr(0, 9), hello}) {
      os::Fd fd = socket_to(path, SOCK_SEQPACKET);
      if (!fd) continue;  // its queue is full, and it is not waited for
      if (!text.empty()) (void)::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      kept.push_back(std::move(fd));
    }
  EXPECT_FALSE(kept.empty());
  for (const os::Fd& fd : kept) EXPECT_TRUE(closes(fd)) << "neither taken nor declined";
  EXPECT_TRUE(until([&] { return descriptors_of(supervisor) <= before + 4; })) << descriptors_of(supervisor);
  expect_all_well(web);
  // In the moment in which one is wanted there are only such.
  const pid_t keeper = status().keeper;
  stop_process(supervisor);
  // Whoever offers himself then, and is no keeper, is ended before another one is tried: so it is not this process.
  int told[2];
  ASSERT_EQ(0, ::pipe2(told, O_CLOEXEC));
  const pid_t offering = ::fork();
  if (offering == 0) {
    std::vector<os::Fd> offers;
    for (const std::string& text : {std::string(), std::string("x"), hello}) {
      offers.push_back(socket_to(path, SOCK_SEQPACKET));
      if (!text.empty()) (void)::send(offers.back().get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    (void)!::write(told[1], "t", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(1, ::read(told[0], &byte, 1));
  ::close(told[0]);
  ::close(told[1]);
  ASSERT_EQ(0, ::kill(keeper, SIGKILL));
  ASSERT_EQ(0, ::kill(supervisor, SIGCONT));
  EXPECT_TRUE(until([&] {
    const pid_t now = status().keeper;
    return now != keeper && now != 0;
  }));
  ::kill(offering, SIGKILL);
  ::waitpid(offering, nullptr, 0);
  expect_all_well(web);
  expect_clean_shutdown();
}

// What a spawner that somebody has taken over could write. (It has hearth's user; what it may not get is that the keeper,
// or a supervisor, acts against itself or against processes that are none of theirs.)
TEST_F(Hostile, entries_of_the_slot_table_that_name_strangers_lead_no_signal_to_them) {
  const Actor web = start();
  const std::string path = directory + "/state/slot-table";
  const os::Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) GTEST_SKIP() << "the slot table is no file here: " << std::strerror(errno);
  void* mapped = ::mmap(nullptr, sizeof(wire::SlotTable), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(MAP_FAILED, mapped);
  auto& table = *static_cast<wire::SlotTable*>(mapped);
  int gate[2];
  ASSERT_EQ(0, ::pipe2(gate, O_CLOEXEC));
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    ::close(gate[1]);
    char byte;
    (void)!::read(gate[0], &byte, 1);
    ::_exit(0);
  }
  ::close(gate[0]);
  std::uint64_t run = 1'000;
  // Not those of web's own slot: whoever says there that it is taken keeps it from being started, as a spawner can anyhow.
  for (std::uint32_t i = wire::entries_per_slot; i < 60; ++i) {
    wire::RunEntry& entry = table.entry[i];
    if (entry.run.load() != 0 || entry.claim.load() != 0) continue;
    entry.stop_signal = SIGKILL;
    entry.stop_grace_ms = 1;
    entry.fail_errno = -7;
    entry.pid = stranger;
    entry.claim = 77;
    entry.run = ++run;
    table.changed_for_keeper[i / 64] |= std::uint64_t{1} << i % 64;
  }
  expect_all_well(web);
  EXPECT_EQ(0, hearth({"restart", "web", "--no-wait"}).code);
  Actor again = stage->enter();
  EXPECT_TRUE(again.here());
  EXPECT_EQ("ok", again.ask("notify READY=1"));
  expect_all_well(again);
  EXPECT_EQ(0, hearth({"shutdown"}).code);
  int ended = 0;
  EXPECT_EQ(0, ::waitpid(stranger, &ended, WNOHANG)) << "it was signalled: " << ended;
  ::close(gate[1]);
  EXPECT_EQ(stranger, ::waitpid(stranger, &ended, 0));
  EXPECT_EQ(0, ended);
  ::munmap(mapped, sizeof(wire::SlotTable));
}

}  // namespace
}  // namespace hearth::test
