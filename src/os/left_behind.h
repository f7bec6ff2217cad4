// Threads that are at something which may not return, of one kind: how many there are, and whose.
//
// Model
// -----
// A thread is *at work*, or *left behind*: it has not returned for hangs_after. Those at work are at_once_max at most, so that
// many starts at once do not make as many threads; those left behind hold nobody else up, and so do not count among them.
// Whoever has one left behind begins no other until it has returned: so one path that hangs costs one thread, however often
// it is tried. left_behind_max of different ones are too many for memory, and no more are begun.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace hearth::os {

enum class Room {
  yes,
  soon,       // so many are at work: ask again
  own_hangs,  // one of the same is left behind
  none,       // left_behind_max are
};

class LeftBehind {
 public:
  static constexpr std::size_t left_behind_max = 64;

  LeftBehind(std::size_t at_once_max, SpanNs hangs_after) : at_once_max_(at_once_max), hangs_after_(hangs_after) {}

  Room room_for(const std::string& whose, MonoNs now) {
    std::erase_if(all_, [](const One& one) { return one.trace.expired(); });
    std::size_t hang = 0;
    bool own = false;
    for (const One& one : all_) {
      if (now - one.since < hangs_after_) continue;
      ++hang;
      own = own || one.whose == whose;
    }
    if (own) return Room::own_hangs;
    if (hang >= left_behind_max) return Room::none;
    return all_.size() - hang >= at_once_max_ ? Room::soon : Room::yes;
  }
  // `trace` expires when the thread has ended.
  void add(std::string whose, std::weak_ptr<const void> trace, MonoNs now) {
    all_.push_back({std::move(whose), std::move(trace), now});
  }

 private:
  struct One {
    std::string whose;
    std::weak_ptr<const void> trace;
    MonoNs since = 0;
  };

  std::size_t at_once_max_;
  SpanNs hangs_after_;
  std::vector<One> all_;
};

}  // namespace hearth::os
