// The file runs.json: what runs, for a hearth that comes after everybody's death.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "ports/store.h"

namespace hearth::store {

inline constexpr char runs_file[] = "runs.json";
inline constexpr std::size_t run_list_bytes_max = 64u << 20;

struct RunList {
  std::string boot_id;
  std::uint64_t pid_namespace = 0;
  std::string instance;  // directory
  RunId next_run = 0;
  std::vector<ports::RunNote> runs;
  bool torn = false;               // there may have been more of them
  EventId last_event = no_event;   // of a hearth that has ended; none: of one that runs, or has died
  EventId event_floor = no_event;  // there was one of this id, or a greater one
};

// What the list has of the newest event's id, so that it is not written for each: a multiple of this, rounded down.
// Of what is left out after a loss (ports::ids_left_out) that is a small part.
inline constexpr EventId event_floor_step = 65'536;

// One object; the runs stand one per line. In pieces, appended: a head, runs of which the first is `first`, an end.
void append_run_list_head(std::string& out, const std::string& boot_id, std::uint64_t pid_namespace,
                          const std::string& instance, RunId next_run, EventId last_event, EventId event_floor);
void append_run(std::string& out, const ports::RunNote& note, bool first);
void append_run_list_end(std::string& out, bool empty);
std::string run_list_text(const RunList& list);
// Takes what can be read: after a power loss the file may end early, or have a hole. fix_input when not even the head holds.
Result<RunList> parse_run_list(const std::string& text);

}  // namespace hearth::store
