// systemd.unit(5) "Specifiers": %n, %i and the like, as far as they can be told from the unit alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace hearth::importers {

// Of "postgresql@15-main.service".
struct UnitName {
  explicit UnitName(std::string_view path);

  std::string stem;          // postgresql@15-main; of a template without its @
  std::string prefix;        // postgresql
  std::string instance;      // 15-main
  bool is_template = false;  // postgresql@.service
  bool of_user = false;      // its path is one of `systemctl --user`
};

// As systemd-escape(1) --unescape: "-" is "/", "\x2d" is "-".
std::string unescaped_unit(std::string_view name);

// What is wrong with a line, and what to do.
using Told = std::function<void(const std::string& what, const std::string& remedy)>;

// One that nobody knows stays as it is, and is told.
struct Known {
  std::string host;         // %H; "" = nobody knows
  std::string credentials;  // %d
};
std::string without_specifiers(std::string_view text, const UnitName& unit, const Known& known, const Told& told);

}  // namespace hearth::importers
