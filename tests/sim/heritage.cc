// What is left of a hearth whose slot table and decision page are gone, too.
#include <algorithm>
#include <cstdlib>

#include "sim/outside.h"

namespace hearth::sim {
namespace {

// Where "project.service.index" stands in the newest document that has it. False when none does.
bool place(const std::string& label, const std::vector<Document>& documents, ports::RunNote& note) {
  const std::size_t first = label.find('.');
  const std::size_t last = label.rfind('.');
  if (first == std::string::npos || last == first) return false;
  const auto replica = static_cast<std::uint32_t>(std::strtoul(label.c_str() + last + 1, nullptr, 10));
  bool found = false;
  for (const Document& document : documents) {
    if (document.project != label.substr(0, first)) continue;
    for (std::uint32_t i = 0; i < document.services.size(); ++i) {
      if (document.services[i].name != label.substr(first + 1, last - first - 1)) continue;
      if (replica >= document.services[i].replicas) continue;
      note.document = document.version;
      note.service = i;
      note.replica = replica;
      found = true;
    }
  }
  return found;
}

// Somebody who says in his environment that he is of a run, which takes an exec.
void add_found(const Process& process, ports::Heritage& heritage) {
  heritage.greatest_run = std::max(heritage.greatest_run, process.run);
  const auto of_run = [&](const ports::RunNote& note) { return note.run == process.run; };
  const auto of_label = [&](const ports::RunNote& note) { return note.label == process.label; };
  if (std::any_of(heritage.runs.begin(), heritage.runs.end(), of_run)) return;
  const auto leave = [&](const char* why) {
    heritage.losses.push_back(process.label + " (run " + std::to_string(process.run) + ", PID " +
                              std::to_string(process.pid) + ") " + why + "; it is left alone");
  };
  const auto gone = std::find_if(heritage.gone.begin(), heritage.gone.end(), of_label);
  if (gone != heritage.gone.end() && gone->run == process.run) return leave("is what is left of a run");
  if (std::any_of(heritage.runs.begin(), heritage.runs.end(), of_label)) return leave("is not the newest run");
  ports::RunNote note;
  note.label = process.label;
  note.run = process.run;
  note.pid = process.pid;
  note.start_ticks = static_cast<std::uint64_t>(process.born / 10'000'000);
  if (!place(note.label, heritage.documents, note)) return leave("runs, but no document tells of it");
  if (gone != heritage.gone.end()) heritage.gone.erase(gone);
  heritage.runs.push_back(std::move(note));
}

}  // namespace

ports::Heritage read_heritage(const Kernel& kernel, const StorePort& store) {
  ports::Heritage heritage;
  for (const auto& [version, document] : store.on_disk()) {
    heritage.documents.push_back(document);
    heritage.greatest_document = version;
  }
  for (const auto& [slot, noted] : store.list_on_disk()) {
    ports::RunNote note = noted;
    if (note.label.empty()) continue;
    if (!store.on_disk().contains(note.document)) (void)place(note.label, heritage.documents, note);
    heritage.greatest_run = std::max(heritage.greatest_run, note.run);
    const auto process = kernel.processes().find(note.run);
    const bool lives = process != kernel.processes().end() && process->second->running() &&
                       process->second->pid == note.pid && note.start_ticks != 0;
    (lives ? heritage.runs : heritage.gone).push_back(std::move(note));
  }
  if (store.next_run_on_disk() > 0)
    heritage.greatest_run = std::max(heritage.greatest_run, store.next_run_on_disk() - 1);
  for (const auto& [run, process] : kernel.processes()) {
    if (process->life == Life::alive) add_found(*process, heritage);
    if (process->daemon && process->daemon->life == Life::alive) add_found(*process->daemon, heritage);
  }
  heritage.greatest_run = std::max(heritage.greatest_run, kernel.greatest_name());
  return heritage;
}

}  // namespace hearth::sim
