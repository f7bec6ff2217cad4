// The version of hearth. Formats have their own (src/wire, docs/formats).
#pragma once

namespace hearth {
#ifdef HEARTH_TEST_VERSION  // of a program that a test upgrades to
inline constexpr char version[] = HEARTH_TEST_VERSION;
#else
inline constexpr char version[] = "0.1.0";
#endif
}  // namespace hearth
