// `hearth top` on a terminal: what it draws, its keys, and the terminal afterwards.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sstream>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/clock.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

using ::testing::ElementsAre;

constexpr char frame_begins[] = "\x1b[H\x1b[J";

struct Top : Machine {
  // Four that differ in what can be sorted by: bee was restarted, hog eats processor time, walrus memory.
  void start_services() {
    project("[service.ant]\n" + puppet("ant") + "[service.bee]\nbackoff = { initial = 0 }\n" + puppet("bee") +
            "[service.hog]\ncommand = [\"/bin/sh\", \"-c\", \"while :; do :; done\"]\n"
            "[service.walrus]\ncommand = [\"/bin/sh\", \"-c\", \"x=$(head -c 20000000 /dev/zero | tr '\\\\0' x); "
            "while :; do sleep 1000; done\"]\n");
    ASSERT_EQ(0, up().code);
    for (int i = 0; i < 2; ++i) {
      Actor actor = stage->enter();
      (actor.label == "ant" ? ant : bee) = std::move(actor);
    }
    ASSERT_TRUE(bee.kill(SIGKILL));
    bee = stage->enter();
    ASSERT_EQ("bee", bee.label);
    // From here on the hog has had more of a processor in its life than the walrus, which has grown up.
    const pid_t busy = service("hog").pid, large = service("walrus").pid;
    ASSERT_TRUE(until(
        [&] {
          os::ProcStat hog, walrus;
          return os::read_stat(busy, hog) && os::read_stat(large, walrus) && walrus.resident_kib > 19'000 &&
                 hog.ticks > 2 * walrus.ticks;
        },
        120'000));
  }
  void start_top(const std::vector<std::string>& more = {"--interval", "100ms"}) {
    master = os::Fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master && ::grantpt(master.get()) == 0 && ::unlockpt(master.get()) == 0);
    terminal = os::Fd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal);
    resize(100, 24);
    ASSERT_EQ(0, ::tcgetattr(terminal.get(), &before));
    std::vector<std::string> words = {bin("hearth"), "--dir", directory, "top"};
    words.insert(words.end(), more.begin(), more.end());
    top = execute(words, [fd = terminal.get()] {
      ::setsid();
      ::ioctl(fd, TIOCSCTTY, 0);
      for (int standard = 0; standard <= 2; ++standard) ::dup2(fd, standard);
      ::setenv("TERM", "xterm", 1);
    });
  }
  void resize(unsigned short columns, unsigned short rows) const {
    const winsize size{rows, columns, 0, 0};
    ASSERT_EQ(0, ::ioctl(master.get(), TIOCSWINSZ, &size));
  }
  void press(char key) const { ASSERT_EQ(1, ::write(master.get(), &key, 1)); }

  // What is on the screen: the last frame that is complete.
  std::vector<std::string> frame() const {
    const std::size_t next = drawn.rfind(frame_begins);
    if (next == std::string::npos || next == 0) return {};
    const std::size_t begin = drawn.rfind(frame_begins, next - 1);
    if (begin == std::string::npos) return {};
    std::istringstream text(drawn.substr(begin + sizeof frame_begins - 1, next - begin - sizeof frame_begins + 1));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) {
      while (line.ends_with('\r')) line.pop_back();
      for (const char* code : {"\x1b[7m", "\x1b[0m"})
        if (const std::size_t at = line.find(code); at != std::string::npos) line.erase(at, 4);
      lines.push_back(line);
    }
    return lines;
  }
  std::string drawn_of(const std::string& name) const {
    for (const std::string& line : frame())
      if (line.find(name + " ") != std::string::npos) return line;
    return "";
  }
  std::vector<std::string> services() const {
    std::vector<std::string> names;
    for (const std::string& line : frame())
      for (const char* name : {"ant", "bee", "hog", "walrus"})
        if (line.starts_with(std::string(name) + " ")) names.emplace_back(name);
    return names;
  }
  bool shows(const std::function<bool()>& holds) {
    const MonoNs deadline = after(os::read_mono(), milliseconds(patience_ms));
    while (!holds()) {
      pollfd polled{master.get(), POLLIN, 0};
      if (os::read_mono() > deadline) return false;
      if (::poll(&polled, 1, 10) == 0) continue;
      char bytes[65536];
      const ssize_t n = ::read(master.get(), bytes, sizeof bytes);
      if (n <= 0) return false;
      drawn.append(bytes, static_cast<std::size_t>(n));
      if (drawn.size() > 1'000'000) drawn.erase(0, 500'000);
    }
    return true;
  }
  bool shows_first(const std::string& name) {
    return shows([&] { return services().size() == 4 && services().front() == name; });
  }
  // The frame that follows from it has begun: two keys that are read at once are drawn once.
  void press_and_see(char key) {
    const std::size_t begun = frames();
    press(key);
    EXPECT_TRUE(shows([&] { return frames() > begun; }));
  }
  std::size_t frames() const {
    std::size_t count = 0;
    for (std::size_t at = drawn.find(frame_begins); at != std::string::npos; at = drawn.find(frame_begins, at + 1))
      ++count;
    return count;
  }
  // New frames come.
  bool goes_on() {
    drawn.clear();
    return shows([&] { return services().size() == 4; });
  }
  // It never waits for somebody who does not read.
  Output finish() {
    EXPECT_TRUE(shows([&] { return top.ended(); }) || top.ended());
    return top.wait();
  }
  void expect_restored() const {
    termios now{};
    ASSERT_EQ(0, ::tcgetattr(terminal.get(), &now));
    EXPECT_EQ(before.c_lflag, now.c_lflag);
    EXPECT_EQ(before.c_iflag, now.c_iflag);
    EXPECT_EQ(before.c_oflag, now.c_oflag);
    EXPECT_EQ(before.c_cc[VMIN], now.c_cc[VMIN]);
    EXPECT_EQ(before.c_cc[VTIME], now.c_cc[VTIME]);
  }
  bool is_raw() const {
    termios now{};
    return ::tcgetattr(terminal.get(), &now) == 0 && (now.c_lflag & (ICANON | ECHO)) == 0;
  }

  Actor ant, bee;
  os::Fd master, terminal;
  termios before{};
  Command top;
  std::string drawn;
};

