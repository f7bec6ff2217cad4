// Chance from a seed. Every purpose has a stream of its own, so that taking one kind of fault away (which is how a
// failure is made shorter) does not change what the others draw.
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth::sim {

class Random {
 public:
  Random(std::uint64_t seed, std::string_view purpose) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {
    for (const char c : purpose) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    next();
  }

  // splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : next() % n; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  // One time in n; never for 0.
  bool one_in(std::uint64_t n) { return n != 0 && below(n) == 0; }
  bool percent(std::uint64_t p) { return below(100) < p; }

 private:
  std::uint64_t state_;
};

}  // namespace hearth::sim
