// A quiet moment: what hearth says against what is.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "sockets.h"
#include "storm.h"
#include "support/processes.h"

namespace hearth::chaos {
namespace {

namespace fs = std::filesystem;

// How long hearth may take, on a machine that is busy, until what it says is true again.
constexpr SpanNs kSettles = seconds(60);

// A process that nobody knows of: a run's cookie, and no run.
pid_t plant_a_stranger() {
  int ends[2];
  if (pipe(ends) < 0) return -1;
  const pid_t pid = fork();
  if (pid == 0) {
    setsid();
    const char* const words[] = {"cat", nullptr};
    const char* const environment[] = {"HEARTH_RUN=999999", nullptr};
    dup2(ends[0], 0);  // the other end is its own, too: it waits for ever
    execve("/bin/cat", const_cast<char* const*>(words), const_cast<char* const*>(environment));
    _exit(99);
  }
  close(ends[0]);
  close(ends[1]);
  return pid;
}

// As if no keeper could tell how those have ended whose parent it is not.
void forget_adopted(std::vector<ToldExit>& exits, const Truth& truth, const Adoptions& adoptions) {
  std::set<std::uint64_t> orphans;
  for (const auto& [slot, runs] : truth)
    for (const TrueRun& run : runs)
      if (adoptions.reaped.contains(run.pid)) orphans.insert(run.run);
  for (ToldExit& exit : exits)
    if (orphans.contains(exit.run)) exit.known = false;
}

}  // namespace

// How long what is wrong may stay so, until it counts. What is planted stays.
SpanNs Storm::catches_up() const {
  return options_.plants.empty() ? seconds(20) : seconds(3);
}

// Hearth lives, and everything is wanted up: so nobody has to guess what came of an order that nobody answered.
bool Storm::bring_back() {
  const MonoNs deadline = after(os::read_mono(), kSettles);
  std::string output;
  load_.apply_file();
  while (os::read_mono() < deadline) {
    const int code = world_.ask({"up", "--no-wait"}, &output, seconds(30));
    if (code == 0) {
      load_.all_wanted();
      return true;
    }
    wait(milliseconds(100));
  }
  violation("hearth does not come back: `hearth up` says: " + output);
  return false;
}

// Who is not as it is wanted, in words; "" = all are. Who runs is to be watched by a keeper, however many died before it.
std::string Storm::unsettled(const support::StatusView& status) {
  const std::set<pid_t> watched = world_.look_at_keepers();
  std::string text;
  for (const auto& [name, view] : status.services) {
    const Planned* service = plan_.find(name);
    if (service == nullptr) continue;
    const bool steady = service->nature == Nature::steady;
    const bool is = steady                             ? view.state == "running" && view.ready
                    : service->nature == Nature::loops ? view.want_up
                                                       : view.state == "completed" || view.state == "failed";
    if (!is)
      text += fmt::format(" {} is {}{} ({} {})", name, view.state, view.ready ? "" : " and not ready", view.reason,
                          view.reason_text);
    else if (steady && !watched.contains(view.pid))
      text += fmt::format(" no keeper has a pidfd of {} (PID {})", name, view.pid);
  }
  return text;
}

void Storm::wait_until_settled() {
  const MonoNs deadline = after(os::read_mono(), kSettles);
  std::string last;
  while (os::read_mono() < deadline) {
    const auto status = world_.status();
    last = status ? unsettled(*status) : " status does not answer";
    if (last.empty()) {
      faults_.hearth_is_back();
      result_.takeovers = status->takeovers;
      return;
    }
    wait(milliseconds(100));
  }
  violation(fmt::format("not settled {} s after all faults were undone:{}", kSettles / ns_per_s, last));
}

// What services have stored may be lost with all of hearth, with who alone could hold it, and by `down`.
std::vector<Gap> Storm::gaps() const {
  std::vector<Gap> gaps = load_.forgotten();
  const Deaths& deaths = faults_.deaths();
  gaps.insert(gaps.end(), deaths.of_parked.begin(), deaths.of_parked.end());
  for (const DeathOfAll& death : deaths.of_all) gaps.push_back({death.unread_since, death.until});
  return gaps;
}

Evidence Storm::look() {
  Evidence evidence;
  if (auto status = world_.status()) evidence.status = std::move(*status);
  evidence.truth = read_truth(world_.base(), plan_.slots());
  for (const Process& process : world_.processes()) {
    if (process.role != Role::none || process.state == 'Z' || world_.is_client(process.pid)) continue;
    Living living;
    living.pid = process.pid;
    living.run = std::strtoull(os::environment_of(process.pid, "HEARTH_RUN").c_str(), nullptr, 10);
    living.text = support::describe(process.pid);
    living.hook = living.text.find("hearth-chaos-service probe") != std::string::npos ||
                  living.text.find("hearth-chaos-service before") != std::string::npos;
    evidence.living.push_back(living);
  }
  for (const Planned& service : plan_.services())
    if (!service.ready_file.empty())
      evidence.ready_files[service.name] = os::read_file(service.ready_file).value_or("");
  evidence.gaps = gaps();
  ++result_.statuses_compared;
  result_.slots_compared += evidence.status.services.size();
  return evidence;
}

// What is found may be of two times, because some services end by themselves: it counts when it stays.
void Storm::compare_state() {
  const pid_t stranger = planted("stranger") ? plant_a_stranger() : -1;
  const bool lying = planted("ready-file");
  const bool ghost = planted("second-process");
  const bool forged = planted("stored-descriptor");
  const MonoNs deadline = after(os::read_mono(), catches_up());
  std::vector<std::string> found;
  Evidence evidence;
  do {
    if (!found.empty()) wait(milliseconds(200));
    evidence = look();
    if (lying) evidence.ready_files["raw"].clear();
    if (ghost && !evidence.truth["raw"].empty()) {
      TrueRun second = evidence.truth["raw"].back();
      evidence.living.push_back({1'000'000, ++second.run, true, "planted"});
      second.pid = 1'000'000;
      evidence.truth["raw"].push_back(second);
    }
    if (forged && !evidence.truth["storer"].empty()) evidence.truth["storer"].front().got.push_back({1, 999999});
    found = judge_state(plan_, evidence);
  } while (!found.empty() && os::read_mono() < deadline);
  violations(found);
  if (stranger > 0) kill(stranger, SIGKILL);  // our child, whom nobody has waited for
  compare_wanted(evidence);
  compare_untouched(evidence);
  compare_sockets(evidence);
  planted_lock_.reset();
  result_.stored_compared = 0;
  for (const auto& [slot, runs] : evidence.truth)
    for (const TrueRun& run : runs) result_.stored_compared += run.got.size();
}

void Storm::compare_wanted(const Evidence& evidence) {
  for (const auto& [name, wanted] : load_.wanted()) {
    const auto view = evidence.status.services.find(name);
    if (view == evidence.status.services.end())
      violation(fmt::format("status does not know {}, which was applied", name));
    else if (view->second.want_up != wanted && plan_.find(name)->nature != Nature::task)
      violation(fmt::format("{} shall be {}, and status says otherwise", name, wanted ? "up" : "stopped"));
  }
}

// Whom nobody has ordered anything about and nobody has killed is who he was.
void Storm::compare_untouched(const Evidence& evidence) {
  const std::set<std::string> touched = load_.take_touched();
  const std::vector<pid_t>& killed = faults_.killed_services();
  for (const auto& [slot, run] : runs_before_) {
    const auto now = evidence.status.services.find(slot);
    const std::string name = slot.substr(0, slot.find('.'));
    if (now == evidence.status.services.end() || now->second.run == run || touched.contains(name)) continue;
    const auto truth = evidence.truth.find(slot);
    const bool ours =
        truth != evidence.truth.end() && std::any_of(truth->second.begin(), truth->second.end(), [&](const TrueRun& r) {
          return r.run >= run && std::find(killed.begin(), killed.end(), r.pid) != killed.end();
        });
    if (!ours)
      violation(fmt::format("{} was run {} and is run {}, though nobody has touched it ({} {})", slot, run,
                            now->second.run, now->second.reason, now->second.reason_text));
  }
  runs_before_.clear();
  for (const auto& [slot, view] : evidence.status.services) {
    const Planned* service = plan_.find(slot);
    if (service != nullptr && service->nature == Nature::steady && view.state == "running")
      runs_before_[slot] = view.run;
  }
}

// Each socket is open, is the one that it was, is the one that its service was given, and is answered by it.
void Storm::compare_sockets(const Evidence& evidence) {
  const bool doctored = options_.plants.contains("closed-socket");
  const bool may_change = load_.sockets_may_have_changed() && !doctored;
  for (const Planned& service : plan_.services()) {
    const auto truth = evidence.truth.find(service.name);
    if (service.sockets.empty() || truth == evidence.truth.end() || truth->second.empty()) continue;
    const std::vector<std::uint64_t>& given = truth->second.back().sockets;
    for (std::size_t i = 0; i < service.sockets.size(); ++i) {
      const std::string& address = service.sockets[i];
      std::uint64_t inode = listening_inode(address);
      if (socket_inodes_.contains(address) && doctored) ++inode;
      std::uint64_t& before = socket_inodes_[address];
      if (inode == 0)
        violation(fmt::format("nobody listens on {}, which is a socket of {}", address, service.name));
      else if (before != 0 && before != inode && !may_change)
        violation(fmt::format("the socket {} of {} is another one: it was closed meanwhile", address, service.name));
      else if (i < given.size() && given[i] != inode && before == inode)
        violation(fmt::format("{} was given another socket than the one that listens on {}", service.name, address));
      before = inode;
      ++result_.sockets_compared;
    }
    compare_answers(service, evidence);
  }
  load_.sockets_were_looked_at();
}

// Whoever connects is answered by the run that status knows.
void Storm::compare_answers(const Planned& service, const Evidence& evidence) {
  const auto view = evidence.status.services.find(service.name);
  if (view == evidence.status.services.end()) return;
  const std::string expected = fmt::format("run {}\n", view->second.run);
  const MonoNs deadline = after(os::read_mono(), catches_up());
  for (const std::string& address : service.sockets) {
    std::string heard;
    do {
      Call call(address);
      const MonoNs patience = after(os::read_mono(), seconds(2));  // the backlog may have been full
      while (call.error == 0 && (heard = call.heard()).empty() && os::read_mono() < patience) wait(milliseconds(10));
    } while (heard != expected && os::read_mono() < deadline);
    if (heard != expected)
      violation(fmt::format("who connects to {} hears \"{}\", and {} is run {}", address, heard, service.name,
                            view->second.run));
  }
}

// What of hearth does not run from there; "" = all does.
std::string Storm::not_upgraded(const std::string& directory, bool keeper) const {
  std::map<Role, int> there;
  std::error_code error;
  const std::string place = fs::canonical(directory, error).string();
  for (const Process& process : world_.processes()) {
    const bool concerned = keeper || process.role == Role::supervisor || process.role == Role::logger;
    if (process.role == Role::none || process.state == 'Z' || !concerned) continue;
    if (process.place != place)
      return fmt::format("{} {} runs from {}", role_name(process.role), process.pid, process.place);
    ++there[process.role];
  }
  for (const Role role : {Role::supervisor, Role::logger})
    if (there[role] == 0) return fmt::format("there is no {}", role_name(role));
  if (keeper && (there[Role::keeper] != 1 || there[Role::spawner] != 2)) return "keeper and spawners are not complete";
  return "";
}

// In peace an upgrade succeeds, all that it names runs from there, and no service notices.
void Storm::compare_upgrade() {
  const bool doctored = options_.plants.contains("restarted-by-upgrade");
  if (below(random_, 2) == 0 && !doctored) return;
  const bool keeper = below(random_, 2) == 0;
  const std::string directory = below(random_, 2) == 0 ? options_.programs : world_.next();
  const auto before = world_.status();
  ++load_.upgrades;
  faults_.note("$ hearth upgrade --from " + directory + (keeper ? " --keeper" : ""));
  std::string output;
  const int code = world_.ask(load_.upgrade(directory, keeper), &output, seconds(60));
  if (code != 0) return violation(fmt::format("`hearth upgrade` ended in peace with {}: {}", code, output));
  const MonoNs deadline = after(os::read_mono(), catches_up());
  std::string not_there;
  while (!(not_there = not_upgraded(directory, keeper)).empty() && os::read_mono() < deadline) wait(milliseconds(50));
  if (!not_there.empty()) violation(fmt::format("after `hearth upgrade --from {}`: {}", directory, not_there));
  const auto now = world_.status();
  if (!before || !now) return violation("status does not answer before or after an upgrade in peace");
  if (now->returns != before->returns) violation("an upgrade in peace was taken back");
  for (const auto& [slot, view] : before->services) {
    const Planned* service = plan_.find(slot);
    const auto after_it = now->services.find(slot);
    if (service == nullptr || service->nature != Nature::steady) continue;
    if (after_it == now->services.end() || after_it->second.run != view.run || after_it->second.pid != view.pid ||
        (doctored && slot == "raw"))
      violation(fmt::format("an upgrade has cost run {} of {} (PID {})", view.run, slot, view.pid));
  }
}

void Storm::compare_logs_and_exits() {
  const MonoNs deadline = after(os::read_mono(), catches_up());
  for (bool complete = false; !complete;) {
    const bool last = os::read_mono() >= deadline;
    for (auto& [slot, witness] : witnesses_) {
      const std::string name = slot.find('.') == slot.npos ? slot + ".0" : slot;
      const Planned* service = plan_.find(slot);
      auto cursor =
          cursors_.try_emplace(slot, world_.logs() + "/chaos." + name, support::log_form(service->form)).first;
      cursor->second.read([&](const support::LogLine& line) {
        if (slot == "raw" && line.whole && planted("lost-line")) return;
        witness.take(line);
        if (slot == "stamped" && line.whole && planted("doubled-line")) witness.take(line);
      });
    }
    events_.read();
    Truth truth = read_truth(world_.base(), plan_.slots());
    complete = compare_logs(truth, last);
    complete = compare_exits(truth, last) && complete;
    if (last) break;
    if (!complete) wait(milliseconds(100));
    events_.tick();
  }
  violations(events_.take_violations());
}

Allowance Storm::allowance(const Truth& truth) const {
  Allowance allowance;
  const Deaths& deaths = faults_.deaths();
  allowance.batches = deaths.batches;
  for (const auto& [slot, runs] : truth)
    for (const TrueRun& run : runs) {
      // Who was killed has not said when; who lives has more to say.
      const bool unseen = run.ended != 0 ? may_end_unread(deaths, run.ended) : !deaths.of_all.empty();
      if (unseen && !(run.ended == 0 && support::lives(run.pid))) allowance.ended_unseen.insert(run.run);
    }
  return allowance;
}

bool Storm::compare_logs(const Truth& truth, bool last) {
  const Allowance allowed = allowance(truth);
  bool complete = true;
  for (auto& [slot, witness] : witnesses_) {
    const auto runs = truth.find(slot);
    if (runs == truth.end()) continue;
    const LogVerdict verdict = witness.compare(runs->second, allowed, last, batches_used_);
    violations(verdict.violations);
    result_.bytes_tolerated += verdict.tolerated;
    complete = complete && verdict.complete;
  }
  return complete;
}

bool Storm::compare_exits(const Truth& truth, bool last) {
  Truth seen = truth;
  if (options_.plants.contains("wrong-exit") && !seen["bad"].empty()) seen["bad"].front().exit_code = 8;
  std::set<std::uint64_t> living;
  for (const auto& [slot, runs] : truth)
    for (const TrueRun& run : runs)
      if (run.ended == 0 && support::lives(run.pid)) living.insert(run.run);
  std::vector<ToldExit> told = events_.exits();
  if (options_.plants.contains("unknown-exits")) forget_adopted(told, truth, world_.adoptions());
  const ExitVerdict verdict =
      judge_exits(seen, told, living, faults_.deaths(), world_.adoptions(), events_.lost(), last, told_exits_);
  violations(verdict.violations);
  result_.exits_compared = verdict.compared;
  result_.exits_adopted = verdict.adopted;
  result_.exits_unknown = verdict.unknown;
  result_.events_lost = events_.lost();
  result_.runs = 0;
  for (const auto& [slot, runs] : truth) result_.runs += runs.size();
  return verdict.complete;
}

// All that the journal has on disk, the follower was told.
void Storm::compare_journal() {
  // What could not be copied in time is missing there, and only there.
  const auto full = faults_.tallies().find("full-state");
  const bool jumps = full != faults_.tallies().end() && full->second.hit > 0;
  std::uint64_t previous = 0;
  for (const char* name : {"/events.1.jsonl", "/events.jsonl"}) {
    std::ifstream in(world_.directory() + name);
    for (std::string line; std::getline(in, line);) {
      const std::uint64_t id = line.starts_with("{\"id\":") ? std::strtoull(line.c_str() + 6, nullptr, 10) : 0;
      if (id != previous + 1 && previous != 0 && !jumps)
        violation(fmt::format("the journal on disk has event {} after event {}", id, previous));
      previous = id;
    }
  }
  if (previous == 0) violation("there is no journal on disk");
  result_.events_compared = events_.count();
}

// `logs -f` of raw, from the beginning to its end: what the files have, once and in order.
void Storm::compare_log_follower() {
  load_.follow_log();
  LogWitness witness("raw, as `hearth logs -f` told it");
  support::LogCursor cursor(load_.log_follower_directory(), support::LogForm::raw);
  const MonoNs deadline = after(os::read_mono(), catches_up());
  for (bool last = false, complete = false; !last && !complete;) {
    last = os::read_mono() >= deadline;
    cursor.read([&](const support::LogLine& line) { witness.take(line); });
    const Truth truth = read_truth(world_.base(), {"raw"});
    if (!truth.contains("raw")) return;
    std::uint64_t used = 0;
    const LogVerdict verdict = witness.compare(truth.at("raw"), allowance(truth), last, used);
    violations(verdict.violations);
    complete = verdict.complete;
    if (!complete) wait(milliseconds(100));
  }
  result_.lines_followed = witness.lines();
}

void Storm::compare_end() {
  compare_log_follower();
  for (Client& client : world_.clients()) {
    client.killed = true;
    os::pidfd_signal(client.handle.get(), SIGTERM);
  }
  const MonoNs deadline = after(os::read_mono(), catches_up());
  std::vector<Process> left;
  do {
    wait(milliseconds(50));
    left = world_.processes();
    std::erase_if(left, [](const Process& process) { return process.state == 'Z'; });
  } while (!left.empty() && os::read_mono() < deadline);
  for (const Process& process : left) violation("left over after the shutdown: " + support::describe(process.pid));
  for (const char* part : {"/o", "/n"})
    if (std::error_code error; !fs::is_empty(world_.directory() + part, error) && !error)
      violation("left over after the shutdown: files in " + world_.directory() + part);
  events_.finish();
  compare_logs_and_exits();
  compare_journal();
}

}  // namespace hearth::chaos
