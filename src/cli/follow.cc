#include "cli/follow.h"

#include <algorithm>
#include <cstring>
#include <poll.h>
#include <set>
#include <unistd.h>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/placed.h"
#include "cli/changes.h"
#include "cli/failures.h"
#include "cli/left_behind.h"
#include "cli/log_lines.h"
#include "cli/progress.h"
#include "cli/silent_hearth.h"
#include "os/clock.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

constexpr SpanNs silent_wait = seconds(30);  // between answers when only the last is told
constexpr SpanNs told_wait = seconds(1);     // between answers that are told; on a terminal the elapsed times move
// Before the first that is told elsewhere: what is over by then is told at once.
constexpr SpanNs first_wait = milliseconds(250);

constexpr SpanNs unseen_pace = milliseconds(50);

// True once the process is gone. A descriptor of 0 or less: never.
bool gone(int pidfd) {
  pollfd polled{pidfd, POLLIN, 0};
  return pidfd >= 0 && ::poll(&polled, 1, 0) == 1;
}

// For the end of a keeper; of one that cannot be seen from here (`pidfd` is -1) for that of its lock, which no event tells.
bool wait_gone(const Context& context, int pidfd, InterruptWatch& watch, MonoNs deadline,
               Standstill* standstill = nullptr) {
  while (pidfd >= 0 ? !gone(pidfd) : instance_lives(context.instance)) {
    const MonoNs now = os::read_mono();
    if (now >= deadline) return false;
    const SpanNs most = pidfd >= 0 ? seconds(3'600) : unseen_pace;
    pollfd polled[3] = {{pidfd, POLLIN, 0},
                        {watch.fd(), POLLIN, 0},
                        {standstill != nullptr ? standstill->descriptor() : -1, POLLIN, 0}};
    ::poll(polled, 3, static_cast<int>(std::min(deadline - now, most) / ns_per_ms + 1));
    if (watch.came()) return false;
    if (polled[2].revents != 0) standstill->look_when_due();
  }
  return true;
}

}  // namespace

os::Fd open_keeper(const std::string& instance_directory, std::int64_t pid) {
  os::Fd keeper(pid > 0 ? os::pidfd_open(static_cast<pid_t>(pid)) : -1);
  // Looked at when the number is pinned.
  if (keeper && !is_of_hearth(instance_directory, pid)) keeper.reset();
  return keeper;
}

namespace {

// A service is in no report of the order any more when a later order has taken it over, which is told as that; or when it
// was forgotten as soon as it had stopped (`down`, `up` of what left the file): its good end.
void keep_missing(OrderNews& news, const OrderNews& before) {
  std::unordered_set<std::string> told;
  for (const SlotNews& slot : news.slots) told.insert(full_name(slot));
  for (const SlotNews& old : before.slots) {
    if (told.contains(full_name(old))) continue;
    news.slots.push_back(old);
    const bool overtaken = news.overtaken > 0 && old.want_up;
    news.slots.back().outcome = overtaken ? "superseded" : "done";
    news.slots.back().state = overtaken || old.state == "completed" ? old.state : "stopped";
    news.slots.back().reason_text.clear();
  }
}

// Also what was forgotten before the first look is told, and of an `up`, why it is stopped.
void mark_removed(OrderNews& news, const AcceptedNews& accepted, bool applies) {
  for (const SlotNews& one : accepted.removed) {
    const std::string why = applies ? why_removed(accepted, one) : std::string();
    const auto same =
        std::ranges::find_if(news.slots, [&](const SlotNews& slot) { return full_name(slot) == full_name(one); });
    if (same != news.slots.end()) {
      same->removed = why;
      same->forgotten = !applies && same->outcome == "done";
      continue;
    }
    news.slots.push_back(one);
    news.slots.back().outcome = "done";
    news.slots.back().state = "stopped";
    news.slots.back().removed = why;
    news.slots.back().forgotten = !applies;
  }
}

Outcome broken(Outcome outcome, const ClientError& error) {
  outcome.trouble = error.trouble;
  outcome.error = error.error;
  outcome.end = error.trouble == Trouble::interrupted ? End::interrupted : End::broken;
  return outcome;
}

class Shower {
 public:
  Shower(const Context& context, WallNs began)
      : json_(context.json), terminal_(look_at_terminal(STDOUT_FILENO)), progress_(began) {}

