// A thread that does again and again what it is given, until that says that all is done, and sleeps until there is
// something new. For work on disks that may hang: nobody waits for it longer than he says; the destructor waits a
// second, then the thread is left behind with what it uses, and ends with the process.
//
// It is made with the first post(), and again with a later one or ensure_thread() when it could not be made. While nothing
// changes it sleeps in a futex. All signals are blocked in it.
#pragma once

#include <functional>
#include <memory>
#include <pthread.h>

#include "base/time.h"

namespace hearth::store {

struct BehindOptions {
  SpanNs retry_first = milliseconds(100);
  SpanNs retry_most = seconds(5);
  SpanNs join_patience = seconds(1);
  bool thread = true;  // false: a test calls pass()
};

// One thread calls.
class Behind {
 public:
  // `pass`: true = all that was wanted when it began is done. It may be called after the end of whoever made this, so
  // what it needs it holds. `name`: of the thread, at most 15 characters; static.
  Behind(const char* name, std::function<bool()> pass, BehindOptions options);
  ~Behind();
  Behind(const Behind&) = delete;
  Behind& operator=(const Behind&) = delete;

  // Something has changed. `at_once`: also if the last pass has just failed; else that waits for its turn, which comes
  // later and later.
  void post(bool at_once = true);
  // Makes the thread where one is needed and there is none. False: it could not; error() is why (errno).
  bool ensure_thread();
  int error() const { return error_; }
  // Until nothing is left to be done; false: it was not within `patience`.
  bool settle(SpanNs patience);
  // In this thread; for tests.
  bool pass();

 private:
  struct Shared;

  // Shared because the thread may outlive us.
  std::shared_ptr<Shared> shared_;
  BehindOptions options_;
  pthread_t thread_{};
  bool started_ = false;
  bool wanted_ = false;
  int error_ = 0;
};

}  // namespace hearth::store
