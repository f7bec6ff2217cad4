// What is wrong in log files is found: a line taken out, doubled, moved, cut.
#include "log_check.h"

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <unistd.h>
#include <zstd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/lines.h"

namespace hearth::kill_anywhere {
namespace {

using testing::HasSubstr;

class LogCheck : public testing::Test {
 protected:
  LogCheck() { std::filesystem::create_directories(directory); }
  ~LogCheck() override { std::filesystem::remove_all(directory); }
  LogFindings check(const std::string& text) {
    std::ofstream(directory + "/00000001.log") << text;
    return check_log(directory, "raw", {5, 5});
  }
  static std::string lines(std::initializer_list<std::uint64_t> numbers) {
    std::string text;
    for (const std::uint64_t number : numbers) text += support::make_line(number, 3);
    return text;
  }
  std::string directory = testing::TempDir() + "/ka-log-" + std::to_string(getpid());
};

TEST_F(LogCheck, finds_lines_that_are_lost_doubled_moved_and_damaged) {
  EXPECT_TRUE(check(lines({0, 1, 2, 3, 4})).exact());
  const LogFindings without_two = check(lines({0, 1, 3, 4}));
  EXPECT_EQ(without_two.lost, 1u);
  EXPECT_EQ(without_two.prefix, 2u);
  EXPECT_EQ(without_two.lost_bytes, support::make_line(2, 3).size());
  EXPECT_EQ(check(lines({0, 1, 1, 2, 3, 4})).doubled, 1u);
  EXPECT_EQ(check(lines({0, 2, 1, 3, 4})).disordered, 1u);
  EXPECT_EQ(check(lines({0, 1, 2, 3}) + lines({4}).substr(3)).damaged, 1u);
  EXPECT_EQ(check(lines({0, 1, 2, 3, 4, 5})).damaged, 1u) << "a line that was never written";
  std::string flipped = lines({0, 1, 2, 3, 4});
  flipped[30] = flipped[30] == 'x' ? 'y' : 'x';
  EXPECT_EQ(check(flipped).damaged, 1u);
}

TEST_F(LogCheck, reads_compressed_files_and_finds_one_that_differs_from_what_it_was_made_of) {
  const auto compress = [&](const std::string& text) {
    std::string bytes(ZSTD_compressBound(text.size()), '\0');
    bytes.resize(ZSTD_compress(bytes.data(), bytes.size(), text.data(), text.size(), 1));
    std::ofstream(directory + "/00000001.log.zst", std::ios::binary | std::ios::trunc) << bytes;
  };
  const auto check_second = [&] {
    std::ofstream(directory + "/00000002.log", std::ios::trunc) << lines({3, 4});
    return check_log(directory, "raw", {5, 5});
  };
  compress(lines({0, 1, 2}));
  const LogFindings good = check_second();
  EXPECT_TRUE(good.exact()) << good.example;
  EXPECT_EQ(good.files, 2u);
  EXPECT_EQ(good.compressed, 1u);
  compress(lines({0, 2}));
  EXPECT_EQ(check_second().lost, 1u);
  compress(lines({0, 1, 2}));
  std::ofstream(directory + "/00000001.log") << lines({0, 1, 2});
  EXPECT_TRUE(check_second().exact()) << "both stand, and say the same";
  compress(lines({0, 1}));
  EXPECT_THAT(check_second().example, HasSubstr("are not the same"));
}

}  // namespace
}  // namespace hearth::kill_anywhere
