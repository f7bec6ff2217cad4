// What tells the replicas of a service apart: `{index}` in the texts of its specification.
//
// `{index}` stands for the number of the slot, from 0; `{index+N}` for that and N more, so that ports follow it
// ("127.0.0.1:{index+8001}"); `{{index}}` and `{{index+N}}` for the text in single braces. Whatever else is in braces
// is left alone: JSON on a command line, `{fd:NAME}`. A service with one replica is number 0, and has it expanded too.
//
// Expanded are the values of env, cwd, all commands (the service's, of its probes, its actions), what probes ask,
// addresses of listening sockets, and the files and directories of Surroundings; not names, users, or the log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "model/service_spec.h"

namespace hearth {

std::string with_index(std::string_view text, std::uint32_t index);
// What stands for {index+more} where no number does: a specifier of another program.
using IndexText = std::function<std::string(std::uint32_t more)>;
std::string with_index(std::string_view text, const IndexText& number);
// Would it be another text for another replica, or in the braces that are taken off?
bool names_index(std::string_view text);

// A text that with_index() makes `text` of, whatever the index: for texts that know nothing of hearth.
std::string without_index(std::string_view text);

ServiceSpec replica_of(const ServiceSpec& spec, std::uint32_t index);
ServiceSpec replica_of(const ServiceSpec& spec, const IndexText& number);
bool names_index(const ServiceSpec& spec);

}  // namespace hearth
