// `log`: how its output is kept.
#include <array>

#include <fmt/format.h>

#include "config/scalars.h"
#include "config/service_keys.h"

namespace hearth::config {
namespace {

void read_log(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static constexpr std::array format_synonyms = {Synonym{"text", "raw"}, Synonym{"plain", "raw"},
                                                 Synonym{"timestamps", "stamped"}, Synonym{"jsonl", "json"}};
  static constexpr std::array<std::string_view, 3> sinks = {"stdout", "journald", "syslog"};
  static constexpr std::array sink_synonyms = {Synonym{"journal", "journald"}, Synonym{"console", "stdout"},
                                               Synonym{"-", "stdout"}, Synonym{"/dev/log", "syslog"}};
  static constexpr std::array<KeyRule<LogSpec>, 9> rules = {{
      {"format", [](Reader& q, const Node& v, std::string_view k,
                    LogSpec& t) { q.word(v, k, log_formats, format_synonyms, t.format); }},
      {"max_size", [](Reader& q, const Node& v, std::string_view k,
                      LogSpec& t) { q.size(v, k, {4096, std::uint64_t{1} << 40}, t.max_size); }},
      {"max_files",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.integer(v, k, 1, 10000, t.max_files); }},
      {"max_age", [](Reader& q, const Node& v, std::string_view k,
                     LogSpec& t) { q.span(v, k, {60 * ns_per_s, 3650 * day, true}, t.max_age); }},
      {"max_total", [](Reader& q, const Node& v, std::string_view k,
                       LogSpec& t) { q.size(v, k, {4096, std::uint64_t{1} << 50, true}, t.max_total); }},
      {"compress", [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.flag(v, k, t.compress); }},
      {"sink",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.word(v, k, sinks, sink_synonyms, t.sink); }},
      {"per_process", [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.flag(v, k, t.per_process); }},
      {"full_wait",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.span(v, k, {0, day}, t.full_wait); }},
  }};
  LogSpec& log = draft.spec.log.edit();
  if (!r.table<LogSpec>(value, key, rules, Scope::log, log)) return;
  if (log.max_total == 0 || log.max_total >= log.max_size) return;
  const Entry* total = value.find("max_total");
  r.problem(total != nullptr ? total->at : value.at,
            fmt::format("{}: max_total ({}) is below max_size ({}), the size of one file", key,
                        size_text(log.max_total), size_text(log.max_size)),
            "write a smaller max_size, or a larger max_total");
}

constexpr std::array rules = {
    ServiceRule{"log", read_log, "How its output is kept."},
};

}  // namespace

KeyGroup log_keys() {
  return {rules};
}

}  // namespace hearth::config
