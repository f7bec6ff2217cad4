// Writes JSON straight into a string. A status of 1,000 services is 600 KiB of text; a document tree in
// between would cost the supervisor several times that, and this memory is the user's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::api {

class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  // Bytes that are not UTF-8 become U+FFFD: every answer is valid JSON, whatever a service says of itself.
  JsonWriter& string(std::string_view value);
  JsonWriter& number(std::int64_t value);
  JsonWriter& number(std::uint64_t value);
  JsonWriter& number(std::int32_t value) { return number(std::int64_t{value}); }
  JsonWriter& number(std::uint32_t value) { return number(std::uint64_t{value}); }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  // Text that is JSON already.
  JsonWriter& raw(std::string_view json);

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string& out_;
  bool first_ = true;  // nothing yet in the innermost bracket
  bool after_key_ = false;
};

}  // namespace hearth::api
