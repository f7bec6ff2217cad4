// The programs that hearth's processes run, held by descriptor: what a new keeper is started from and with.
//
// Files are replaced, and directories of an upgrade go, while hearth runs. When the keeper dies, the next one is to be of the
// program that was tried and ran, and so is the supervisor that it starts later. The logger is of the file beside the
// supervisor, as long as there is one that may be run: an upgrade that the keeper's death has cut short has not replaced it
// yet. Once a process is dead, nobody can ask the kernel for its program any more: so it is asked for while it lives. O_PATH
// descriptors keep the file itself, whatever has become of its name, and nothing of it is read.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "os/fd.h"
#include "wire/slot_table.h"

namespace hearth::apps {

class HeldPrograms {
 public:
  // In each turn; does nothing when the same processes run the same programs. `keeper_socket`: -1 = it is dead. What
  // cannot be opened now is tried again with the next call, and until then the one before is kept.
  void refresh(const wire::SlotTable& table, int keeper_socket, MonoNs now);

  // O_PATH descriptors; -1: none was ever to be had. For a keeper that died then: of one that has executed another program and
  // died within ten seconds of that it is the program before.
  int keeper(MonoNs died_at) const { return before_ && died_at < sound_at_ ? before_.get() : keeper_.get(); }
  int supervisor() const { return supervisor_.get(); }
  int logger() const { return logger_.get(); }

 private:
  os::Fd keeper_, before_, supervisor_, logger_;
  MonoNs sound_at_ = 0;
  std::int32_t keeper_pid_ = 0;
  std::uint32_t keeper_execs_ = 0;
  std::uint32_t logger_generation_ = 0;
};

}  // namespace hearth::apps
