// What a probe has to look for at a path: a file, a socket, a log, and the memory that a run uses. On a disk that hangs
// the calls that follow a path do not return, /proc takes its time where much is to be added up, and supervision must
// return; so they are made by a thread.
//
// Model
// -----
// Looks are done one after another by one thread, made with the first of them. A look that has been at work for
// hangs_after when another one is begun keeps that thread to itself: it is left behind, ends when its call returns, and
// the others go on with a new one; what it has seen then is a result as any other: what takes long is not given up because
// others wait. At most left_behind_max are; more looks are refused until one has returned, as each holds a thread. A thread
// is left behind when the next one is there, and not before: those that wait are never without one.
//
// What nobody waits for any more is taken out of the queue, or is at work already: then its result comes all the same,
// and is the caller's business.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/listeners.h"
#include "probe/log_search.h"

namespace hearth::probe {

// KiB that a run uses; no more than `enough_kib` may be an estimate that is too great. What was found out since `asked` may be
// used again. An error: that cannot be seen now. Called by the looker's thread, which may outlive the looker.
using Measure = std::function<Result<std::uint64_t>(std::uint64_t enough_kib, MonoNs asked)>;

struct Look {
  enum class At : std::uint8_t { file, socket, log, memory };
  std::uint64_t id = 0;
  At at = At::file;
  std::string path;           // file
  WallNs since = 0;           // file: one that has not changed since then was left by somebody else; 0 = any counts
  os::SocketAddress address;  // socket
  LogSearch log;
  Measure measure;  // memory
  std::uint64_t max_memory = 0;
  MonoNs asked = 0;
};

struct Seen {
  std::uint64_t id = 0;
  bool good = false;
  bool refused = false;        // it could not be seen: neither good nor bad
  std::string reason;          // of a bad one, or one that is refused
  std::uint64_t used_kib = 0;  // memory
  os::Fd socket;               // connected
  LogSearch log;               // to go on with
};

// Does one, in the calling thread.
Seen look(Look&& order);

class Looker {
 public:
  static constexpr SpanNs hangs_after = milliseconds(500);
  static constexpr std::size_t left_behind_max = 4;

  // Runs its argument in a thread that nobody joins. 0, or errno.
  using StartThread = std::function<int(std::function<void()>)>;
  static int start_detached(std::function<void()> body);

  // `how` does a look; other than by default in tests, as is `start`. It is called by threads that may outlive the looker.
  // One that takes longer than `patience` is left behind when another one is begun.
  static Result<std::unique_ptr<Looker>> create(std::function<Seen(Look&&)> how = look, SpanNs patience = hangs_after,
                                                StartThread start = start_detached);
  ~Looker();
  Looker(const Looker&) = delete;
  Looker& operator=(const Looker&) = delete;

  // Readable when something has been seen.
  int wake() const;
  // Why it cannot be begun; "" = it is.
  std::string begin(Look look, MonoNs now);
  // It has not been at work yet, and is not done any more. False: its result comes, or has come.
  bool cancel(std::uint64_t id);
  std::vector<Seen> take();

 private:
  struct Line;
  struct Results;
  Looker() = default;
  bool hangs(MonoNs now) const;
  // 0, or errno: there is none.
  int start_line(std::shared_ptr<Line>& line) const;
  void leave_line_for(const std::shared_ptr<Line>& next);

  std::function<Seen(Look&&)> how_;
  StartThread start_;
  SpanNs patience_ = hangs_after;
  // Shared with the threads that work for us, and which may outlive us: their calls have not returned.
  std::shared_ptr<Results> results_;
  std::shared_ptr<Line> line_;
  std::vector<std::weak_ptr<Line>> left_behind_;
};

}  // namespace hearth::probe
