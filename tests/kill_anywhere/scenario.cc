#include "scenario.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "fail_check.h"
#include "os/clock.h"
#include "os/instance.h"
#include "os/state_directory.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {

using namespace support;

Scenario::Scenario(ScenarioOptions options)
    : options_(std::move(options)),
      load_(hub_, options_.directory + "/counters", options_.story == Story::change ? "w" : "a") {
  if (options_.supervisor.empty()) options_.supervisor = options_.programs + "/hearth-supervisor";
  if (options_.logger.empty()) options_.logger = options_.programs + "/hearth-logger";
  // Process numbers are the same in each run; the name of its directory is not.
  project_ = "ka" + std::to_string(std::hash<std::string>()(options_.directory));
  become_reaper();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  child_signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (Result<os::Fd> made = os::make_eventfd()) wake_ = std::move(*made);
  circumstances_.socket = options_.directory + "/i/api.sock";
  circumstances_.wake = wake_.get();
  circumstances_.patience = options_.deadline;
  circumstances_.may_refuse = failing();
  circumstances_.somebody_died = [this] { return tracer_ && tracer_->reached(); };
}

Scenario::~Scenario() {
  circumstances_.cancelled = true;
  load_.end();
  for (auto& order : orders_) order->join();
}

// Directories first: everything of a run is below its own. The tracer is there before anybody asks it whether somebody died.
void Scenario::prepare() {
  os::Instance instance;
  instance.name = "default";
  instance.directory = options_.directory + "/i";
  instance.log_directory = options_.directory + "/l";
  if (Result<os::Fd> made = os::make_instance(instance, os::host_facts()); !made) throw Stuck(made.error().text());
  if (Status made = os::make_state_directory(instance, os::host_facts()); !made) throw Stuck(made.error().text());
  mkdir((options_.directory + "/counters").c_str(), 0700);
  Tracer::Options tracing;
  tracing.argv = {options_.programs + "/hearth-keeper",
                  "--dir",
                  instance.directory,
                  "--logs",
                  instance.log_directory,
                  "--supervisor",
                  options_.supervisor,
                  "--logger",
                  options_.logger};
  tracing.env = {"PATH=/usr/bin:/bin"};
  tracing.output = options_.directory + "/stderr";
  if (options_.write_calls) tracing.calls = options_.directory + "/calls";
  tracing.attack = options_.attack;
  tracing.point = options_.point;
  tracing.supervisor_program = options_.supervisor;
  tracing.commit_offset = options_.commit_offset;
  tracing.count_commits = options_.count_commits;
  tracing.learn_failures = options_.learn_failures;
  tracing.before_kill = [this] { before_kill(); };
  tracing.after_kill = [this] { after_kill(); };
  tracer_ = std::make_unique<Tracer>(std::move(tracing));
}

void Scenario::begin_load() {
  load_.begin(circumstances_, [this] {
    const bool replaced = options_.story == Story::upgrade;
    return circumstances_.somebody_died() || shutdown_ordered_.load() || replaced || failing() || between_.load();
  });
}

void Scenario::launch() {
  launched_at_ticks_ = os::read_boot_ticks();
  tracer_->start();
  keeper_ = tracer_->keeper();
  launched_ = true;
}

// On the tracer's thread.
void Scenario::before_kill() {
  killed_after_commit_ = committed_.load();
  killed_in_shutdown_ = shutdown_ordered_.load();
  killed_upgrading_ = upgrading_.load() && counts_.upgrade_taken() && !next_answers_.load();
  killed_from_ = killed_to_ = tracer_->phase();
  hub_.end_now("d", 9);
  load_.at_the_point();
  killed_at_ticks_ = os::read_boot_ticks();
  // Last: who is not the target goes on meanwhile.
  died_as_next_ = options_.story == Story::keeper && path_of(tracer_->keeper()) == options_.next + "/hearth-keeper";
}

void Scenario::after_kill() {
  killed_at_ticks_ = os::read_boot_ticks();
  killed_to_ = tracer_->phase();
  os::ring(wake_.get());
}

