#include "logs/compressed_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <utility>
#include <zstd.h>

#include "logs/log_file.h"
#include "wire/log_compressed.h"

namespace hearth::logs {
namespace {

constexpr std::uint32_t largest_frame = 64u << 20;  // of a content that we are ready to hold

}  // namespace

Error CompressedFile::broken(std::string reason) const {
  return {Remedy::environment,
          "read",
          name_,
          std::move(reason),
          "`zstdcat` may show what is left of it; without it the log is read from the next file on",
          0};
}

Result<CompressedFile> CompressedFile::open(os::Fd file, std::string name) {
  CompressedFile opened;
  opened.file_ = std::move(file);
  opened.name_ = std::move(name);
  struct stat info{};
  if (fstat(opened.file_.get(), &info) < 0) return errno_failure("read", opened.name_, errno);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const auto read = [&](void* data, std::size_t bytes, std::uint64_t at) -> Result<bool> {
    const Result<std::size_t> got = logs::read_at(opened.file_.get(), data, bytes, at, opened.name_);
    if (!got) return failure(got.error());
    return *got == bytes;
  };
  wire::LogFrameFooter footer{};
  wire::LogFrameTableHeader header{};
  if (size < sizeof footer + sizeof header) return failure(opened.broken("it is too short"));
  Result<bool> there = read(&footer, sizeof footer, size - sizeof footer);
  if (!there) return failure(there.error());
  const std::uint64_t table = sizeof header + footer.frames * sizeof(wire::LogFrameEntry) + sizeof footer;
  if (footer.magic != wire::log_frame_footer_magic || footer.descriptor != 0 || table > size)
    return failure(opened.broken("it has no table of its frames, so it was not made by hearth"));
  std::vector<wire::LogFrameEntry> entries(footer.frames);
  there = read(&header, sizeof header, size - table);
  if (there) there = read(entries.data(), entries.size() * sizeof entries[0], size - table + sizeof header);
  if (!there) return failure(there.error());
  if (header.magic != wire::log_frame_table_magic || header.size != table - sizeof header)
    return failure(opened.broken("the table of its frames is damaged"));
  std::uint64_t at = 0, end = 0;
  for (const wire::LogFrameEntry& entry : entries) {
    if (entry.content > largest_frame) return failure(opened.broken("the table of its frames is damaged"));
    end += entry.content;
    opened.frames_.push_back({at, entry.compressed, entry.content, end});
    at += entry.compressed;
  }
  if (at != size - table) return failure(opened.broken("the table of its frames is damaged"));
  return opened;
}

Status CompressedFile::take(std::size_t number) {
  if (taken_ == number) return {};
  const Frame& frame = frames_[number];
  taken_ = SIZE_MAX;
  std::string compressed(frame.bytes, '\0');
  const Result<std::size_t> got = logs::read_at(file_.get(), compressed.data(), compressed.size(), frame.at, name_);
  if (!got) return failure(got.error());
  content_.resize(frame.content);
  const std::size_t size = ZSTD_decompress(content_.data(), content_.size(), compressed.data(), *got);
  if (ZSTD_isError(size) != 0) return failure(broken(ZSTD_getErrorName(size)));
  if (size != frame.content) return failure(broken("a frame is shorter than its table says"));
  taken_ = number;
  return {};
}

Result<std::size_t> CompressedFile::read_at(void* data, std::size_t size, std::uint64_t offset) {
  std::size_t have = 0;
  while (have < size && offset + have < this->size()) {
    const std::uint64_t place = offset + have;
    const auto frame = std::ranges::upper_bound(frames_, place, {}, [](const Frame& one) { return one.end; });
    if (Status taken = take(static_cast<std::size_t>(frame - frames_.begin())); !taken) return failure(taken.error());
    const std::uint64_t begin = frame->end - frame->content;
    const std::size_t part = std::min(size - have, static_cast<std::size_t>(frame->end - place));
    memcpy(static_cast<char*>(data) + have, content_.data() + (place - begin), part);
    have += part;
  }
  return have;
}

}  // namespace hearth::logs
