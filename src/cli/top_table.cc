#include "cli/top_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "cli/progress.h"
#include "cli/size_words.h"

namespace hearth::cli {
namespace {

std::string uptime_words(SpanNs span) {
  const std::int64_t s = span / ns_per_s;
  if (span <= 0) return "-";
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3'600) return fmt::format("{}m {}s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{}h {}m", s / 3'600, s / 60 % 60);
  return fmt::format("{}d {}h", s / 86'400, s / 3'600 % 24);
}

struct Column {
  const char* heading;
  std::size_t width;  // at least
  int weight;         // where there is no room for all, the one with the smallest goes first
};
constexpr std::array<Column, 9> all_columns = {{{"SERVICE", 7, 9},
                                                {"STATE", 10, 8},
                                                {"CPU%", 6, 7},
                                                {"MEMORY", 9, 6},
                                                {"UPTIME", 8, 4},
                                                {"RESTARTS", 8, 3},
                                                {"THREADS", 7, 1},
                                                {"PROCS", 5, 2},
                                                {"PID", 7, 5}}};
constexpr std::size_t first_number = 2;
using Cells = std::array<std::string, all_columns.size()>;

Cells headings() {
  Cells cells;
  std::ranges::transform(all_columns, cells.begin(), &Column::heading);
  return cells;
}

Cells cells_of(const TopRow& row) {
  const auto if_runs = [&](std::string text) { return row.slot->pid != 0 ? std::move(text) : std::string("-"); };
  return {row.name,
          row.slot->state_word(),
          if_runs(fmt::format("{:.1f}", row.use.cpu_percent)),
          if_runs(size_words(row.use.memory_kib)),
          uptime_words(row.uptime),
          std::to_string(row.slot->restarts),
          if_runs(std::to_string(row.use.threads)),
          if_runs(std::to_string(row.use.processes)),
          if_runs(std::to_string(row.slot->pid))};
}

struct Shown {
  std::size_t at, width;
};

// A number that is cut is another number: whole columns go. Only the name of a service becomes shorter, and shows it.
std::vector<Shown> columns_that_fit(const std::vector<Cells>& rows, std::size_t columns) {
  std::vector<Shown> fitting;
  for (std::size_t at = 0; at < all_columns.size(); ++at) {
    Shown column{at, all_columns[at].width};
    for (const Cells& cells : rows) column.width = std::max(column.width, cells[at].size());
    fitting.push_back(column);
  }
  if (columns == 0) return fitting;
  fitting[0].width = std::min(fitting[0].width, std::max<std::size_t>(columns / 3, 7));
  const auto width = [&] {
    std::size_t sum = 0;
    for (const Shown& column : fitting) sum += column.width + (sum == 0 ? 0 : 2);
    return sum;
  };
  while (fitting.size() > 1 && width() > columns)
    fitting.erase(std::ranges::min_element(fitting, {}, [](const Shown& one) { return all_columns[one.at].weight; }));
  fitting[0].width = std::min(fitting[0].width, columns);
  return fitting;
}

}  // namespace

std::optional<TopOrder> top_order(std::string_view word) {
  if (word == "cpu") return TopOrder::cpu;
  if (word == "memory" || word == "mem") return TopOrder::memory;
  if (word == "restarts") return TopOrder::restarts;
  if (word == "uptime") return TopOrder::uptime;
  if (word == "name") return TopOrder::name;
  return std::nullopt;
}

void sort_rows(std::vector<TopRow>& rows, TopOrder order) {
  std::stable_sort(rows.begin(), rows.end(), [order](const TopRow& a, const TopRow& b) {
    switch (order) {
      case TopOrder::cpu: return a.use.cpu_percent > b.use.cpu_percent;
      case TopOrder::memory: return a.use.memory_kib > b.use.memory_kib;
      case TopOrder::restarts: return a.slot->restarts > b.slot->restarts;
      case TopOrder::uptime: return a.uptime > b.uptime;
      case TopOrder::name: return a.name < b.name;
    }
    return false;
  });
}

std::string top_table(const std::vector<TopRow>& rows, std::size_t columns, std::size_t rows_most, std::size_t chosen) {
  std::vector<Cells> cells;
  for (const TopRow& row : rows) cells.push_back(cells_of(row));
  const std::vector<Shown> fitting = columns_that_fit(cells, columns);
  std::string out;
  const auto line = [&](const Cells& of, bool reverse) {
    std::string text;
    for (const Shown& column : fitting) {
      const std::string word = shown(of[column.at], column.width);
      text += text.empty() ? "" : "  ";
      text += column.at < first_number ? fmt::format("{:<{}}", word, column.width)
                                       : fmt::format("{:>{}}", word, column.width);
    }
    while (text.ends_with(' ')) text.pop_back();
    out += reverse ? "\x1b[7m" + text + "\x1b[0m\n" : text + "\n";
  };
  line(headings(), false);
  const bool cut = rows_most > 0 && rows.size() + 1 > rows_most;
  const std::size_t most = cut ? (rows_most > 2 ? rows_most - 2 : 0) : rows.size();
  // Those before it go, as far as it is too far down.
  const std::size_t first = most > 0 && chosen < rows.size() && chosen >= most ? chosen - most + 1 : 0;
  for (std::size_t i = first; i < first + most; ++i) line(cells[i], i == chosen);
  if (cut) out += shown(fmt::format("... and {} more", rows.size() - most), columns) + "\n";
  return out;
}

std::string top_json(const std::vector<TopRow>& rows, bool proportional) {
  std::string out = fmt::format(R"({{"memory":"{}","services":[)", proportional ? "pss" : "rss");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const TopRow& row = rows[i];
    out += fmt::format(R"({}{{"service":{},"state":{},"pid":{},"cpu_percent":{:.1f},"memory_kib":{},"uptime_ms":{},)"
                       R"("restarts":{},"threads":{},"processes":{}}})",
                       i == 0 ? "" : ",", json_text(full_name(*row.slot)), json_text(row.slot->state_word()),
                       row.slot->pid, row.use.cpu_percent, row.use.memory_kib, row.uptime / ns_per_ms,
                       row.slot->restarts, row.use.threads, row.use.processes);
  }
  return out + "]}\n";
}

}  // namespace hearth::cli
