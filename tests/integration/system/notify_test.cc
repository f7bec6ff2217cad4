// The whole of sd_notify(3), the fd store, and sockets that outlive their services.
#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Notify : Machine {
  explicit Notify(As as = As::caller) : Machine(as) {}
  // A service whose readiness is its own word, restarted at once.
  void declare(const std::string& more = "") {
    project("[service.web]\nready = \"notify\"\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet() + more);
  }
  // Up and ready.
  Actor start(const std::string& more = "") {
    declare(more);
    Command waiting = begin({"up"});
    Actor web = stage->enter();
    EXPECT_EQ("ok", web.ask("notify READY=1"));
    const Output output = waiting.wait();
    EXPECT_EQ(0, output.code) << output.all();
    return web;
  }
  bool until_status(const std::string& text) {
    return until([&] { return service().status == text; });
  }
};

TEST_F(Notify, up_waits_for_ready_and_shows_what_the_service_says_of_itself) {
  declare();
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("notify STATUS=loading 7 of 9"));
  EXPECT_TRUE(until_status("loading 7 of 9"));
  EXPECT_FALSE(waiting.ended()) << waiting.out();
  EXPECT_EQ("starting", service().state);
  EXPECT_TRUE(until([&] { return waiting.out().find("web: starting") != std::string::npos; }));
  EXPECT_EQ("ok", web.ask("notify READY=1\nSTATUS=serving"));
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code);
  EXPECT_THAT(output.out, HasSubstr("web: ready"));
  EXPECT_TRUE(service().ready);
  EXPECT_EQ("serving", service().status);
}

TEST_F(Notify, reloading_keeps_it_ready_and_stopping_takes_it_out) {
  Actor web = start();
  EXPECT_EQ("ok", web.ask("notify RELOADING=1\nSTATUS=reloading"));
  EXPECT_TRUE(until_status("reloading"));
  EXPECT_TRUE(service().ready);
  EXPECT_EQ("ok", web.ask("notify READY=1\nSTATUS=again"));
  EXPECT_TRUE(until_status("again"));
  EXPECT_EQ("ok", web.ask("notify STOPPING=1\nERRNO=5\nSTATUS=going"));
  EXPECT_TRUE(until_status("going"));
  EXPECT_FALSE(service().ready);
  EXPECT_EQ(web.pid, service().pid);
}

// Two services of one user: `other` is up, `web` is starting, and `other` knows the way to its socket.
struct Strangers : Notify {
  explicit Strangers(As as = As::caller) : Notify(as) {}
  void set_out() {
    project("[service.web]\nready = \"notify\"\n" + puppet() + "[service.other]\n" + puppet("other"));
    waiting = begin({"up"});
    for (int i = 0; i < 2; ++i) {
      Actor one = stage->enter();
      (one.label == "web" ? web : other) = std::move(one);
    }
    EXPECT_EQ("ok", other.ask("set NOTIFY_SOCKET " + web.ask("variable NOTIFY_SOCKET")));
  }
  Command waiting;
  Actor web, other;
};

TEST_F(Strangers, what_another_service_says_in_the_name_of_this_one_is_refused_and_told) {
  set_out();
  if (service().containment != "cgroup") GTEST_SKIP() << "there are no cgroups here";
  EXPECT_EQ("ok", other.ask("notify READY=1\nSTATUS=forged"));
  EXPECT_EQ("ok", other.ask("child READY=1\nSTATUS=forged"));
  EXPECT_EQ("ok", web.ask("notify STATUS=own"));
  EXPECT_TRUE(until_status("own"));
  EXPECT_FALSE(service().ready);
  EXPECT_FALSE(waiting.ended()) << waiting.out();
  const std::string notes = status().notes_text();
  EXPECT_THAT(notes, HasSubstr(".web.0: a notification is refused, because it comes from PID " +
                               std::to_string(other.pid) + " ("));
  EXPECT_THAT(notes, HasSubstr(".other.0"));
  EXPECT_EQ(notes.find("is refused"), notes.rfind("is refused")) << "told once: " << notes;
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
}

TEST_F(Strangers, children_of_the_service_may_speak_for_it_also_when_they_have_ended_since) {
  set_out();
  EXPECT_EQ("ok", web.ask("child STATUS=of a child"));
  EXPECT_TRUE(until_status("of a child"));
  const pid_t supervisor = status().supervisor;
  ASSERT_EQ(0, ::kill(supervisor, SIGSTOP));
  EXPECT_EQ("ok", web.ask("ended-child READY=1"));
  ASSERT_EQ(0, ::kill(supervisor, SIGCONT));
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("is refused")));
}

struct StrangersWithoutCgroups : Strangers {
  StrangersWithoutCgroups() : Strangers(As::root_without_cgroups) {}
};

