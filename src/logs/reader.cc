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
  Result<bool> read_file(int file, std::uint64_t size, const std::string& name) {
    while (size > 0) {
      std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(size, block_bytes));
      std::string block(want, '\0');
      const Result<std::size_t> have = read_at(file, block.data(), want, size - want, name);
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

std::string file_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + ".log";
}

std::uint64_t file_number(std::string_view name) {
  std::uint64_t number = 0;
  if (name.size() < 12 || !name.ends_with(".log") || !parse(name.substr(0, name.size() - 4), number)) return 0;
  return number;
}

std::string index_name(std::uint64_t number) {
  std::string name = file_name(number);
  name.replace(name.size() - 3, 3, "idx");
  return name;
}

Result<os::Fd> open_file(int directory, std::uint64_t number) {
  return open_named(directory, file_name(number));
}

Result<std::size_t> read_at(int file, void* data, std::size_t size, std::uint64_t offset, const std::string& name) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = pread(file, static_cast<char*>(data) + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_failure("read", name, errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

Result<os::Fd> open_named(int directory, const std::string& name) {
  // O_NONBLOCK: a FIFO of that name must not hold us.
  os::Fd file(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file) return file;
  if (errno == ENOENT) return os::Fd();
  return errno_failure("open", name, errno);
}

Result<std::vector<std::uint64_t>> list_files(const std::string& directory) {
  DIR* entries = opendir(directory.c_str());
  if (entries == nullptr) return errno_failure("open", directory, errno);
  std::vector<std::uint64_t> numbers;
  while (const dirent* entry = readdir(entries)) {
    std::uint64_t number = file_number(entry->d_name);
    if (number != 0) numbers.push_back(number);
  }
  closedir(entries);
  std::sort(numbers.begin(), numbers.end());
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
    Result<os::Fd> file = open_file(opened.get(), *number);
    if (!file) return failure(file.error());
    if (!*file) {
      if (tail.end.file == 0) continue;  // a logger recovers: it will be there again, behind this cursor
      break;                             // removed as too old meanwhile
    }
    struct stat info{};
    if (fstat(file->get(), &info) < 0) return errno_failure("read", file_name(*number), errno);
    auto size = static_cast<std::uint64_t>(info.st_size);
    if (tail.end.file == 0) tail.begin = tail.end = {*number, size};
    if (lines == 0 || most == 0) return tail;
    Result<bool> more = backwards.read_file(file->get(), size, file_name(*number));
    if (!more) return failure(more.error());
    if (!backwards.empty() && size > 0) tail.begin = {*number, backwards.begin()};
    if (!*more) break;
  }
  tail.bytes = backwards.join();
  return tail;
}

}  // namespace hearth::logs
