// Values of JSON as JavaScript turns them into text.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace hearth::importers {

// Number::toString of ECMA-262: "1.5", "1e+21", "1e-7"; the shortest digits that are read as the same number again.
std::string javascript_number(double value);
// JSON.stringify(): {"a":[1.5,null]}.
std::string javascript_json(const boost::json::value& value);
// String() of a text, a number, true and false; of an object, an array and null JSON.stringify(), as pm2 does it with
// those of "env".
std::string javascript_text(const boost::json::value& value);

}  // namespace hearth::importers
