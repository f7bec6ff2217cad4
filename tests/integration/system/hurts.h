// What hurts users of the five reference systems today, each named after the system and what went wrong there, and shown
// not to go wrong here. Only what concerns the life cycle; docs/internals/reference-systems.md has all of it.
//
//   voice     a speech-to-text daemon with its own stop script
//   duplex    a voice pipeline of Python processes
//   build     four build daemons started by shell scripts
//   describe  a workflow's model daemon behind a wrapper
//   bots      a master with workers for many projects
#pragma once

#include <map>
#include <string>

#include "instance.h"

namespace hearth::test {

struct Hurts : Machine {
  std::string entry(const std::string& name, const std::string& more = {}) {
    return "[service." + name + "]\n" + puppet(name) + more;
  }
  // Enters as many as there are, by label.
  std::map<std::string, Actor> enter_all(std::size_t count) {
    std::map<std::string, Actor> actors;
    while (actors.size() < count) {
      Actor actor = stage->enter();
      if (!actor.here()) break;
      const std::string label = actor.label;
      actors[label] = std::move(actor);
    }
    EXPECT_EQ(count, actors.size());
    return actors;
  }
};

}  // namespace hearth::test
