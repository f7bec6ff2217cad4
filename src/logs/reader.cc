#include "logs/reader.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "logs/log_file.h"

namespace hearth::logs {
namespace {

constexpr std::size_t block_bytes = 64u << 10;

bool parse(std::string_view text, std::uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// Collects blocks from the end towards the beginning until it has seen enough line ends.
class Backwards {
 public:
  Backwards(std::size_t lines, std::size_t most) : lines_(lines), most_(most) {}

  // Reads the first `size` bytes of a file from their end. True = go on with the file before.
  Result<bool> read_file(LogFile& file, std::uint64_t size) {
    while (size > 0) {
      std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(size, block_bytes));
      std::string block(want, '\0');
      const Result<std::size_t> have = file.read_at(block.data(), want, size - want);
      if (!have) return failure(have.error());
      if (*have < want) return false;  // it was cut meanwhile: what is behind it is what we have
      size -= want;
      if (!take(std::move(block))) {
        begin_ = size + skipped_;
        return false;
      }
      begin_ = size;
    }
    return true;
  }

  bool empty() const { return blocks_.empty(); }
  std::uint64_t begin() const { return begin_; }  // offset in the file read last
  std::string join() const {
    std::string all;
    all.reserve(bytes_);
    for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) all += *block;
    return all;
  }

 private:
  bool take(std::string block) {
    std::size_t from = block.size();
    // The line end that ends the whole log begins no line.
    if (blocks_.empty() && block.back() == '\n') --from;
    std::size_t start = 0;
    bool more = true;
    while (from > 0) {
      const void* found = memrchr(block.data(), '\n', from);
      if (found == nullptr) break;
      from = static_cast<std::size_t>(static_cast<const char*>(found) - block.data());
      if (++seen_ == lines_) {
        start = from + 1;
        more = false;
        break;
      }
    }
    if (bytes_ + block.size() - start >= most_) {
      start = std::max(start, block.size() - std::min(block.size(), most_ - bytes_));
      more = false;
    }
    skipped_ = start;
    bytes_ += block.size() - start;
    blocks_.push_back(block.substr(start));
    return more;
  }

  std::size_t lines_, most_;
  std::vector<std::string> blocks_;
  std::size_t bytes_ = 0;
  std::size_t seen_ = 0;
  std::size_t skipped_ = 0;
  std::uint64_t begin_ = 0;
};

}  // namespace

std::string to_text(Cursor cursor) {
  return std::to_string(cursor.file) + ":" + std::to_string(cursor.offset);
}

Result<Cursor> cursor_from_text(std::string_view text) {
  Cursor cursor;
  std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !parse(text.substr(0, colon), cursor.file) ||
      !parse(text.substr(colon + 1), cursor.offset))
    return failure(Remedy::fix_input, "read", std::string(text), "it is no place in a log",
                   "a place is FILE:OFFSET, as `hearth logs` prints it");
  return cursor;
}

Result<std::vector<std::uint64_t>> list_files(const std::string& directory) {
  DIR* entries = opendir(directory.c_str());
  if (entries == nullptr) return errno_failure("open", directory, errno);
  std::vector<std::uint64_t> numbers;
  while (const dirent* entry = readdir(entries)) {
    std::uint64_t number = file_number(entry->d_name);
    // What somebody has put there under such a name is no part of the log, and keeps nobody from reading it.
    const bool file = entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN;
    if (number != 0 && file) numbers.push_back(number);
  }
  closedir(entries);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());  // just compressed, and not removed yet
  return numbers;
}

Result<Tail> last_lines(const std::string& directory, std::size_t lines, std::size_t most) {
  os::Fd opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened && errno == ENOENT) return Tail{};
  if (!opened) return errno_failure("open", directory, errno);
  Result<std::vector<std::uint64_t>> numbers = list_files(directory);
  if (!numbers) return failure(numbers.error());
  Tail tail;
  Backwards backwards(lines, most);
  for (auto number = numbers->rbegin(); number != numbers->rend(); ++number) {
    Result<LogFile> file = LogFile::open(opened.get(), *number);
    if (!file) return failure(file.error());
    if (!*file) {
      if (tail.end.file == 0) continue;  // a logger recovers: it will be there again, behind this cursor
      break;                             // removed as too old meanwhile
    }
    const Result<LogFile::Facts> facts = file->facts();
    if (!facts) return failure(facts.error());
    const std::uint64_t size = facts->size;
    if (tail.end.file == 0) tail.begin = tail.end = {*number, size};
    if (lines == 0 || most == 0) return tail;
    Result<bool> more = backwards.read_file(*file, size);
    if (!more) return failure(more.error());
    if (!backwards.empty() && size > 0) tail.begin = {*number, backwards.begin()};
    if (!*more) break;
  }
  tail.bytes = backwards.join();
  return tail;
}

}  // namespace hearth::logs
