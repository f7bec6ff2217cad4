#include "os/parked.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/check.h"

namespace hearth::os {
namespace {

using Identity = std::tuple<std::uint64_t, std::string_view, std::uint64_t>;

Identity identity(const Parked& parked) {
  return {parked.key, parked.name(), parked.file};
}

std::string_view name_of(const wire::ParkRecord& record) {
  return {record.name, ::strnlen(record.name, wire::park_name_max)};
}

bool before(const Parked& parked, const Identity& wanted) {
  return identity(parked) < wanted;
}

}  // namespace

std::size_t ParkedTable::slot_of(wire::ParkClass type) {
  std::size_t index = static_cast<std::size_t>(type);
  return index <= static_cast<std::size_t>(wire::ParkClass::program) ? index : 0;
}

ParkedTable::~ParkedTable() {
  for (auto& list : classes_)
    for (Parked& parked : list) ::close(parked.fd);
}

const Parked* ParkedTable::put(const wire::ParkRecord& record, Fd fd) {
  HEARTH_CHECK(fd, "a parked descriptor is one");
  std::vector<Parked>& list = classes_[slot_of(record.type)];
  const Identity wanted{record.key, name_of(record), record.file};
  auto at = std::lower_bound(list.begin(), list.end(), wanted, before);
  if (at != list.end() && identity(*at) == wanted) {
    if (at->fd != fd.get()) ::close(at->fd);
    at->fd = fd.release();
    at->slot = record.slot;
    return &*at;
  }
  Parked parked{record.key, record.file, nullptr, fd.release(), record.slot};
  if (std::string_view name = name_of(record); !name.empty()) {
    parked.name_text = std::make_unique<char[]>(name.size() + 1);
    std::memcpy(parked.name_text.get(), name.data(), name.size());
  }
  return &*list.insert(at, std::move(parked));
}

const Parked* ParkedTable::find(wire::ParkClass type, std::uint64_t key, std::string_view name,
                                std::uint64_t file) const {
  const std::vector<Parked>& list = classes_[slot_of(type)];
  const Identity wanted{key, name, file};
  auto at = std::lower_bound(list.begin(), list.end(), wanted, before);
  return at != list.end() && identity(*at) == wanted ? &*at : nullptr;
}

std::pair<const Parked*, const Parked*> ParkedTable::range(wire::ParkClass type, std::uint64_t key) const {
  const std::vector<Parked>& list = classes_[slot_of(type)];
  auto [first, last] = std::equal_range(list.begin(), list.end(), key, [](const auto& a, const auto& b) {
    auto key_of = [](const auto& x) -> std::uint64_t {
      if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Parked>)
        return x.key;
      else
        return x;
    };
    return key_of(a) < key_of(b);
  });
  return {list.data() + (first - list.begin()), list.data() + (last - list.begin())};
}

bool ParkedTable::drop(wire::ParkClass type, std::uint64_t key, std::string_view name, std::uint64_t file) {
  const Parked* found = find(type, key, name, file);
  if (found == nullptr) return false;
  std::vector<Parked>& list = classes_[slot_of(type)];
  ::close(found->fd);
  list.erase(list.begin() + (found - list.data()));
  return true;
}

std::size_t ParkedTable::size() const {
  std::size_t total = 0;
  for (const auto& list : classes_) total += list.size();
  return total;
}

wire::ParkRecord park_record(wire::ParkClass type, SlotIndex slot, std::uint64_t key, std::string_view name,
                             std::uint64_t file) {
  wire::ParkRecord record{};
  record.type = type;
  record.slot = slot;
  record.key = key;
  record.file = file;
  name.copy(record.name, wire::park_name_max);
  return record;
}

wire::ParkRecord park_record(wire::ParkClass type, const Parked& parked) {
  return park_record(type, parked.slot, parked.key, parked.name(), parked.file);
}

std::uint64_t store_key(SlotIndex slot, bool poll) {
  return slot | (poll ? 0 : std::uint64_t{1} << 32);
}

}  // namespace hearth::os
