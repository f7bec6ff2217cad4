// The archive that writes: a struct becomes a JSON object without its defaults. Only document_json.cc uses it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "base/boxed.h"
#include "base/toml_text.h"
#include "config/numbers.h"
#include "config/text.h"
#include "config/words.h"
#include "model/capabilities.h"

namespace hearth::config {

class JsonWriter {
 public:
  // `out` must live as long as the writer.
  explicit JsonWriter(boost::json::object& out) : out_(out) {}

  void name(std::string_view key, const std::string& value) { put(key, text_value(value)); }
  void text(std::string_view key, const std::string& value) {
    if (!value.empty()) put(key, text_value(value));
  }
  void texts(std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    boost::json::array array;
    array.reserve(values.size());
    for (const std::string& value : values) array.push_back(text_value(value));
    put(key, std::move(array));
  }
  void variables(std::string_view key, const std::vector<std::pair<std::string, std::string>>& values) {
    std::vector<std::string> lines;
    lines.reserve(values.size());
    for (const auto& [variable, value] : values) lines.push_back(variable + '=' + value);
    texts(key, lines);
  }
  void flag(std::string_view key, bool value, bool standard) {
    if (value != standard) put(key, value);
  }
  template <typename T>
  void number(std::string_view key, T value, T standard, long long = 0, long long = 0) {
    if (value != standard) put(key, value);
  }
  template <typename T>
  void numbers(std::string_view key, const std::vector<T>& values, const std::vector<T>& standard, long long = 0,
               long long = 0) {
    if (values != standard) put(key, boost::json::array(values.begin(), values.end()));
  }
  template <typename T>
  void optional(std::string_view key, const std::optional<T>& value, long long = 0, long long = 0) {
    if (value) put(key, *value);
  }
  // Words that make the set; an empty array is one without any.
  void capabilities(std::string_view key, const std::optional<CapabilitySet>& value) {
    if (!value) return;
    boost::json::array array;
    for (const std::string& word : capability_words(*value)) array.push_back(text_value(word));
    put(key, std::move(array));
  }
  void span(std::string_view key, SpanNs value, SpanNs standard) { number(key, value, standard); }
  void thousandths(std::string_view key, double value, double standard, int, int) {
    const std::int64_t rounded = in_thousandths(value);
    if (rounded == in_thousandths(standard)) return;
    if (rounded % 1000 == 0) {
      put(key, rounded / 1000);  // 2, not 2E0
    } else {
      put(key, static_cast<double>(rounded) / 1000);
    }
  }
  void limit(std::string_view key, std::uint64_t value) {
    if (value == UINT64_MAX) {
      put(key, "unlimited");
    } else {
      put(key, value);
    }
  }
  template <typename Words>
  void word(std::string_view key, const std::string& value, std::string_view standard, const Words&) {
    if (value != standard) put(key, text_value(value));
  }
  template <typename Enum, std::size_t n>
  void choice(std::string_view key, Enum value, Enum standard, const std::array<Word<Enum>, n>& words) {
    if (value != standard) put(key, word_of(words, value));
  }
  template <typename T, typename Describe>
  void object(std::string_view key, const T& value, const T& standard, Describe describe) {
    if (!(value == standard)) put(key, object_value(value, describe));
  }
  template <typename T, typename Describe>
  void boxed(std::string_view key, const Boxed<T>& value, Describe describe) {
    if (!value.is_usual()) put(key, object_value(*value, describe));
  }
  // Fields of the object itself that are kept in a box.
  template <typename T, typename Describe>
  void part(const Boxed<T>& value, Describe describe) {
    if (!value.is_usual()) describe(*this, *value);
  }
  template <typename T, typename Describe>
  void list(std::string_view key, const std::vector<T>& values, Describe describe) {
    if (values.empty()) return;
    boost::json::array array;
    array.reserve(values.size());
    for (const T& value : values) array.push_back(object_value(value, describe));
    put(key, std::move(array));
  }

 private:
  template <typename V>
  void put(std::string_view key, V&& value) {
    out_.emplace(boost::json::string_view(key.data(), key.size()), std::forward<V>(value));
  }
  void put(std::string_view key, std::string_view value) { put(key, text_value(value)); }

  // What the environment or a path holds need not be UTF-8, but JSON must be.
  static boost::json::value text_value(std::string_view text) {
    const auto string = [](std::string_view s) { return boost::json::string(s.data(), s.size()); };
    if (valid_utf8(text)) return string(text);
    return boost::json::object{{"hex", string(to_hex(text))}};
  }
  template <typename T, typename Describe>
  static boost::json::object object_value(const T& value, Describe describe) {
    boost::json::object object;
    JsonWriter writer(object);
    describe(writer, value);
    return object;
  }

  boost::json::object& out_;
};

}  // namespace hearth::config
