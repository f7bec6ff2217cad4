#include "cli/top_table.h"

#include <algorithm>

#include <fmt/format.h>

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

}  // namespace

std::optional<TopOrder> top_order(std::string_view word) {
  if (word == "cpu") return TopOrder::cpu;
  if (word == "memory" || word == "mem") return TopOrder::memory;
  if (word == "restarts") return TopOrder::restarts;
  if (word == "uptime") return TopOrder::uptime;
  if (word == "name") return TopOrder::name;
  return std::nullopt;
}

std::string size_words(std::uint64_t kib) {
  if (kib < 10'240) return fmt::format("{} KiB", kib);
  if (kib < 10'485'760) return fmt::format("{} MiB", kib / 1'024);
  return fmt::format("{} GiB", kib / 1'048'576);
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
  std::size_t widest = 7;
  for (const TopRow& row : rows) widest = std::max(widest, row.name.size());
  if (columns > 0) widest = std::min(widest, std::max<std::size_t>(columns / 3, 7));
  std::string out;
  const auto line = [&](std::string text, bool reverse = false) {
    if (columns > 0 && text.size() > columns) text.resize(columns);
    while (text.ends_with(' ')) text.pop_back();
    out += reverse ? "\x1b[7m" + text + "\x1b[0m\n" : text + "\n";
  };
  line(fmt::format("{:<{}}  {:<10}  {:>6}  {:>9}  {:>8}  {:>8}  {:>7}  {:>5}  {:>7}", "SERVICE", widest, "STATE",
                   "CPU%", "MEMORY", "UPTIME", "RESTARTS", "THREADS", "PROCS", "PID"));
  const bool cut = rows_most > 0 && rows.size() + 1 > rows_most;
  const std::size_t shown = cut ? (rows_most > 2 ? rows_most - 2 : 0) : rows.size();
  // Those before it go, as far as it is too far down.
  const std::size_t first = shown > 0 && chosen < rows.size() && chosen >= shown ? chosen - shown + 1 : 0;
  for (std::size_t i = first; i < first + shown; ++i) {
    const TopRow& row = rows[i];
    const bool runs = row.slot->pid != 0;
    line(fmt::format("{:<{}.{}}  {:<10}  {:>6}  {:>9}  {:>8}  {:>8}  {:>7}  {:>5}  {:>7}", row.name, widest, widest,
                     row.slot->state_word(), runs ? fmt::format("{:.1f}", row.use.cpu_percent) : "-",
                     runs ? size_words(row.use.memory_kib) : "-", uptime_words(row.uptime), row.slot->restarts,
                     runs ? std::to_string(row.use.threads) : "-", runs ? std::to_string(row.use.processes) : "-",
                     runs ? std::to_string(row.slot->pid) : "-"),
         i == chosen);
  }
  if (cut) line(fmt::format("... and {} more", rows.size() - shown));
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
