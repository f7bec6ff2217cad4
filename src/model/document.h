// Questions to a document.
#pragma once

#include <algorithm>
#include <string_view>

#include "model/service_spec.h"

namespace hearth {

// Null: it has none of that name.
inline const ServiceSpec* find_service(const Document& document, std::string_view name) {
  const auto found = std::ranges::find(document.services, name, &ServiceSpec::name);
  return found == document.services.end() ? nullptr : &*found;
}

}  // namespace hearth
