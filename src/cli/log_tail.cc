#include "cli/log_tail.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace hearth::cli {

LogTail::LogTail() {
  if (Result<logs::Watcher> watcher = logs::Watcher::create())
    watcher_ = std::make_unique<logs::Watcher>(std::move(*watcher));
}

void LogTail::begin(const std::string& full_name, const std::string& log_directory) {
  const Result<logs::Tail> last = logs::last_lines(log_directory, 0);
  sources_[full_name].cursor = last ? last->end : logs::Cursor{};
}

void LogTail::follow(const std::vector<SlotNews>& slots) {
  const Labels labels(slots);
  std::size_t widest = 0;
  for (const SlotNews& slot : slots) widest = std::max(widest, labels.of(slot).size());
  all_watched_ = true;
  for (const SlotNews& slot : slots) {
    Source& source = sources_[full_name(slot)];
    source.label = fmt::format("{:<{}} | ", labels.of(slot), widest);
    source.directory = slot.log_directory;
    if (source.follower != nullptr || watcher_ == nullptr) continue;
    Result<logs::Follower> made = logs::Follower::create(source.directory, source.cursor, watcher_.get());
    if (made)
      source.follower = std::make_unique<logs::Follower>(std::move(*made));
    else
      all_watched_ = false;
  }
}

std::string LogTail::take() {
  std::string out;
  if (watcher_ != nullptr) watcher_->take_events();
  more_ = false;
  for (auto& [name, source] : sources_) {
    if (source.follower == nullptr || source.more || source.follower->has_news()) read(source, out);
    more_ = more_ || source.more;
  }
  return out;
}

void LogTail::read(Source& source, std::string& out) {
  if (source.directory.empty()) return;  // not known to be there yet
  logs::Follower passing = logs::Follower::unwatched(source.directory, source.cursor);
  logs::Follower& follower = source.follower != nullptr ? *source.follower : passing;
  const auto taken = follower.take([&](const logs::Piece& piece) {
    source.cutter.add(piece.bytes, [&](std::string_view line) { out.append(source.label).append(line) += '\n'; });
    source.cursor = piece.next;
    return out.size() < take_most;
  });
  source.more = taken && !*taken;  // a log that cannot be read now is read the next time
}

std::string LogTail::finish() {
  std::string out;
  for (auto& [name, source] : sources_)
    source.cutter.finish([&](std::string_view line) { out.append(source.label).append(line) += '\n'; });
  return out;
}

}  // namespace hearth::cli
