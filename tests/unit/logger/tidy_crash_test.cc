// Every point of death of who compresses and removes complete files, every failure of its calls, and every moment in
// which the logger beside it removes a file: whatever it is, each byte is there in one whole form, readers find all of them
// in order, and who comes next leaves the same names as one that nobody disturbs.
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <unistd.h>
#include <zstd.h>

#include "gtest/gtest.h"
#include "logger/log_files.h"
#include "logger/system.h"
#include "logger/tidy.h"
#include "logs/reader.h"
#include "unit/logger/mover_world.h"
#include "wire/log_compressed.h"

namespace hearth::logger::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t current = 6;
constexpr std::uint64_t kept = 3;  // where the logger removes old ones: 4, 5 and the current one

// Does something before or after one call of it: a death, or what somebody else does just then; or fails that call.
class PlannedSystem : public System {
 public:
  std::uint64_t points = 0, at_point = 0;
  std::function<void()> plan;
  std::uint64_t calls = 0, fail_call = 0;
  std::uint64_t writes = 0, fail_write = 0;

  void point() {
    if (++points == at_point) plan();
  }
  template <typename Call>
  std::int64_t at(Call call) {
    point();
    const std::int64_t result = ++calls == fail_call ? -EIO : call();
    point();
    return result;
  }

  std::int64_t list(int directory, std::vector<NumberedFile>& out) override {
    return at([&] { return System::list(directory, out); });
  }
  std::int64_t open(int directory, const char* name, int flags, mode_t mode) override {
    point();
    os::Fd fd(static_cast<int>(++calls == fail_call ? -EIO : System::open(directory, name, flags, mode)));
    point();  // a descriptor must not outlive a death
    return fd.release();
  }
  std::int64_t stat(int fd, struct stat& out) override {
    return at([&] { return System::stat(fd, out); });
  }
  std::int64_t read_at(int fd, void* data, size_t size, std::uint64_t offset) override {
    return at([&] { return System::read_at(fd, data, size, offset); });
  }
  // In two parts, as the kernel may; and the disk may be full after the first.
  std::int64_t pwrite(int fd, const void* data, size_t size, std::uint64_t offset) override {
    if (fail_write != 0 && writes >= fail_write) return -ENOSPC;
    ++writes;
    return at([&] { return System::pwrite(fd, data, (size + 1) / 2, offset); });
  }
  std::int64_t set_time(int fd, timespec modified) override {
    return at([&] { return System::set_time(fd, modified); });
  }
  std::int64_t sync(int fd) override {
    return at([&] { return System::sync(fd); });
  }
  std::int64_t rename(int directory, const char* from, const char* to) override {
    return at([&] { return System::rename(directory, from, to); });
  }
  std::int64_t remove(int directory, const char* name) override {
    return at([&] { return System::remove(directory, name); });
  }
};

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// As zstdcat does it; "(broken)" when it is not whole.
std::string decompressed(const std::string& bytes) {
  std::string text;
  std::string piece(ZSTD_DStreamOutSize(), '\0');
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::size_t left = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    left = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(left)) break;
    text.append(piece, 0, out.pos);
  }
  ZSTD_freeDCtx(context);
  return left == 0 ? text : "(broken)";
}

