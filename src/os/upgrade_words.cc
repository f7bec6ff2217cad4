#include "os/upgrade_words.h"

#include <csignal>
#include <cstring>

#include "wire/hand_over.h"

namespace hearth::os {

std::string version_of(const wire::SlotTable& table) {
  return {table.supervisor_version, strnlen(table.supervisor_version, sizeof table.supervisor_version)};
}

namespace {

std::string words_of(wire::ReturnCause cause, int wait_code, int wait_status) {
  const std::string end =
      (wait_code == CLD_EXITED ? "exited with code " : "was killed by signal ") + std::to_string(wait_status);
  switch (cause) {
    case wire::ReturnCause::silent: return "the new program did not take over in time";
    case wire::ReturnCause::hung: return "the new program was up, and then gave no sign of life";
    case wire::ReturnCause::kept_dying: return "the new program died again and again; at last it " + end;
    default:
      return wait_code == CLD_EXITED && wait_status == 127 ? std::string("the new program could not be executed")
                                                           : "the new program " + end + " before it was up";
  }
}

std::string problem_words(int number) {
  switch (static_cast<wire::HandOverProblem>(number)) {
    case wire::HandOverProblem::damaged: return "what the keeper hands over makes no sense to it";
    case wire::HandOverProblem::version: return "it knows no hand-over record of the version that the keeper writes";
    case wire::HandOverProblem::slot_table: return "it knows another version of the slot table, or finds none";
    case wire::HandOverProblem::messages: return "it speaks another version of the messages between hearth's processes";
    case wire::HandOverProblem::descriptors: return "a descriptor that it is to go on with is not open";
    case wire::HandOverProblem::memory: return "it cannot map the slot table";
    case wire::HandOverProblem::none:
    case wire::HandOverProblem::count_: break;
  }
  return "for reason " + std::to_string(number) + ", which this version does not know";
}

// As wait(2) tells it in a shell.
std::string dry_run_end(int detail) {
  constexpr int by_signal = 128, signal_most = 64;
  if (detail <= by_signal || detail > by_signal + signal_most)
    return "exited with code " + std::to_string(detail) + ": is it a hearth-keeper?";
  return "was killed by signal " + std::to_string(detail - by_signal);
}

}  // namespace

std::string keeper_refusal_words(const wire::KeeperRefusal& refusal) {
  const int detail = refusal.detail;
  switch (refusal.cause) {
    case wire::KeeperRefusalCause::none: return {};
    case wire::KeeperRefusalCause::not_now: return "the keeper is ending, or has no descriptor left";
    case wire::KeeperRefusalCause::no_memory:
      return std::string("the keeper could not make what the program needs to go on: ") + std::strerror(detail);
    case wire::KeeperRefusalCause::cannot_execute:
      return detail == 0 ? "the kernel cannot execute the program: is it one of this machine, that may be executed?"
                         : std::string("the kernel cannot execute the program: ") + std::strerror(detail);
    case wire::KeeperRefusalCause::refused: return "the program refused in its dry run: " + problem_words(detail);
    case wire::KeeperRefusalCause::died: return "the dry run of the program " + dry_run_end(detail);
    case wire::KeeperRefusalCause::silent: return "the dry run of the program had no end within 5 s";
    case wire::KeeperRefusalCause::came_back:
      return "the program was executed and gave way to the one before: " + problem_words(detail);
  }
  return "for reason " + std::to_string(static_cast<int>(refusal.cause)) + ", which this version does not know";
}

std::string return_words(const wire::SlotTable& table) {
  return words_of(table.return_cause, table.return_wait_code, table.return_wait_status);
}

std::string logger_return_words(const wire::SlotTable& table) {
  const wire::LoggerReturn& last = table.logger_return;
  return words_of(static_cast<wire::ReturnCause>(last.cause), last.wait_code, last.wait_status);
}

}  // namespace hearth::os
