#include "probe/prober.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/listeners.h"
#include "os/proc_stat.h"
#include "os/run_memory.h"
#include "unit/os/temp_directory.h"

namespace hearth::probe {
namespace {

struct ProberTest : ::testing::Test {
  std::vector<ports::Input> results;
  std::unique_ptr<Prober> prober = std::move(
      *Prober::create([this](ports::Input input) { results.push_back(std::move(input)); },
                      [this](SlotIndex) { return output; }, [this](const ports::ProbeTry&) { return measure; }));
  os::Fd server;
  std::uint16_t port = 0;
  LogSpec log;
  OutputState output;
  std::uint64_t output_from = 0;
  Measure measure;

  void listen() {
    refuse();
    ASSERT_EQ(0, ::listen(server.get(), 8));
  }
  // A port of our own on which nobody listens. One that was closed may be somebody else's by now.
  void refuse() {
    server = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(0, ::bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
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
  void begin(SlotIndex slot, bool live, std::uint64_t attempt, const Probe& probe, WallNs started = 0) {
    ports::ProbeTry order;
    order.slot = slot;
    order.live = live;
    order.attempt = attempt;
    order.probe = &probe;
    order.run = 7;
    order.started = started;
    order.log = &log;
    order.output_from = output_from;
    prober->begin(order);
  }
  ports::Input result(const Probe& probe, WallNs started = 0) {
    results.clear();
    begin(0, false, 1, probe, started);
    run();
    return results.empty() ? ports::Input() : results[0];
  }
  // Lets the prober work until there is a result, or for as long as something may still come.
  void run() {
    const MonoNs end = os::read_mono() + seconds(30);
    while (results.empty() && os::read_mono() < end) {
      pollfd polled{prober->epoll(), POLLIN, 0};
      ::poll(&polled, 1, 100);
      prober->ready();
    }
  }
  // The looker connects to a path when it gets there.
  os::Fd accept() {
    pollfd polled{server.get(), POLLIN, 0};
    ::poll(&polled, 1, 30'000);
    return os::Fd(::accept(server.get(), nullptr, nullptr));
  }
  // Takes the connection, reads the request, answers with these parts.
  std::string serve(std::vector<std::string> parts) {
    os::Fd client = accept();
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
  begin(3, true, 7, http("/health"));
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
  begin(0, false, 1, http());
  serve({"HTT", "P/1.0 5", "03 Busy", "\r\n"});
  run();
  ASSERT_EQ(1u, results.size());
  EXPECT_FALSE(results[0].good);
  EXPECT_EQ("status 503", results[0].data);
}

TEST_F(ProberTest, a_server_that_talks_something_else_or_for_ever_is_bad) {
  listen();
  begin(0, false, 1, http());
  serve({"SSH-2.0-x\r\n"});
  run();
  EXPECT_FALSE(results.at(0).good);
  results.clear();
  begin(0, false, 2, http());
  serve({"HTTP/1.1 200 " + std::string(2 * Prober::status_line_max, 'x')});
  run();
  EXPECT_FALSE(results.at(0).good);
}

TEST_F(ProberTest, a_server_that_closes_without_an_answer_is_bad) {
  listen();
  begin(0, false, 1, http());
  serve({});
  run();
  EXPECT_FALSE(results.at(0).good);
}

TEST_F(ProberTest, a_refused_connection_is_bad_and_an_open_port_is_good_for_tcp) {
  listen();
  begin(0, false, 1, tcp());
  run();
  EXPECT_TRUE(results.at(0).good);
  results.clear();
  refuse();
  begin(0, false, 2, tcp());
  run();
  EXPECT_FALSE(results.at(0).good);
  EXPECT_EQ(2u, results.at(0).attempt);
}

TEST_F(ProberTest, a_silent_server_is_given_up_when_the_callers_clock_says_so) {
  listen();
  Probe probe = http();
  probe.timeout = seconds(2);
  begin(0, false, 1, probe);
  const MonoNs deadline = prober->next_deadline();
  prober->advance_to(deadline - 1);
  EXPECT_TRUE(results.empty());
  prober->advance_to(deadline);
  EXPECT_FALSE(results.at(0).good);
  EXPECT_EQ("no answer in time", results.at(0).data);
  prober->ready();
  EXPECT_EQ(1u, results.size());
}

TEST_F(ProberTest, a_try_whose_time_ran_out_while_nobody_watched_has_it_anew) {
  listen();
  Probe probe = http();
  probe.timeout = seconds(2);
  begin(0, false, 1, probe);
  const MonoNs deadline = prober->next_deadline();
  const MonoNs back = after(deadline, seconds(3'600));
  prober->forgive_absence(after(deadline, 1), back);  // it was over before
  EXPECT_EQ(deadline, prober->next_deadline());
  prober->forgive_absence(deadline, back);
  EXPECT_EQ(after(back, probe.timeout), prober->next_deadline());
  prober->advance_to(back);
  EXPECT_TRUE(results.empty());
  prober->advance_to(prober->next_deadline());
  ASSERT_EQ(1u, results.size());
  EXPECT_FALSE(results[0].good);
}

TEST_F(ProberTest, a_cancelled_try_gives_no_result) {
  listen();
  begin(0, false, 1, http());
  begin(1, false, 1, http());
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
  begin(0, false, 1, probe);
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
  begin(0, false, 1, probe);
  EXPECT_TRUE(serve({"HTTP/1.1 302 Found\r\n"}).starts_with("GET /live "));
  run();
  EXPECT_TRUE(results.at(0).good);
}

TEST_F(ProberTest, a_unix_socket_that_somebody_listens_on_is_good) {
  test::TempDirectory directory;
  Probe probe;
  probe.type = ProbeType::unix_socket;
  probe.target = directory / "s";
  EXPECT_EQ(probe.target + " is not there", result(probe).data);
  server = std::move(*os::listen_on({.name = "x", .address = "unix:" + probe.target}, {}));
  EXPECT_TRUE(result(probe).good);
  server.reset();
  EXPECT_EQ("nobody listens on " + probe.target, result(probe).data);
}

TEST_F(ProberTest, a_unix_socket_whose_backlog_is_full_is_bad_at_once) {
  test::TempDirectory directory;
  Probe probe;
  probe.type = ProbeType::unix_socket;
  probe.target = directory / "s";
  server = std::move(*os::listen_on({.name = "x", .address = "unix:" + probe.target, .backlog = 1}, {}));
  std::vector<os::Fd> waiting;
  const Result<os::SocketAddress> address = os::parse_unix_path(probe.target);
  for (;;) {
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(waiting.back().get(), address->get(), address->length) < 0) break;
  }
  EXPECT_EQ("too many wait for " + probe.target + " to accept them", result(probe).data);
}

TEST_F(ProberTest, a_file_is_good_when_it_has_changed_since_the_run_began) {
  test::TempDirectory directory;
  Probe probe;
  probe.type = ProbeType::file;
  probe.target = directory / "up";
  EXPECT_EQ(probe.target + " is not there", result(probe).data);
  ASSERT_TRUE(os::write_all(os::Fd(::creat(probe.target.c_str(), 0600)).get(), "x", "file"));
  const WallNs now = os::read_clock().wall;
  EXPECT_TRUE(result(probe, now - seconds(10)).good);
  EXPECT_TRUE(result(probe).good) << "of a run whose start nobody knows any file counts";
  EXPECT_EQ(probe.target + " was there before this run, and has not changed since",
            result(probe, now + seconds(10)).data);
}

TEST_F(ProberTest, a_log_is_searched_from_where_the_run_began_and_on) {
  test::TempDirectory directory;
  output = {directory.path(), {1, 0}, 100};
  output_from = 100;
  Probe probe;
  probe.type = ProbeType::log;
  probe.target = "ready [0-9]+";
  const os::Fd file(::open((directory / "00000001.log").c_str(), O_WRONLY | O_CREAT, 0600));
  const auto write = [&](const std::string& text) {
    ASSERT_TRUE(os::write_all(file.get(), text, "log"));
    output.end.offset += text.size();
    output.written += text.size();
  };
  EXPECT_EQ("no line of its output matches ready [0-9]+", result(probe).data);
  write("ready\nrea");
  EXPECT_FALSE(result(probe).good);
  write("dy 1\n");
  EXPECT_TRUE(result(probe).good);
  EXPECT_FALSE(result(probe).data.size());
}

struct MemoryProbe : ProberTest {
  Probe probe = memory_probe(100u << 20);
  ports::Input result_of(Measure by) {
    measure = std::move(by);
    results.clear();
    begin(3, true, 5, probe);
    run();
    return results.empty() ? ports::Input() : results[0];
  }
  static Measure uses(std::uint64_t mib) {
    return [mib](std::uint64_t, MonoNs) { return Result<std::uint64_t>(mib << 10); };
  }
};

TEST_F(MemoryProbe, who_uses_no_more_than_max_memory_is_well) {
  EXPECT_TRUE(result_of(uses(100)).good);
  EXPECT_FALSE(results.at(0).memory);
  EXPECT_EQ("", results[0].data);
  EXPECT_EQ(5u, results[0].attempt);
}

TEST_F(MemoryProbe, who_uses_more_is_bad_for_that_reason_and_with_both_figures) {
  EXPECT_FALSE(result_of(uses(101)).good);
  EXPECT_TRUE(results.at(0).memory);
  EXPECT_GT(results.at(0).used_kib, 0u);
  EXPECT_FALSE(results[0].refused);
  EXPECT_EQ("it used 101 MiB of memory, and max_memory is 100 MiB", results[0].data);
}

TEST_F(MemoryProbe, figures_are_told_in_a_unit_in_which_they_differ) {
  const auto words = [](std::uint64_t kib, std::uint64_t most) {
    Look order;
    order.at = Look::At::memory;
    order.measure = [kib](std::uint64_t, MonoNs) { return Result<std::uint64_t>(kib); };
    order.max_memory = most;
    return look(std::move(order)).reason;
  };
  EXPECT_EQ("it used 4.2 GiB of memory, and max_memory is 4 GiB", words(4'404'019, 4ull << 30));
  EXPECT_EQ("it used 4194344 KiB of memory, and max_memory is 4194304 KiB", words((4u << 20) + 40, 4ull << 30));
  EXPECT_EQ("it used 1024 MiB of memory, and max_memory is 1.5 MiB", words(1u << 20, 3u << 19));
}

TEST_F(MemoryProbe, what_cannot_be_measured_is_refused_and_not_bad) {
  const ports::Input refused = result_of([](std::uint64_t, MonoNs) -> Result<std::uint64_t> {
    return failure(Remedy::try_later, "measure", "its memory", "no process of it can be seen in /proc");
  });
  EXPECT_TRUE(refused.refused);
  EXPECT_FALSE(refused.good || refused.memory);
  EXPECT_EQ("no process of it can be seen in /proc", refused.data);
  EXPECT_TRUE(result_of({}).refused) << "nobody is there to measure";
}

TEST_F(MemoryProbe, a_look_that_hangs_is_refused_before_the_try_counts_as_late) {
  std::promise<void> over;
  measure = [let_go = over.get_future().share()](std::uint64_t, MonoNs) -> Result<std::uint64_t> {
    let_go.wait();
    return 0;
  };
  const MonoNs before = os::read_mono();
  begin(3, true, 5, probe);
  const MonoNs deadline = prober->next_deadline();
  EXPECT_LT(deadline, after(before, probe.timeout));
  prober->advance_to(deadline);
  ASSERT_EQ(1u, results.size());
  EXPECT_TRUE(results[0].refused);
  EXPECT_FALSE(results[0].memory);
  EXPECT_NE(std::string::npos, results[0].data.find("a longer timeout of live")) << results[0].data;
  over.set_value();
}

// One look hangs, so that the others wait for it. What has no try any more shall not be measured when its turn comes.
TEST_F(MemoryProbe, looks_whose_try_is_cancelled_or_late_are_not_made_any_more) {
  std::promise<void> begun, over;
  std::atomic<int> measured = 0;
  measure = [&, let_go = over.get_future().share()](std::uint64_t, MonoNs) -> Result<std::uint64_t> {
    if (measured++ == 0) {
      begun.set_value();
      let_go.wait();
    }
    return 0;
  };
  const MonoNs before = os::read_mono();
  begin(0, true, 1, probe);
  begun.get_future().wait();
  begin(1, true, 1, probe);
  prober->advance_to(after(prober->next_deadline(), seconds(1)));
  begin(2, true, 1, probe);
  begin(3, true, 1, probe);
  prober->cancel(2);
  EXPECT_EQ(1u, prober->under_way());
  const bool held_up = os::read_mono() - before >= Prober::measuring_max;
  results.clear();
  over.set_value();
  run();
  ASSERT_EQ(1u, results.size());
  EXPECT_EQ(3u, results[0].slot);
  // Where the machine held this thread up for so long, others were made beside the one that hangs.
  if (!held_up) {
    EXPECT_EQ(2, measured) << "that of the first one, and of the last";
  }
}

TEST_F(MemoryProbe, goes_on_from_another_probe_that_was_answered_well) {
  listen();
  probe = tcp();
  probe.max_memory = 100u << 20;
  EXPECT_TRUE(result_of(uses(100)).good);
  EXPECT_FALSE(result_of(uses(200)).good);
  EXPECT_TRUE(results.at(0).memory);
  EXPECT_EQ("it used 200 MiB of memory, and max_memory is 100 MiB", results[0].data);
  refuse();
  probe.address = tcp().address;
  EXPECT_FALSE(result_of(uses(200)).good);
  EXPECT_FALSE(results.at(0).memory) << "what it asks first says why";
  EXPECT_EQ(0u, prober->under_way());
}

TEST_F(MemoryProbe, a_good_answer_is_told_though_the_memory_cannot_be_measured) {
  listen();
  probe = tcp();
  probe.max_memory = 100u << 20;
  const auto unseen = [](std::uint64_t, MonoNs) -> Result<std::uint64_t> {
    return failure(Remedy::try_later, "measure", "its memory", "no process of it can be seen in /proc");
  };
  EXPECT_TRUE(result_of(unseen).refused);
  EXPECT_TRUE(results.at(0).good);
  refuse();
  probe.address = tcp().address;
  EXPECT_FALSE(result_of(unseen).refused) << "its answer was bad";
  EXPECT_FALSE(results.at(0).good);
}

TEST_F(MemoryProbe, readiness_does_not_look_at_memory) {
  listen();
  probe = tcp();
  probe.max_memory = 100u << 20;
  measure = uses(200);
  begin(3, false, 5, probe);
  run();
  EXPECT_TRUE(results.at(0).good);
}

// A child with 64 MiB of its own, which it has written to before it says so.
TEST_F(MemoryProbe, the_memory_of_a_real_process_is_that_which_it_has) {
  int said[2];
  ASSERT_EQ(0, ::pipe2(said, O_CLOEXEC));
  const os::Fd reads(said[0]), writes(said[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr std::size_t size = 64u << 20;
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(memory, 1, size);
    if (::write(writes.get(), "!", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(1, ::read(reads.get(), &byte, 1));
  const Measure by = [child](std::uint64_t enough, MonoNs) -> Result<std::uint64_t> {
    os::ProcStat stat;
    if (!os::read_stat(child, stat)) return failure(Remedy::try_later, "read", "a child", "it is gone");
    return os::memory_kib({{child, stat.start_ticks, stat.parent, stat.resident_kib}}, enough);
  };
  probe = memory_probe(32u << 20);
  EXPECT_TRUE(result_of(by).memory);
  EXPECT_TRUE(results.at(0).data.starts_with("it used ")) << results[0].data;
  probe = memory_probe(std::uint64_t{64} << 30);
  EXPECT_TRUE(result_of(by).good);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

struct FrameProbe : ProberTest {
  Probe probe = [this] {
    listen();
    Probe made;
    made.type = ProbeType::frame;
    made.address = "127.0.0.1:" + std::to_string(port);
    return made;
  }();
  static std::string frame(const std::string& body) {
    return std::string(3, '\0') + static_cast<char>(body.size()) + body;
  }
  // Answers a PING with that.
  ports::Input answered_with(const std::string& bytes) {
    results.clear();
    begin(0, false, 1, probe);
    os::Fd client = accept();
    char request[256];
    ssize_t n = 0;
    while (n <= 0) {
      prober->ready();
      n = ::recv(client.get(), request, sizeof request, MSG_DONTWAIT);
    }
    EXPECT_EQ(ping_frame(), std::string(request, static_cast<std::size_t>(n)));
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()), ::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    run();
    return results.empty() ? ports::Input() : results[0];
  }
};

TEST_F(FrameProbe, an_answer_behind_an_event_is_good) {
  EXPECT_TRUE(answered_with(frame(R"({"status":"event"})") + frame(R"({"status":"success"})")).good);
}

TEST_F(FrameProbe, an_error_and_another_language_are_bad) {
  EXPECT_EQ("it answered with an error: no model",
            answered_with(frame(R"({"status":"error","error":"no model"})")).data);
  EXPECT_EQ("the answer is no frame: its length would be 1213486160", answered_with("HTTP/1.1 400 Bad\r\n").data);
}

TEST_F(FrameProbe, a_server_that_sends_events_for_ever_is_given_up_and_holds_nobody_up) {
  begin(0, false, 1, probe);
  const os::Fd client(::accept4(server.get(), nullptr, nullptr, SOCK_NONBLOCK));
  std::string events;
  while (events.size() < 60'000) events += frame(R"({"status":"event"})");
  std::size_t sent = 0;
  while (results.empty() && sent < 4 * Prober::answer_max) {
    const std::size_t at = sent % events.size();
    const ssize_t n = ::send(client.get(), events.data() + at, events.size() - at, MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<std::size_t>(n);
    prober->ready();
  }
  ASSERT_EQ(1u, results.size());
  EXPECT_FALSE(results[0].good);
}

TEST_F(FrameProbe, a_path_is_asked_as_well) {
  test::TempDirectory directory;
  probe.address.clear();
  probe.target = directory / "s";
  server = std::move(*os::listen_on({.name = "x", .address = "unix:" + probe.target}, {}));
  EXPECT_TRUE(answered_with(frame("{}")).good);
}

}  // namespace
}  // namespace hearth::probe
