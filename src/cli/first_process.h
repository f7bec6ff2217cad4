// `up --foreground` as the first process of a PID namespace, which is what the entry point of a container is.
//
// Model
// -----
// pid_namespaces(7), PID 1: every orphan of the namespace becomes its child and stays a zombie until it reaps it; a signal
// that it does not handle does nothing; its end is the end of all. A command is not made for that, so two processes do it:
//
//   PID 1      reaps whatever ends; passes TERM, INT and QUIT on as TERM; ends as its child has ended
//   its child  does what the command does, and ends hearth, too, so that the last documents and lines are on the disk
//
// On a terminal the child, in a group of its own, has it in the foreground, so that Ctrl-C is heard once; when the child
// has died PID 1 takes it back. Ctrl-Z is ignored, as no shell could continue it, and Ctrl-\ is TERM, too. A child that
// somebody has stopped is continued at its end.
//
// A child that is killed costs the container nothing, as the death of none of hearth's processes does: PID 1 makes another
// one, which goes on watching, or stopping with the exit code that was decided. It is a copy of PID 1 and has from it what
// was read of the project's file at the beginning, whatever the file says by now. It is told again what its predecessor was
// told only if that had not decided anything yet: a second TERM would be to insist. Its successors come the later the more
// of them are killed (respawn_pace.h). Who is killed has not crashed; only if five in a row end by another signal within
// ten seconds PID 1 gives up.
//
// PID 1 writes to stderr what goes there at once, and no more: who waits for a reader does not hear TERM.
//
// hearth's keeper is not PID 1 then: it may die, and its successor, the supervisor's child for a moment, becomes a child of
// PID 1 as it was. What the dead keeper had started is reaped by PID 1 at once, which is what makes its exit codes known.
#pragma once

#include <atomic>
#include <optional>

namespace hearth::cli {

class FirstProcess {
 public:
  // In the process with PID 1: returns when all is over, its exit code. In the child that it makes, and at once in any
  // other process: nothing, go on.
  std::optional<int> live();

  // We are that child.
  bool is_above() const { return shared_ != nullptr; }
  // What was to be started has been ordered, by us or by one that was killed.
  bool begun() const { return shared_ != nullptr && shared_->begun.load(); }
  void note_begun() {
    if (shared_ != nullptr) shared_->begun.store(true);
  }
  // With which code all is to end, as decided likewise; only the stop is left then.
  std::optional<int> decided() const {
    const int code = shared_ == nullptr ? -1 : shared_->code.load();
    return code < 0 ? std::nullopt : std::optional(code);
  }
  void decide(int code) {
    if (shared_ != nullptr) shared_->code.store(code);
  }
  // Told a second time, or one that was killed was: they are killed.
  bool insisted() const { return shared_ != nullptr && shared_->insisted.load(); }
  void note_insisted() {
    if (shared_ != nullptr) shared_->insisted.store(true);
  }

 private:
  struct Shared {
    std::atomic<bool> begun = false;
    std::atomic<int> code = -1;
    std::atomic<bool> insisted = false;
  };
  Shared* shared_ = nullptr;  // in memory that all children share; never unmapped
};

}  // namespace hearth::cli
