// The one thread that waits for disks: calls Mirror::pass() when something has changed, and again, later and later,
// while that fails. It makes no decision.
//
// It sleeps in a futex while nothing changes. It is made with the first change, and again with a later one when it
// could not be made. All signals are blocked in it. A write may never return: nobody waits for it longer than he says,
// the destructor a second; then it is left behind with what it uses, and ends with the process.
#pragma once

#include <memory>
#include <pthread.h>

#include "base/time.h"
#include "store/mirror.h"

namespace hearth::store {

struct WriterOptions {
  SpanNs retry_first = milliseconds(100);
  SpanNs retry_most = seconds(5);
  SpanNs join_patience = seconds(1);  // of the destructor
  bool thread = true;                 // false: a test calls Mirror::pass()
};

// Supervision thread.
class Writer {
 public:
  Writer(Mirror::Place place, WriterOptions options);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Mirror& mirror();
  const Mirror& mirror() const;
  // Something has changed. `now`: also if it has just failed.
  void post(bool now = false);
  // Makes the thread where one is needed and there is none. False: it could not; error() says why.
  bool ensure_thread();
  int error() const { return error_; }
  // Until the disk is as wanted; false: it was not within `patience`.
  bool settle(SpanNs patience);

 private:
  struct Shared;
  static void* main(void* shared);

  // Shared because the thread may outlive us: its last write has not returned.
  std::shared_ptr<Shared> shared_;
  WriterOptions options_;
  pthread_t thread_{};
  bool started_ = false;
  bool wanted_ = false;
  int error_ = 0;
};

}  // namespace hearth::store
