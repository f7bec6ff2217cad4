// The words that stand for enumerators, in hearth.toml and in document JSON alike.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "model/service_spec.h"

namespace hearth::config {

template <typename Enum>
struct Word {
  std::string_view text;
  Enum value;
};

inline constexpr std::array restart_words = {
    Word{"always", RestartPolicy::always},
    Word{"on-failure", RestartPolicy::on_failure},
    Word{"never", RestartPolicy::never},
};
inline constexpr std::array condition_words = {
    Word{"started", Condition::started},
    Word{"ready", Condition::ready},
    Word{"completed", Condition::completed},
    Word{"completed_successfully", Condition::completed_successfully},
};
// "none" is for JSON only; in a hearth.toml a probe that is not there is none.
inline constexpr std::array probe_words = {
    Word{"notify", ProbeType::notify}, Word{"http", ProbeType::http}, Word{"tcp", ProbeType::tcp},
    Word{"exec", ProbeType::exec},     Word{"fd", ProbeType::fd},     Word{"unix", ProbeType::unix_socket},
    Word{"log", ProbeType::log},       Word{"file", ProbeType::file}, Word{"frame", ProbeType::frame},
    Word{"uptime", ProbeType::uptime}, Word{"none", ProbeType::none}, Word{"memory", ProbeType::memory},
};
inline constexpr std::array type_words = {
    Word{"service", ServiceType::service},
    Word{"task", ServiceType::task},
    Word{"forking", ServiceType::forking},
};
inline constexpr std::array give_up_words = {Word{"hold", GiveUp::hold}, Word{"exit", GiveUp::exit}};
inline constexpr std::array io_class_words = {
    Word{"none", IoClass::none},
    Word{"realtime", IoClass::realtime},
    Word{"best-effort", IoClass::best_effort},
    Word{"idle", IoClass::idle},
};
inline constexpr std::array stdin_words = {
    Word{"null", StdinFrom::null},
    Word{"file", StdinFrom::file},
    Word{"pty", StdinFrom::pty},
};
inline constexpr std::array<std::string_view, 4> log_sinks = {"", "stdout", "journald", "syslog"};
inline constexpr std::array<std::string_view, 3> log_formats = {"raw", "stamped", "json"};
// The limits of getrlimit(2), without RLIMIT_.
inline constexpr std::array<std::string_view, 16> limit_names = {
    "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
    "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

template <typename Enum, std::size_t n>
constexpr std::string_view word_of(const std::array<Word<Enum>, n>& words, Enum value) {
  for (const Word<Enum>& word : words) {
    if (word.value == value) return word.text;
  }
  return {};
}

template <typename Enum, std::size_t n>
constexpr std::optional<Enum> value_of(const std::array<Word<Enum>, n>& words, std::string_view text) {
  for (const Word<Enum>& word : words) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}

}  // namespace hearth::config
