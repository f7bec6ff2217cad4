// Bounds that hold for every document, however it comes. What a hearth.toml is held to beyond these stands
// beside its keys, in the *_keys.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace hearth::config {

inline constexpr std::size_t max_file_bytes = 1u << 20;  // of a hearth.toml
inline constexpr std::size_t max_all_bytes = 8u << 20;   // of a hearth.toml with all that belongs to it
inline constexpr std::size_t max_files = 256;            // so many files
inline constexpr std::size_t max_sources = 20000;        // files and single settings
inline constexpr std::size_t max_include_depth = 8;
inline constexpr std::size_t max_json_bytes = 64u << 20;  // of a document: 4,096 services of 16 KiB
inline constexpr std::size_t max_services = 4096;         // wire::max_slots
inline constexpr std::size_t max_name = 48;
inline constexpr int max_signal = 64;
// Ten years: sums of a few spans and a clock reading stay far from the end of 64 bits.
inline constexpr SpanNs max_span = seconds(10LL * 366 * 24 * 3600);

// The project of runs that hearth starts for itself (`upgrade`, `reload-PROJECT`): none of the user's.
inline constexpr std::string_view own_project = "_hearth";

// [A-Za-z0-9_-]{1,48}: stands in paths, cgroup names and on command lines as it is.
constexpr bool valid_name(std::string_view name) {
  if (name.empty() || name.size() > max_name) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
  }
  return true;
}

// A name in an environment: not empty, no '=', no NUL. "A.B" is unusual, but legal.
constexpr bool valid_variable(std::string_view name) {
  return !name.empty() && name.find('=') == name.npos && name.find('\0') == name.npos;
}

}  // namespace hearth::config
