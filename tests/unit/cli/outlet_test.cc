#include "cli/outlet.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

struct OutletTest : testing::TestWithParam<const char*> {
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as the command has it
    int ends[2];
    const bool pipe = std::string(GetParam()) == "pipe";
    ASSERT_EQ(0, pipe ? ::pipe2(ends, O_CLOEXEC) : ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    reader = os::Fd(ends[0]);
    writer = os::Fd(ends[1]);
  }
  std::string read_some() const {
    std::string text(64u << 10, '\0');
    const ssize_t n = ::read(reader.get(), text.data(), text.size());
    return text.substr(0, n > 0 ? static_cast<std::size_t>(n) : 0);
  }
  os::Fd reader, writer;
};

INSTANTIATE_TEST_SUITE_P(OfBoth, OutletTest, testing::Values("pipe", "socket"));

TEST_P(OutletTest, keeps_what_nobody_reads_yet_and_writes_it_in_order) {
  Outlet outlet(writer.get());
  std::string all;
  for (int i = 0; i < 100'000; ++i) all += std::to_string(i) + "\n";
  outlet.write(all);
  EXPECT_GT(outlet.waiting(), 0u);
  outlet.write("end\n");
  EXPECT_FALSE(outlet.flush()) << "there is no room";
  std::string got;
  while (!got.ends_with("end\n")) {
    got += read_some();
    (void)outlet.flush();
  }
  EXPECT_EQ(got, all + "end\n");
  EXPECT_EQ(outlet.waiting(), 0u);
  EXPECT_EQ(::fcntl(writer.get(), F_GETFL) & O_NONBLOCK, 0) << "somebody else has it, too";
}

TEST_P(OutletTest, forgets_what_nobody_will_ever_read) {
  Outlet outlet(writer.get());
  outlet.write(std::string(1u << 20, 'x'));
  EXPECT_GT(outlet.waiting(), 0u);
  reader.reset();
  (void)outlet.flush();
  EXPECT_EQ(outlet.waiting(), 0u);
}

}  // namespace
}  // namespace hearth::cli
