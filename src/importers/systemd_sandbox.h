// What of a unit becomes `cgroup` and `sandbox`: systemd.resource-control(5), and the parts of systemd.exec(5) "Sandboxing" and
// "System Call Filtering" that say the same. Some take two keys: paths that may be written say something only beside a file
// system that may not.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "importers/draft.h"
#include "importers/ini.h"

namespace hearth::importers {

class SandboxKeys {
 public:
  using Wanting = std::function<void(std::size_t line, const std::string& what, const std::string& remedy)>;

  // The value of an entry with what its specifiers stand for; tells those that are not known.
  using Expand = std::function<std::string(const IniEntry&)>;

  // False: it is another key.
  bool take(Service& service, const IniEntry& entry, const Expand& expand, const Wanting& wanting);
  // When all of the unit has been read.
  void finish(Service& service, const Wanting& wanting) const;

 private:
  bool limit(Service& service, const IniEntry& entry, const Wanting& wanting);
  void deny(const IniEntry& entry, const Wanting& wanting);
  static void add_paths(std::vector<std::string>& paths, const IniEntry& entry, const std::string& value,
                        const Wanting& wanting);

  std::size_t strict_line_ = 0, written_line_ = 0, executed_line_ = 0, denied_line_ = 0;
  bool nothing_executed_ = false;  // NoExecPaths=/
  bool answers_eperm_ = false;
  std::vector<std::string> written_, executed_, denied_;
};

}  // namespace hearth::importers
