// Services with characters: drawn from a seed, each run of each with a script of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "model/service_spec.h"
#include "sim/random.h"
#include "sim/script.h"

namespace hearth::sim {

enum class Character : std::uint8_t {
  sound,   // does what its specification says
  moody,   // now and then crashes, hangs, lies, is mute; sound once it is healed
  broken,  // never gets up
  task,    // does its work and ends with 0
};

class Troupe {
 public:
  Troupe(std::uint64_t seed, bool misbehaviour) : seed_(seed), misbehaviour_(misbehaviour) {}

  // Names "a", "b", ...; each depends only on those before it. `version` changes some of them.
  Document document(const std::string& project, const std::string& path, std::uint32_t count, std::uint32_t version);
  Script script(const ServiceSpec& spec, SlotRole role, unsigned nth, bool parent_answers);
  Character character(const std::string& service) const;
  void heal() { healed_ = true; }

 private:
  ServiceSpec service(const std::string& name, std::uint32_t index, std::uint32_t version);
  void give_hooks(ServiceSpec& spec, Random& random) const;
  Script script_of_hook(Random& random) const;
  Script into_background(const Script& script, bool may_misbehave, unsigned nth, const std::string& name) const;
  void misbehave(Script& script, Random& random, const ServiceSpec& spec) const;

  std::uint64_t seed_;
  bool misbehaviour_;
  bool healed_ = false;
  std::map<std::string, Character> characters_;
  std::uint64_t next_file_ = 1;
};

}  // namespace hearth::sim