TEST_F(Top, each_key_sorts_and_q_ends_it) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  ASSERT_NO_FATAL_FAILURE(start_top());
  EXPECT_TRUE(shows_first("hog")) << drawn;
  EXPECT_TRUE(is_raw());
  press('n');
  EXPECT_TRUE(shows_first("ant")) << drawn;
  EXPECT_THAT(services(), ElementsAre("ant", "bee", "hog", "walrus"));
  press('m');
  EXPECT_TRUE(shows_first("walrus")) << drawn;
  press('r');
  EXPECT_TRUE(shows_first("bee")) << drawn;
  press('u');
  EXPECT_TRUE(shows([&] { return services().size() == 4 && services().back() == "bee"; })) << drawn;
  press('c');
  EXPECT_TRUE(shows_first("hog")) << drawn;
  press('q');
  EXPECT_EQ(0, finish().code);
  expect_restored();
}

TEST_F(Top, a_service_that_is_chosen_can_be_read_stopped_started_and_restarted) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  EXPECT_EQ("ok", ant.ask("print words of an ant"));
  EXPECT_TRUE(until([&] { return logged("ant") == "words of an ant\n"; }));
  ASSERT_NO_FATAL_FAILURE(start_top({"--interval", "100ms", "--sort", "name"}));
  EXPECT_TRUE(shows_first("ant")) << drawn;
  press('j');
  press('l');
  EXPECT_TRUE(shows([&] { return !frame().empty() && frame().front() == "words of an ant"; })) << drawn;
  press('x');
  EXPECT_TRUE(goes_on()) << drawn;
  press('S');
  press('n');
  EXPECT_TRUE(goes_on()) << drawn;
  EXPECT_TRUE(ant.alive());
  press('S');
  press('y');
  EXPECT_TRUE(shows([&] { return !frame().empty() && drawn_of("ant").find("stopped") != std::string::npos; })) << drawn;
  EXPECT_FALSE(ant.alive());
  press('t');
  press('y');
  ant = stage->enter();
  EXPECT_EQ("ant", ant.label);
  EXPECT_TRUE(shows([&] { return drawn_of("ant").find("running") != std::string::npos; })) << drawn;
  press('R');
  press('y');
  EXPECT_TRUE(shows([&] { return !ant.alive(); })) << drawn;
  EXPECT_EQ("ant", stage->enter().label);
  press('q');
  EXPECT_EQ(0, finish().code);
  expect_restored();
}

// A frame is known to be complete when the next one begins.
TEST_F(Top, a_key_draws_the_same_figures_anew) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  ASSERT_NO_FATAL_FAILURE(start_top({"--interval", "1h"}));
  EXPECT_TRUE(shows([&] { return frames() > 0; }));
  press_and_see('n');
  EXPECT_TRUE(shows_first("hog")) << drawn;
  const std::string figures = drawn_of("hog");
  press_and_see('n');
  EXPECT_TRUE(shows_first("ant")) << drawn;
  press_and_see('c');
  press_and_see('c');
  EXPECT_TRUE(shows_first("hog")) << drawn;
  EXPECT_EQ(figures, drawn_of("hog"));
  press('q');
  EXPECT_EQ(0, finish().code);
}

TEST_F(Top, a_smaller_terminal_is_filled_and_not_scrolled) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  ASSERT_NO_FATAL_FAILURE(start_top());
  EXPECT_TRUE(shows_first("hog")) << drawn;
  for (const unsigned short rows : {24, 5}) {
    resize(40, rows);
    const auto fits = [&] {
      const std::vector<std::string> lines = frame();
      for (const std::string& line : lines)
        if (line.size() > 40) return false;
      // The line behind the last one belongs to the cursor.
      return !lines.empty() && lines.size() < rows;
    };
    EXPECT_TRUE(shows(fits)) << rows << drawn;
  }
  press('q');
  EXPECT_EQ(0, finish().code);
}

TEST_F(Top, a_signal_or_ctrl_c_gives_the_terminal_back) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  for (const bool by_signal : {true, false}) {
    ASSERT_NO_FATAL_FAILURE(start_top());
    drawn.clear();
    EXPECT_TRUE(shows_first("hog")) << drawn;
    if (by_signal)
      top.signal(SIGTERM);
    else
      press('\x03');
    EXPECT_EQ(0, finish().code);
    expect_restored();
  }
}

TEST_F(Top, goes_on_with_the_next_supervisor_and_gives_the_terminal_back_when_there_is_none) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  ASSERT_NO_FATAL_FAILURE(start_top());
  EXPECT_TRUE(shows_first("hog")) << drawn;
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(goes_on()) << drawn;
  kill_everything();
  const Output output = finish();
  EXPECT_EQ(7, output.code);
  expect_restored();
}

// Nobody can press a key any more.
TEST_F(Top, ends_with_its_terminal) {
  ASSERT_NO_FATAL_FAILURE(start_services());
  ASSERT_NO_FATAL_FAILURE(start_top());
  EXPECT_TRUE(shows_first("hog")) << drawn;
  terminal.reset();
  master.reset();
  EXPECT_NE(-1, top.wait().code);
}

}  // namespace
}  // namespace hearth::test
