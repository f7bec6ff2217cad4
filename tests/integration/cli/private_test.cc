// Who gets into an instance, and what is told of its secrets (docs/internals/threat-model.md).
#include <algorithm>
#include <iterator>
#include <string_view>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PrivateTest : public CommandTest {
 protected:
  void bring_up() {
    write("token", "s3cret-of-a-file\n");
    write("app.env", "PASSWORD=s3cret-of-env-files\n");
    write("hearth.toml", R"(
[service.web]
runtime_directories = ["hearth-test-private-)" +
                             std::to_string(::getpid()) + R"("]
command = ["/bin/sh", "-c", "echo up; exec sleep 1000"]
env = { API_KEY = "s3cret-of-env" }
env_files = ["app.env"]
credentials = { token = "token" }
ready = "notify"
start_timeout = "1h"
)");
    const Finished up = hearth({"up", "--no-wait"});
    ASSERT_EQ(up.code, 0) << up.all();
    ASSERT_TRUE(eventually([&] { return hearth({"logs", "web"}).out.find("up") != std::string::npos; }));
  }
};

// Services of other users pass through to what is theirs: their FIFO, notify socket, credentials, runtime directory and
// logs. They can list nothing.
TEST_F(PrivateTest, others_read_and_list_nothing_in_the_instance_directory) {
  bring_up();
  std::vector<std::string> open;
  const auto look = [&](const fs::path& path) {
    struct stat st{};
    if (::lstat(path.c_str(), &st) < 0 || S_ISLNK(st.st_mode)) return;
    const std::string name = path == directory ? "." : fs::relative(path, directory).string();
    static constexpr std::string_view passages[] = {".", "n", "o", "c", "logs"};
    const bool passage = S_ISDIR(st.st_mode) && std::ranges::find(passages, name) != std::end(passages);
    const bool of_services = name == "run" || name.starts_with("run/");
    if (!of_services && (st.st_mode & (passage ? 0066 : 0077)) != 0) open.push_back(name);
    if (st.st_uid != ::geteuid()) open.push_back(name + " is not ours");
  };
  look(directory);
  for (const auto& entry : fs::recursive_directory_iterator(directory)) look(entry.path());
  if (fs::exists(directory + "/state"))
    for (const auto& entry : fs::recursive_directory_iterator(fs::canonical(directory + "/state"))) {
      struct stat st{};
      if (::lstat(entry.path().c_str(), &st) == 0 && !S_ISLNK(st.st_mode) && (st.st_mode & 0066) != 0)
        open.push_back(entry.path());
    }
  EXPECT_THAT(open, IsEmpty());
}

TEST_F(PrivateTest, secrets_are_in_no_status_event_or_log) {
  bring_up();
  const std::string said = hearth({"status"}).all() + hearth({"status", "--json"}).all() + hearth({"events"}).all() +
                           hearth({"events", "--json"}).all() + hearth({"explain", "web"}).all() +
                           hearth({"logs", "web"}).all() + text_of(directory + "/hearth.log");
  EXPECT_THAT(said, HasSubstr("web"));
  EXPECT_THAT(said, Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace hearth::cli
