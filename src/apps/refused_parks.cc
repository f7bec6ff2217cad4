#include "apps/refused_parks.h"

#include <algorithm>
#include <utility>

namespace hearth::apps {

RefusedParks::News RefusedParks::look(std::uint32_t refused, MonoNs now, const std::function<bool()>& has_room) {
  News news;
  if (refused != told_ && now >= tell_from_) {
    told_ = refused;
    tell_from_ = after(now, told_each);
    look_from_ = after(now, looked_each);
    news.gone = std::exchange(
        note_, "the keeper has no room for descriptors that it was to hold (" + std::to_string(refused - before_) +
                   " by now): until it has, they last as long as this supervisor, and output among them is "
                   "not read; raise its limit of open files, or have services store fewer");
    news.told = note_;
  } else if (!note_.empty() && now >= look_from_) {
    look_from_ = after(now, looked_each);
    news.has_room = has_room();
    if (news.has_room) news.gone = std::exchange(note_, {});
  }
  if (!note_.empty()) news.due = look_from_;
  if (refused != told_) news.due = std::min(news.due, tell_from_);
  return news;
}

}  // namespace hearth::apps
