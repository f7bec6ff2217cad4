// Files that tell others about a service: `ready_file` while it is ready, `pid_file` while it runs (H3).
//
// Model
// -----
// The supervision thread says which files a slot shall have: want(). It never waits for a disk. A thread of its own makes
// the directories so, since they are the users' and may hang when ours does not:
//
//   1. what is wanted, and is not there so: under another name beside it, renamed; nobody ever sees half of one
//   2. what was wanted by the same slot, or is said to be not wanted, and is there: removed
//
// Of two slots that name one file, as when a service was renamed, the last that said what shall be there has it: that
// the other one does not want it, or is forgotten, removes nothing.
//
// There is no queue: of a hundred changes the newest is made. What fails is tried again, later and later, and told once.
//
// A file is ours when it is an ordinary one and says so: a ready file by its first member, a PID file by being a number and
// nothing else, and by its owner. It may have a second name, as of a backup: no file is ever written again, so to
// replace or remove ours changes nothing under the other. Anything else under that name stays as it is, and is told. A
// ready file that another instance of hearth has made is not ours either.
//
// Somebody else removes, renames or replaces one that shall be there, as a workflow tool does with its temporary files:
// inotify(7) tells, and it is put back, as the file is there exactly as long as the service is ready. The file itself is
// watched; and of its directory only that this is moved or removed, and not who comes and goes there, which may be thousands.
// Whoever overwrites one makes it his own, unless it is a PID file and still looks like one. Somebody who removes it as soon as it
// comes meets it again after 0.1 s, then later and later, up to 5 s. Where it cannot be watched (a network's disk on
// which somebody else's machine removes it; no watch to be had) it is put back with the next change only.
//
// Killed between the decision and the file, a successor says again what every slot that it knows shall have, also that it
// shall not have a file: then the two agree. (Of a slot that is forgotten just then nobody says so: not-yet.md.) While all
// of hearth is dead nobody removes a file; it tells run and PID, and the next hearth takes it away, or the next start of
// the service does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/status.h"
#include "ports/store.h"
#include "store/behind.h"

namespace hearth::store {

class Marks {
 public:
  static constexpr SpanNs look_pause = milliseconds(100);

  explicit Marks(std::string instance_directory, BehindOptions options = {});

  // All files of the slot, also those that shall not be there. Of before: what is not named any more is removed.
  void want(SlotIndex slot, const std::vector<ports::Mark>& marks);
  // Everything is as wanted; false: it is not within `patience`.
  bool settle(SpanNs patience) { return behind_.settle(patience); }
  // What is worth telling people, since the last call; without times.
  std::vector<Note> take_notes();
  // Texts of notes from before whose cause is gone, since the last call.
  std::vector<std::string> take_settled();
  // Readable when somebody may have touched a file: then call look_again(), but not more often than every look_pause, or
  // somebody who touches one without a pause has us do nothing else. -1: nothing is watched (yet).
  int watch() const;
  void look_again();  // at so many events at most: it may be readable still
  // The work, in this thread: for tests.
  bool pass();

 private:
  struct Shared;
  const std::string directory_;
  // Shared with the thread, which may outlive us: its last call has not returned.
  std::shared_ptr<Shared> shared_;
  std::map<SlotIndex, std::vector<std::string>> paths_;
  Behind behind_;
};

// The contents of a ready file.
std::string ready_text(const std::string& instance_directory, const ports::Mark& mark);

}  // namespace hearth::store
