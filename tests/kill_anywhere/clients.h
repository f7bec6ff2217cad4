// Clients of the API as a user's own: the CLI's client and its repetition with the same key. Each question is
// asked in a thread, because the test's own must go on reaping orphans meanwhile.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "cli/client.h"
#include "status_witness.h"

namespace hearth::kill_anywhere {

// Runs `work` in a thread and rings an eventfd at its end.
class Job {
 public:
  Job() = default;
  ~Job() { join(); }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void start(int wake, std::function<void()> work);
  bool done() const { return done_.load(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
  std::atomic<bool> done_{false};
};

// What clients have to know of the run.
struct Circumstances {
  std::string socket;
  int wake = -1;  // eventfd
  SpanNs patience = seconds(20);
  std::atomic<bool> cancelled{false};    // the run is given up
  std::function<bool()> somebody_died;   // asked from any thread
  bool may_refuse = false;               // for want of something: such an order is given again, as a new one
  std::atomic<bool> hearth_gone{false};  // nobody will answer any more, and nobody should
};

struct Refusal {
  std::string reason;
  bool after_death = false;
};

// Whether an order that is refused for now, or because somebody of hearth has died, is at its end.
enum class Refused : std::uint8_t { is_an_error, is_an_answer };

// One mutation: accepted and waited for until all that it concerns has settled.
class Order {
 public:
  void start(Circumstances& circumstances, std::string name, std::string target, std::string body,
             Refused refused = Refused::is_an_error);
  bool started() const { return !name_.empty(); }
  bool done() const { return job_.done(); }
  void join() { job_.join(); }

  // Once done:
  const std::string& name() const { return name_; }
  const std::string& key() const { return key_; }
  const std::set<std::uint64_t>& orders() const { return orders_; }  // all that the key was ever said to be
  const std::string& report() const { return report_; }              // JSON; "" when hearth ended before
  const std::string& error() const { return error_; }
  int key_unknown() const { return key_unknown_; }  // how often an accepted key was not known any more
  int reconnects() const { return reconnects_; }
  const std::vector<Refusal>& refusals() const { return refusals_; }  // with their reasons
  bool refused() const { return refused_; }                           // the last of them was the end

 private:
  void run(Circumstances& circumstances, const std::string& target, const std::string& body);

  Job job_;
  std::string name_, key_, report_, error_;
  std::set<std::uint64_t> orders_;
  std::vector<Refusal> refusals_;
  Refused on_refusal_ = Refused::is_an_error;
  bool refused_ = false;
  int key_unknown_ = 0;
  int reconnects_ = 0;
};

// GET, repeated until somebody answers. "" when the run was given up or hearth is gone.
class Question {
 public:
  void start(Circumstances& circumstances, std::string target);
  bool done() const { return job_.done(); }
  const std::string& answer() const { return answer_; }

 private:
  Job job_;
  std::string answer_;
};

// Asks status over one connection, one question after another, as often as it is told to; when the connection breaks, over
// the next one.
class StatusClient {
 public:
  StatusClient() = default;
  ~StatusClient() { stop(); }
  StatusClient(const StatusClient&) = delete;
  StatusClient& operator=(const StatusClient&) = delete;

  // `may_break`: whether its connection may just now, asked from its thread.
  void start(Circumstances& circumstances, std::function<bool()> may_break);
  // These, from any thread. Once more:
  void ask();
  // Everything is answered, or nobody will answer.
  bool idle() const { return answered_.load() == wanted_.load() || !at_work_.load(); }
  void stop();

  // Once stopped.
  const Asked& asked() const { return witness_.asked(); }

 private:
  void run(Circumstances& circumstances, const std::function<bool()>& may_break);
  void ask_until_answered(Circumstances& circumstances, const std::function<bool()>& may_break, cli::Client& client);

  Job job_;
  StatusWitness witness_;
  bool listened_ = false;  // somebody has answered
  std::mutex mutex_;
  std::condition_variable news_;
  std::atomic<std::uint64_t> wanted_{0}, answered_{0};
  std::atomic<bool> at_work_{false}, stopped_{false};
};

}  // namespace hearth::kill_anywhere
