// The descriptors that keeper and supervisor hold together, found by class, key, name and file. 3,000 of them
// are usual, so a record has 32 bytes and names (listening sockets, fd store) stand outside only where there
// is one. Sorted per class by key: keys of runs only grow, so that new ones go to the end.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "os/fd.h"
#include "wire/keeper_messages.h"

namespace hearth::os {

struct Parked {
  std::uint64_t key = 0;
  std::uint64_t file = 0;
  std::unique_ptr<char[]> name_text;  // null = ""
  int fd = -1;                        // owned by the table
  SlotIndex slot = no_slot;

  std::string_view name() const { return name_text ? std::string_view(name_text.get()) : std::string_view(); }
};

class ParkedTable {
 public:
  ParkedTable() = default;
  ~ParkedTable();
  ParkedTable(const ParkedTable&) = delete;
  ParkedTable& operator=(const ParkedTable&) = delete;

  // Takes the descriptor; one of equal identity is closed and replaced. The pointer holds until the next change.
  const Parked* put(const wire::ParkRecord& record, Fd fd);
  // Null when there is none.
  const Parked* find(wire::ParkClass type, std::uint64_t key, std::string_view name = {}, std::uint64_t file = 0) const;
  // All of a class with that key, in order of name and file. The span holds until the next change.
  std::pair<const Parked*, const Parked*> range(wire::ParkClass type, std::uint64_t key) const;
  const std::vector<Parked>& all(wire::ParkClass type) const { return classes_[slot_of(type)]; }
  // Closes and forgets; false when there was none.
  bool drop(wire::ParkClass type, std::uint64_t key, std::string_view name = {}, std::uint64_t file = 0);
  std::size_t size() const;

 private:
  static std::size_t slot_of(wire::ParkClass type);
  // By class; 0: of none that we know.
  std::array<std::vector<Parked>, static_cast<std::size_t>(wire::ParkClass::program) + 1> classes_;
};

// `name` is cut at park_name_max.
wire::ParkRecord park_record(wire::ParkClass type, SlotIndex slot, std::uint64_t key, std::string_view name = {},
                             std::uint64_t file = 0);
wire::ParkRecord park_record(wire::ParkClass type, const Parked& parked);

// The key of a stored descriptor: the slot, and in bit 32 whether it is *not* watched for its end (FDPOLL=0), so
// that a successor knows.
std::uint64_t store_key(SlotIndex slot, bool poll);

}  // namespace hearth::os
