// Sections, keys and their lines, in the dialects of Python's ConfigParser (supervisord) and of systemd.syntax(7).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "importers/importers.h"

namespace hearth::importers {

struct IniEntry {
  std::string key, value;
  std::size_t line = 0;
};

struct IniSection {
  std::string name;
  std::size_t line = 0;
  std::vector<IniEntry> entries;  // in their order; a key may come again

  const IniEntry* find(std::string_view key) const;  // the last one
};

enum class IniDialect {
  supervisord,  // a line that begins with a blank goes on; " ;" begins a comment; keys in lower case
  systemd,      // a backslash at the end goes on; comments stand alone; keys as they are
};

Result<std::vector<IniSection>> read_ini(const Source& source, IniDialect dialect);

}  // namespace hearth::importers
