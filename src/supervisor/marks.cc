// Acts: which files of its own a service shall have. Told after each commit that may change it; the store compares.
#include <string>
#include <vector>

#include "supervisor/acts.h"
#include "supervisor/book.h"

namespace hearth::supervisor {
namespace {

// As status says it: without a readiness probe who runs is ready.
bool is_ready(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  return book.has_readiness(slot) ? state.health.ready : state.life.phase == Phase::running;
}

std::vector<ports::Mark> marks_of(const SlotBook& book, SlotIndex slot) {
  std::vector<ports::Mark> marks;
  if (!book.is_service(slot) || book.document_of(slot) == nullptr) return marks;
  const ServiceSpec& spec = book.spec_of(slot);
  const Surroundings& around = *spec.around;
  if (around.ready_file.empty() && around.pid_file.empty()) return marks;
  const SlotState& state = book.slots[slot];
  const RunCell& cell = state.run();
  const bool runs = state.life.run_live && !state.run_wanted && cell.pid != 0;
  const auto add = [&](ports::Mark::Kind kind, const std::string& path, bool there) {
    if (path.empty()) return;
    ports::Mark mark;
    mark.kind = kind;
    mark.path = path;
    mark.there = there;
    mark.label = book.label(slot);
    if (there) {
      mark.run = cell.run;
      mark.pid = cell.pid;
      mark.since =
          kind == ports::Mark::Kind::ready && state.health.ready_since != 0 ? state.health.ready_since : cell.started;
    }
    marks.push_back(std::move(mark));
  };
  // What is being stopped is ready for nobody any more.
  const bool ready = runs && state.life.phase != Phase::stopping && is_ready(book, slot);
  add(ports::Mark::Kind::ready, around.ready_file, ready);
  // Who leaves a daemon behind writes its PID by himself.
  if (spec.type != ServiceType::forking) add(ports::Mark::Kind::pid, around.pid_file, runs);
  return marks;
}

}  // namespace

void Acts::mark_files() {
  for (const SlotIndex slot : book_.marking.all()) {
    const std::vector<ports::Mark> marks = marks_of(book_, slot);
    bool& marked = book_.scratch[slot].marked;
    if (marks.empty() && !marked) continue;
    marked = !marks.empty();
    store_.mark(slot, marks);
  }
  book_.marking.clear();
}

}  // namespace hearth::supervisor
