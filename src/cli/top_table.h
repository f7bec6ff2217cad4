// The table of `hearth top`, and its JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cli/answers.h"
#include "cli/processes.h"

namespace hearth::cli {

enum class TopOrder { cpu, memory, restarts, uptime, name };
std::optional<TopOrder> top_order(std::string_view word);

struct TopRow {
  std::string name;
  const SlotNews* slot = nullptr;
  Use use;
  SpanNs uptime = 0;  // 0: nothing runs
};

// The greatest first, names from a to z; equal ones as they were.
void sort_rows(std::vector<TopRow>& rows, TopOrder order);

// Lines that fit: `columns` 0 = any width, `rows_most` 0 = any number. Where all columns have no room, whole ones are left
// out, THREADS first: no number is cut. Rows that are left out are counted in the last line. The row `chosen`, if there is one of that number, is among them, in reverse video.
std::string top_table(const std::vector<TopRow>& rows, std::size_t columns, std::size_t rows_most,
                      std::size_t chosen = SIZE_MAX);
std::string top_json(const std::vector<TopRow>& rows, bool proportional);

}  // namespace hearth::cli
