// The recorder of kept samples is itself tried: what it writes is complete, and does not tell where it was written.
//
//   HEARTH_RECORD_FORMATS=1 build/release/tests/system_formats_record_test
//
// keeps what it has recorded in tests/formats/VERSION, VERSION being that of this build; tests/formats/README.md says when.
#include <filesystem>

#include <gmock/gmock.h>

#include "base/version.h"
#include "os/instance.h"
#include "places.h"
#include "recorder.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uintmax_t kept_bytes_most = 200'000;

struct FormatsRecorder : Recorder {};

TEST_F(FormatsRecorder, writes_a_sample_of_everything_that_names_no_place_and_no_process) {
  const std::string place = base + "/sample";
  ASSERT_NO_FATAL_FAILURE(record(place));
  const std::vector<std::string> files = files_below(place);
  for (const char* name : {"SHA256SUMS", "hand-over", "log-page.zst", "messages", "spawn-plan", "instance/runs.json",
                           "instance/events.jsonl", "instance/spec/1.json", "instance/state/slot-table.zst",
                           "instance/state/decision-page.zst", "instance/state/document-1", "instance/state/events-1"})
    EXPECT_THAT(files, Contains(name));
  const std::string boot = os::read_file("/proc/sys/kernel/random/boot_id").value_or("?");
  std::uintmax_t bytes = 0;
  for (const std::string& name : files) {
    bytes += fs::file_size(place + "/" + name);
    std::string text = os::read_file(place + "/" + name).value_or("");
    if (name.ends_with(".zst")) text = decompressed(text);
    EXPECT_THAT(text, Not(HasSubstr(base))) << name;
    EXPECT_THAT(text, Not(HasSubstr(HEARTH_BIN_DIR))) << name;
    EXPECT_THAT(text, Not(HasSubstr(boot.substr(0, 36)))) << name;
  }
  EXPECT_LT(bytes, kept_bytes_most);
  if (std::getenv("HEARTH_RECORD_FORMATS") == nullptr || HasFailure()) return;
  const std::string kept = place_of(version);
  ASSERT_FALSE(fs::exists(kept)) << kept << " is there: what a released version has written is never written again. "
                                 << "Before its release remove it first";
  fs::copy(place, kept, fs::copy_options::recursive);
  std::printf("kept in %s, %ju bytes\n", kept.c_str(), bytes);
}

}  // namespace
}  // namespace hearth::test