RunResult Scenario::run() {
  RunResult result;
  const MonoNs begun = os::read_mono();
  try {
    steps();
  } catch (const Stuck& stuck) {
    evidence_.stuck = stuck.what();
  }
  circumstances_.cancelled = true;
  if (tracer_) result.report = tracer_->finish();
  if (result.report.keeper_exited && revivals_ == 0) {
    evidence_.keeper_status = result.report.keeper_status;
    keeper_ended_ = true;
  }
  if (!result.report.problem.empty() && evidence_.stuck.empty()) evidence_.stuck = result.report.problem;
  collect(result.report);
  if (!kill_all_below()) evidence_.left_over.push_back("processes that cannot be killed");
  // A run that stuck has left its state, which is memory.
  const os::Fd instance(open((options_.directory + "/i").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (instance) os::remove_state_directory(instance.get());
  result.verdict = judge(evidence_);
  if (failing()) judge_failure(result.report, evidence_, options_.directory, result.verdict);
  result.seconds = static_cast<double>(os::read_mono() - begun) / 1e9;
  return result;
}

void Scenario::await(const std::string& what, const std::function<bool()>& holds) {
  const MonoNs deadline = after(os::read_mono(), options_.deadline);
  while (!holds()) {
    if (os::read_mono() > deadline)
      throw Stuck(what + " did not come within " + std::to_string(options_.deadline / ns_per_s) + " s");
    pump(100);
  }
}

void Scenario::pump(int timeout_ms) {
  std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}, {child_signals_.get(), POLLIN, 0}};
  hub_.add_to(polled);
  poll(polled.data(), polled.size(), timeout_ms);
  os::drain(wake_.get());
  signalfd_siginfo info;
  while (read(child_signals_.get(), &info, sizeof info) > 0) {
  }
  hub_.read();
  // Its supervisor had everything, and committed that, before it started somebody.
  if (!hub_.all().empty() && options_.story != Story::revival) committed_ = true;
  for (const NamedEnd& end : reap_named()) {
    if (const std::string crash = crash_of(end); !crash.empty()) evidence_.crashes.push_back(crash);
    if (end.ended.pid != keeper_) continue;
    keeper_ended_ = true;
    evidence_.keeper_status = end.ended.status;
  }
  look_after_hearth();
}

bool Scenario::hearth_lives() const {
  // The keeper by its number, which nobody else gets before it has been waited for: a child of the tracer's thread
  // is in no list for a moment when that thread ends.
  const bool waited_for = keeper_ended_ || (revivals_ == 0 && tracer_->keeper_exited());
  if (!waited_for && lives(keeper_)) return true;
  for (const pid_t pid : children()) {
    const std::string program = program_of(pid);
    // After its keeper's death it writes what there is, and ends.
    if (shutdown_ordered_ && program == "hearth-logger" && !services_live()) return true;
    if (program == "hearth-keeper" || program == "hearth-supervisor") return true;
    // Without a program, but not yet a zombie: dying, with the instance's lock perhaps still in its hands.
    if (program.empty() && lives(pid)) return true;
    // The program of a planted violation has a name of its own.
    if (!options_.supervisor.empty() && options_.supervisor.ends_with("/" + program)) return true;
  }
  return false;
}

bool Scenario::services_live() const {
  const std::vector<ServiceProcess*> processes = hub_.all();
  return std::any_of(processes.begin(), processes.end(), [](const ServiceProcess* one) { return one->alive(); });
}

Loss Scenario::loss() const {
  return revivals_ > 0 && !failing() ? Loss::all_of_hearth : loss_of_point();
}

Loss Scenario::loss_of_point() const {
  if (!tracer_ || !tracer_->reached()) return Loss::nothing;
  if (failing()) return Loss::nothing;
  // What is parked is held by keeper and supervisor, and by nobody else.
  const Deaths deaths = deaths_of(options_.story, options_.point);
  if (deaths.everything || (deaths.keeper && deaths.supervisors > 0)) return Loss::all_of_hearth;
  return deaths.keeper ? Loss::keeper : Loss::nothing;
}

void Scenario::look_after_hearth() {
  if (!launched_ || circumstances_.hearth_gone.load() || hearth_lives()) return;
  // Its state is the last thing that a hearth removes when it ends on purpose: as long as it is there, somebody has
  // still to clean up.
  const bool unfinished = loss() == Loss::all_of_hearth && os::state_is_left(options_.directory + "/i");
  if (shutdown_ordered_ && !services_live() && !unfinished) {
    circumstances_.hearth_gone = true;
    return;
  }
  if (why_nobody_is_left().empty()) throw Stuck("all of hearth ended by itself");
  if (loss_of_point() == Loss::keeper)
    evidence_.revivals.push_back("all of hearth was gone with its keeper, and was started again: " +
                                 why_nobody_is_left());
  start_another_keeper();
}

std::string Scenario::why_nobody_is_left() const {
  constexpr int instance_is_taken = 75;  // exit code of a keeper that finds another one's lock
  if (revivals_ > 0) {
    const bool taken = WIFEXITED(evidence_.keeper_status) && WEXITSTATUS(evidence_.keeper_status) == instance_is_taken;
    return taken && revivals_ < 4 ? "the dead still had the lock of the instance" : "";
  }
  // How it ended, and whether it said why, is looked at in the end (fail_check.h).
  if (failing() && options_.story == Story::revival && revivals_ == 0) return "a call of it failed";
  switch (loss_of_point()) {
    case Loss::nothing: return "";
    case Loss::all_of_hearth: return "the point says so";
    case Loss::keeper: break;
  }
  if (!killed_after_commit_.load()) return "it was killed before its supervisor had everything";
  // docs/internals/not-yet.md
  if (killed_upgrading_.load()) return "it was killed before it had started the next supervisor of an upgrade";
  return "";
}

