// The archive that reads: checks every value and keeps the first thing that is wrong, with its place. After
// that it reads nothing more. Only document_json.cc uses it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "base/boxed.h"
#include "config/limits.h"
#include "config/text.h"
#include "config/words.h"
#include "model/capabilities.h"

namespace hearth::config {

// Where the reader stands ("services[3].stop_signal"), and the first problem.
struct JsonTrail {
  std::string place;
  std::string problem;
};

class JsonReader {
 public:
  // Both must live as long as the reader.
  JsonReader(const boost::json::object& in, JsonTrail& trail) : in_(in), next_(in.begin()), trail_(trail) {}

  void name(std::string_view key, std::string& value);
  void text(std::string_view key, std::string& value);
  void texts(std::string_view key, std::vector<std::string>& values);
  void variables(std::string_view key, std::vector<std::pair<std::string, std::string>>& values);
  void flag(std::string_view key, bool& value, bool);
  void thousandths(std::string_view key, double& value, double, int least, int greatest);
  void limit(std::string_view key, std::uint64_t& value);
  void word(std::string_view key, std::string& value, std::string_view standard,
            std::span<const std::string_view> words);
  void capabilities(std::string_view key, std::optional<CapabilitySet>& value);
  void span(std::string_view key, SpanNs& value, SpanNs) {
    read(key, [&](const boost::json::value& json) { integer(json, value, 0, max_span); });
  }

  template <typename T>
  void number(std::string_view key, T& value, std::type_identity_t<T>, std::type_identity_t<T> least = 0,
              std::type_identity_t<T> greatest = std::numeric_limits<T>::max()) {
    read(key, [&](const boost::json::value& json) { integer(json, value, least, greatest); });
  }
  template <typename T>
  void numbers(std::string_view key, std::vector<T>& values, const std::vector<T>&, std::type_identity_t<T> least = 0,
               std::type_identity_t<T> greatest = std::numeric_limits<T>::max()) {
    if (find(key) != nullptr) values.clear();
    each(key, [&](const boost::json::value& json) {
      T value{};
      integer(json, value, least, greatest);
      values.push_back(value);
    });
  }
  template <typename T>
  void optional(std::string_view key, std::optional<T>& value, std::type_identity_t<T> least = 0,
                std::type_identity_t<T> greatest = std::numeric_limits<T>::max()) {
    read(key, [&](const boost::json::value& json) { integer(json, value.emplace(), least, greatest); });
  }
  template <typename Enum, std::size_t n>
  void choice(std::string_view key, Enum& value, Enum, const std::array<Word<Enum>, n>& words) {
    read(key, [&](const boost::json::value& json) {
      const auto found = json.is_string() ? value_of(words, view(json.get_string())) : std::nullopt;
      if (found) {
        value = *found;
      } else {
        fail("is not one of the words of this field");
      }
    });
  }
  template <typename T, typename Describe>
  void object(std::string_view key, T& value, const T&, Describe describe) {
    read(key, [&](const boost::json::value& json) { nested(json, value, describe); });
  }
  template <typename T, typename Describe>
  void boxed(std::string_view key, Boxed<T>& value, Describe describe) {
    read(key, [&](const boost::json::value& json) { nested(json, value.edit(), describe); });
  }
  template <typename T, typename Describe>
  void part(Boxed<T>& value, Describe describe) {
    T fields = *value;
    describe(*this, fields);
    if (!(fields == *value)) value = std::move(fields);
  }
  template <typename T, typename Describe>
  void list(std::string_view key, std::vector<T>& values, Describe describe) {
    if (const boost::json::value* json = find(key); json != nullptr && json->is_array())
      values.reserve(std::min(json->get_array().size(), max_items));
    each(key, [&](const boost::json::value& json) { nested(json, values.emplace_back(), describe); });
  }

 private:
  // Arguments, variables, services: nothing has more of anything.
  static constexpr std::size_t max_items = 65536;

  static boost::json::string_view json_key(std::string_view key) { return {key.data(), key.size()}; }
  static std::string_view view(const boost::json::string& string) { return {string.data(), string.size()}; }
  static std::string_view view(boost::json::string_view text) { return {text.data(), text.size()}; }

  void fail(const std::string& what) {
    if (trail_.problem.empty()) trail_.problem = (trail_.place.empty() ? "it" : trail_.place) + " " + what;
  }

  // Null when it is not there. Our own writer puts members in the order in which they are described, and leaves out
  // what is as usual: so the next one is either this field or a later one, and after the last there is nothing to look for.
  const boost::json::value* find(std::string_view key) {
    if (found_ == key) return found_value_;
    if (next_ == in_.end() && in_order_) return nullptr;
    found_ = key;
    if (in_order_ && view(next_->key()) == key) {
      found_value_ = &next_->value();
      ++next_;
      return found_value_;
    }
    found_value_ = in_.if_contains(json_key(key));
    if (found_value_ != nullptr) in_order_ = false;
    return found_value_;
  }

  // Calls `use` with the field's value, when there is one and nothing was wrong so far.
  template <typename Use>
  void read(std::string_view key, Use use) {
    const boost::json::value* json = find(key);
    if (json == nullptr || !trail_.problem.empty()) return;
    const std::size_t length = trail_.place.size();
    if (length != 0) trail_.place += '.';
    trail_.place += key;
    use(*json);
    trail_.place.resize(length);
  }

  template <typename Use>
  void each(std::string_view key, Use use) {
    read(key, [&](const boost::json::value& json) {
      if (!json.is_array()) return fail("is not an array");
      if (json.get_array().size() > max_items) return fail("has too many items");
      const std::size_t length = trail_.place.size();
      std::size_t index = 0;
      for (const boost::json::value& item : json.get_array()) {
        trail_.place += '[' + std::to_string(index++) + ']';
        use(item);
        trail_.place.resize(length);
        if (!trail_.problem.empty()) return;
      }
    });
  }

  template <typename T, typename Describe>
  void nested(const boost::json::value& json, T& value, Describe describe) {
    if (!json.is_object()) return fail("is not an object");
    JsonReader reader(json.get_object(), trail_);
    describe(reader, value);
  }

  template <typename T>
  void integer(const boost::json::value& json, T& value, std::type_identity_t<T> least,
               std::type_identity_t<T> greatest) {
    const auto inside = [&](auto number) {
      return std::cmp_greater_equal(number, least) && std::cmp_less_equal(number, greatest);
    };
    if (json.is_int64() && inside(json.get_int64())) {
      value = static_cast<T>(json.get_int64());
    } else if (json.is_uint64() && inside(json.get_uint64())) {
      value = static_cast<T>(json.get_uint64());
    } else {
      fail("is not an integer from " + std::to_string(least) + " to " + std::to_string(greatest));
    }
  }

  void string(const boost::json::value& json, std::string& value);

  const boost::json::object& in_;
  boost::json::object::const_iterator next_;  // as long as in_order_: all members before it have been asked for
  bool in_order_ = true;
  std::string_view found_;  // the field that was asked for last
  const boost::json::value* found_value_ = nullptr;
  JsonTrail& trail_;
};

}  // namespace hearth::config