TEST_F(StrangersWithoutCgroups, nobody_can_tell_the_services_of_one_user_apart) {
  if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  set_out();
  EXPECT_EQ("ok", other.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
}

TEST_F(Notify, a_missed_watchdog_restarts_with_that_reason) {
  declare("watchdog = \"0.3s\"\n");
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_EQ("300000", web.ask("variable WATCHDOG_USEC"));
  EXPECT_EQ(std::to_string(web.pid), web.ask("variable WATCHDOG_PID"));
  web.order("notify READY=1");  // from here on it is watched
  EXPECT_TRUE(web.wait_end()) << "it was silent";
  const Actor next = stage->enter();
  EXPECT_NE(web.pid, next.pid);
  EXPECT_EQ("watchdog", service().reason);
  EXPECT_THAT(service().reason_text, HasSubstr("WATCHDOG=1"));
}

TEST_F(Notify, watchdog_trigger_restarts_at_once) {
  Actor web = start("watchdog = \"1h\"\n");
  EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
  web.order("notify WATCHDOG=trigger");
  EXPECT_TRUE(web.wait_end());
  const Actor next = stage->enter();
  EXPECT_EQ("watchdog", service().reason);
}

TEST_F(Notify, a_service_can_set_its_watchdog_itself) {
  Actor web = start();
  web.order("notify WATCHDOG_USEC=200000");
  EXPECT_TRUE(web.wait_end());
  const Actor next = stage->enter();
  EXPECT_EQ("watchdog", service().reason);
}

TEST_F(Notify, a_start_that_takes_too_long_is_ended_and_says_so) {
  declare("start_timeout = \"0.3s\"\nmax_restarts = 1\n");
  const Output output = up();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.all(), HasSubstr("web failed"));
  EXPECT_EQ("failed", service().state);
  EXPECT_EQ(1u, service().restarts);
  for (const Actor& web : stage->all_who_entered()) EXPECT_TRUE(web.wait_end());
}

