// Priorities: supervisord starts what has a lesser one first, and waits for nobody. An order is no need, so nothing of it is
// carried over; but whoever had a need could only say it so, and that is proposed as comments.
//
// It goes by groups, and within a group by programs. A program without a [group:x] is a group by itself, with its priority.
#include <algorithm>
#include <map>
#include <optional>

#include "importers/supervisord_importer.h"

namespace hearth::importers {

struct SupervisordImporter::Turn {
  std::string program;
  std::string group;  // "" = it is one by itself
  long of_group, own;
  std::vector<Service*> services;
  bool is_started;  // by itself

  bool is_beside(const Turn& other) const { return !group.empty() && group == other.group; }
  bool comes_before(const Turn& other) const { return is_beside(other) ? own < other.own : of_group < other.of_group; }
};

void SupervisordImporter::priority(Place place, const std::string& whose, const std::string& value, bool is_noted,
                                   bool is_proposed) {
  Finding finding{place.source.path, place.line, whose + ": priority = " + value + " is not carried over",
                  std::string("where it was a need, say whom it needs: depends_on = [\"...\"]; hearth then waits until "
                              "that is ready") +
                      (is_proposed ? " (comments in the hearth.toml say whom it could be)" : "")};
  finding.of_all = "priority is not carried over";
  finding.of_each = whose + ": priority = " + value;
  finding.is_noted = is_noted;
  draft_.find_wanting(std::move(finding));
}

std::vector<SupervisordImporter::Turn> SupervisordImporter::turns() const {
  const auto priority_of = [](const std::map<std::string, Priority>& all, const std::string& name) {
    const auto found = all.find(name);
    return number_of(found == all.end() ? usual_priority : std::string_view(found->second.value)).value_or(999);
  };
  std::vector<Turn> turns;
  std::map<std::string, std::size_t> places;
  for (const Made& made : made_) {
    const auto [place, is_new] = places.emplace(made.program, turns.size());
    if (is_new) {
      const auto groups = groups_of_.find(made.program);
      const std::string group = groups == groups_of_.end() ? "" : groups->second.front();
      const long own = priority_of(program_priorities_, made.program);
      const long of_group = group.empty() ? own : priority_of(group_priorities_, group);
      turns.push_back({made.program, group, of_group, own, {}, !made.service->has("autostart")});
    }
    turns[place->second].services.push_back(made.service);
  }
  return turns;
}

// Those of `all` that came just before it; who came before them is theirs.
std::vector<const SupervisordImporter::Turn*> SupervisordImporter::just_before(const Turn& turn,
                                                                               const std::vector<Turn>& all) {
  std::optional<long> beside, level;  // the greatest there are
  std::map<std::string, long> last_of_group;
  for (const Turn& other : all) {
    if (!other.is_started || !other.comes_before(turn)) continue;
    std::optional<long>& greatest = other.is_beside(turn) ? beside : level;
    const long its = other.is_beside(turn) ? other.own : other.of_group;
    greatest = std::max(greatest.value_or(its), its);
    if (other.group.empty()) continue;
    long& last = last_of_group.emplace(other.group, other.own).first->second;
    last = std::max(last, other.own);
  }
  std::vector<const Turn*> before;
  for (const Turn& other : all) {
    if (!other.is_started || !other.comes_before(turn) || other.is_beside(turn) != beside.has_value()) continue;
    const bool is_last = other.group.empty() || other.own == last_of_group.at(other.group);
    if (is_last && (beside || other.of_group == *level)) before.push_back(&other);
  }
  return before;
}

void SupervisordImporter::priorities() {
  constexpr std::size_t most_named = 8;
  const std::vector<Turn> all = turns();
  const auto comes_before_one = [&](const Turn& turn) {
    return std::ranges::any_of(all, [&](const Turn& other) { return turn.comes_before(other); });
  };
  bool any_noted = false;
  for (const Turn& turn : all) {
    std::vector<std::string> names;
    for (const Turn* each : just_before(turn, all))
      for (const Service* service : each->services) names.push_back(service->name);
    const std::string more =
        names.size() > most_named ? " (and " + std::to_string(names.size() - most_named) + " more)" : "";
    names.resize(std::min(names.size(), most_named));
    const auto said = program_priorities_.find(turn.program);
    const bool is_noted =
        turn.is_started && (!names.empty() || (said != program_priorities_.end() && comes_before_one(turn)));
    any_noted = any_noted || is_noted;
    const std::string mine = said != program_priorities_.end() ? "priority = " + foreign(said->second.value)
                             : turn.of_group != turn.own       ? "priority of its group"
                                                               : "no priority, which is " + std::string(usual_priority);
    for (Service* service : turn.services) {
      if (!is_noted) continue;
      service->note(names.empty() ? mine + ": what has a greater one was started after it, without waiting for it"
                                  : mine + ": started after these" + more +
                                        "; where that is a need: depends_on = " + quoted_list(names));
    }
    if (said == program_priorities_.end()) continue;
    draft_.about(turn.services.front());
    priority({*said->second.source, said->second.line}, "program " + turn.services.front()->name, said->second.value,
             is_noted, is_noted);
  }
  draft_.about(nullptr);
  for (const auto& [group, said] : group_priorities_)
    priority({*said.source, said.line}, "group " + group, said.value, false, any_noted);
}

}  // namespace hearth::importers