  // Tells a note; what it says of a service that runs already is told with that service.
  void note(const std::string& text, bool services_follow) {
    for (const std::string_view as_before : {" is already running", " was not running"})
      if (const std::size_t at = text.find(as_before); services_follow && at != text.npos)
        return progress_.ran_before(text.substr(0, at));
    if (const std::size_t done = text.find(" has completed and is not run again"); services_follow && done != text.npos)
      progress_.ran_before(text.substr(0, done));
    if (!json_) write_out("note: " + shown(text, 0) + "\n");
  }
  // What people and scripts are told in the midst of it.
  void complain(const std::string& text) {
    write_err("hearth: " + text + "\n");
    progress_.leave_region();
  }
  SpanNs pace() const { return json_ ? silent_wait : told_wait; }
  // The first look at a terminal takes what there is, so that people see at once what they wait for.
  SpanNs first_pace() const { return wants_each_change() ? 0 : json_ ? silent_wait : first_wait; }
  // A report of a thousand services takes milliseconds on both sides, and from the same processors: whoever does not look
  // at a terminal is told of changes once in a while, and of the end at once.
  bool wants_each_change() const { return !json_ && terminal_.interactive; }
  void show(const OrderNews& news, SpanNs elapsed) {
    if (json_) return;
    if (!terminal_.interactive) return write_out(progress_.changes(news, elapsed));
    terminal_ = look_at_terminal(STDOUT_FILENO);
    write_out(progress_.region(news, elapsed, terminal_));
  }

 private:
  bool json_;
  Terminal terminal_;
  Progress progress_;
};

}  // namespace

std::vector<std::string> shared_names(const std::vector<std::string>& names, const std::vector<SlotNews>& slots) {
  std::vector<std::string> notes;
  for (const std::string& name : names) {
    if (name.find_first_of("*?@[") != name.npos) continue;
    std::set<std::string> all;
    for (const SlotNews& slot : slots)
      if (selects(name, slot)) all.insert(slot.project + "." + name);
    if (all.size() > 1)
      notes.push_back(fmt::format("{} is a service in each of {} projects; to name one of them alone: {}", name,
                                  all.size(), fmt::join(all, ", ")));
  }
  return notes;
}

