// systemd units that start hearth with the machine, or with a user's manager, and apply one project's file then (L17).
//
// Two units, both small: hearth's own (as packaging/systemd has it), which keeps what runs and restores nothing; and one
// per project, whose start is `hearth up -f FILE`. So what a boot restores is what the file says, and nothing that was
// started by hand (docs/guide/systemd.md).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::cli {

struct UnitFacts {
  bool user = false;     // a user's manager, not the machine's
  std::string program;   // absolute path of `hearth`
  std::string instance;  // "default"
  std::string project;   // its name
  std::string file;      // canonical path of its hearth.toml
};

struct Unit {
  std::string name;  // "hearth-shop.service"
  std::string text;
};

// The first line of every unit that is made here: only such a file is ever replaced or removed. A project's unit has a
// second one, which names file and instance: two projects may have one name, but not one unit.
inline constexpr std::string_view unit_mark =
    "# Made by `hearth enable`; `hearth disable` removes that of a project.\n";

// Whether `present`, the text of a file under this unit's name, may be replaced or removed by what made `unit`.
enum class Owner { same, another_project, somebody_else };
Owner owner_of(std::string_view present, const Unit& unit);

// hearth.service, or hearth@INSTANCE.service where it is not the machine's default one.
Unit instance_unit(const UnitFacts& facts);
Unit project_unit(const UnitFacts& facts);

// As a word of ExecStart= (systemd.service(5), COMMAND LINES): quoted where it must be, % and $ doubled.
// Fails for a control character, which no unit can have.
Result<std::string> unit_word(std::string_view word);

}  // namespace hearth::cli
