// Capabilities of a unit.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "importers/draft.h"
#include "importers/ini.h"
#include "importers/unit_specifiers.h"
#include "model/capabilities.h"

namespace hearth::importers {

class UnitPrivileges {
 public:
  using Placed = std::function<void(std::size_t line, const std::string& what, const std::string& remedy)>;

  // false: the key is none of these.
  bool key(Service& service, const IniEntry& entry, const Told& told);
  // `user`: as whom it runs; "" = root.
  void finish(Service& service, const std::string& user, const Placed& placed);

 private:
  std::optional<CapabilitySet> ambient_, bounding_;
  std::size_t ambient_line_ = 0;
};

}  // namespace hearth::importers
