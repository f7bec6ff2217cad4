#include "os/thread.h"

#include <memory>
#include <signal.h>
#include <utility>

namespace hearth::os {
namespace {

void* run(void* body) {
  const std::unique_ptr<std::function<void()>> own(static_cast<std::function<void()>*>(body));
  (*own)();
  return nullptr;
}

}  // namespace

int start_thread(pthread_t& thread, std::function<void()> body, std::size_t stack_bytes) {
  pthread_attr_t attributes;
  if (const int error = ::pthread_attr_init(&attributes); error != 0) return error;
  (void)::pthread_attr_setstacksize(&attributes, stack_bytes);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto own = std::make_unique<std::function<void()>>(std::move(body));
  const int error = ::pthread_create(&thread, &attributes, &run, own.get());
  if (error == 0) (void)own.release();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace hearth::os
