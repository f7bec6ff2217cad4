// JSON for our own small files: objects whose values are strings, whole numbers and booleans. Written here and read
// here; a text that is anything else is refused. docs/formats/runs.md
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace hearth::store {

// Appends "name":value, with a comma before it when the object has a member already.
class FlatWriter {
 public:
  explicit FlatWriter(std::string& out) : out_(out) { out_ += '{'; }
  FlatWriter& add(std::string_view name, std::string_view value);
  FlatWriter& add(std::string_view name, std::uint64_t value);
  FlatWriter& add(std::string_view name, bool value);
  void close() { out_ += '}'; }

 private:
  void begin(std::string_view name);
  std::string& out_;
  bool first_ = true;
};

// Members by name; numbers as their digits, booleans as "true" and "false".
using FlatObject = std::map<std::string, std::string>;

// Reads one object from the front of `text`. Stops after its '}', or after '[' where an array begins as the last
// member. False when it is no such object.
bool read_flat(std::string_view text, FlatObject& object);

// 0 when absent or no number.
std::uint64_t number_of(const FlatObject& object, const std::string& name);
std::string string_of(const FlatObject& object, const std::string& name);

}  // namespace hearth::store
