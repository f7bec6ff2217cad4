#include "os/preparation.h"

#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/crash_point.h"
#include "os/fd.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

using Variables = decltype(Prepared::variables);

struct PreparationTest : ::testing::Test {
  test::TempDirectory directory;
  Preparation order;
  MonoNs now = 1;

  void SetUp() override {
    order.run = 7;
    order.label = "shop.web.0";
    order.roots = {directory / "run", directory / "lib", directory / "cache", directory / "c"};
  }
  void write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const Fd file(::open((directory / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, mode));
    ASSERT_TRUE(write_all(file.get(), text, name));
  }
  std::string text_of(const std::string& path) {
    const Result<std::string> text = read_file(path);
    return text ? *text : "";
  }
  mode_t mode_of(const std::string& path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) < 0 ? 0 : st.st_mode & 07777;
  }
  std::string problem() {
    const Result<Prepared> done = prepare(order);
    return done ? "" : done.error().text();
  }
};

TEST_F(PreparationTest, directories_are_made_with_what_is_above_them_and_named_in_the_environment) {
  order.around.runtime_directories = {"web", "web-extra/deep"};
  order.around.state_directories = {"web"};
  const Result<Prepared> done = prepare(order);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ((Variables{{"RUNTIME_DIRECTORY", directory / "run/web" + ":" + directory / "run/web-extra/deep"},
                       {"STATE_DIRECTORY", directory / "lib/web"}}),
            done->variables);
  EXPECT_EQ(0755u, mode_of(directory / "run/web-extra/deep"));
  EXPECT_TRUE(prepare(order)) << "twice is once";
}

TEST_F(PreparationTest, a_link_in_the_place_of_a_directory_is_not_followed) {
  order.around.state_directories = {"web"};
  ASSERT_EQ(0, ::mkdir((directory / "lib").c_str(), 0755));
  ASSERT_EQ(0, ::symlink("/etc", (directory / "lib/web").c_str()));
  EXPECT_NE(std::string::npos, problem().find("cannot make " + directory / "lib/web"));
}

TEST_F(PreparationTest, a_link_that_was_put_above_a_runtime_directory_leads_no_removal_to_somebody_elses) {
  for (const char* made : {"run", "run/web", "run/web/own", "run/web/own/deep", "else", "else/deep"})
    ASSERT_EQ(0, ::mkdir((directory / made).c_str(), 0755));
  write("else/deep/file", "x");
  ASSERT_EQ(0, ::rename((directory / "run/web/own").c_str(), (directory / "run/web/aside").c_str()));
  ASSERT_EQ(0, ::symlink((directory / "else").c_str(), (directory / "run/web/own").c_str()));
  remove_runtime_directories(order.roots, {"web/own/deep"}, 7);
  EXPECT_EQ("x", text_of(directory / "else/deep/file"));
  EXPECT_NE(0u, mode_of(directory / "run/web/aside/deep"));
}

TEST_F(PreparationTest, a_runtime_directory_has_gone_from_its_name_at_once) {
  for (const char* made : {"run", "run/web", "run/web/deep"}) ASSERT_EQ(0, ::mkdir((directory / made).c_str(), 0755));
  remove_runtime_directories(order.roots, {"web/deep", "web"}, 7);
  EXPECT_EQ(0u, mode_of(directory / "run/web"));
}

TEST_F(PreparationTest, a_ruleset_is_made_for_hooks_too_and_nothing_else_is) {
  order.around.runtime_directories = {"web"};
  order.sandbox.limits_writing = true;
  order.for_other_than_service = true;
  const Result<Prepared> hook = prepare(order);
  ASSERT_TRUE(hook) << hook.error().text();
  EXPECT_EQ(sandbox_support().landlock > 0, hook->ruleset != nullptr);
  EXPECT_EQ(0u, mode_of(directory / "run/web")) << "made for the service alone";
  EXPECT_TRUE(hook->variables.empty());
}

TEST_F(PreparationTest, a_sandbox_with_a_path_that_is_not_there_leaves_no_credentials_behind) {
  if (sandbox_support().landlock == 0) GTEST_SKIP() << "Landlock is not there";
  write("secret", "s3cret");
  order.around.credentials = {{"key", directory / "secret"}};
  order.sandbox.limits_reading = true;
  order.sandbox.read_paths = {directory / "nowhere"};
  EXPECT_NE(std::string::npos, problem().find("sandbox.read_paths has " + directory / "nowhere"));
  EXPECT_EQ(0u, mode_of(directory / "c/7"));
}

