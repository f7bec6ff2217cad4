// As much of a keeper and a supervisor as the logger needs: makes the shared memory, the in-flight pipe and the
// FIFOs, starts the real program, kills it, starts the next one on the same possessions.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "os/fd.h"
#include "wire/keeper_messages.h"
#include "wire/log_page.h"

namespace hearth::logger::test {

struct StreamSpec {
  std::string directory;
  wire::LogFormat format = wire::LogFormat::raw;
  std::uint64_t max_size = wire::log_file_max_size_default;
  std::uint32_t max_files = 1000;
  std::int64_t full_wait_ns = 10'000'000'000;
};

class KeeperStandIn {
 public:
  // `logs` must exist and be empty. `program` is the path of hearth-logger.
  KeeperStandIn(std::string program, std::string logs);
  ~KeeperStandIn();
  KeeperStandIn(const KeeperStandIn&) = delete;
  KeeperStandIn& operator=(const KeeperStandIn&) = delete;

  wire::LogPage& page() { return *page_; }
  wire::LogStream& stream(SlotIndex slot) { return page_->stream[slot]; }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }

  void configure(SlotIndex slot, const StreamSpec& spec);
  // Makes a FIFO for the run, parks its read end (and hands it to a logger that runs). Returns a descriptor
  // for writing, blocking.
  os::Fd add_run(RunId run, SlotIndex slot);
  void unpark(RunId run);
  // The leader of the run has ended.
  void end_run(RunId run, SlotIndex slot);

  // Before start(); 0 = leave it.
  void widen_in_flight_pipe(int bytes);
  // Before start(): a message or two that nobody reads, and the logger cannot send more.
  void narrow_answers() { narrow_ = true; }
  // Starts a logger and hands over everything.
  void start();
  void kill_now();  // SIGKILL, and reaped
  int stop();       // closes the socket; exit code, -1 = killed or stuck
  // A logger that goes on beside the next one; end() closes its socket and waits for it.
  struct Process {
    os::Fd socket;
    pid_t pid = -1;
    void end();
  };
  Process leave_running();
  // Waits on the supervisor's eventfd until `holds`. False after `deadline`.
  bool wait_until(const std::function<bool()>& holds, std::chrono::seconds deadline = std::chrono::seconds(20));
  bool wait_drained(RunId run, SlotIndex slot);
  // Waits until the logger has taken the `parked` and `unpark` messages sent so far.
  bool wait_acknowledged();
  // Asks whether it works, and waits for the answer. After wait_acknowledged().
  bool answers();
  // The halves of that.
  void ask();
  bool hears_answer();
  // Whether anything is acknowledged in that time.
  bool acknowledged_within(std::chrono::milliseconds time);

 private:
  struct Parked {
    RunId run;
    SlotIndex slot;
    os::Fd fifo;
  };
  void hand_over(const Parked& parked);

  std::string program_, logs_;
  os::Fd page_fd_, buffer_fd_, pipe_read_, pipe_write_, log_directory_, to_supervisor_, to_logger_;
  os::Mapping<wire::LogPage> page_;
  std::vector<Parked> parked_;
  os::Fd socket_, pidfd_;
  pid_t pid_ = -1;
  int unacknowledged_ = 0;
  bool narrow_ = false;
};

// Exit code of a child; -1 = killed.
int wait_for_exit(pid_t pid);
// Everything in the numbered files of `directory`, in order.
std::string read_log(const std::string& directory);
// A fresh directory below the system's place for temporary files; removed with what is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hearth::logger::test
