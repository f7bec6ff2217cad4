#include "invariants.h"

#include <algorithm>
#include <set>
#include <signal.h>
#include <sys/wait.h>

#include <boost/json.hpp>

#include "logger/mover.h"

namespace hearth::kill_anywhere {
namespace {

namespace json = boost::json;

// The services of which an order's report says that they failed or that another order overtook it.
std::vector<std::string> failed_in(const std::string& report) {
  std::vector<std::string> names;
  json::error_code error;
  const json::value value = json::parse(report, error);
  const json::object* top = error ? nullptr : value.if_object();
  const json::value* slots = top == nullptr ? nullptr : top->if_contains("slots");
  if (slots == nullptr || !slots->is_array()) return names;
  const auto text = [](const json::value& slot, const char* name) {
    const json::value* found = slot.is_object() ? slot.get_object().if_contains(name) : nullptr;
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  for (const json::value& slot : slots->get_array())
    if (const std::string outcome = text(slot, "outcome"); outcome == "failed" || outcome == "superseded")
      names.push_back(text(slot, "name"));
  return names;
}

class Judge {
 public:
  explicit Judge(const Evidence& evidence) : e_(evidence) {}

  Verdict verdict() {
    if (!e_.stuck.empty()) violation("the run did not come to its end: " + e_.stuck);
    for (const std::string& overlap : e_.overlaps) violation(overlap);
    for (const std::string& late : e_.late) tolerated(late);
    for (const std::string& crash : e_.crashes) violation(crash);
    for (const std::string& revival : e_.revivals) tolerated(revival);
    logs();
    for (const std::string& wrong : e_.asked.wrong) violation("who asks status all the time: " + wrong);
    for (const std::string& left : e_.left_over) violation("left over: " + left);
    // What follows is about a run that went through all its steps.
    if (!e_.stuck.empty()) return std::move(verdict_);
    switch (e_.story) {
      case Story::life: life(); break;
      case Story::change: change(); break;
      case Story::upgrade: upgrade(); break;
      case Story::keeper: keeper(); break;
      case Story::revival: revival(); break;
    }
    load();
    orders();
    members();
    events();
    exits_in_events();
    end();
    return std::move(verdict_);
  }

 private:
  void violation(const std::string& text) { verdict_.violations.push_back(text); }
  void tolerated(const std::string& text) { verdict_.tolerated.push_back(text); }
  void only_after(Loss least, const std::string& text) { e_.loss >= least ? tolerated(text) : violation(text); }
  // Who was killed before the step in which something was made, or after the one in which it was looked at, took nothing
  // of it away.
  void only_after(Loss least, Phase first, Phase last, const std::string& text) {
    const bool within = e_.killed_from != Phase::any && e_.killed_from <= last && e_.killed_to >= first;
    within ? only_after(least, text) : violation(text);
  }

  std::vector<SeenProcess> of(const std::string& name) const {
    std::vector<SeenProcess> found;
    for (const SeenProcess& process : e_.processes)
      if (process.name == name) found.push_back(process);
    return found;
  }

  void count(const std::string& name, std::size_t expected) {
    const std::size_t seen = of(name).size();
    if (seen != expected)
      violation("service " + name + " was started " + std::to_string(seen) + " times instead of " +
                std::to_string(expected));
  }

  const ServiceView& last(const std::string& name) const {
    static const ServiceView none;
    const auto it = e_.last.services.find(name);
    return it == e_.last.services.end() ? none : it->second;
  }

  void life() {
    count("a", 1);
    count("c", 2);
    count("d", 1);
    count("b", 2);
    count("e", 1);
    told({"a", "b", "e"});
    stored_descriptor();
    exits();
    health();
    rotation();
  }

  void change() {
    for (const char* name : {"x", "w", "t", "p", "r", "h", "j", "d", "l", "n", "q", "s", "y"}) count(name, 1);
    count("f", 2);
    count("v", 2);
    count("k", 2);
    told({"x", "w", "t", "f", "p", "r", "k", "n", "q", "s", "y"});
    if (last("v").restarts != 1)
      only_after(Loss::all_of_hearth, Phase::live, Phase::backlog,
                 "v was restarted " + std::to_string(last("v").restarts) + " times by status");
    if (last("v").state != "running") violation("v was restarted, and is " + last("v").state);
    exit_code(last("d"), "d", 9);
    const auto j = e_.after_exit.services.find("j");
    if (j == e_.after_exit.services.end()) return violation("status does not know j");
    exit_code(j->second, "j", 0);
    const bool unknown = !j->second.exit_code && !j->second.exit_signal;
    const std::string state = "the task j is " + j->second.state;
    if (j->second.state != "completed")
      unknown ? only_after(Loss::keeper, Phase::probes, Phase::probes, state) : violation(state);
    if (e_.last.services.contains("l")) violation("l has left the document, and status knows it");
    if (last("h").state != "stopped") violation("h was stopped and is " + last("h").state);
    // A hook whose exit status nobody can tell has failed, and the start is tried again.
    const std::string once = "before_start\nafter_start\nbefore_stop\nafter_stop\n";
    if (e_.hooks == "before_start\nafter_stop\n" + once)
      only_after(Loss::keeper, Phase::probes, Phase::probes, "the start of h was tried twice");
    else if (e_.hooks != once)  // what was adopted is not told of again
      only_after(Loss::all_of_hearth, Phase::probes, Phase::hooks, "the hooks were not run once each: " + e_.hooks);
    // Recorded, then sent: a keeper that is killed in between has it missing, never doubled (docs/formats/slot-table.md).
    if (e_.hangups == "0")
      only_after(Loss::keeper, Phase::signal, Phase::signal, "the SIGHUP of r was lost");
    else if (e_.hangups != "1")
      violation("r was sent SIGHUP " + e_.hangups + " times");
    caller(Phase::backlog);
  }

  void caller(Phase phase) {
    if (e_.caller_heard != "pong")
      only_after(Loss::all_of_hearth, phase, phase,
                 "who waited in the backlog of k was not answered: " + e_.caller_heard);
  }

  // Its hearth begins with what another one has left that was killed as it had nothing under way: nothing is lost with that but
  // the statuses of who ends afterwards and was started by it.
  void revival() {
    for (const char* name : {"a", "d"}) count(name, 1);
    for (const char* name : {"b", "c", "k"}) count(name, 2);
    told({"a", "b", "k"});
    const auto c = e_.after_exit.services.find("c");
    if (c == e_.after_exit.services.end()) return violation("status does not know c");
    if (c->second.restarts != 1)
      violation("c was restarted " + std::to_string(c->second.restarts) + " times by status");
    exit_code(c->second, "c", 7);
    exit_code(last("d"), "d", 9);
    caller(Phase::after);
    rotation();
  }

  // In both stories in which programs of hearth are replaced.
  void services_of_an_upgrade() {
    count("a", 1);
    count("b", 2);
    count("d", 1);
    told({"a", "b"});
    stored_descriptor();
    exit_code(last("d"), "d", 9);
    rotation();
  }

  void upgrade() {
    services_of_an_upgrade();
    if (!e_.upgraded) only_after(Loss::all_of_hearth, "the programs before the upgrade go on");
    if (e_.last.returns != 0) violation("the upgrade was taken back");
  }

  void keeper() {
    services_of_an_upgrade();
    const std::string old = "the keeper runs the program before";
    const bool may_be_old = e_.died_as_next && !e_.done_after_death;
    if (!e_.upgraded) may_be_old ? only_after(Loss::keeper, old) : violation(old);
    for (const std::string& one : e_.refused_and_done) violation("refused, and yet the keeper runs " + one);
    if (!e_.calls_failed) refusals();
  }

  // An order is refused because the keeper or its dry run has died, and says so.
  void refusals() {
    const bool keeper_died = e_.loss != Loss::nothing;
    for (const SeenRefusal& refusal : e_.refusals) {
      const bool of_dry_run = e_.dry_run_killed && refusal.of_dry_run() && refusal.says("by signal 9");
      const bool true_words = refusal.after_death && ((keeper_died && refusal.of_keeper()) || of_dry_run);
      true_words ? tolerated("an order was refused because of a death, and given again: " + refusal.text)
                 : violation("an order was refused without a death that explains it: " + refusal.text);
    }
    if (e_.dry_run_killed && e_.killed_alone && e_.refusals.size() != 1)
      violation("the dry run was killed once, and the order refused " + std::to_string(e_.refusals.size()) + " times");
  }

  // Status knows the process that is there, and that it is well.
  void told(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (last(name).restarts != 0) violation(std::string("status counts restarts of ") + name);
      const bool well = last(name).state == "running" && (last(name).ready || std::string(name) == "e");
      if (!well) violation(std::string(name) + " is " + last(name).state + (last(name).ready ? "" : ", not ready"));
      const std::vector<SeenProcess> seen = of(name);
      if (seen.empty() || (last(name).pid == seen.back().pid && last(name).run == seen.back().run)) continue;
      violation(std::string("status says that ") + name + " is PID " + std::to_string(last(name).pid) + ", run " +
                std::to_string(last(name).run) + "; it is PID " + std::to_string(seen.back().pid) + ", run " +
                std::to_string(seen.back().run));
    }
  }

  void stored_descriptor() {
    const std::vector<SeenProcess> b = of("b");
    if (b.size() < 2) return;
    const SeenProcess& again = b.back();
    const bool back = again.listen_fds == 1 && again.listen_names == "cache" && again.content == "stored-as-cache";
    if (back) return;
    const bool life = e_.story == Story::life;
    only_after(Loss::all_of_hearth, life ? Phase::say : Phase::up, life ? Phase::restart : Phase::after,
               "the stored descriptor did not come back: LISTEN_FDS=" + std::to_string(again.listen_fds) +
                   " LISTEN_FDNAMES=" + again.listen_names + " content " + again.content);
  }

  void exit_code(const ServiceView& view, const std::string& name, int expected) {
    if (view.exit_code == expected) return;
    const std::string what = "exit code " + std::to_string(expected) + " of " + name + " is not known";
    if (view.exit_code || view.exit_signal) return violation(what + ": status says something else");
    const std::vector<SeenProcess> seen = of(name);
    unknown_exit(what, seen.empty() ? 0 : seen.front().start_ticks);
  }

  // Started by the keeper that is there, and so its own child: killed_at is when the spawners of the dead one had ended.
  void unknown_exit(const std::string& what, std::uint64_t start_ticks) {
    if (start_ticks < e_.begun_anew_at_ticks) return;  // nobody's child, in every run of the story
    const bool after = e_.killed_at_ticks != 0 && start_ticks > e_.killed_at_ticks;
    after ? violation(what + ", and it began after the kill") : only_after(Loss::keeper, what);
  }

  void exits() {
    const auto c = e_.after_exit.services.find("c");
    if (c == e_.after_exit.services.end()) return violation("status does not know c");
    exit_code(c->second, "c", 7);
    if (c->second.restarts != 1)
      violation("c was restarted " + std::to_string(c->second.restarts) + " times by status");
    exit_code(last("d"), "d", 9);
    if (last("d").restarts != 0) violation("status counts restarts of d");
    if (last("c").state != "stopped") violation("c was stopped and is " + last("c").state);
  }

  void health() {
    const auto b = e_.after_ready.services.find("b");
    if (b == e_.after_ready.services.end()) return violation("status does not know b");
    if (!b->second.ready) violation("READY=1 of b was lost");
    if (b->second.status_text != "loading 1")
      only_after(Loss::all_of_hearth, Phase::up, Phase::say,
                 "STATUS= of b was lost: \"" + b->second.status_text + "\"");
    if (e_.watchdog_at <= e_.watchdog_before)
      only_after(Loss::all_of_hearth, Phase::say, Phase::say, "WATCHDOG=1 of b was lost: its deadline did not move");
  }

  void orders() {
    for (const SeenOrder& order : e_.orders) {
      if (!order.error.empty()) violation("the client of \"" + order.name + "\" got: " + order.error);
      if (order.key_unknown > 0) violation("the key of \"" + order.name + "\" was forgotten");
      if (order.orders.size() > 1) violation("the key of \"" + order.name + "\" became two orders");
      for (const std::string& name : failed_in(order.report)) {
        // d ends on purpose, perhaps before the client of an order that applies has seen all of it settled.
        const bool applies = order.name == "apply" || order.name == "apply again";
        if (applies && name == "d") continue;
        // A task whose exit status nobody can tell has failed, here as in status.
        const auto j = e_.after_exit.services.find("j");
        const bool unknown = j != e_.after_exit.services.end() && !j->second.exit_code && !j->second.exit_signal;
        if (applies && name == "j" && unknown && e_.loss >= Loss::keeper) {
          tolerated("the order failed with the task whose exit status is not known: " + order.name);
          continue;
        }
        violation("the order \"" + order.name + "\" failed: " + order.report);
        break;
      }
      if (order.report.empty() && order.error.empty() && !order.refused && order.name != "shutdown")
        violation("the client of \"" + order.name + "\" got no answer");
    }
    if (e_.doubled_keys != 0) violation("a key is twice in the decision page");
    if (e_.story != Story::upgrade && e_.takeovers_known && e_.loss != Loss::all_of_hearth &&
        e_.last.takeovers != e_.takeovers_before + e_.supervisors_killed)
      violation("takeovers is " + std::to_string(e_.last.takeovers) + " after " +
                std::to_string(e_.supervisors_killed) + " deaths of the supervisor");
  }

  // One batch, which is one stretch of bytes, with a cut line at each end of it at most, and nothing that was in the files
  // long before.
  bool may_be_the_batch(const std::string& name, const LogFindings& findings) const {
    const auto settled = e_.settled.find(name);
    const bool was_settled = findings.lost != 0 && settled != e_.settled.end() && findings.prefix < settled->second;
    // The run that ended at the point may have left unread what comes behind the batch, and what stood between them.
    const std::uint64_t gaps = name == "u" ? 2 : 1;
    return findings.gaps <= gaps && findings.damaged <= 2 && findings.doubled + findings.disordered == 0 &&
           findings.lost_bytes <= logger::largest_batch && !was_settled;
  }

  // Whether a run of it has ended while nobody lived, or so shortly before that its last lines may not have been read.
  bool ended_unread(const std::string& name) const {
    constexpr std::uint64_t to_read = 100, to_see = 50;
    const std::vector<SeenProcess> runs = of(name);
    return std::ranges::any_of(runs, [&](const SeenProcess& run) {
      return run.ended_ticks != 0 && run.ended_ticks + to_read >= e_.killed_at_ticks &&
             (e_.answered_at_ticks == 0 || run.ended_ticks <= e_.answered_at_ticks + to_see);
    });
  }

  // A run that ends while nobody lives takes with it what nobody has read. Of all others together one batch is in flight.
  void logs() {
    std::size_t batches = 0;
    for (const auto& [name, findings] : e_.logs) {
      if (findings.exact()) continue;
      const std::string what = "log of " + name + ": " + text_of(findings);
      const bool lives = !e_.killed_in_shutdown && !ended_unread(name);
      if (lives) ++batches;
      if (!may_be_the_batch(name, findings) || (lives && batches > 1)) {
        violation(what);
        continue;
      }
      // Nobody lives until the logger has what its service writes to.
      const bool in_dead_time = e_.story == Story::revival && e_.killed_from == Phase::launch && !lives;
      only_after(in_dead_time ? Loss::nothing : Loss::all_of_hearth, what);
    }
  }

  // Whoever was not killed is there still, and whoever was has one successor.
  void members() {
    const bool another = e_.keeper != 0 && e_.last.keeper != 0 && e_.last.keeper != e_.keeper;
    if (e_.loss == Loss::nothing && another)
      violation("the keeper was not killed, and is PID " + std::to_string(e_.last.keeper) + " instead of " +
                std::to_string(e_.keeper));
    if (!e_.starts_known) return tolerated("nobody could read who was started how often");
    const auto most = [&](const char* role, std::uint32_t started, std::uint32_t allowed) {
      if (started > allowed)
        violation(std::string("hearth started ") + std::to_string(started) + " " + role + ", where " +
                  std::to_string(allowed) + " are accounted for");
    };
    most("keepers", e_.starts.keepers, e_.allowed.keepers);
    most("supervisors", e_.starts.supervisors, e_.allowed.supervisors);
    most("loggers", e_.starts.loggers, e_.allowed.loggers);
    most("spawners", e_.starts.spawners, e_.allowed.spawners);
    if (e_.starts.spawners < e_.least_spawners)
      violation("hearth started " + std::to_string(e_.starts.spawners) + " spawners, and " +
                std::to_string(e_.least_spawners) + " are needed: nobody has replaced who was killed");
  }

  // What went on beside the story.
  void load() {
    count("m", 1);
    count("o", 1);
    told({"m", "o"});
    for (const char* name : {"m", "o"})
      if (!e_.logs.contains(name) || e_.logs.at(name).lines == 0) violation(std::string(name) + " has written nothing");
    if (e_.asked.answered == 0) violation("who asks status all the time had no answer");
    const std::vector<SeenProcess> u = of("u");
    if (u.size() < 2) violation("u was not started again");
    for (std::size_t i = 0; i < u.size(); ++i) {
      if (i + 1 < u.size() && !u[i].told_exit)
        violation("u was started again, and run " + std::to_string(u[i].run) + " had not been told to exit");
      // It may have exited since.
      if (last("u").run == u[i].run && last("u").restarts != i && !e_.calls_failed)
        only_after(Loss::all_of_hearth, "status counts " + std::to_string(last("u").restarts) +
                                            " restarts of u in its start " + std::to_string(i + 1));
    }
  }

  // Each exit that somebody was told to make is in the events, with its code.
  void exits_in_events() {
    if (!e_.events.checked) return;
    for (const SeenProcess& process : e_.processes) {
      const auto code = e_.events.codes.find(process.run);
      const auto signal = e_.events.signals.find(process.run);
      if (!process.told_exit || !e_.events.ended.contains(process.run)) continue;
      if (code != e_.events.codes.end() && code->second == *process.told_exit) continue;
      const std::string what = "exit code " + std::to_string(*process.told_exit) + " of run " +
                               std::to_string(process.run) + " of " + process.name + " is not in the events";
      const bool stopped = signal != e_.events.signals.end() && signal->second == SIGTERM;
      if (stopped && process.run == of(process.name).back().run) continue;  // by the shutdown, before it had read that
      if (code != e_.events.codes.end() || signal != e_.events.signals.end())
        violation(what + ": another end is");
      else
        unknown_exit(what, process.start_ticks);
    }
  }

  void rotation() {
    for (const char* name : {"a", "m", "o", "b"}) {
      if (e_.story != Story::life && std::string(name) != "a") continue;  // there they do not write as much
      // What was to come into the next one may be lost.
      if (e_.logs.contains(name) && e_.logs.at(name).files < 2)
        only_after(Loss::all_of_hearth, std::string("the log of ") + name + " was not rotated");
    }
    if (e_.story == Story::life && e_.logs.contains("o") && e_.logs.at("o").compressed == 0)
      violation("no file of o was compressed");
  }

  // After an end on purpose the disk has them all.
  void events() {
    if (!e_.events.checked) return;
    for (const std::string& wrong : e_.events.wrong) violation("in the event journal: " + wrong);
    const auto times = [](const std::map<std::uint64_t, std::uint64_t>& counts, std::uint64_t run) {
      const auto found = counts.find(run);
      return found == counts.end() ? 0 : found->second;
    };
    std::set<std::uint64_t> greeted;
    for (const SeenProcess& process : e_.processes) greeted.insert(process.run);
    // Starts that fail have such, too.
    for (const auto& [run, times_begun] : e_.events.begun)
      if (!e_.calls_failed && !greeted.contains(run) && !ended_unseen(run))
        violation("the event journal says that run " + std::to_string(run) + " began, and nobody has seen it");
    for (const SeenProcess& process : e_.processes) {
      const std::uint64_t begun = times(e_.events.begun, process.run), ended = times(e_.events.ended, process.run);
      if (begun == 1 && ended == 1) continue;
      violation("the event journal says " + std::to_string(begun) + " times that run " + std::to_string(process.run) +
                " of " + process.name + " began, and " + std::to_string(ended) + " times that it ended");
    }
  }

  // Started once more just as it was to stop, u may have ended before it could greet; how, only a keeper knows.
  bool ended_unseen(std::uint64_t run) const {
    const auto service = e_.events.services.find(run);
    const auto signal = e_.events.signals.find(run);
    const bool of_u = service != e_.events.services.end() && service->second.ends_with(".u.0");
    const bool unknown = signal == e_.events.signals.end() && !e_.events.codes.contains(run);
    if (unknown) return of_u && e_.loss != Loss::nothing && e_.events.ended.contains(run);
    return of_u && signal != e_.events.signals.end() && signal->second == SIGTERM;
  }

  void end() {
    if (!e_.ended) violation("hearth did not end after shutdown");
    const bool well = WIFEXITED(e_.keeper_status) && WEXITSTATUS(e_.keeper_status) == 0;
    const bool killed =
        e_.loss != Loss::nothing && WIFSIGNALED(e_.keeper_status) && WTERMSIG(e_.keeper_status) == SIGKILL;
    if (e_.ended && !well && !killed)
      violation("the keeper ended with wait status " + std::to_string(e_.keeper_status));
  }

  const Evidence& e_;
  Verdict verdict_;
};

}  // namespace

Verdict judge(const Evidence& evidence) {
  return Judge(evidence).verdict();
}

}  // namespace hearth::kill_anywhere
