// The capabilities of Linux, as sets and by their names. capabilities(7)
//
// In a set bit n is the capability of number n. Names are those of <linux/capability.h> in small letters and without CAP_;
// they are read in any case, with CAP_ or without.
//
// "all" is every bit, also those that have no name here: a kernel that is newer than hearth has more capabilities than
// hearth knows, and all of them are meant. Its last bit, which no kernel uses, tells such a set from one that was
// written name by name, so that it is known for each set which names somebody has written: the ones that are in it, or
// the ones that were taken from all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

using CapabilitySet = std::uint64_t;

inline constexpr CapabilitySet all_capabilities = UINT64_MAX;

// Numbers that hearth itself asks for.
inline constexpr unsigned capability_setpcap = 8;

constexpr CapabilitySet capability_bit(unsigned number) {
  return CapabilitySet{1} << number;
}
// It was made of "all".
constexpr bool begins_with_all(CapabilitySet set) {
  return (set & capability_bit(63)) != 0;
}

// By number.
std::span<const std::string_view> capability_names();
// In small letters, without CAP_.
std::string plain_capability(std::string_view name);
// What one word stands for: a capability, or "all". nullopt: nothing.
std::optional<CapabilitySet> capabilities_of(std::string_view word);
// Adds a word, or takes away what stands behind a '-'. False when it is no such word, or takes away what is not there.
bool add_capability(std::string_view word, CapabilitySet& set);

// The capabilities that whoever wrote the set has named.
CapabilitySet named_capabilities(CapabilitySet set);
// The words that make it, one way for each set: names in the order of their numbers, or "all" and then "-name".
std::vector<std::string> capability_words(CapabilitySet set);
// For a message: "net_raw, sys_admin and 3 more". Bits without a name count as "all".
std::string capability_list(CapabilitySet set, std::size_t most = 4);

}  // namespace hearth
