#include "config/service_keys.h"

#include <array>

namespace hearth::config {
namespace {

// One line for each *_keys.cc, in the order of docs/reference/configuration.md.
constexpr std::array groups = {
    command_keys,       //
    group_keys,         //
    process_keys,       //
    limits_keys,        //
    privilege_keys,     //
    sandbox_keys,       //
    restart_keys,       //
    dependency_keys,    //
    probe_keys,         //
    stop_keys,          //
    listen_keys,        //
    log_keys,           //
    action_keys,        //
    surroundings_keys,  //
};

}  // namespace

std::span<const ServiceRule> service_rules() {
  static const std::vector<ServiceRule> all = [] {
    std::vector<ServiceRule> rules;
    for (const auto group : groups) {
      const KeyGroup keys = group();
      rules.insert(rules.end(), keys.rules.begin(), keys.rules.end());
    }
    return rules;
  }();
  return all;
}

void read_service(Reader& reader, const Node& table, ServiceDraft& draft) {
  draft.table = &table;
  reader.table<ServiceDraft>(table, "", service_rules(), Scope::service, draft);
  for (const auto group : groups) {
    if (const KeyGroup keys = group(); keys.finish != nullptr) keys.finish(reader, draft);
  }
}

}  // namespace hearth::config