std::map<std::uint64_t, std::string> make_contents(std::size_t third) {
  std::map<std::uint64_t, std::string> all = {{1, "a short one\n"}, {2, ""}, {4, std::string(7'000, 'y') + "\n"}};
  for (int i = 0; all[3].size() <= third; ++i) all[3] += "line " + std::to_string(i) + "\n";
  all[5] = std::string("zero bytes \0 and \xff stay", 23);
  all[current] = "the one that is written\n";
  return all;
}

bool several_frames = false;  // it takes its time

const std::map<std::uint64_t, std::string>& contents() {
  static const std::map<std::uint64_t, std::string> small = make_contents(20'000),
                                                    large = make_contents(wire::log_frame_bytes);
  return several_frames ? large : small;
}

class Directory {
 public:
  Directory() {
    const bool memory = access("/dev/shm", W_OK) == 0;
    std::string pattern = std::string(memory ? "/dev/shm" : "/tmp") + "/hearth-tidy-XXXXXX";
    HEARTH_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    path_ = pattern;
    fd_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const auto& [number, text] : contents()) {
      put(file_name(number).text, text);
      put(index_name(number).text, "");
    }
  }
  ~Directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  int fd() const { return fd_.get(); }
  void put(const char* name, const std::string& text) const { std::ofstream(path_ / name, std::ios::binary) << text; }
  std::string get(const char* name) const { return text_of(path_ / name); }
  bool has(const char* name) const { return fs::exists(path_ / name); }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(path_)) found.insert(entry.path().filename());
    return found;
  }

  // Of the files from `first` on.
  void expect_whole(std::uint64_t first = 1) const {
    std::string all;
    for (const auto& [number, text] : contents()) {
      if (number < first) continue;
      all += text;
      if (has(file_name(number).text)) {
        EXPECT_EQ(text, get(file_name(number).text)) << number;
      }
      if (has(compressed_name(number).text)) {
        EXPECT_EQ(text, decompressed(get(compressed_name(number).text))) << number << " is half a compressed file";
      }
    }
    std::string read;
    logs::Follower follower = logs::Follower::unwatched(path_, {});
    EXPECT_TRUE(follower.take([&](const logs::Piece& piece) {
      EXPECT_FALSE(piece.gap);
      read += piece.bytes;
      return true;
    }));
    // Of what was to go, a reader may still find some.
    EXPECT_TRUE(read.ends_with(all)) << "bytes are lost or doubled";
    if (first == 1) {
      EXPECT_EQ(all.size(), read.size());
    }
  }

 private:
  fs::path path_;
  os::Fd fd_;
};

TidyOrder order(std::uint64_t keep = UINT64_MAX) {
  return {.current = current, .compress = true, .keep = keep};
}

std::set<std::string> names_in_peace(std::uint64_t keep = UINT64_MAX) {
  Directory directory;
  System system;
  EXPECT_EQ(0, tidy(system, directory.fd(), order(keep)));
  directory.expect_whole(keep == kept ? current - kept + 1 : 1);
  return directory.names();
}

// True when it died.
bool run(PlannedSystem& system, const Directory& directory, std::uint64_t keep = UINT64_MAX) {
  try {
    (void)tidy(system, directory.fd(), order(keep));
    return false;
  } catch (const Died&) {
    return true;
  }
}

std::uint64_t points_of(std::uint64_t keep = UINT64_MAX) {
  Directory directory;
  PlannedSystem system;
  EXPECT_FALSE(run(system, directory, keep));
  return system.points;
}

void die() {
  throw Died{};
}

// Dies at each `stride`th point.
void kill_at_points(std::uint64_t stride) {
  const std::set<std::string> peace = names_in_peace();
  EXPECT_EQ((std::set<std::string>{"00000001.idx", "00000001.log.zst", "00000002.idx", "00000002.log.zst",
                                   "00000003.idx", "00000003.log.zst", "00000004.idx", "00000004.log.zst",
                                   "00000005.idx", "00000005.log.zst", "00000006.idx", "00000006.log"}),
            peace);
  const std::uint64_t points = points_of();
  for (std::uint64_t point = 1; point <= points && !testing::Test::HasFailure(); point += stride) {
    SCOPED_TRACE("killed at point " + std::to_string(point));
    Directory directory;
    PlannedSystem first;
    first.at_point = point;
    first.plan = die;
    EXPECT_TRUE(run(first, directory));
    directory.expect_whole();
    System next;
    EXPECT_EQ(0, tidy(next, directory.fd(), order()));
    directory.expect_whole();
    EXPECT_EQ(peace, directory.names());
  }
  printf("%llu points of death\n", static_cast<unsigned long long>(points / stride));
}

TEST(TidyKilled, AtEveryCallLeavesEachByteInAWholeFormAndTheNextOneDoesTheRest) {
  kill_at_points(1);
}

TEST(TidyKilled, InAFileOfSeveralFramesItIsTheSame) {
  several_frames = true;
  kill_at_points(5);
  several_frames = false;
}

TEST(TidyKilled, AgainAndAgainItStillComesToItsEnd) {
  const std::set<std::string> peace = names_in_peace();
  const std::uint64_t points = points_of();
  // Strides that share no factor meet every kind of pair without taking all of them.
  for (std::uint64_t point = 1; point <= points; point += 11) {
    for (std::uint64_t second = 1 + point % 13; second <= points && !testing::Test::HasFailure(); second += 13) {
      SCOPED_TRACE("killed at points " + std::to_string(point) + " and " + std::to_string(second));
      Directory directory;
      for (const std::uint64_t at : {point, second}) {
        PlannedSystem system;
        system.at_point = at;
        system.plan = die;
        (void)run(system, directory);
      }
      directory.expect_whole();
      System last;
      EXPECT_EQ(0, tidy(last, directory.fd(), order()));
      EXPECT_EQ(peace, directory.names());
    }
  }
}

TEST(TidyKilled, EveryCallThatFailsLeavesEachByteInAWholeFormAndTheNextOneDoesTheRest) {
  const std::set<std::string> peace = names_in_peace();
  for (std::uint64_t call = 1; !testing::Test::HasFailure(); ++call) {
    SCOPED_TRACE("call " + std::to_string(call) + " fails");
    Directory directory;
    PlannedSystem system;
    system.fail_call = call;
    (void)run(system, directory);
    directory.expect_whole();
    if (system.calls < call) break;
    System next;
    EXPECT_EQ(0, tidy(next, directory.fd(), order()));
    directory.expect_whole();
    EXPECT_EQ(peace, directory.names());
  }
}

TEST(TidyOnAFullDisk, LeavesTheFileAsItWasAndNothingBesideIt) {
  const std::set<std::string> peace = names_in_peace();
  PlannedSystem counted;
  {
    Directory directory;
    (void)run(counted, directory);
  }
  ASSERT_GE(counted.writes, 10u);
  for (std::uint64_t write = 1; write < counted.writes; ++write) {
    SCOPED_TRACE("no space after " + std::to_string(write) + " writes");
    Directory directory;
    PlannedSystem full;
    full.fail_write = write;
    EXPECT_EQ(ENOSPC, tidy(full, directory.fd(), order()));
    directory.expect_whole();
    for (const std::string& name : directory.names()) EXPECT_FALSE(name.ends_with(".tmp")) << name;
    System next;
    EXPECT_EQ(0, tidy(next, directory.fd(), order()));
    EXPECT_EQ(peace, directory.names());
  }
}

// The logger removes its oldest files beside it, at any moment; and the child may be killed right after that.
TEST(TidyBesideTheLogger, LeavesNothingOfAFileThatTheLoggerRemovesMeanwhile) {
  const std::set<std::string> peace = names_in_peace(kept);
  EXPECT_EQ(6u, peace.size()) << "two forms each of three files";
  const std::uint64_t points = points_of();
  for (std::uint64_t point = 1; point <= points && !testing::Test::HasFailure(); ++point) {
    for (const bool killed : {false, true}) {
      SCOPED_TRACE("removed at point " + std::to_string(point) + (killed ? ", killed then" : ""));
      Directory directory;
      PlannedSystem child;
      child.at_point = point;
      child.plan = [&] {
        System logger;
        for (std::uint64_t number = 1; number + kept <= current; ++number) remove_file(logger, directory.fd(), number);
        if (killed) die();
      };
      // It was asked before: nothing was too old then.
      EXPECT_EQ(killed, run(child, directory));
      directory.expect_whole(current - kept + 1);
      if (!killed) {
        EXPECT_EQ(peace, directory.names());
      }
      System next;
      EXPECT_EQ(0, tidy(next, directory.fd(), order(kept)));
      EXPECT_EQ(peace, directory.names());
    }
  }
}

// Killed between its rename and what follows, while the logger had removed the file: nobody else would find it.
TEST(TidyBesideTheLogger, RemovesWhatIsOlderThanWhatIsKeptInWhateverForm) {
  Directory directory;
  System system;
  EXPECT_EQ(0, tidy(system, directory.fd(), order()));
  for (std::uint64_t number = 1; number + kept <= current; ++number)
    system.remove(directory.fd(), index_name(number).text);
  EXPECT_EQ(0, tidy(system, directory.fd(), order(kept)));
  EXPECT_EQ(names_in_peace(kept), directory.names());
}

// The rename that a dying predecessor had begun came when there was another file of that name: half of one.
TEST(TidyKilled, HalfACompressedFileIsNeverTakenForAWholeOne) {
  Directory compressed;
  System system;
  EXPECT_EQ(0, tidy(system, compressed.fd(), order()));
  const std::set<std::string> peace = compressed.names();
  for (const std::uint64_t number : {1u, 3u}) {
    const std::string whole = compressed.get(compressed_name(number).text);
    for (std::size_t size = 0; size <= whole.size(); size += size + 40 < whole.size() ? 1 + whole.size() / 97 : 1) {
      SCOPED_TRACE(std::to_string(size) + " bytes of " + std::to_string(whole.size()));
      Directory directory;
      directory.put(compressed_name(number).text, whole.substr(0, size));
      EXPECT_EQ(0, tidy(system, directory.fd(), order()));
      directory.expect_whole();
      EXPECT_EQ(peace, directory.names());
    }
  }
  // Whole, and of less than the file has.
  Directory directory;
  directory.put(compressed_name(3).text, compressed.get(compressed_name(1).text));
  EXPECT_EQ(0, tidy(system, directory.fd(), order()));
  directory.expect_whole();
}

TEST(TidyBound, AFileInBothFormsIsRemovedInBoth) {
  Directory directory;
  System system;
  EXPECT_EQ(0, tidy(system, directory.fd(), order()));
  directory.put(file_name(4).text, contents().at(4));
  const TidyOrder bounded{.current = current, .compress = false, .max_total = 1, .reserve = 1};
  EXPECT_EQ(0, tidy(system, directory.fd(), bounded));
  EXPECT_EQ((std::set<std::string>{"00000006.idx", "00000006.log"}), directory.names());
  Directory both;
  both.put(compressed_name(4).text, "");
  EXPECT_EQ(0, remove_file(system, both.fd(), 4));
  EXPECT_FALSE(both.has(compressed_name(4).text));
}

}  // namespace
}  // namespace hearth::logger::test
