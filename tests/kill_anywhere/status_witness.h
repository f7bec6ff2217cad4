// Judges the answers of one client that asks status again and again, in the order in which they came.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hearth::kill_anywhere {

// What the client has seen.
struct Asked {
  std::uint64_t answered = 0;
  std::uint64_t breaks = 0;        // of its connection, where one was to be expected
  std::vector<std::string> wrong;  // that nothing explains
};

class StatusWitness {
 public:
  // `may_refuse`: for want of something, with a reason.
  void take(int status, const std::string& body, bool may_refuse);
  // The connection broke, or nobody listens any more. `expected`: somebody has died, or is to end.
  void lose_connection(const std::string& why, bool expected);
  void complain(const std::string& what) { asked_.wrong.push_back(what); }
  const Asked& asked() const { return asked_; }

 private:
  Asked asked_;
  std::map<std::string, std::uint64_t> runs_;  // the newest that was told of, by service
};

}  // namespace hearth::kill_anywhere
