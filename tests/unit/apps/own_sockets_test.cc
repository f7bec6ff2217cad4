#include "apps/own_sockets.h"

#include <fcntl.h>
#include <string>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <vector>

#include <gmock/gmock.h>

#include "os/control_socket.h"
#include "support/small_disk.h"
#include "unit/os/temp_directory.h"

namespace hearth::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct OwnSocketsTest : ::testing::Test {
  OwnSocketsTest() { opens_directory(); }

  void opens_directory() { directory.reset(::open(temp.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
  OwnSockets sockets() {
    return {io,
            directory.get(),
            temp.path(),
            {[this](os::Fd listener) { served.push_back(std::move(listener)); }, [](os::NewKeeper) {},
             [this](const std::string& text) { notes.push_back(text); },
             [this](const std::string& text) { std::erase(notes, text); }}};
  }
  bool somebody_listens(const char* name, int type) const {
    return os::connect_socket(temp.path(), name, type).has_value();
  }
  bool clients_find_it() const { return somebody_listens(os::control_socket_name, SOCK_STREAM); }
  bool keepers_find_it() const { return somebody_listens(os::keeper_socket_name, SOCK_SEQPACKET); }

  test::TempDirectory temp;
  os::Fd directory;
  boost::asio::io_context io;
  std::vector<os::Fd> served;
  std::vector<std::string> notes;
};

TEST_F(OwnSocketsTest, are_there_until_they_are_removed) {
  OwnSockets own = sockets();
  ASSERT_TRUE(own.open(0));
  EXPECT_EQ(served.size(), 1u);
  EXPECT_TRUE(clients_find_it());
  EXPECT_TRUE(keepers_find_it());
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_EQ(own.try_again(seconds(100)), never);
  EXPECT_EQ(own.arm(seconds(100)), never);
  own.remove();
  EXPECT_FALSE(clients_find_it());
  EXPECT_FALSE(keepers_find_it());
}

TEST_F(OwnSocketsTest, a_disk_with_room_for_one_has_clients_find_it_and_the_other_comes_later) {
  const support::SmallDisk disk(temp.path(), "nr_inodes=2,mode=700");
  if (!disk) GTEST_SKIP() << "nothing can be mounted here";
  opens_directory();
  OwnSockets own = sockets();
  ASSERT_TRUE(own.open(0));
  EXPECT_TRUE(clients_find_it());
  EXPECT_FALSE(keepers_find_it());
  EXPECT_THAT(notes, ElementsAre(HasSubstr("keeper.sock")));
  EXPECT_EQ(own.try_again(milliseconds(999)), seconds(1)) << "not in each turn";
  EXPECT_EQ(own.try_again(seconds(1)), seconds(2));
  EXPECT_EQ(notes.size(), 1u) << "said once";
  ASSERT_TRUE(disk.resize("nr_inodes=9"));
  EXPECT_EQ(own.try_again(seconds(2)), never);
  EXPECT_TRUE(keepers_find_it());
  EXPECT_EQ(served.size(), 1u) << "the one that was there stays";
  EXPECT_THAT(notes, IsEmpty());
}

TEST_F(OwnSocketsTest, a_disk_that_may_only_be_read_ends_nobody) {
  const support::SmallDisk disk(temp.path(), "mode=700");
  if (!disk) GTEST_SKIP() << "nothing can be mounted here";
  opens_directory();
  ASSERT_EQ(::mount("none", temp.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
  OwnSockets own = sockets();
  ASSERT_TRUE(own.open(0));
  EXPECT_THAT(served, IsEmpty());
  EXPECT_THAT(notes, ElementsAre(HasSubstr("hearth is not found by it")));
  EXPECT_EQ(own.try_again(seconds(1)), seconds(2));
  const std::string first = notes.front();
  ASSERT_EQ(::mount("none", temp.path().c_str(), "tmpfs", MS_REMOUNT, "nr_inodes=1"), 0);
  EXPECT_EQ(own.try_again(seconds(2)), seconds(3));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes.front(), first) << "what is the matter now";
  ASSERT_EQ(::mount("none", temp.path().c_str(), "tmpfs", MS_REMOUNT, "nr_inodes=9"), 0);
  EXPECT_EQ(own.try_again(seconds(3)), never);
  EXPECT_TRUE(clients_find_it());
  EXPECT_TRUE(keepers_find_it());
  EXPECT_THAT(notes, IsEmpty());
}

TEST_F(OwnSocketsTest, what_waiting_would_not_change_ends_the_start) {
  OwnSockets own(io, directory.get(), temp / "nowhere", {});
  const Status opened = own.open(0);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ENOENT);
}

}  // namespace
}  // namespace hearth::apps