// What stands in the files when the step before began is in no batch any more when somebody is killed in this one: the last
// batch of that step may be written, and not committed yet.
void Scenario::note_what_is_settled() {
  const Deaths deaths = deaths_of(options_.story, options_.point);
  const bool may_cost_output = deaths.everything || (deaths.keeper && deaths.supervisors > 0);
  if (!options_.attack || !may_cost_output || !tracer_) return;
  std::map<std::string, std::uint64_t> settled;
  for (const auto& [name, directory] : log_directories_) settled[name] = log_of(name, directory).prefix;
  if (!tracer_->reached()) evidence_.settled = std::exchange(standing_, std::move(settled));
}

void Scenario::start_another_keeper() {
  ++revivals_;
  keeper_ended_ = false;
  keeper_ = start_keeper();
}

pid_t Scenario::start_keeper() const {
  const std::string log = options_.directory + "/stderr";
  const std::string programs = options_.programs;
  const pid_t pid = fork();
  if (pid == 0) {
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execle((programs + "/hearth-keeper").c_str(), "hearth-keeper", "--dir", (options_.directory + "/i").c_str(),
           "--logs", (options_.directory + "/l").c_str(), "--supervisor", options_.supervisor.c_str(), "--logger",
           options_.logger.c_str(), nullptr, environ);
    _exit(127);
  }
  return pid;
}

std::string Scenario::ask(const std::string& service, const std::string& text) {
  if (!hub_.send(service, text)) throw Stuck(service + " is not there for: " + text);
  std::optional<std::string> answer;
  await("the answer of " + service + " to: " + text, [&] {
    answer = hub_.take_answer(service);
    if (!answer && !hub_.newest(service)->control) throw Stuck(service + " died at: " + text);
    return answer.has_value();
  });
  load_.beat();
  return *answer;
}

std::string Scenario::command(const std::string& service, const std::string& text) {
  for (int attempt = 0;; ++attempt) {
    const std::string answer = ask(service, text);
    if (answer.starts_with("done")) return answer.size() > 5 ? answer.substr(5) : "";
    // A notify socket has nobody behind it while all of hearth is dead; sd_notify(3) fails then, too.
    const bool dead_time =
        (loss() == Loss::all_of_hearth || revivals_ > 0 || !why_nobody_is_left().empty()) && attempt < 50;
    if (!dead_time) throw Stuck(service + " could not do: " + text + ": " + answer);
    status();
  }
}

std::string Scenario::service_json(const std::string& name, const std::string& mode, const std::string& more) const {
  return fmt::format(R"({{"name":"{}","command":["{}/hearth-ka-service","{}"{}],"env":["KA_COUNTERS={}/counters",)"
                     R"("KA_SOCKET={}"]{}}})",
                     name, options_.programs, name, mode.empty() ? "" : ",\"" + mode + "\"", options_.directory,
                     hub_.address(), more);
}

std::string Scenario::apply_json(const std::string& project, const std::string& services, bool again) const {
  return fmt::format(
      R"({{"document":{{"format":1,"project":"{}","path":"/ka/{}/hearth.toml","services":[{}]}},"start":true{}}})",
      project, project, services, again ? ",\"reload\":true" : "");
}

void Scenario::await_greeting(const std::string& name, Order& order) {
  const auto refused = [&] { return order.done() && !order.error().empty(); };
  await(name + "'s greeting", [&] { return hub_.newest(name) != nullptr || refused(); });
  if (refused()) settle(order);
  load_.beat();
}

Order& Scenario::order(const std::string& name, const std::string& target, const std::string& body, Refused refused) {
  orders_.push_back(std::make_unique<Order>());
  orders_.back()->start(circumstances_, name, target, body, refused);
  return *orders_.back();
}

void Scenario::settle(Order& order) {
  await("the end of the order \"" + order.name() + "\"", [&] { return order.done(); });
  committed_ = true;
  if (!order.error().empty()) throw Stuck("the client of \"" + order.name() + "\" got: " + order.error());
  load_.beat();
}

StatusView Scenario::status() {
  Question question;
  question.start(circumstances_, "/v1/status");
  await("an answer to status", [&] { return question.done(); });
  const std::optional<StatusView> view = parse_status(question.answer());
  if (!view) throw Stuck("status is not readable: " + question.answer());
  committed_ = true;
  if (tracer_->reached() && answered_at_ticks_ == 0) answered_at_ticks_ = os::read_boot_ticks();
  if (counted_revivals_ != revivals_ && counts_.look_at(view->keeper)) counted_revivals_ = revivals_;
  for (const auto& [name, service] : view->services) log_directories_[name] = service.log_directory;
  return *view;
}

StatusView Scenario::status_when(const std::string& what, const std::function<bool(const StatusView&)>& holds) {
  const MonoNs begun = os::read_mono();
  const MonoNs deadline = after(begun, options_.deadline);
  for (;;) {
    StatusView view = status();
    if (holds(view)) {
      const SpanNs waited = os::read_mono() - begun;
      if (waited > milliseconds(150))
        evidence_.late.push_back("status was late to say that " + what + ": " + std::to_string(waited / ns_per_ms) +
                                 " ms");
      return view;
    }
    if (os::read_mono() > deadline) throw Stuck("status never said that " + what + ": " + view.text);
    pump(5);
  }
}

}  // namespace hearth::kill_anywhere
