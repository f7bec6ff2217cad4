// What services may do, as a user meets it: with a hearth that may do nothing itself, and with one of root.
#include "os/privileges.h"

#include <linux/securebits.h>
#include <sys/prctl.h>

#include <gmock/gmock.h>

#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

using ::testing::HasSubstr;

// Then programs that we start get no capabilities for being root's: as those of an ordinary user.
bool set_noroot(bool on) {
  return ::prctl(PR_SET_SECUREBITS, static_cast<unsigned long>(on ? SECBIT_NOROOT : 0), 0UL, 0UL, 0UL) == 0;
}

class UnprivilegedTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (::geteuid() == 0 && !set_noroot(true)) GTEST_SKIP() << "needs CAP_SETPCAP";
    const os::Privileges own = os::own_privileges();
    if (own.bounding == 0 || own.no_new_privs) GTEST_SKIP() << "nobody here can have any";
  }
  void TearDown() override {
    CommandTest::TearDown();
    if (::geteuid() == 0) set_noroot(false);
  }
};

TEST_F(UnprivilegedTest, what_cannot_be_had_is_refused_with_what_to_do_before_anything_changes) {
  const std::string good = "[service.good]\ncommand = [\"sleep\", \"1000\"]\n";
  const auto refused = [&](const std::string& keys) {
    write("hearth.toml", good + "[service.held]\ncommand = [\"sleep\", \"1000\"]\n" + keys);
    const Finished up = hearth({"up"});
    EXPECT_NE(up.code, 0) << up.all();
    EXPECT_THAT(up.err, HasSubstr("held"));
    EXPECT_THAT(up.err, HasSubstr("nothing has changed"));
    return up.err;
  };
  const std::string none = refused("capabilities = []\n");
  EXPECT_THAT(none, HasSubstr("hearth may not lower the bounding set of capabilities"));
  EXPECT_THAT(none, HasSubstr("write no_new_privs = true besides"));
  EXPECT_THAT(refused("capabilities = [\"net_bind_service\"]\nno_new_privs = true\n"),
              HasSubstr("hearth itself has not net_bind_service"));
  write("hearth.toml", good);
  EXPECT_EQ(hearth({"up"}).code, 0);
  refused("capability_bounding_set = [\"chown\"]\n");
  EXPECT_EQ(hearth({"status"}).code, 0) << "what was up is up";
}

TEST_F(UnprivilegedTest, a_service_that_has_nothing_and_gets_nothing_needs_no_privilege) {
  write("hearth.toml", R"(
[service.held]
command = ["sh", "-c", "grep -E '^(Cap|NoNew)' /proc/self/status; exec sleep 1000"]
before_start = ["sh", "-c", "echo before; grep NoNew /proc/self/status"]
capabilities = []
no_new_privs = true
)");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 0) << up.all();
  std::string log;
  EXPECT_TRUE(eventually([&] {
    log = hearth({"logs", "held"}).out;
    const std::size_t first = log.find("NoNewPrivs:\t1");
    return first != std::string::npos && log.find("NoNewPrivs:\t1", first + 1) != std::string::npos;
  })) << log;
  EXPECT_THAT(log, HasSubstr("before\nNoNewPrivs:\t1")) << "what is executed around its life is held in the same way";
  EXPECT_THAT(log, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(log, HasSubstr("CapAmb:\t0000000000000000"));
}

using PrivilegesTest = CommandTest;

TEST_F(PrivilegesTest, a_service_has_the_capabilities_of_its_file_and_so_has_what_is_executed_in_it) {
  constexpr CapabilitySet needed = capability_bit(0) | capability_bit(capability_setpcap) | capability_bit(10);
  const os::Privileges own = os::own_privileges();
  if (own.user != 0 || (own.permitted & own.bounding & needed) != needed) GTEST_SKIP() << "needs root";
  write("hearth.toml", R"(
[service.web]
command = ["sh", "-c", "grep ^Cap /proc/self/status; exec sleep 1000"]
cwd = "/"
user = 65534
group = 65534
capabilities = ["CAP_NET_BIND_SERVICE"]
[service.root]
command = ["sh", "-c", "grep ^Cap /proc/self/status; exec sleep 1000"]
capabilities = ["chown"]
)");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 0) << up.all();
  const auto expect_logged = [&](const char* service, const char* effective, const char* ambient) {
    std::string log;
    EXPECT_TRUE(eventually([&] {
      log = hearth({"logs", service}).out;
      return log.find("CapAmb") != std::string::npos;
    }));
    EXPECT_THAT(log, HasSubstr(std::string("CapPrm:\t") + effective));
    EXPECT_THAT(log, HasSubstr(std::string("CapEff:\t") + effective));
    EXPECT_THAT(log, HasSubstr(std::string("CapBnd:\t") + effective));
    EXPECT_THAT(log, HasSubstr(std::string("CapAmb:\t") + ambient));
  };
  expect_logged("web", "0000000000000400", "0000000000000400");
  expect_logged("root", "0000000000000001", "0000000000000000");
  const Finished inside = hearth({"exec", "web", "--", "grep", "^Cap", "/proc/self/status"});
  EXPECT_EQ(inside.code, 0) << inside.all();
  EXPECT_THAT(inside.out, HasSubstr("CapBnd:\t0000000000000400"));
  EXPECT_THAT(inside.out, HasSubstr("CapAmb:\t0000000000000400"));
}

}  // namespace
}  // namespace hearth::cli
