// When it is started again: `restart`, `success_exit_codes`, `backoff`, `max_restarts`, `restart_window`.
#include <array>
#include <set>

#include <fmt/core.h>

#include "config/scalars.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::array restart_synonyms = {
    Synonym{"no", "never"},
    Synonym{"false", "never"},
    Synonym{"none", "never"},
    Synonym{"off", "never"},
    Synonym{"true", "always"},
    Synonym{"yes", "always"},
    Synonym{"unless-stopped", "always"},
    Synonym{"on_failure", "on-failure"},
    Synonym{"failure", "on-failure"},
    Synonym{"on-abnormal", "on-failure"},
    Synonym{"unexpected", "on-failure"},
    Synonym{"temporary", "never"},
    Synonym{"permanent", "always"},
    Synonym{"transient", "on-failure"},
};

void read_exit_codes(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::array) {
    return r.wrong_type(value, key, "an array of integers", "write success_exit_codes = [0, 3]");
  }
  std::set<int> codes;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    int code = 0;
    if (!r.integer(value.items[i], fmt::format("{}[{}]", key, i), 0, 255, code)) return;
    codes.insert(code);
  }
  draft.spec.success_exit_codes.assign(codes.begin(), codes.end());
}

void read_backoff(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static constexpr std::array<KeyRule<Backoff>, 5> rules = {{
      {"initial", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.span(v, k, {0, hour}, t.initial); }},
      {"max", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.span(v, k, {0, day}, t.max); }},
      {"factor", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.number(v, k, 1, 10, t.factor); }},
      {"jitter", [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.number(v, k, 0, 1, t.jitter); }},
      {"reset_after",
       [](Reader& q, const Node& v, std::string_view k, Backoff& t) { q.span(v, k, {0, 30 * day}, t.reset_after); }},
  }};
  Backoff& backoff = draft.spec.backoff;
  if (value.kind != Node::Kind::table) {
    // A duration most likely is the first delay; it is written as toml would have it.
    const bool number = value.kind == Node::Kind::integer || value.kind == Node::Kind::floating;
    const bool text = value.kind == Node::Kind::string && parse_duration(value.text);
    const std::string initial = number ? value.described() : quote(text ? value.text : "1s");
    return r.wrong_type(value, key, "a table", fmt::format("write backoff = {{ initial = {} }}", initial));
  }
  if (!r.table<Backoff>(value, key, rules, Scope::backoff, backoff)) return;
  if (backoff.initial <= backoff.max) return;
  if (value.find("max") != nullptr) {
    return r.problem(value.at,
                     fmt::format("{}: initial ({}) is above max ({})", key, duration_text(backoff.initial),
                                 duration_text(backoff.max)),
                     "exchange them");
  }
  backoff.max = backoff.initial;  // only the default was below
}

constexpr std::array rules = {
    ServiceRule{"restart",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.choice(v, k, restart_words, restart_synonyms, d.spec.restart);
                },
                "When it is started again after it has ended by itself."},
    ServiceRule{"success_exit_codes", read_exit_codes, "The exit codes that count as success.",
                R"("type":"array","items":{"type":"integer","minimum":0,"maximum":255})", "[0]"},
    ServiceRule{"backoff", read_backoff, "How long to wait before it is started again."},
    ServiceRule{"max_restarts",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.integer(v, k, 0, 1000000, d.spec.crash_limit.max_restarts);
                },
                "More restarts than this within restart_window, and it is given up as failed. 0: no limit."},
    ServiceRule{"max_failed_starts",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.integer(v, k, 0, 10000, d.spec.crash_limit.max_failed_starts);
                },
                "So many starts in a row that failed, and it is given up as failed. 0: no limit."},
    ServiceRule{"restart_window",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.span(v, k, {seconds(1), 30 * day}, d.spec.crash_limit.window);
                },
                "The time in which max_restarts are counted."},
};

}  // namespace

KeyGroup restart_keys() {
  return {rules};
}

}  // namespace hearth::config
