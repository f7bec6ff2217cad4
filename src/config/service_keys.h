// The keys of [service.NAME]: from a Node to a ServiceSpec. Inside; toml.h is the face.
//
// A key is one line in the table of a group, a group is one *_keys.cc, and service_keys.cc lists the groups. Reader,
// JSON schema and the defaults that `hearth config` shows are made of these tables: a new key needs no other place.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/node.h"
#include "config/reader.h"
#include "model/service_spec.h"

namespace hearth::config {

inline constexpr SpanNs hour = seconds(3600);
inline constexpr SpanNs day = 24 * hour;

// A service under construction: what is known only when all keys have been read stands beside the spec.
struct ServiceDraft {
  ServiceSpec spec;
  Position at;                    // of the header
  const Node* table = nullptr;    // all keys; as long as the tree
  const Node* command = nullptr;  // its meaning depends on `shell`
  bool shell = false;
  std::vector<Position> dependency_at;                        // one for each of spec.depends_on
  std::vector<Position> listen_at;                            // one for each of spec.listen
  std::uint64_t max_memory = 0;                               // becomes part of `live`
  Position user_at, group_at;                                 // where they are set
  std::vector<std::pair<std::string, std::string>> file_env;  // of env_files
};

// A task has no readiness: it is what others wait for when it has done its work.
inline constexpr std::string_view keys_not_of_tasks[] = {"ready", "live", "watchdog", "start_timeout", "max_memory"};

// Whether a probe of this type may have the key: "interval" says nothing of one that is not tried.
bool probe_takes(ProbeType type, std::string_view key);

using ServiceRule = KeyRule<ServiceDraft>;

struct KeyGroup {
  std::span<const ServiceRule> rules;  // static
  // When all keys of the service have been read, in the order of the groups: what depends on several of them.
  void (*finish)(Reader& reader, ServiceDraft& draft) = nullptr;
};

KeyGroup command_keys();
KeyGroup group_keys();
KeyGroup process_keys();
KeyGroup limits_keys();
KeyGroup privilege_keys();
KeyGroup sandbox_keys();
KeyGroup surroundings_keys();
KeyGroup restart_keys();
KeyGroup dependency_keys();
KeyGroup probe_keys();
KeyGroup stop_keys();
KeyGroup listen_keys();
KeyGroup log_keys();
KeyGroup action_keys();

// All of the groups' rules.
std::span<const ServiceRule> service_rules();

// Reads all keys of the service's table; the reader's subject is set by the caller. The result holds what could be
// read, also when there were problems.
void read_service(Reader& reader, const Node& table, ServiceDraft& draft);

}  // namespace hearth::config
