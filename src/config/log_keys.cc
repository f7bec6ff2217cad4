// `log`: how its output is kept.
#include <array>

#include "config/service_keys.h"

namespace hearth::config {
namespace {

void read_log(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static constexpr std::array format_synonyms = {Synonym{"text", "raw"}, Synonym{"plain", "raw"},
                                                 Synonym{"timestamps", "stamped"}, Synonym{"jsonl", "json"}};
  static constexpr std::array<KeyRule<LogSpec>, 4> rules = {{
      {"format", [](Reader& q, const Node& v, std::string_view k,
                    LogSpec& t) { q.word(v, k, log_formats, format_synonyms, t.format); }},
      {"max_size", [](Reader& q, const Node& v, std::string_view k,
                      LogSpec& t) { q.size(v, k, 4096, std::uint64_t{1} << 40, t.max_size); }},
      {"max_files",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.integer(v, k, 1, 10000, t.max_files); }},
      {"full_wait",
       [](Reader& q, const Node& v, std::string_view k, LogSpec& t) { q.span(v, k, {0, day}, t.full_wait); }},
  }};
  r.table<LogSpec>(value, key, rules, Scope::log, draft.spec.log);
}

constexpr std::array rules = {
    ServiceRule{"log", read_log, "How its output is kept."},
};

}  // namespace

KeyGroup log_keys() {
  return {rules};
}

}  // namespace hearth::config
