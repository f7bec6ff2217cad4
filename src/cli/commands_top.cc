// top: what services use, live. tree: their processes.
#include <algorithm>
#include <map>
#include <optional>
#include <poll.h>
#include <set>
#include <string>
#include <termios.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/log_lines.h"
#include "cli/processes.h"
#include "cli/top_screen.h"
#include "cli/top_table.h"
#include "os/clock.h"
#include "os/proc_stat.h"
#include "os/run_memory.h"

namespace hearth::cli {
namespace {

constexpr SpanNs usual_interval = seconds(2);
constexpr SpanNs once_interval = milliseconds(500);

struct Seen {
  std::vector<SlotNews> slots;
  pid_t keeper = 0;
};

// The error is told; what is left of it is the exit code.
std::expected<Seen, int> ask(const Context& context, Operation& question) {
  std::string target = "/v1/status";
  for (const std::string& name : context.arguments.words)
    target += (target.ends_with("status") ? "?names=" : ",") + escaped(name);
  const auto answer = question.get(target, after(os::read_mono(), seconds(3)));
  if (!answer) return std::unexpected(complain(context, answer.error()));
  Result<std::vector<SlotNews>> slots = services_news(*answer);
  if (!slots) return std::unexpected(complain(context, slots.error()));
  const Result<InstanceNews> instance = instance_news(*answer);
  return Seen{std::move(*slots), instance ? static_cast<pid_t>(instance->keeper_pid) : 0};
}

std::vector<TopRow> rows_of(const Seen& seen, const Snapshot& before, const Snapshot& now, bool proportional) {
  const long ticks = ::sysconf(_SC_CLK_TCK);
  const std::uint64_t booted = os::read_boot_ticks();
  const Labels labels(seen.slots);
  const auto members = members_of(now, seen.slots, seen.keeper, run_in_environment);
  std::vector<TopRow> rows;
  for (std::size_t i = 0; i < seen.slots.size(); ++i) {
    TopRow row;
    row.slot = &seen.slots[i];
    row.name = labels.of(seen.slots[i]);
    row.use = use_of(members[i], before, now, ticks);
    if (proportional) {
      row.use.memory_kib = 0;
      for (const pid_t pid : members[i])
        row.use.memory_kib += os::proportional_kib(pid).value_or(now.processes.at(pid).resident_kib);
    }
    const auto leader = now.processes.find(static_cast<pid_t>(seen.slots[i].pid));
    if (leader != now.processes.end() && booted > leader->second.start_ticks && ticks > 0)
      row.uptime = static_cast<SpanNs>(booted - leader->second.start_ticks) * (ns_per_s / ticks);
    rows.push_back(std::move(row));
  }
  return rows;
}

// Keys come one by one and are not shown, as long as it lives.
class Keys {
 public:
  Keys() {
    if (::tcgetattr(STDIN_FILENO, &before_) < 0) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    changed_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~Keys() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  bool there() const { return changed_; }

 private:
  termios before_{};
  bool changed_ = false;
};

// Until the time is over. What was typed; nothing: it is over, by Ctrl-C, a signal, or the end of the terminal.
std::optional<std::string> wait_for_keys(InterruptWatch& watch, const Keys& keys, SpanNs span) {
  pollfd polled[2] = {{watch.fd(), POLLIN, 0}, {keys.there() ? STDIN_FILENO : -1, POLLIN, 0}};
  ::poll(polled, 2, static_cast<int>((span + ns_per_ms - 1) / ns_per_ms));
  if (watch.came()) return std::nullopt;
  char typed[64];
  if ((polled[1].revents & POLLIN) != 0)
    if (const ssize_t n = ::read(STDIN_FILENO, typed, sizeof typed); n > 0)
      return std::string(typed, static_cast<std::size_t>(n));
  // A terminal that has gone would be readable for ever.
  if ((polled[1].revents & (POLLHUP | POLLERR)) != 0) return std::nullopt;
  return std::string();
}

// Accepted, and not waited for: the table shows what becomes of it.
std::string order_it(const Context& context, Client& client, InterruptWatch& watch, const TopScreen::Wish& wish) {
  Operation order(client, &watch, patience_for(context));
  const std::string body = fmt::format(R"({{"verb":"{}","names":{}}})", wish.verb, names_json({wish.name}));
  const auto answer = order.post("/v1/orders", body, after(os::read_mono(), seconds(3)));
  if (!answer) return "not ordered: " + answer.error().error.text();
  if (answer->status >= 400) return refusal(*answer).text();
  return fmt::format("{} of {} is ordered", wish.verb, wish.name);
}

int live(const Context& context, Client& client, InterruptWatch& watch, TopOrder order, SpanNs interval,
         bool proportional) {
  const Keys keys;
  Operation question(client, &watch, patience_for(context));
  TopScreen screen(order);
  Snapshot before = take_snapshot();
  MonoNs look_at = after(os::read_mono(), once_interval);
  std::optional<Seen> seen;
  std::vector<TopRow> rows;
  for (;;) {
    const auto typed = wait_for_keys(watch, keys, std::max(look_at - os::read_mono(), SpanNs{0}));
    if (!typed || screen.type(*typed)) return exit_code::done;
    if (const auto wish = screen.take_wish()) screen.say(order_it(context, client, watch, *wish));
    // A key only draws anew: over the few milliseconds between two keys a share of a processor means nothing.
    if (os::read_mono() >= look_at) {
      auto answer = ask(context, question);
      if (watch.came()) return exit_code::done;
      if (!answer) return answer.error();
      Snapshot now = take_snapshot();
      seen = std::move(*answer);
      rows = rows_of(*seen, before, now, proportional);
      before = std::move(now);
      look_at = after(os::read_mono(), interval);
    }
    if (seen) write_out(screen.frame(rows, look_at_terminal(STDOUT_FILENO), &last_lines));
  }
}

}  // namespace

int command_top(const Context& context) {
  const auto wrong = [&](const std::string& option, const std::string& reason, const std::string& hint) {
    return complain(context, Error{Remedy::fix_input, "understand", option, reason, hint, 0}, exit_code::usage);
  };
  TopOrder order = TopOrder::cpu;
  if (const auto word = context.arguments.value("sort")) {
    const std::optional<TopOrder> known = top_order(*word);
    if (!known) return wrong("--sort " + *word, "nothing is sorted by that", "cpu, memory, restarts, uptime or name");
    order = *known;
  }
  SpanNs interval = usual_interval;
  if (const auto text = context.arguments.value("interval")) {
    const std::optional<SpanNs> span = span_of(*text);
    if (!span || *span < milliseconds(100) || *span > seconds(3'600))
      return wrong("--interval " + *text, "it is no span of time from 100ms to 1h",
                   "write for example 2s, 500ms or 0.5");
    interval = *span;
  }
  const bool proportional = context.arguments.has("pss");
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation question(client, &watch, patience_for(context));
  const bool terminal = look_at_terminal(STDOUT_FILENO).interactive;
  if (terminal && !context.json && !context.arguments.has("once"))
    return live(context, client, watch, order, interval, proportional);
  const Snapshot before = take_snapshot();
  ::poll(nullptr, 0, static_cast<int>(once_interval / ns_per_ms));
  const auto seen = ask(context, question);
  if (!seen) return seen.error();
  std::vector<TopRow> rows = rows_of(*seen, before, take_snapshot(), proportional);
  sort_rows(rows, order);
  write_out(context.json ? top_json(rows, proportional) : top_table(rows, look_at_terminal(STDOUT_FILENO).columns, 0));
  return exit_code::done;
}

namespace {

class Tree {
 public:
  Tree(const Snapshot& snapshot, const std::vector<pid_t>& members) : snapshot_(snapshot) {
    const std::set<pid_t> all(members.begin(), members.end());
    for (const pid_t pid : members) {
      const pid_t parent = snapshot.processes.at(pid).parent;
      if (all.contains(parent))
        children_[parent].push_back(pid);
      else
        roots_.push_back(pid);
    }
  }
  const std::vector<pid_t>& roots() const { return roots_; }

  void text(std::string& out, pid_t pid, const std::string& before, bool last) const {
    const os::ProcStat& process = snapshot_.processes.at(pid);
    std::string command = os::command_of(pid);
    if (command.empty()) command = process.name;
    out +=
        fmt::format("{}{}{} {}{}\n", before, last ? "`-" : "|-", pid, command, process.state == 'Z' ? " (ended)" : "");
    const auto found = children_.find(pid);
    if (found == children_.end()) return;
    for (std::size_t i = 0; i < found->second.size(); ++i)
      text(out, found->second[i], before + (last ? "  " : "| "), i + 1 == found->second.size());
  }

  void json(std::string& out, pid_t pid) const {
    const os::ProcStat& process = snapshot_.processes.at(pid);
    out += fmt::format(R"({{"pid":{},"name":{},"command":{},"threads":{},"rss_kib":{},"children":[)", pid,
                       json_text(process.name), json_text(os::command_of(pid)), process.threads, process.resident_kib);
    if (const auto found = children_.find(pid); found != children_.end())
      for (std::size_t i = 0; i < found->second.size(); ++i) {
        if (i > 0) out += ',';
        json(out, found->second[i]);
      }
    out += "]}";
  }

 private:
  const Snapshot& snapshot_;
  std::map<pid_t, std::vector<pid_t>> children_;
  std::vector<pid_t> roots_;
};

}  // namespace

int command_tree(const Context& context) {
  Client client(context.socket_path());
  Operation question(client, nullptr, patience_for(context));
  const auto seen = ask(context, question);
  if (!seen) return seen.error();
  const Snapshot now = take_snapshot();
  const auto members = members_of(now, seen->slots, seen->keeper, run_in_environment);
  const Labels labels(seen->slots);
  std::string out = context.json ? "[" : "";
  for (std::size_t i = 0; i < seen->slots.size(); ++i) {
    const SlotNews& slot = seen->slots[i];
    const Tree tree(now, members[i]);
    if (context.json) {
      out += fmt::format(R"({}{{"service":{},"processes":[)", i == 0 ? "" : ",", json_text(full_name(slot)));
    } else {
      out += fmt::format("{} {}\n", labels.of(slot), slot.state_word());
    }
    const std::vector<pid_t>& roots = tree.roots();
    for (std::size_t r = 0; r < roots.size(); ++r) {
      if (context.json) {
        if (r > 0) out += ',';
        tree.json(out, roots[r]);
      } else {
        tree.text(out, roots[r], "", r + 1 == roots.size());
      }
    }
    if (context.json) out += "]}";
  }
  write_out(context.json ? out + "]\n" : out);
  return exit_code::done;
}

}  // namespace hearth::cli
