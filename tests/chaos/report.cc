#include "report.h"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace hearth::chaos {
namespace {

using Rows = std::vector<std::pair<const char*, std::uint64_t>>;

Rows rows_of(const Result& r) {
  return {{"rounds", r.rounds},
          {"kills", r.kills},
          {"deaths_of_all", r.deaths_of_all},
          {"takeovers", r.takeovers},
          {"orders", r.orders},
          {"orders_refused", r.orders_refused},
          {"upgrades", r.upgrades},
          {"looks", r.looks},
          {"connections", r.knocks},
          {"runs", r.runs},
          {"statuses_compared", r.statuses_compared},
          {"slots_compared", r.slots_compared},
          {"exits_compared", r.exits_compared},
          {"exits_adopted", r.exits_adopted},
          {"exits_unknown", r.exits_unknown},
          {"sockets_compared", r.sockets_compared},
          {"stored_compared", r.stored_compared},
          {"events_compared", r.events_compared},
          {"events_lost", r.events_lost},
          {"lines_compared", r.lines_compared},
          {"lines_followed", r.lines_followed},
          {"bytes_tolerated", r.bytes_tolerated},
          {"violations", r.violations.size()}};
}

}  // namespace

std::string text_of(const Result& result, const Options& options) {
  std::string text = fmt::format("\n{:<20} {:>8} {:>8}\n", "FAULT", "TRIED", "HIT");
  for (const auto& [kind, tally] : result.faults)
    text += fmt::format("{:<20} {:>8} {:>8}\n", kind, tally.tried, tally.hit);
  for (const auto& [kind, why] : result.left_out) text += fmt::format("{:<20} left out: {}\n", kind, why);
  text += "\n";
  for (const auto& [name, value] : rows_of(result)) {
    std::string words = name;
    for (char& c : words) c = c == '_' ? ' ' : c;
    text += fmt::format("{:<20} {:>17}\n", words, value);
  }
  text += fmt::format("\nseed {}, {:.0f} s; steps of the clock are left to ./dev sim\n", options.seed, result.seconds);
  if (const std::string little = too_little(result, options); !little.empty()) text += little + "\n";
  if (!result.directory.empty()) text += "kept: " + result.directory + "\n";
  return text;
}

std::string json_of(const Result& result, const Options& options) {
  namespace json = boost::json;
  json::object out;
  out["seed"] = options.seed;
  out["seconds"] = result.seconds;
  json::object faults;
  for (const auto& [kind, tally] : result.faults)
    faults[kind] = json::object{{"tried", tally.tried}, {"hit", tally.hit}};
  out["faults"] = std::move(faults);
  json::object left_out;
  for (const auto& [kind, why] : result.left_out) left_out[kind] = why;
  out["left_out"] = std::move(left_out);
  for (const auto& [name, value] : rows_of(result)) out[name] = value;
  json::array violations;
  for (const Violation& violation : result.violations) {
    json::array before;
    for (const std::string& step : violation.before) before.emplace_back(step);
    violations.push_back(json::object{
        {"at", violation.at}, {"round", violation.round}, {"what", violation.what}, {"before", std::move(before)}});
  }
  out["violations"] = std::move(violations);
  out["too_little"] = too_little(result, options);
  out["directory"] = result.directory;
  return json::serialize(out) + "\n";
}

std::string too_little(const Result& result, const Options& options) {
  if (result.kills < options.least_kills)
    return fmt::format("too little was tried: {} kills, {} were asked for", result.kills, options.least_kills);
  if (result.lines_compared < options.least_lines)
    return fmt::format("too little was compared: {} lines, {} were asked for", result.lines_compared,
                       options.least_lines);
  if (result.exits_compared == 0 || result.events_compared == 0 || result.slots_compared == 0)
    return "too little was compared: no exit, no event or no slot";
  return "";
}

}  // namespace hearth::chaos
