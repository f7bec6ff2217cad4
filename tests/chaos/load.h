// What users do meanwhile, each with a `hearth` of its own: look, follow, order; and what follows from it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "faults.h"
#include "judge.h"
#include "plan.h"
#include "support/log_lines.h"
#include "world.h"

namespace hearth::chaos {

// `hearth events -f`, begun again where it ended. Its ids must have no gap and come once.
class EventsFollower {
 public:
  EventsFollower(World& world, const Plan& plan)
      : world_(world), plan_(plan), path_(world.base() + "/followers/events") {}
  void tick();  // begins it again when it has ended
  // What has come; violations are told once.
  void read();
  // Hearth has ended: the rest is what is kept.
  void finish();
  std::vector<std::string> take_violations() { return std::exchange(violations_, {}); }
  std::vector<ToldExit>& exits() { return exits_; }
  std::uint64_t last() const { return last_; }
  std::uint64_t count() const { return count_; }
  std::uint64_t lost() const { return lost_; }  // as the journal says itself
  bool forget_next = false;                     // planted: the next event is not seen

 private:
  void take(const std::string& line);
  std::string next_path();

  World& world_;
  const Plan& plan_;
  std::string path_;
  MonoNs next_life_ = 0;
  std::uint64_t offset_ = 0, last_ = 0, last_in_life_ = 0, count_ = 0, lost_ = 0;
  std::size_t lives_ = 0;
  bool running_ = false, stopped_ = false;
  std::vector<ToldExit> exits_;
  std::vector<std::string> violations_;
};

class Load {
 public:
  Load(World& world, const Plan& plan, Faults& faults, Random& random, std::string programs);

  void apply_file();  // writes hearth.toml and orders `up --no-wait`
  void one_order();
  // The words that have hearth go on as the same programs in one of two directories, sometimes the one that it runs from.
  std::vector<std::string> upgrade(const std::string& directory, bool keeper) const;
  void look();
  void knock();       // at each listening socket
  void follow_log();  // `hearth logs -f` of raw, from its beginning; begins it again when it has ended
  // Nothing under way that changes anything.
  bool quiet() const { return mutating_ == 0; }
  void kill_what_hangs();

  std::vector<std::string> take_violations() { return std::exchange(violations_, {}); }
  // Services that somebody has ordered something about since the last call.
  std::set<std::string> take_touched() { return std::exchange(touched_, {}); }
  // What shall be, where it is known: of services by name. Cleared by what may or may not have happened.
  const std::map<std::string, bool>& wanted() const { return wanted_; }
  void all_wanted();
  // Since they were looked at: somebody has stopped their services for good, or all of hearth may have died.
  bool sockets_may_have_changed() const { return sockets_may_change_ || deaths_of_holders() != deaths_when_looked_at_; }
  void sockets_were_looked_at();
  // In which somebody had the store of descriptors dropped.
  const std::vector<Gap>& forgotten() const { return forgotten_; }

  std::uint64_t upgrades = 0, orders = 0, orders_refused = 0, looks = 0, knocks = 0, knocks_served = 0;
  // Of the last one that was begun.
  std::string log_follower_directory() const { return world_.base() + "/followers/raw" + std::to_string(log_lives_); }

 private:
  std::uint64_t deaths_of_holders() const { return faults_.deaths().batches + faults_.deaths().of_parked.size(); }
  void order(const std::vector<std::string>& words, const std::set<std::string>& names, std::optional<bool> goal);
  // What is started brings what it depends on along: of that nothing is known afterwards.
  void touch_what_they_need(const std::set<std::string>& names);
  void ended(const std::string& what, const std::set<std::string>& names, std::optional<bool> goal, int code,
             const std::string& output);

  World& world_;
  const Plan& plan_;
  Faults& faults_;
  Random& random_;
  std::string programs_;
  std::vector<Gap> forgotten_;
  std::map<std::string, bool> wanted_;
  std::set<std::string> touched_, busy_;
  std::vector<std::string> violations_;
  int variant_ = 0;
  int mutating_ = 0;
  bool looking_ = false;
  bool upgrading_ = false;
  bool sockets_may_change_ = true;
  std::uint64_t deaths_when_looked_at_ = 0;
  std::size_t log_lives_ = 0;
  bool log_is_followed_ = false;
  MonoNs next_log_life_ = 0;
};

}  // namespace hearth::chaos