TEST_F(Notify, a_service_that_asks_for_more_time_gets_it) {
  declare("start_timeout = \"0.5s\"\n");
  Command waiting = begin({"up"});
  Actor web;
  std::uint64_t restarts = 0;
  // On a busy machine the time is over before it has asked, and the next one asks.
  EXPECT_TRUE(until([&] {
    if (!web.here() || !web.alive()) {
      web = stage->enter();
      (void)web.try_order("notify EXTEND_TIMEOUT_USEC=60000000\nSTATUS=heard");
    }
    const ServiceView now = service();
    restarts = now.restarts;
    return now.pid == web.pid && now.state == "starting" && now.status == "heard";
  }));
  EXPECT_EQ("ok", web.hear());
  EXPECT_FALSE(web.wait_end(1'000)) << "twice its start_timeout";
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_EQ(restarts, service().restarts);
}

TEST_F(Notify, a_barrier_is_passed_when_all_before_it_has_been_seen) {
  Actor web = start();
  EXPECT_EQ("ok", web.ask("notify STATUS=before the barrier"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_EQ("before the barrier", service().status);
}

TEST_F(Notify, a_main_pid_that_is_told_is_taken_and_harms_nobody) {
  Actor web = start();
  EXPECT_EQ("ok", web.ask("notify MAINPID=" + std::to_string(web.pid) + "\nSTATUS=main"));
  EXPECT_TRUE(until_status("main"));
  EXPECT_EQ("ok", web.ask("notify MAINPID=1\nSTATUS=liar"));
  EXPECT_TRUE(until_status("liar"));
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
}

TEST_F(Notify, a_descriptor_in_the_store_survives_a_crash_of_the_service_and_of_the_supervisor) {
  Actor web = start();
  EXPECT_EQ("ok", web.ask("keep cache the model"));
  EXPECT_EQ("ok", web.ask("keep other something else"));
  EXPECT_EQ("closed", web.ask("barrier"));
  kill_members("hearth-supervisor", SIGKILL);
  web.kill(SIGKILL);
  Actor next = stage->enter();
  EXPECT_EQ("2", next.ask("variable LISTEN_FDS"));
  EXPECT_EQ(std::to_string(next.pid), next.ask("variable LISTEN_PID"));
  const std::string names = next.ask("variable LISTEN_FDNAMES");
  const bool cache_first = names == "cache:other";
  EXPECT_TRUE(cache_first || names == "other:cache") << names;
  EXPECT_EQ("the model", next.ask(cache_first ? "content 3" : "content 4"));
  EXPECT_EQ("something else", next.ask(cache_first ? "content 4" : "content 3"));
  // What it takes out does not come back.
  EXPECT_EQ("ok", next.ask("notify FDSTOREREMOVE=1\nFDNAME=other"));
  EXPECT_EQ("closed", next.ask("barrier"));
  next.kill(SIGKILL);
  Actor third = stage->enter();
  EXPECT_EQ("cache", third.ask("variable LISTEN_FDNAMES"));
  EXPECT_EQ("the model", third.ask("content 3"));
}

TEST_F(Notify, the_store_takes_no_more_than_it_may) {
  Actor web = start("fdstore_max = 2\n");
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ("ok", web.ask(std::string("keep ") + name + " x"));
  EXPECT_EQ("closed", web.ask("barrier"));
  web.kill(SIGKILL);
  Actor next = stage->enter();
  EXPECT_EQ("2", next.ask("variable LISTEN_FDS"));
}

TEST_F(Notify, sockets_are_passed_by_name_and_their_backlog_survives_a_restart) {
  // Another taker would make the start fail with its name.
  sockaddr_in port{};
  port.sin_family = AF_INET;
  port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  port.sin_port = htons(static_cast<std::uint16_t>(free_port()));
  Actor web = start("listen = [{ name = \"front\", address = \"tcp:127.0.0.1:" + std::to_string(ntohs(port.sin_port)) +
                    "\" }, { name = \"admin\", address = \"unix:" + base + "/p/admin.sock\" }]\n");
  EXPECT_EQ("2", web.ask("variable LISTEN_FDS"));
  EXPECT_EQ("front:admin", web.ask("variable LISTEN_FDNAMES"));
  EXPECT_EQ(std::to_string(web.pid), web.ask("variable LISTEN_PID"));

  const auto call = [&](bool tcp) {
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    std::strncpy(path.sun_path, (base + "/p/admin.sock").c_str(), sizeof path.sun_path - 1);
    os::Fd caller(::socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr* to = tcp ? reinterpret_cast<sockaddr*>(&port) : reinterpret_cast<sockaddr*>(&path);
    EXPECT_EQ(0, ::connect(caller.get(), to, tcp ? sizeof port : sizeof path)) << std::strerror(errno);
    return caller;
  };
  const auto answer = [&](const os::Fd& caller) {
    char text[64];
    pollfd polled{caller.get(), POLLIN, 0};
    const ssize_t n = ::poll(&polled, 1, patience_ms) == 1 ? ::recv(caller.get(), text, sizeof text, 0) : 0;
    return std::string(text, static_cast<std::size_t>(n > 0 ? n : 0));
  };
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  const os::Fd by_tcp = call(true);  // while nobody is there
  const os::Fd by_unix = call(false);
  Command starting = begin({"start", "web"});
  Actor next = stage->enter();
  EXPECT_EQ("ok", next.ask("notify READY=1"));
  EXPECT_EQ(0, starting.wait().code);
  EXPECT_EQ("ok", next.ask("serve 3"));
  EXPECT_EQ("ok", next.ask("serve 4"));
  EXPECT_EQ("served by run " + next.run, answer(by_tcp));
  EXPECT_EQ("served by run " + next.run, answer(by_unix));
  const os::Fd again = call(true);
  next.kill(SIGKILL);  // with a connection in its backlog
  Actor third = stage->enter();
  EXPECT_EQ("ok", third.ask("serve 3"));
  EXPECT_EQ("served by run " + third.run, answer(again));
  EXPECT_EQ(0, hearth({"down"}).code);
  EXPECT_FALSE(exists(base + "/p/admin.sock"));
}

TEST_F(Notify, a_port_that_is_taken_is_named_with_its_owner) {
  BoundPort taken = bind_port();
  ASSERT_EQ(0, ::listen(taken.socket.get(), 1));
  project("[service.web]\nlisten = [\"tcp:127.0.0.1:" + std::to_string(taken.number) + "\"]\n" + puppet());
  Command waiting = begin({"up", "--timeout", "60s"});
  std::string reason;
  EXPECT_TRUE(until([&] { return (reason = service().reason_text).find("in use") != reason.npos; })) << reason;
  EXPECT_THAT(reason, HasSubstr("PID " + std::to_string(::getpid())));
  taken.socket.reset();  // and it comes right by itself
  EXPECT_TRUE(stage->enter().alive());
  EXPECT_EQ(0, waiting.wait().code);
}

TEST_F(Notify, a_service_of_another_user_can_notify_and_log) {
  if (!root()) GTEST_SKIP() << "only root can start services of others";
  Actor web = start("user = \"nobody\"\n");
  EXPECT_EQ(0u, web.ask("user").find("65534:"));
  EXPECT_EQ("ok", web.ask("print from nobody"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_TRUE(until([&] { return logged() == "from nobody\n"; }));
  EXPECT_TRUE(service().ready);
}

TEST_F(Notify, garbage_on_a_notify_socket_harms_nobody) {
  Actor web = start();
  const std::string path = web.ask("variable NOTIFY_SOCKET");
  const os::Fd rude(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(0, ::connect(rude.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  const std::string pieces[] = {std::string("\0\0\0", 3),
                                std::string(100'000, 'A'),
                                "WATCHDOG_USEC=-1\nEXTEND_TIMEOUT_USEC=x",
                                "STATUS=\xff\xfe\x01",
                                "FDSTORE=1",
                                "BARRIER=1",
                                "FDSTOREREMOVE=1",
                                "\n\n\n==\n",
                                "ERRNO=999999999999999999999",
                                "MAINPID=-7"};
  for (int round = 0; round < 50; ++round)
    for (const std::string& piece : pieces) (void)::send(rude.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
  EXPECT_EQ(0, ::send(rude.get(), "", 0, 0));
  EXPECT_EQ("ok", web.ask("notify STATUS=still here"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_EQ("still here", service().status);
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0u, status().takeovers);
}

}  // namespace
}  // namespace hearth::test
