#include "base/nearest.h"

#include <algorithm>
#include <array>
#include <utility>

namespace hearth {
namespace {

// Names that people type are short. Longer words are never "near", whatever they are.
constexpr std::size_t longest = 64;

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > limit || b.size() > longest) return a == b ? 0 : limit + 1;

  // Three rows of the usual matrix: a swap looks back two.
  using Row = std::array<std::size_t, longest + 1>;
  Row before{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    std::size_t least = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    // A swap may still come from the row before, at one more than its value: `least` bounds that as well.
    if (least > limit + 1) return limit + 1;
    before = last;
    last = row;
  }
  return std::min(last[b.size()], limit + 1);
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> valid) {
  std::string_view best;
  if (name.empty()) return best;
  std::size_t limit = std::min<std::size_t>(name.size() <= 4 ? 1 : 2, name.size() - 1);
  bool found = false;
  for (const std::string_view word : valid) {
    const std::size_t distance = edit_distance(name, word, limit);
    if (distance > limit || (found && distance == limit)) continue;
    best = word;
    found = true;
    if (distance == 0) break;
    limit = distance;
  }
  return best;
}

}  // namespace hearth
