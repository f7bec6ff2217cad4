// The event journal as server-sent events (WHATWG HTML, section 9.2), a piece at a time: one place in the journal per
// client, whatever it has or has not read yet.
//
//   id: 17
//   event: state
//   data: {"id":17,...}
//
// A client that comes back after so long that the journal in memory has moved on is told so by an event `gap` without an
// id: {"after":3,"oldest":120}. What lies between is on the disk, if anywhere (docs/formats/events.md). Where nobody
// follows, the last line is the comment ": end".
#pragma once

#include <string>
#include <string_view>

#include "api/routes.h"
#include "ports/control.h"

namespace hearth::api {

class EventStream {
 public:
  EventStream(EventsAsked asked, const ports::Control& control);

  // "" when there is nothing for now.
  std::string next(const ports::Control& control);
  // Nothing comes any more.
  bool over() const { return over_; }

 private:
  bool chosen(std::string_view line) const;

  EventsAsked asked_;
  bool began_ = false;
  bool over_ = false;
};

// Does one of `names` (as in api/names.h) select PROJECT.SERVICE.INDEX?
bool selects_label(const std::vector<std::string>& names, std::string_view label);

}  // namespace hearth::api
