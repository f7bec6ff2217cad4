#include "importers/javascript.h"

#include <charconv>
#include <cmath>
#include <string_view>

#include <boost/json.hpp>

namespace hearth::importers {
namespace {

namespace json = boost::json;

std::string number_text(const json::value& value) {
  return javascript_number(value.to_number<double>());
}

void append(std::string& out, const json::value& value) {
  if (const json::object* object = value.if_object()) {
    out += '{';
    for (auto each = object->begin(); each != object->end(); ++each) {
      if (each != object->begin()) out += ',';
      out += json::serialize(json::string(each->key()));
      out += ':';
      append(out, each->value());
    }
    out += '}';
  } else if (const json::array* array = value.if_array()) {
    out += '[';
    for (auto each = array->begin(); each != array->end(); ++each) {
      if (each != array->begin()) out += ',';
      append(out, *each);
    }
    out += ']';
  } else {
    out += value.is_number() ? number_text(value) : json::serialize(value);
  }
}

}  // namespace

std::string javascript_number(double value) {
  if (value == 0) return "0";  // -0, too
  if (std::isnan(value)) return "NaN";
  const std::string sign = value < 0 ? "-" : "";
  if (std::isinf(value)) return sign + "Infinity";
  // "d.ddde+NN" with the shortest digits: to_chars promises those, and of several the nearest, as ECMA-262 has it.
  char buffer[32];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value), std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(written.ptr - buffer));
  const std::size_t e = text.find('e');
  std::string digits(text.substr(0, 1));
  if (e > 2) digits += text.substr(2, e - 2);
  int power = 0;
  const std::size_t first = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + first, text.data() + text.size(), power);
  const int count = static_cast<int>(digits.size());
  const int point = power + 1;  // the n of ECMA-262: so many digits before the point
  if (count <= point && point <= 21) return sign + digits + std::string(static_cast<std::size_t>(point - count), '0');
  if (0 < point && point <= 21) return sign + digits.insert(static_cast<std::size_t>(point), ".");
  if (-6 < point && point <= 0) return sign + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  if (count > 1) digits.insert(1, ".");
  return sign + digits + "e" + (power < 0 ? "-" : "+") + std::to_string(power < 0 ? -power : power);
}

std::string javascript_json(const json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

std::string javascript_text(const json::value& value) {
  if (const json::string* text = value.if_string()) return {text->data(), text->size()};
  return javascript_json(value);
}

}  // namespace hearth::importers
