// A question whose answer may take its time, or never come (a user's disk, all of /proc): a thread of its own is asked, and
// supervision goes on (docs/decisions/0018-users-paths-are-followed-by-threads.md).
//
// Asked once. The thread is not joined: what it uses is shared with it, and it may outlive who asked.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <sys/prctl.h>
#include <utility>

#include "base/time.h"
#include "os/at_work.h"
#include "os/thread.h"

namespace hearth::os {

template <typename Answer>
class Aside {
 public:
  // `name`: of the thread, for people; at most 15 characters. 0, or errno: nothing has been asked then.
  int ask(const char* name, std::function<Answer()> how) {
    const auto state = std::make_shared<State>();
    const auto trace = std::make_shared<char>();
    pthread_t thread{};
    const int error = start_thread(thread, [state, trace, name, how = std::move(how)] {
      ::prctl(PR_SET_NAME, name);
      Answer answer = [&] {
        const AtWork at_work;
        return how();
      }();
      const std::lock_guard lock(state->mutex);
      state->answer = std::move(answer);
      state->changed.notify_all();
    });
    if (error != 0) return error;
    ::pthread_detach(thread);
    state_ = state;
    trace_ = trace;
    return 0;
  }

  // Waits for it so long. Nothing: it is not there yet. Once asked.
  std::optional<Answer> answer(SpanNs patience = 0) const {
    std::unique_lock lock(state_->mutex);
    if (patience > 0)
      state_->changed.wait_for(lock, std::chrono::nanoseconds(patience), [this] { return state_->answer.has_value(); });
    return state_->answer;
  }

  // Expired when the thread has ended.
  std::weak_ptr<const void> trace() const { return trace_; }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Answer> answer;
  };
  std::shared_ptr<State> state_;
  std::weak_ptr<const void> trace_;
};

}  // namespace hearth::os
