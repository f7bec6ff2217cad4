// What a fuzzer is given, taken apart. Whatever is left to take, every call gives something: behind the end zeros and
// empty texts, so that each input means something and a mutation changes little.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace hearth::fuzz {

// Between the files of an input that has several.
inline constexpr char part_separator = '\x1e';

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // So many bytes, fewer at the end.
  std::string_view take(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint8_t byte() {
    const std::string_view one = take(1);
    return one.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(one[0]);
  }
  bool flag() { return (byte() & 1) != 0; }
  template <typename T>
  T number() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const std::string_view bytes = take(sizeof value);
    std::memcpy(static_cast<void*>(&value), bytes.data(), bytes.size());
    return value;
  }
  std::uint32_t below(std::uint32_t end) { return end == 0 ? 0 : number<std::uint32_t>() % end; }
  // A byte with its length, then so many.
  std::string_view text() { return take(byte()); }
  std::string_view line() { return until('\n'); }
  std::string_view part() { return until(part_separator); }

 private:
  std::string_view until(char end) {
    const std::string_view taken = rest_.substr(0, rest_.find(end));
    rest_.remove_prefix(std::min(taken.size() + 1, rest_.size()));
    return taken;
  }

  std::string_view rest_;
};

}  // namespace hearth::fuzz
