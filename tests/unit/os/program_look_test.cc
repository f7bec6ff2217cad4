#include "os/program_look.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/plan_builder.h"
#include "os/program_file.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

TEST(ProgramIdentity, ChangesWithTheFileAndWithWhatIsInIt) {
  const test::TempDirectory directory;
  const auto write = [&](const char* name, const char* text) {
    const Fd file(::open((directory / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755));
    ASSERT_EQ(static_cast<ssize_t>(std::strlen(text)), ::write(file.get(), text, std::strlen(text)));
  };
  const auto identity = [&](const char* name) {
    const Fd file(::open((directory / name).c_str(), O_PATH | O_CLOEXEC));
    return program_identity(file.get());
  };
  write("a", "one");
  const std::string before = identity("a");
  EXPECT_EQ(3, std::count(before.begin(), before.end(), ':')) << before;
  EXPECT_EQ(before, identity("a"));
  write("b", "one");
  EXPECT_NE(before, identity("b"));
  write("a", "three");
  EXPECT_NE(before, identity("a"));
  EXPECT_EQ("", identity("none"));
}

class ProgramLookTest : public testing::Test {
 protected:
  void make(const std::string& name, mode_t mode) {
    const Fd file(::open((directory / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, mode));
    ASSERT_TRUE(file);
    ASSERT_EQ(0, ::fchmod(file.get(), mode));
  }
  // "" = it is there.
  static std::string problem(const std::string& program, std::vector<std::string> paths, const std::string& cwd = "") {
    const Status found = look_for_program({"p.web.0", cwd, program, std::move(paths)});
    return found ? "" : found.error().reason;
  }
  test::TempDirectory directory;
};

TEST_F(ProgramLookTest, IsThereWhereOneOfItsPathsIs) {
  make("web", 0755);
  EXPECT_EQ("", problem("web", {directory / "none/web", directory / "web"}));
  EXPECT_EQ("", problem("./web", {"./web"}, directory.path()));
  EXPECT_EQ("there is no wbe in its PATH", problem("wbe", {directory / "none/wbe", directory / "wbe"}));
  EXPECT_EQ("/none/wbe is not there", problem("/none/wbe", {"/none/wbe"}));
  EXPECT_EQ("./wbe is not there", problem("./wbe", {"./wbe"}, directory.path()));
}

TEST_F(ProgramLookTest, ThatCannotBeExecutedByAnybodyIsNone) {
  make("web", 0644);
  EXPECT_EQ(directory / "web" + " is not executable", problem("web", {directory / "web"}));
  EXPECT_EQ(directory.path() + " is no program", problem(directory.path(), {directory.path()}));
}

TEST_F(ProgramLookTest, NeedsADirectoryThatIsThere) {
  make("web", 0755);
  EXPECT_EQ("its cwd " + directory / "none" + " is not there", problem("web", {directory / "web"}, directory / "none"));
  EXPECT_EQ("its cwd " + directory / "web" + " is no directory",
            problem("web", {directory / "web"}, directory / "web"));
  EXPECT_EQ("its cwd " + directory / "web/x" + " is not there",
            problem("web", {directory / "web"}, directory / "web/x"));
}

TEST_F(ProgramLookTest, ThatIsNotCertainToBeMissingIsLeftToTheStart) {
  EXPECT_EQ("", problem("./web", {"./web"})) << "below what?";
  EXPECT_EQ("", problem("{fd:x}", {}));
  EXPECT_EQ("", problem("web", {"/" + std::string(5'000, 'x')}))
      << "ENAMETOOLONG: something, but not that it is missing";
}

TEST_F(ProgramLookTest, IsLookedForInThePathOfTheService) {
  Document document;
  document.environment = {"PATH=/a:/b"};
  ServiceSpec spec;
  spec.command = {"web", "x"};
  ports::SpawnOrder order;
  order.document = &document;
  order.spec = &spec;
  order.command = &spec.command;
  EXPECT_EQ((std::vector<std::string>{"/a/web", "/b/web"}), program_paths(order));
  spec.env = {{"PATH", "/c:"}};
  EXPECT_EQ((std::vector<std::string>{"/c/web", "./web"}), program_paths(order));
  spec.command = {"./web"};
  EXPECT_EQ((std::vector<std::string>{"./web"}), program_paths(order));
  spec.command = {"{fd:x}"};
  EXPECT_TRUE(program_paths(order).empty());
}

// A disk that answers when the test says so.
struct Disk {
  std::mutex mutex;
  std::condition_variable changed;
  bool answers = false;
  int looked = 0;
  Status look(const ProgramLook& look) {
    std::unique_lock lock(mutex);
    ++looked;
    changed.notify_all();
    changed.wait(lock, [this] { return answers; });
    return look.program == "bad" ? failure(Remedy::fix_input, "start", look.label, "bad") : Status();
  }
  void answer() {
    const std::lock_guard lock(mutex);
    answers = true;
    changed.notify_all();
  }
};

struct ProgramLooksTest : testing::Test {
  std::shared_ptr<Disk> disk = std::make_shared<Disk>();
  ProgramLooks looks{[disk = disk](const ProgramLook& look) { return disk->look(look); }};
  void TearDown() override { disk->answer(); }

  std::optional<Status> wait_for(const std::vector<ProgramLook>& wanted) {
    std::optional<Status> answer;
    const MonoNs deadline = after(read_mono(), seconds(20));
    while (!answer && read_mono() < deadline) answer = looks.of(wanted, 1);
    return answer;
  }
};

TEST_F(ProgramLooksTest, AreNotWaitedForAndAnsweredWhenTheyAreDone) {
  const std::vector<ProgramLook> good = {{"p.web.0", "", "web", {}}}, bad = {good[0], {"p.db.0", "", "bad", {}}};
  EXPECT_FALSE(looks.of(good, 1));
  EXPECT_FALSE(looks.of(bad, 1));
  EXPECT_FALSE(looks.of(good, 1));
  disk->answer();
  std::optional<Status> answer = wait_for(bad);
  ASSERT_TRUE(answer);
  ASSERT_FALSE(*answer);
  EXPECT_EQ("p.db.0", answer->error().subject);
  answer = wait_for(good);
  EXPECT_TRUE(answer && *answer);
}

TEST_F(ProgramLooksTest, ForAnOrderThatIsNotThereAnyMoreAreForgotten) {
  const std::vector<ProgramLook> wanted = {{"p.db.0", "", "bad", {}}};
  EXPECT_FALSE(looks.of(wanted, 1)) << "and the order is refused for something else";
  disk->answer();
  const std::optional<Status> found = wait_for(wanted);
  ASSERT_TRUE(found && !*found);
  (void)looks.of(wanted, 2);  // by an order that is refused for something else
  const MonoNs deadline = after(read_mono(), seconds(20));
  // Until the thread has ended that nobody has asked about: then there is another look.
  for (MonoNs now = 2 + ProgramLooks::hangs_after; read_mono() < deadline; ++now) {
    (void)looks.of(wanted, now);
    const std::lock_guard lock(disk->mutex);
    if (disk->looked == 3) break;
  }
  std::unique_lock lock(disk->mutex);
  EXPECT_TRUE(disk->changed.wait_for(lock, std::chrono::seconds(20), [&] { return disk->looked == 3; }))
      << "the next order has another look, and is not told that";
}

TEST_F(ProgramLooksTest, OfADiskThatHangsAreGivenUpAndHoldNoOtherOrderUp) {
  MonoNs now = 1;
  for (std::size_t i = 0; i < LeftBehind::left_behind_max; ++i, now += 1 + ProgramLooks::hangs_after) {
    const std::vector<ProgramLook> wanted = {{"p.web." + std::to_string(i), "", "web", {}}};
    EXPECT_FALSE(looks.of(wanted, now)) << i;
    EXPECT_FALSE(looks.of(wanted, now + ProgramLooks::hangs_after - 1));
    const std::optional<Status> given_up = looks.of(wanted, now + ProgramLooks::hangs_after);
    ASSERT_TRUE(given_up);
    EXPECT_EQ(Remedy::try_later, given_up->error().remedy);
  }
  const std::optional<Status> again = looks.of({{"p.web.0", "", "web", {}}}, now);
  ASSERT_TRUE(again && !*again) << "the same order has one thread, however often it comes";
  EXPECT_EQ(0, again->error().code);
  const std::optional<Status> one_more = looks.of({{"p.db.0", "", "db", {}}}, now);
  ASSERT_TRUE(one_more && !*one_more) << "no thread is begun for it";
  EXPECT_EQ(EAGAIN, one_more->error().code);
}

TEST_F(ProgramLooksTest, ThatAreAtWorkAreSoMany) {
  for (std::size_t i = 0; i < ProgramLooks::at_once_max; ++i)
    EXPECT_FALSE(looks.of({{"p.web." + std::to_string(i), "", "web", {}}}, 1));
  const std::optional<Status> one_more = looks.of({{"p.db.0", "", "db", {}}}, 1);
  ASSERT_TRUE(one_more && !*one_more);
  EXPECT_EQ(EAGAIN, one_more->error().code);
}

}  // namespace
}  // namespace hearth::os
