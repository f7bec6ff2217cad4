// Are the checks of a sanitizer compiled in? The check `vptr` opens a pipe to ask whether memory can be read, and calls every
// object wrong when there is no descriptor left. It does so only when its cache of types misses: a test that leaves itself
// without descriptors fails now and then, and is skipped.
#pragma once

#include <gtest/gtest.h>

#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer)
#define HEARTH_SANITIZED 1
#endif
#endif
#ifndef HEARTH_SANITIZED
#define HEARTH_SANITIZED 0
#endif

// The first line of such a test.
#define HEARTH_SKIP_IF_SANITIZED() \
  if (HEARTH_SANITIZED) GTEST_SKIP() << "the sanitizer's own checks need a descriptor"
