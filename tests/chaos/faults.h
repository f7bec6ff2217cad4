// What is done to hearth, one at a time and at random: `kinds` in faults.cc is the list.
//
// What has to be undone (a stopped process, a full disk, a low limit) is undone after a moment, by itself or by
// undo_all(), when it is time to look.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "judge.h"
#include "plan.h"
#include "world.h"

namespace hearth::chaos {

struct Tally {
  std::uint64_t tried = 0;
  std::uint64_t hit = 0;  // processes, files, connections that it concerned
};

class Faults {
 public:
  Faults(World& world, const Options& options, Random& random);
  // All that there are, with what cannot be done here.
  static std::vector<std::string> kinds();
  // "" = it can be done; else why not, for the report.
  std::string obstacle(const std::string& kind) const;

  // Does one of those that may be done.
  void one();
  void tick();  // undoes what is due
  void undo_all();
  // Since the last call: "keeper killed at 12.3 s", in order.
  std::deque<std::string> take_trace();
  void note(const std::string& what);  // something else for the trace

  const std::map<std::string, Tally>& tallies() const { return tallies_; }
  std::uint64_t kills() const { return kills_; }
  const Deaths& deaths() const { return deaths_; }
  const std::vector<pid_t>& killed_services() const { return killed_services_; }
  bool everything_died() const { return !deaths_.of_all.empty() && deaths_.of_all.back().until == INT64_MAX; }
  void hearth_is_back();  // after the death of everything

 private:
  struct Undo {
    MonoNs at = 0;
    std::function<void()> act;
    std::string text;
  };
  using Act = std::uint64_t (Faults::*)();
  static const std::vector<std::pair<const char*, Act>>& table();

  std::uint64_t kill_keeper();
  std::uint64_t kill_supervisor();
  std::uint64_t kill_spawner();
  std::uint64_t kill_logger();
  std::uint64_t kill_several();
  std::uint64_t kill_everything();
  std::uint64_t kill_service();
  std::uint64_t kill_client();
  std::uint64_t stop_supervisor();
  std::uint64_t stop_logger();
  std::uint64_t stop_all();
  std::uint64_t few_descriptors();
  std::uint64_t few_descriptors_keeper();
  std::uint64_t few_descriptors_logger();
  std::uint64_t full_logs();
  std::uint64_t full_state();
  std::uint64_t flood_control();
  std::uint64_t flood_notify();

  std::uint64_t kill_role(Role role);
  bool kill(const Process& process);
  void output_waits();
  void note_death(const Process& process, MonoNs now);
  std::uint64_t starve(Role role);
  void feed(const Process& process, const rlimit& before);
  std::uint64_t stop(const std::vector<Process>& processes);
  void later(SpanNs at_most, const std::string& text, std::function<void()> act);

  World& world_;
  const Options& options_;
  Random& random_;
  std::vector<std::pair<const char*, Act>> chosen_;
  std::map<std::string, Tally> tallies_;
  std::vector<Undo> undos_;
  std::deque<std::string> trace_;
  std::vector<pid_t> killed_services_;
  std::vector<os::Fd> slow_readers_;
  Deaths deaths_;
  MonoNs begun_ = 0;
  MonoNs supervisor_killed_ = 0;
  std::set<pid_t> starving_;           // those that have few descriptors
  std::map<pid_t, MonoNs> stopped_;    // since when
  MonoNs keeper_starved_ = INT64_MIN;  // until then it had few, or later
  MonoNs unread_since_ = 0;            // output may wait in pipes; 0 = it does not
  std::uint64_t kills_ = 0;
};

}  // namespace hearth::chaos
