// The programs that hearth's processes run, held by descriptor: what a new keeper is started from and with.
//
// Files are replaced, and directories of an upgrade go, while hearth runs. When the keeper dies, the next one is to be
// of the program that was tried and ran, and so is the supervisor that it starts later. Once a process is dead, nobody
// can ask the kernel for its program any more: so it is asked for while it lives. O_PATH descriptors keep the file
// itself, whatever has become of its name, and nothing of it is read.
//
// A keeper that has executed another program is on trial for ten seconds: when it dies in them, the next one is of the
// last program that was not.
//
//   none      -- the same process runs another program --> on trial   until ten seconds after we have seen that
//   none      -- one before it is parked when we begin --> on trial   until ten seconds after our start
//   on trial  -- seen alive when its time is over -------> none       the keeper is to give the program before up
//   on trial  -- another process is the keeper ----------> none       of which nothing is on trial
//   on trial  -- it executes a third --------------------> on trial   anew; the second is no way back
//
// None is missed: the keeper executes nothing before we have said that we are up, which is after our first look, and of
// what came before us it has parked the program before (keeper/exec.cc). Time alone ends none: who was stopped himself
// meanwhile (SIGSTOP, a long turn) finds it over, and perhaps a keeper that died in it.
//
// The logger is of the file that lay beside us when we began, as long as that may be run: an upgrade that the keeper's
// death has cut short has not replaced it yet. Else it is of the one that runs. That file is opened by a thread, as its
// disk may hang.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "os/aside.h"
#include "os/fd.h"
#include "os/keeper_link.h"

namespace hearth::apps {

class HeldPrograms {
 public:
  // Once, before all else. `logger`: the path of the one beside us.
  void begin(const os::KeeperLink& link, const std::string& logger, MonoNs now);
  // In each turn; does nothing when the same processes run the same programs. What cannot be opened now is tried again
  // with the next call, and until then the one before is kept. Returns when to call it without another reason.
  MonoNs refresh(os::KeeperLink& link, MonoNs now);

  // Whether the thread is still at it.
  bool looks_beside() const { return asked_ && !beside_.answer(); }

  // O_PATH descriptors; -1: none was ever to be had.
  int keeper() const { return before() >= 0 ? before() : keeper_.get(); }
  int supervisor() const { return supervisor_.get(); }
  int logger() const;

 private:
  // Of the keeper on trial; -1: it is not.
  int before() const { return before_ ? before_.get() : parked_before_; }
  void forget_before(os::KeeperLink& link);
  void look_at_keeper(os::KeeperLink& link, MonoNs now);
  void look_at_logger(const wire::SlotTable& table);
  void look_beside(MonoNs now);

  os::Fd keeper_, before_, supervisor_, logger_;
  int parked_before_ = -1;  // the link's: only we have it unparked
  MonoNs sound_at_ = 0;
  std::uint32_t keeper_generation_ = 0;  // 0 = none was looked at
  std::uint32_t keeper_execs_ = 0;
  std::uint8_t keeper_refusals_ = 0;
  std::uint32_t logger_generation_ = 0;
  std::string logger_path_;
  os::Aside<std::shared_ptr<Result<os::Fd>>> beside_;
  bool asked_ = false;
  MonoNs ask_again_at_ = 0;  // never: there is nothing more to be asked
};

}  // namespace hearth::apps