TEST_F(PreparationTest, a_credential_that_cannot_be_used_is_told_as_a_fault_of_the_service) {
  order.around.credentials = {{"key", directory / "nowhere"}};
  EXPECT_EQ(Remedy::not_found, prepare(order).error().remedy);
  order.around.credentials = {{"key", directory / ""}};
  EXPECT_EQ(Remedy::fix_input, prepare(order).error().remedy);
  write("key", "secret");
  order.around.credentials = {{"key", directory / "key"}};
  order.roots.credentials = directory / "key/c";
  EXPECT_EQ(Remedy::try_later, prepare(order).error().remedy) << "hearth's own place for them is nobody else's fault";
}

TEST_F(PreparationTest, an_owner_is_given_what_is_made) {
  order.owner = {65533, 65533};
  order.around.cache_directories = {"web"};
  order.around.credentials = {{"key", directory / "key"}};
  write("key", "secret");
  // Nobody but root may give files away, and who cannot says so.
  if (::geteuid() != 0) {
    EXPECT_NE(std::string::npos, problem().find("Operation not permitted")) << problem();
    EXPECT_NE(0, ::access((directory / "c/7/key").c_str(), R_OK));
    return;
  }
  ASSERT_EQ("", problem());
  struct stat st{};
  ASSERT_EQ(0, ::stat((directory / "cache/web").c_str(), &st));
  EXPECT_EQ(65533u, st.st_uid);
  ASSERT_EQ(0, ::stat((directory / "c/7/key").c_str(), &st));
  EXPECT_EQ(65533u, st.st_uid);
  ASSERT_EQ(0, ::stat((directory / "cache").c_str(), &st));
  EXPECT_EQ(0u, st.st_uid);
}

TEST_F(PreparationTest, credentials_are_copied_for_one_run_and_removed_with_it) {
  write("key", "secret");
  order.around.credentials = {{"key", directory / "key"}};
  const Result<Prepared> done = prepare(order);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ((Variables{{"CREDENTIALS_DIRECTORY", directory / "c/7"}}), done->variables);
  EXPECT_EQ("secret", text_of(directory / "c/7/key"));
  EXPECT_EQ(0700u, mode_of(directory / "c/7"));
  EXPECT_EQ(0400u, mode_of(directory / "c/7/key"));
  write("key", "newer");
  ASSERT_EQ("", problem()) << "a successor does it again";
  EXPECT_EQ("newer", text_of(directory / "c/7/key"));
  remove_credentials(order.roots, 7);
  EXPECT_FALSE(std::filesystem::exists(directory / "c/7"));
}

TEST_F(PreparationTest, a_credential_that_is_none_says_so_and_leaves_nothing_behind) {
  write("key", "secret");
  order.around.credentials = {{"key", directory / "key"}, {"other", directory / "missing"}};
  EXPECT_NE(std::string::npos,
            problem().find("cannot read the credential other from " + directory / "missing" + ": No such file"));
  EXPECT_FALSE(std::filesystem::exists(directory / "c/7"));
  ASSERT_EQ(0, ::mkfifo((directory / "fifo").c_str(), 0600));
  order.around.credentials = {{"key", directory / "fifo"}};
  EXPECT_NE("", problem()) << "a FIFO is not waited for";
  write("key", std::string(2u << 20, 'x'));
  order.around.credentials = {{"key", directory / "key"}};
  EXPECT_NE(std::string::npos, problem().find("File too large"));
}

TEST_F(PreparationTest, stale_credentials_go_and_known_ones_stay) {
  write("key", "secret");
  order.around.credentials = {{"key", directory / "key"}};
  for (const RunId run : {7u, 8u}) {
    order.run = run;
    ASSERT_EQ("", problem());
  }
  remove_stale_credentials(order.roots, [](RunId run) { return run == 8; });
  EXPECT_FALSE(std::filesystem::exists(directory / "c/7"));
  EXPECT_TRUE(std::filesystem::exists(directory / "c/8/key"));
}

TEST_F(PreparationTest, libraries_must_be_there) {
  order.around.library_path = {directory.path(), directory / "missing"};
  EXPECT_NE(std::string::npos, problem().find("library_path has " + directory / "missing" + ": No such file"));
  order.around.library_path.clear();
  order.around.preload = {directory.path()};
  EXPECT_NE(std::string::npos, problem().find("preload has " + directory.path()));
}

