#include "config/json_reader.h"

#include <algorithm>

#include "config/numbers.h"

namespace hearth::config {

void JsonReader::name(std::string_view key, std::string& value) {
  if (find(key) == nullptr) {
    return fail("has no " + std::string(key));
  }
  read(key, [&](const boost::json::value& json) {
    string(json, value);
    if (!valid_name(value)) fail("is not a name of 1 to 48 letters, digits, '_' and '-'");
  });
}

void JsonReader::text(std::string_view key, std::string& value) {
  read(key, [&](const boost::json::value& json) { string(json, value); });
}

void JsonReader::texts(std::string_view key, std::vector<std::string>& values) {
  each(key, [&](const boost::json::value& json) { string(json, values.emplace_back()); });
}

void JsonReader::variables(std::string_view key, std::vector<std::pair<std::string, std::string>>& values) {
  each(key, [&](const boost::json::value& json) {
    std::string line;
    string(json, line);
    const std::size_t equals = line.find('=');
    if (equals == 0 || equals == line.npos) return fail("is not of the form NAME=VALUE");
    values.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  });
}

void JsonReader::flag(std::string_view key, bool& value, bool) {
  read(key, [&](const boost::json::value& json) {
    if (!json.is_bool()) return fail("is not true or false");
    value = json.get_bool();
  });
}

void JsonReader::thousandths(std::string_view key, double& value, double, int least, int greatest) {
  read(key, [&](const boost::json::value& json) {
    const double number = json.is_number() ? json.to_number<double>() : -1;
    if (number >= least && number <= greatest) {
      // Rounded, because the parser may miss a double by its last bit, and equal documents must be equal.
      value = static_cast<double>(in_thousandths(number)) / 1000;
    } else {
      fail("is not a number from " + std::to_string(least) + " to " + std::to_string(greatest));
    }
  });
}

void JsonReader::limit(std::string_view key, std::uint64_t& value) {
  read(key, [&](const boost::json::value& json) {
    if (json.is_string() && json.get_string() == "unlimited") {
      value = UINT64_MAX;
    } else {
      integer(json, value, 0, UINT64_MAX);
    }
  });
}

void JsonReader::capabilities(std::string_view key, std::optional<CapabilitySet>& value) {
  if (find(key) == nullptr) return;
  CapabilitySet set = 0;
  each(key, [&](const boost::json::value& json) {
    if (!json.is_string() || !add_capability(view(json.get_string()), set)) fail("is not a capability");
  });
  value = set;
}

void JsonReader::word(std::string_view key, std::string& value, std::string_view,
                      std::span<const std::string_view> words) {
  read(key, [&](const boost::json::value& json) {
    string(json, value);
    if (std::find(words.begin(), words.end(), value) == words.end()) fail("is not one of the words of this field");
  });
}

void JsonReader::string(const boost::json::value& json, std::string& value) {
  if (json.is_string()) {
    value = view(json.get_string());
  } else {
    const boost::json::value* hex = json.is_object() ? json.get_object().if_contains("hex") : nullptr;
    if (hex == nullptr || !hex->is_string() || !from_hex(view(hex->get_string()), value)) {
      return fail("is not a string");
    }
  }
  if (value.find('\0') != value.npos) fail("contains a NUL character");
}

}  // namespace hearth::config
