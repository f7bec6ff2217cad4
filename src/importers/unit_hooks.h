// ExecStartPre= and its like: commands around the life of a service.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "importers/draft.h"
#include "importers/unit_words.h"

namespace hearth::importers {

class UnitHooks {
 public:
  // "before_start" of "ExecStartPre"; "" = it is none.
  static std::string_view called(std::string_view key);

  // One more command: of several each is run if the one before it went well. `ignored`: its failure is none.
  void add(Service& service, std::string_view name, const UnitCommand& command, bool ignored);
  void clear(Service& service, std::string_view name);
  // TimeoutStartSec= and TimeoutStopSec= hold for each of them there; here a command has 30 s of its own.
  void finish(Service& service, std::optional<std::int64_t> start_ms, std::optional<std::int64_t> stop_ms) const;

 private:
  struct Hook {
    std::string shell;
    std::vector<std::string> words;  // where no shell is needed
    std::size_t count = 0;
  };
  static std::string value_of(const Hook& hook, const std::string& timeout);

  std::map<std::string, Hook, std::less<>> all_;
};

}  // namespace hearth::importers
