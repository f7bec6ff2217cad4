// The descriptors that the keeper had no room for (SlotTable::parks_refused), as people are told of them: what services
// stored, its limit was lowered, or it is one that has less room than the keeper before it. No start goes so far
// (os/keeper_room.cc).
//
// A note stands from the first that is refused until there is room: then they are handed to the keeper once more, and if it
// refuses again, that is news again. A note is an event, too, and a service may store a descriptor in each turn: so it
// is said once in told_each at most, with the number of them all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/time.h"

namespace hearth::apps {

class RefusedParks {
 public:
  static constexpr SpanNs told_each = seconds(60);
  static constexpr SpanNs looked_each = seconds(2);

  // Those of predecessors were lost with them.
  explicit RefusedParks(std::uint32_t before = 0) : before_(before), told_(before) {}

  struct News {
    std::string gone;       // a note that holds no longer; "" = none
    std::string told;       // the one that does; "" = none is new
    bool has_room = false;  // the keeper is to be offered again what it does not hold
    MonoNs due = never;     // when to look again
  };
  // `has_room` costs a system call: it is asked only while a note stands, and seldom.
  News look(std::uint32_t refused, MonoNs now, const std::function<bool()>& has_room);

 private:
  std::uint32_t before_;
  std::uint32_t told_;
  std::string note_;
  MonoNs tell_from_ = 0;
  MonoNs look_from_ = 0;
};

}  // namespace hearth::apps
