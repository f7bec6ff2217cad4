#include "cli/size_words.h"

#include <fmt/format.h>

namespace hearth::cli {

std::string size_words(std::uint64_t kib) {
  if (kib < 10'240) return fmt::format("{} KiB", kib);
  if (kib < 10'485'760) return fmt::format("{} MiB", kib / 1'024);
  return fmt::format("{} GiB", kib / 1'048'576);
}

}  // namespace hearth::cli
