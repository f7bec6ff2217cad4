// Each file of tests/unit/config/bad is applied while services run: `up` refuses it, and nothing has changed.
#include <algorithm>

#include "hearth_command.h"
#include "places.h"

namespace hearth::cli {
namespace {

class BadFiles : public CommandTest {};

// What of the status says that a service was touched. Times pass, CPU and memory move: they are left out.
std::string essence(const boost::json::value& status) {
  std::string out;
  for (const boost::json::value& service : status.at("services").as_array()) {
    for (const char* key : {"project", "name", "index", "state", "run", "pid", "restarts"}) {
      if (const boost::json::value* value = service.as_object().if_contains(key)) {
        out += boost::json::serialize(*value) + " ";
      }
    }
    out += "\n";
  }
  return out;
}

TEST_F(BadFiles, change_nothing_of_what_runs) {
  write("hearth.toml",
        "[service.a]\ncommand = [\"sleep\", \"1000\"]\n[service.web]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::string before = essence(status());
  ASSERT_NE(before.find("running"), std::string::npos) << before;
  const std::string supervisor = std::to_string(pid_of("supervisor"));

  std::size_t tried = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(HEARTH_SOURCE_DIR) / "tests/unit/config/bad")) {
    const bool several = entry.is_directory();
    if (!several && entry.path().extension() != ".toml") continue;
    // As the project's own file, so that it would replace what runs.
    for (const char* part : {"hearth.d", "sub"}) fs::remove_all(project + "/" + part);
    const fs::path from = several ? entry.path() : entry.path().parent_path() / entry.path().filename();
    if (several) {
      fs::copy(from, project, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    } else {
      fs::copy_file(from, project + "/hearth.toml", fs::copy_options::overwrite_existing);
    }
    const Finished done = hearth({"up"});
    EXPECT_EQ(done.code, 6) << entry.path() << done.all();
    EXPECT_NE(done.err.find("nothing has changed"), std::string::npos) << entry.path() << done.all();
    ++tried;
    if (tried % 20 == 0) {
      EXPECT_EQ(essence(status()), before) << entry.path();
    }
  }
  EXPECT_GE(tried, 100u);
  EXPECT_EQ(essence(status()), before);
  EXPECT_EQ(std::to_string(pid_of("supervisor")), supervisor);
}

}  // namespace
}  // namespace hearth::cli