TEST_F(PreparationTest, a_thread_does_it_and_the_answer_stays_until_it_is_forgotten) {
  order.around.runtime_directories = {"web"};
  Preparations preparations;
  std::optional<Result<Prepared>> done;
  while (!(done = preparations.of(order, now))) {
  }
  ASSERT_TRUE(*done);
  EXPECT_EQ("RUNTIME_DIRECTORY", (**done).variables.at(0).first);
  EXPECT_TRUE(preparations.of(order, now));
  preparations.forget(7);
}

// A disk that hangs stands still in the hook until the test lets it go on.
std::mutex disk;

TEST_F(PreparationTest, a_service_whose_disk_hangs_takes_one_thread_whatever_becomes_of_its_starts) {
  write("key", "secret");
  order.around.credentials = {{"key", directory / "key"}};
  disk.lock();
  crash_hook = [](const char*) { const std::lock_guard waits(disk); };
  Preparations preparations;
  EXPECT_FALSE(preparations.of(order, now));
  preparations.forget(7);
  for (order.run = 8; order.run < 30; ++order.run) {
    EXPECT_FALSE(preparations.of(order, now));
    preparations.forget(order.run);
  }
  Preparation other = order;
  other.label = "shop.db.0";
  other.run = 100;
  other.around.credentials.clear();
  other.around.runtime_directories = {"db"};
  std::optional<Result<Prepared>> done;
  while (!(done = preparations.of(other, now))) {
  }
  EXPECT_TRUE(*done) << "the others go on";
  disk.unlock();
  while (!(done = preparations.of(order, now))) {
  }
  EXPECT_TRUE(*done);
  EXPECT_NE(0, ::access((directory / "c/7").c_str(), F_OK)) << "of a run that nobody wants any more nothing is left";
  crash_hook = nullptr;
}

TEST_F(PreparationTest, paths_that_hang_hold_up_their_own_services_only_and_are_named) {
  write("key", "secret");
  disk.lock();
  crash_hook = [](const char*) { const std::lock_guard waits(disk); };
  Preparations preparations;
  Preparation hung = order;
  hung.around.credentials = {{"key", directory / "key"}};
  for (std::size_t i = 0; i < LeftBehind::left_behind_max; ++i) {
    hung.run = 1000 + i;
    hung.label = "shop.hung." + std::to_string(i);
    EXPECT_FALSE(preparations.of(hung, now)) << i;
    if (i % Preparations::at_once_max == Preparations::at_once_max - 1) now += Preparations::hangs_after;
  }
  // The last thread may not have come to it yet.
  const MonoNs end = read_mono() + seconds(10);
  while (preparations.waits_for().find(directory / "key") == std::string::npos && read_mono() < end)
    EXPECT_FALSE(preparations.of(hung, now));
  EXPECT_NE(std::string::npos, preparations.waits_for().find(directory / "key")) << preparations.waits_for();
  EXPECT_FALSE(preparations.of(order, now));
  EXPECT_NE(std::string::npos, preparations.waits_for().find("64 other services")) << preparations.waits_for();
  disk.unlock();
  std::optional<Result<Prepared>> done;
  while (!(done = preparations.of(order, now))) {
  }
  EXPECT_TRUE(*done);
  for (std::size_t i = 0; i < LeftBehind::left_behind_max; ++i) {
    hung.run = 1000 + i;
    hung.label = "shop.hung." + std::to_string(i);
    while (!preparations.of(hung, now)) {
    }
  }
  crash_hook = nullptr;
}

TEST_F(PreparationTest, more_than_so_many_that_hang_let_others_go_on) {
  write("key", "secret");
  disk.lock();
  crash_hook = [](const char*) { const std::lock_guard waits(disk); };
  Preparations preparations;
  Preparation hung = order;
  hung.around.credentials = {{"key", directory / "key"}};
  for (std::size_t i = 0; i < Preparations::at_once_max; ++i) {
    hung.run = 1000 + i;
    hung.label = "shop.hung." + std::to_string(i);
    EXPECT_FALSE(preparations.of(hung, now));
  }
  order.around.runtime_directories = {"web"};
  EXPECT_FALSE(preparations.of(order, now)) << "they may answer in a moment";
  now += Preparations::hangs_after;
  std::optional<Result<Prepared>> done;
  while (!(done = preparations.of(order, now))) {
  }
  EXPECT_TRUE(*done);
  disk.unlock();
  for (std::size_t i = 0; i < Preparations::at_once_max; ++i) {
    hung.run = 1000 + i;
    while (!preparations.of(hung, now)) {
    }
  }
  crash_hook = nullptr;
}

}  // namespace
}  // namespace hearth::os
