// What outlives even the death of everything: specification documents and the list of runs, on disk.
// Documents are also sealed memfds parked at the keeper. The list of runs is written behind and never synced:
// it serves adoption after keeper and supervisor both died.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/service_spec.h"

namespace hearth::ports {

// One live run, for the list on disk.
struct RunNote {
  std::string label;  // project.service.index, as in the service's environment
  std::uint64_t document = 0;
  std::uint32_t service = 0;
  std::uint32_t replica = 0;
  RunId run = no_run;
  std::int32_t pid = 0;
  std::uint64_t start_ticks = 0;
  bool want_up = true;
};

// What the last hearth in this directory left behind.
struct Heritage {
  std::vector<RunNote> runs;  // still alive, identity checked (boot, PID namespace, pid, start time)
  std::vector<RunNote> gone;  // noted but no longer there
  std::vector<Document> documents;
  RunId greatest_run = 0;
  std::vector<std::string> losses;  // in words, for status
};

class Store {
 public:
  virtual ~Store() = default;
  // Durable enough to survive our death, not power. Fails when the disk is full: then the request is refused.
  virtual Status put_document(const Document& document) = 0;
  virtual void drop_document(std::uint64_t version) = 0;
  // All that were put and not dropped, after a take-over.
  virtual std::vector<Document> documents() = 0;
  // Room for the records of this many slots in slot table and decision page. Fails when there is none: then the
  // request is refused, and what is there goes on.
  virtual Status reserve(std::uint32_t slots) {
    (void)slots;
    return {};
  }
  // Replaces the list of runs; failures are counted and tried with the next change.
  virtual void note_runs(const std::vector<RunNote>& runs, RunId next_run) = 0;
  // A deliberate end: nothing is left for the next hearth but the number of its first run. At once.
  virtual void finish(RunId next_run) { note_runs({}, next_run); }
};

}  // namespace hearth::ports
