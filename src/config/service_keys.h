// The keys of [service.NAME]: from a Node to a ServiceSpec. Inside; toml.h is the face.
#pragma once

#include <vector>

#include "config/node.h"
#include "config/reader.h"
#include "model/service_spec.h"

namespace hearth::config {

// A service under construction: what is known only when all keys have been read stands beside the spec.
struct ServiceDraft {
  ServiceSpec spec;
  Position at;                    // of the header
  const Node* table = nullptr;    // all keys; as long as the tree
  const Node* command = nullptr;  // its meaning depends on `shell`
  bool shell = false;
  std::vector<Position> dependency_at;  // one for each of spec.depends_on
  std::vector<Position> listen_at;      // one for each of spec.listen
};

// Reads all keys of the service's table; the reader's subject is set by the caller. The result holds what could be
// read, also when there were problems.
void read_service(Reader& reader, const Node& table, ServiceDraft& draft);

// The probe tables "ready" and "live" (probe_keys.cc).
void read_ready(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft);
void read_live(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft);
// "listen" (listen_keys.cc), and what needs the final cwd.
void read_listen(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft);
void finish_listen(Reader& reader, ServiceDraft& draft);
// "depends_on" (dependency_keys.cc).
void read_depends_on(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft);

}  // namespace hearth::config
