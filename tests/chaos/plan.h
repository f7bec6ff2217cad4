// The project that is put under chaos: services of each character, some more by chance, all from one seed.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/log_lines.h"

namespace hearth::chaos {

using Random = std::mt19937_64;
inline std::uint64_t below(Random& random, std::uint64_t end) {
  return end == 0 ? 0 : random() % end;
}

enum class Nature : std::uint8_t {
  steady,  // ends only when it is told or killed
  loops,   // ends by itself, and is started again
  task,
};

struct Planned {
  std::string name;
  std::string character;
  std::string more;  // third argument of the program
  Nature nature = Nature::steady;
  std::string form = "raw";  // of its log
  std::string max_size = "64KiB";
  std::string full_wait = "1h";
  std::string ready;                      // TOML, "" = no probe
  std::string ready_file;                 // path, "" = none
  std::vector<std::string> sockets = {};  // addresses on which hearth listens for it
  std::string needs;                      // a service that it depends on, "" = none
  int replicas = 1;
  int task_code = 0;
  bool hooked = false;    // has a before_start that writes its record
  bool stores = false;    // leaves a descriptor with hearth for its next run
  bool compress = false;  // its log, once a file of it is complete
  std::string extra;      // more lines of TOML
};

class Plan {
 public:
  // `host`: an address of this machine that is nobody else's, for sockets of TCP.
  Plan(std::uint64_t seed, std::string directory, std::string program, std::string host = "127.0.0.1");

  const std::vector<Planned>& services() const { return services_; }
  const Planned* find(const std::string& slot) const;  // "web" and "web.1" alike
  // Every slot there ever can be, as in support::StatusView.
  std::vector<std::string> slots() const;
  // The text of hearth.toml. Another variant differs in the environment of every fifth service, and so restarts it.
  std::string toml(int variant) const;
  static bool changes(const Planned& service, int variant) {
    return std::hash<std::string>()(service.name + std::to_string(variant)) % 5 == 0;
  }
  static constexpr int most_replicas = 4;

 private:
  void add(Planned service);
  void add_characters();
  void add_by_chance(Random& random);

  std::string directory_, program_, host_;
  std::vector<Planned> services_;
};

}  // namespace hearth::chaos