namespace {

// One order on its way: what its steps share.
struct Course {
  const Context& context;
  const Order& order;
  InterruptWatch& watch;
  Operation operation;
  Shower& shower;
  os::Fd keeper;
  MonoNs begin = 0, deadline = never;
  Standstill& standstill;
  Outcome outcome = {};
};

void refused(Outcome& outcome, const Error& error) {
  outcome.end = End::refused;
  outcome.error = error;
}

// What is said as soon as it is accepted.
void tell_acceptance(Course& course) {
  const Order& order = course.order;
  const AcceptedNews& accepted = *course.outcome.accepted;
  if (order.tells_changes && !course.context.json) write_out(changes_table(accepted.changes, false));
  if (order.applies_a_file && !order.tells_changes)
    for (const std::string& note : notes_of(accepted.changes)) course.shower.note(note, false);
  for (const std::string& note : accepted.notes)
    course.shower.note(placed(note, course.context.place_option), order.wait);
  if (order.wait || !order.applies_a_file) return;
  for (const SlotNews& slot : accepted.removed) course.shower.note(removal_note(accepted, slot), false);
}

// False: there is nothing to wait for.
bool give_order(Course& course) {
  Outcome& outcome = course.outcome;
  const auto answer = course.operation.post(course.order.target, course.order.body, never);
  if (!answer) {
    outcome = broken(std::move(outcome), answer.error());
    return false;
  }
  outcome.body = answer->body;
  Result<AcceptedNews> accepted = accepted_news(*answer);
  if (!accepted) {
    refused(outcome, accepted.error());
    return false;
  }
  outcome.accepted = std::move(*accepted);
  mark_at_rest(outcome.accepted->changes, course.order.before);
  tell_acceptance(course);
  return course.order.wait;
}

void take_report(Course& course, const Answer& answer, OrderNews news) {
  Outcome& outcome = course.outcome;
  outcome.body = answer.body;
  if (course.order.tells_removed) outcome.body = with_removed(std::move(outcome.body), outcome.accepted->removed);
  place_commands(news.slots, course.context.place_option);
  keep_missing(news, outcome.news);
  mark_removed(news, *outcome.accepted, course.order.applies_a_file);
  if (outcome.news.seen.empty())  // the first look
    for (const std::string& note : shared_names(course.order.names, news.slots)) course.shower.note(note, false);
  outcome.news = std::move(news);
  course.shower.show(outcome.news, outcome.elapsed);
}

// Until it is settled, or the keeper it is about has gone. False: something else has ended the waiting.
bool wait_until_settled(Course& course) {
  Outcome& outcome = course.outcome;
  while (!outcome.news.settled) {
    const MonoNs now = os::read_mono();
    outcome.elapsed = now - course.begin;
    if (now >= course.deadline) {
      outcome.end = End::timeout;
      return false;
    }
    const SpanNs pace = outcome.news.seen.empty() ? course.shower.first_pace() : course.shower.pace();
    const std::string seen = course.shower.wants_each_change() ? outcome.news.seen : std::string();
    const auto answer = course.operation.look(seen, std::min(pace, course.deadline - now), never);
    outcome.elapsed = os::read_mono() - course.begin;
    if (!answer && answer.error().trouble == Trouble::not_running && course.order.keeper_pid > 0) return true;
    if (!answer) {
      outcome = broken(std::move(outcome), answer.error());
      return false;
    }
    Result<OrderNews> news = order_news(*answer);
    if (!news) {
      refused(outcome, news.error());
      return false;
    }
    take_report(course, *answer, std::move(*news));
  }
  return true;
}

// shutdown: done when hearth itself has ended.
void wait_for_keeper(Course& course) {
  Outcome& outcome = course.outcome;
  const bool ended = wait_gone(course.context, course.keeper.get(), course.watch, course.deadline, &course.standstill);
  outcome.elapsed = os::read_mono() - course.begin;
  if (!ended) {
    outcome.end = course.watch.came() ? End::interrupted : End::timeout;
  } else if (!outcome.news.settled && os::state_is_left(course.context.instance.directory) &&
             !left_runs(course.context.instance.directory).empty()) {
    outcome.end = End::died;
  } else {
    // Its supervisor ended with it and could not tell the last of it: nothing runs any more.
    outcome.end = End::gone;
    for (SlotNews& slot : outcome.news.slots) {
      if (slot.outcome != "pending") continue;
      slot.outcome = "done";
      slot.state = "stopped";
    }
    if (!outcome.news.slots.empty()) course.shower.show(outcome.news, outcome.elapsed);
  }
}

}  // namespace

Outcome follow(const Context& context, Client& client, InterruptWatch& watch, const Order& order) {
  const bool ends_hearth = order.keeper_pid > 0;
  os::Fd keeper = open_keeper(context.instance.directory, order.keeper_pid);
  const Now given = os::read_clock();
  Patience patience = patience_for(context);
  patience.last_of_all = keeper.get();
  // Whoever shuts down and finds everybody dead starts a hearth himself, and waits for nobody else to do it.
  if (ends_hearth) patience.unfinished = {};
  Shower shower(context, given.wall);
  Standstill standstill(
      context, client, watch, [&](const std::string& words) { shower.complain(words); }, order.stands_after);
  Course course{.context = context,
                .order = order,
                .watch = watch,
                .operation = Operation(client, &watch, patience, order.key),
                .shower = shower,
                .keeper = std::move(keeper),
                .begin = given.mono,
                .deadline = after(given.mono, order.timeout),
                .standstill = standstill};
  course.outcome.given = given.wall;
  if (give_order(course) && wait_until_settled(course) && ends_hearth) wait_for_keeper(course);
  return std::move(course.outcome);
}

bool wait_for_end(const Context& context, Client& client, InterruptWatch& watch, MonoNs deadline) {
  for (std::int64_t before = 0;;) {
    const auto answer = client.ask({.target = "/v1/instance"}, std::min(deadline, after(os::read_mono(), seconds(10))));
    if (!answer) return !watch.came();
    const Result<InstanceNews> instance = instance_news(*answer);
    const std::int64_t number = instance ? instance->keeper_pid : 0;
    const os::Fd keeper = open_keeper(context.instance.directory, number);
    if (keeper) return wait_gone(context, keeper.get(), watch, deadline);
    // One that cannot be seen may be succeeded by another hearth between two looks at its lock.
    if (before != 0 && number != before) return true;
    before = number;
    if (wait_gone(context, -1, watch, std::min(deadline, after(os::read_mono(), seconds(5))))) return true;
    if (watch.came() || os::read_mono() >= deadline) return false;
  }
}

