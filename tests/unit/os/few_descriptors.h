// A process that has run out of descriptors, or almost.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include "os/fd.h"
#include "unit/base/sanitized.h"

namespace hearth::test {

// While it lives, `spare` descriptors can be opened: the lowest free numbers, which is where open(2) looks. A test
// that has one is skipped under a sanitizer.
class FewDescriptors {
 public:
  explicit FewDescriptors(int spare) {
    EXPECT_FALSE(HEARTH_SANITIZED) << "the test lacks its HEARTH_SKIP_IF_SANITIZED()";
    ::getrlimit(RLIMIT_NOFILE, &before_);
    os::Fd free[8];
    for (int i = 0; i <= spare; ++i) free[i] = os::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const rlimit tight{static_cast<rlim_t>(free[spare].get()), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace hearth::test
