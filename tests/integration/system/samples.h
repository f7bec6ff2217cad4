// Kept samples of our formats: tests/formats/VERSION has what that version of hearth wrote, and every later one is tried on it.
// tests/formats/README.md says what is in there and how one is recorded.
//
// A sample does not tell on which machine it was recorded. Where something of the machine stood, it has a *placeholder*: for
// a text as long as it likes in text files (@BASE@, @BIN@), of the same length where bytes have their places. A number's
// placeholder is a value that no machine gives to anything. So who fills a sample in need not know its format, which may be
// one that nobody knows any more.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace hearth::test {

namespace placeholder {
inline constexpr const char* base = "@BASE@";  // the directory of the test
inline constexpr const char* bin = "@BIN@";    // that of the programs
inline constexpr const char* boot_id = "5a3b1e00-0000-4000-8000-000000000001";
inline constexpr std::uint64_t pid_namespace = 7'000'000'000'000'001;
inline constexpr std::uint64_t device = 7'000'000'000'000'002;
inline constexpr std::uint64_t inode = 7'000'000'000'000'003;
inline constexpr std::uint64_t birth = 7'000'000'000'000'004;
inline constexpr std::uint64_t state_id = 7'000'000'000'000'005;
inline constexpr std::uint64_t journal_end =
    7'000'000'000'000'006;  // bytes of state/events-N, which grows with what is filled in
inline constexpr std::uint64_t ticks = 7'000'000'001'000'000;  // and more: start times of processes
inline constexpr std::uint32_t pid = 1'900'000'000;            // and more: above PID_MAX_LIMIT, so nobody has it
inline constexpr std::uint32_t uid = 1'800'000'001, gid = 1'800'000'002;
}  // namespace placeholder

// What is put in the place of what. Numbers go by their bytes in pages, and by their digits in texts.
struct Filling {
  std::vector<std::pair<std::string, std::string>> texts;
  std::map<std::uint64_t, std::uint64_t> wide;    // numbers of 64 bits
  std::map<std::uint32_t, std::uint32_t> narrow;  // of 32 bits
};
std::string fill_text(std::string text, const Filling& filling);
// Texts of the same length only. Numbers where they are aligned to their size.
std::string fill_page(std::string page, const Filling& filling);

// The names of the directories in tests/formats, oldest first.
std::vector<std::string> kept_versions();
std::string place_of(const std::string& version);      // the directory of one
std::string test_name_of(const std::string& version);  // as gtest takes it
// All files below a directory, by their path in it, sorted.
std::vector<std::string> files_below(const std::string& directory);
// Pages are kept compressed.
std::string compressed(const std::string& bytes);
std::string decompressed(const std::string& bytes);
// Of `place`, decompressed when only NAME.zst is there. Fails the test where there is neither.
std::string read_sample(const std::string& place, const std::string& name);

// 0 beyond the end.
std::uint32_t number_at(const std::string& bytes, std::size_t at);

// A row of messages in one file: of each how many descriptors came with it, and its bytes.
struct SampledMessage {
  std::uint32_t descriptors = 0;
  std::string bytes;
};
std::string pack(const std::vector<SampledMessage>& messages);
std::vector<SampledMessage> unpack(const std::string& bytes);

}  // namespace hearth::test