namespace {

std::string still_pending(const OrderNews& news) {
  constexpr std::size_t most = 6;
  const Labels labels(news.slots);
  std::string names;
  std::size_t count = 0;
  for (const SlotNews& slot : news.slots) {
    if (slot.outcome != "pending" || ++count > most) continue;
    if (!names.empty()) names += ", ";
    names += labels.of(slot) + " is " + slot.state_word();
    if (!slot.reason_text.empty()) names += " (" + shown(slot.reason_text, 0) + ")";
  }
  if (count > most) names += fmt::format(", and {} more", count - most);
  return names;
}

int complain_of_refusal(const Context& context, const Error& error, const Order& order) {
  const std::string& command = context.arguments.command;
  const bool of_file = order.applies_a_file && (command == "up" || command == "reload");
  return of_file ? complain_of_file(context, error) : complain(context, error);
}

}  // namespace

int complain_of_file(const Context& context, const Error& error) {
  return error.remedy == Remedy::fix_input ? complain(context, error, exit_code::not_configured)
                                           : complain(context, error);
}

int conclude(const Context& context, const Outcome& outcome, const Order& order, const char* done) {
  const std::string status = fmt::format("`hearth {}status`", context.place_option);
  switch (outcome.end) {
    case End::refused: return complain_of_refusal(context, outcome.error, order);
    case End::broken: return complain(context, ClientError{outcome.trouble, outcome.error});
    case End::interrupted: {
      // Stopping to wait is not stopping: what was ordered goes on.
      if (context.json) write_out(outcome.body);
      const std::string pending = still_pending(outcome.news);
      const bool starting = std::string_view(order.doing) == "start" || std::string_view(order.doing) == "restart";
      write_err(fmt::format("\nhearth: stopped waiting; the {} goes on{}{}. {} shows how{}\n", order.doing,
                            pending.empty() ? "" : ": ", pending, status,
                            starting ? fmt::format(", `hearth {}stop NAME` ends it", context.place_option) : ""));
      return exit_code::interrupted;
    }
    case End::timeout: {
      if (context.json) write_out(outcome.body);
      const std::string pending = still_pending(outcome.news);
      // The limit that was given, not what of it was left for the last question.
      const Result<SpanNs> limit = timeout_of(context.arguments);
      write_err(fmt::format("hearth: not done after {}: {}; the {} goes on, {} shows how\n",
                            elapsed_text(limit && *limit != never ? *limit : outcome.elapsed),
                            pending.empty() ? "it has not ended" : pending, order.doing, status));
      return exit_code::failed;
    }
    case End::died:
      return complain(context,
                      Error{Remedy::environment, order.doing, words_of(left_runs(context.instance.directory)),
                            "all of hearth died before they had ended",
                            fmt::format("`hearth {}shutdown` ends them", context.place_option), 0},
                      exit_code::failed);
    case End::settled:
    case End::gone: break;
  }
  const bool failed = outcome.news.overtaken > 0 || std::ranges::any_of(outcome.news.slots, [](const SlotNews& slot) {
                        return slot.outcome == "failed" || slot.outcome == "superseded" || slot.outcome == "incomplete";
                      });
  if (context.json) {
    write_out(outcome.body);
    return failed ? exit_code::failed : exit_code::done;
  }
  if (!order.wait) {
    if (order.quiet) return exit_code::done;
    write_out(fmt::format("accepted; {} shows how it goes\n", status));
    return exit_code::done;
  }
  if (failed) {
    if (outcome.news.slots.size() > 1 && done != nullptr) {
      write_out(fmt::format("not all {}: {}, after {}\n", done, summary(outcome.news), elapsed_text(outcome.elapsed)));
    }
    const bool of_reload = std::string_view(order.doing) == "reload" && !order.applies_a_file;
    tell_failures(context, outcome.news, outcome.given, of_reload);
    return exit_code::failed;
  }
  if (outcome.end == End::settled && done != nullptr) {
    std::string counts = summary(outcome.news);
    // Services that `down` forgot before the first look are in no report: the answer to the order counted them.
    if (outcome.accepted && outcome.news.slots.size() < outcome.accepted->slots)
      counts = fmt::format("{} stopped", outcome.accepted->slots);
    write_out(counts.empty() ? fmt::format("{}\n", done)
                             : fmt::format("{}: {}, after {}\n", done, counts, elapsed_text(outcome.elapsed)));
  }
  return exit_code::done;
}

}  // namespace hearth::cli
