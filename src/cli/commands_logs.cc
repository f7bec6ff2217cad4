// logs: reads the files themselves, so that it works whatever state hearth is in. Only which services a name means
// is asked of hearth, and read from the log directory when it does not answer.
#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <queue>
#include <signal.h>
#include <string>
#include <sys/inotify.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/rfc3339.h"
#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/log_lines.h"
#include "cli/log_source.h"
#include "cli/log_times.h"
#include "cli/progress.h"
#include "cli/tags.h"
#include "config/numbers.h"
#include "logs/lines.h"
#include "logs/reader.h"
#include "os/clock.h"
#include "os/fd.h"

namespace hearth::cli {
namespace {

constexpr std::size_t usual_lines = 20;
constexpr std::size_t enough_output = 64u << 10;
constexpr SpanNs longest_rotation = seconds(10);
constexpr int pause_ms = 100;  // until a hearth that does not answer is asked again
constexpr std::uint32_t newcomers = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;  // services that begin to write

Error usage(std::string subject, std::string reason, std::string hint) {
  return {Remedy::fix_input, "show", std::move(subject), std::move(reason), std::move(hint), 0};
}

Result<LogQuery> query_of(const Arguments& arguments, WallNs now) {
  LogQuery query;
  for (const char* option : {"since", "until"}) {
    const std::optional<std::string> text = arguments.value(option);
    if (!text) continue;
    const Result<WallNs> moment = parse_moment("--" + std::string(option), *text, now);
    if (!moment) return failure(moment.error());
    (option[0] == 's' ? query.since : query.until) = *moment;
  }
  if (query.since && query.until) query.until = end_after(*query.since, *arguments.value("until"), *query.until);
  if (query.since && query.until && *query.since > *query.until)
    return failure(usage("--since and --until", "the beginning is later than the end", "exchange them"));
  if (query.until && arguments.has("follow"))
    return failure(usage("--follow with --until", "what comes is later than any end", "leave one of them out"));
  const std::optional<std::string> expression = arguments.value("grep");
  if (!expression && (arguments.has("invert-match") || arguments.has("ignore-case"))) {
    return failure(usage(arguments.has("invert-match") ? "--invert-match" : "--ignore-case", "it belongs to --grep",
                         "write --grep RE, too"));
  }
  if (expression) {
    Result<LogPattern> pattern = LogPattern::create(*expression, arguments.has("ignore-case"));
    if (!pattern) return failure(pattern.error());
    query.pattern = std::move(*pattern);
    query.invert = arguments.has("invert-match");
  }
  const std::optional<std::string> lines = arguments.value("lines");
  if (!lines && !query.filters()) query.lines = usual_lines;
  if (lines && *lines != "all") {
    const auto count = config::parse_number(*lines);
    if (!count) return failure(usage("--lines " + *lines, "it is no number of lines", "a number, or all"));
    query.lines = static_cast<std::size_t>(*count);
  }
  return query;
}

struct Chosen {
  std::string directory;  // of all logs
  std::vector<SlotNews> slots;
  std::vector<SlotNews> forgotten;  // nobody named them, and hearth knows them no more: shown when they write again
};

// What a hearth that runs says. A failure: it is there and does not say anything now, as one that is stopped, replaced at
// this moment, or short of descriptors.
// `told`: it has said which there are.
Result<std::vector<SlotNews>> running_services(const Context& context, bool& told) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/status"}, after(os::read_mono(), seconds(2)));
  Result<std::vector<SlotNews>> services = answer ? services_news(*answer) : failure(answer.error().error);
  const bool may_answer = answer || answer.error().trouble == Trouble::timeout ||
                          answer.error().trouble == Trouble::cut || answer.error().trouble == Trouble::not_running;
  told = services.has_value();
  if (told || (may_answer && instance_lives(context.instance))) return services;
  return std::vector<SlotNews>();
}

// Who follows waits for a hearth that does not say whether a service that has no log yet exists.
Result<Chosen> choose(const Context& context) {
  for (bool told = false;; told = true) {
    bool knows = false;  // without a hearth that tells, all that is there is shown
    const Result<std::vector<SlotNews>> running = running_services(context, knows);
    // By the directories: they are there for what hearth has forgotten, too. What runs tells where they are.
    std::string directory = context.instance.log_directory;
    if (running && !running->empty())
      directory = running->front().log_directory.substr(0, running->front().log_directory.rfind('/'));
    // A service that has not written yet has no directory; following it makes sense all the same.
    Result<std::vector<SlotNews>> chosen =
        services_with_logs(directory, context.arguments.words, running ? *running : std::vector<SlotNews>());
    if (chosen) {
      Chosen all{directory, std::move(*chosen), {}};
      if (knows && context.arguments.words.empty() && !context.arguments.has("all"))
        all.forgotten = take_forgotten(all.slots, *running);
      return all;
    }
    if (running || chosen.error().remedy != Remedy::not_found) return failure(chosen.error());
    if (!context.arguments.has("follow")) {
      return failure(
          Remedy::try_later, chosen.error().operation, chosen.error().subject,
          "there is none here, and hearth does not say whether there is such a service: " + running.error().reason,
          running.error().hint);
    }
    if (running.error().remedy == Remedy::no_access) return failure(running.error());  // and it stays so
    if (!told)
      write_err(
          fmt::format("hearth: there is no log of {} yet; waiting for hearth to say whether there will be one: {}\n",
                      chosen.error().subject, running.error().reason));
    ::poll(nullptr, 0, pause_ms);
  }
}

// False: whoever read us is gone.
Result<bool> await_news(logs::Watcher& watcher) {
  std::array<pollfd, 2> polled{{{watcher.descriptor(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}}};
  if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return errno_failure("wait for", "logs", errno);
  watcher.take_events();
  return (polled[1].revents & POLLERR) == 0;
}

// Everything that one service writes, byte by byte: a line that has not come to its end is shown, too. Who follows comes to
// an end when others of the names that were asked for begin to write: they are in `chosen` then, and `joined` says how far
// the first one is.
int pass_through(const Context& context, Chosen& chosen, std::optional<std::size_t> lines, bool follow,
                 std::optional<logs::Cursor>& joined) {
  const SlotNews slot = chosen.slots[0];
  logs::Cursor from;
  if (lines) {
    const Result<logs::Tail> last = logs::last_lines(slot.log_directory, *lines);
    if (!last) return complain(context, last.error(), exit_code::failed);
    write_out(last->bytes);
    if (!follow) return exit_code::done;
    from = last->end;
  }
  Result<logs::Watcher> watcher = logs::Watcher::create();
  if (!watcher && follow) return complain(context, watcher.error(), exit_code::failed);
  // Before its content is looked at.
  const int above = watcher ? watcher->watch(chosen.directory, newcomers) : -1;
  Result<logs::Follower> created = watcher ? logs::Follower::create(slot.log_directory, from, &*watcher)
                                           : Result<logs::Follower>(failure(watcher.error()));
  if (!created && follow) return complain(context, created.error(), exit_code::failed);
  logs::Follower follower = created ? std::move(*created) : logs::Follower::unwatched(slot.log_directory, from);
  bool line_is_open = false;
  for (std::uint64_t seen = 0, first = 1;; first = 0) {
    const Result<bool> taken = follower.take([&](const logs::Piece& piece) {
      if (piece.gap)
        write_err(fmt::format("hearth: older lines of {} are gone: its files were rotated away\n", slot.name));
      write_out(piece.bytes);
      if (!piece.bytes.empty()) line_is_open = !piece.bytes.ends_with('\n');
      return true;
    });
    if (!taken) return complain(context, taken.error(), exit_code::failed);
    if (!follow) return exit_code::done;
    if (above >= 0 && (watcher->events_of(above) != std::exchange(seen, watcher->events_of(above)) || first != 0)) {
      const Result<std::vector<SlotNews>> found = services_with_logs(chosen.directory, context.arguments.words, {slot});
      for (const SlotNews& one : found ? *found : std::vector<SlotNews>())
        if (full_name(one) != full_name(slot)) chosen.slots.push_back(one);
      if (chosen.slots.size() > 1) {
        if (line_is_open) write_out("\n");
        joined = follower.cursor();
        return exit_code::done;
      }
    }
    if (const Result<bool> more = await_news(*watcher); !more || !*more)
      return more ? exit_code::done : complain(context, more.error());
  }
}

// How lines of several services look.
class Look {
 public:
  Look(const Context& context, bool prefixed) : json_(context.json), prefixed_(prefixed) {
    timestamps_ = context.arguments.has("timestamps");
    color_ = look_at_terminal(STDOUT_FILENO).color;
  }

  // A service that will be shown; its label is the shortest that tells it from the others known so far.
  void add(const std::vector<SlotNews>& slots) {
    prefixed_ = prefixed_ || slots.size() > 1;
    if (slots.size() == 2) prefixes_.clear();  // the first one has company now
    const Labels labels(slots);
    if (prefixes_.empty())
      for (const SlotNews& slot : slots) widest_ = std::max(widest_, labels.of(slot).size());
    for (std::size_t i = prefixes_.size(); i < slots.size(); ++i) prefixes_.push_back(prefix(labels.of(slots[i]), i));
  }

  void append(std::string& out, const SlotNews& slot, std::size_t source, const logs::Line& line) const {
    if (json_) {
      out += fmt::format(R"({{"project":{},"service":{},"index":{},"line":{})", json_text(slot.project),
                         json_text(slot.name), slot.index, json_text(line.text));
      if (line.wall_ns != 0) out += fmt::format(R"(,"time":"{}")", rfc3339(line.wall_ns, logs::stamp_digits));
      out += "}\n";
      return;
    }
    if (prefixed_) out += prefixes_[source];
    if (timestamps_ && !line.stamped) {
      out += line.wall_ns != 0 ? rfc3339(line.wall_ns, logs::stamp_digits) : std::string("-");
      out += ' ';
    }
    out += line.text;
    out += '\n';
  }

 private:
  std::string prefix(const std::string& name, std::size_t i) const {
    static constexpr std::array colors = {36, 33, 35, 32, 34, 31};
    return color_ ? fmt::format("\x1b[{}m{:<{}} |\x1b[0m ", colors[i % colors.size()], name, widest_)
                  : fmt::format("{:<{}} | ", name, widest_);
  }

  bool json_, prefixed_;
  bool timestamps_ = false;
  bool color_ = false;
  std::size_t widest_ = 0;
  std::vector<std::string> prefixes_;
};

class Merge {
 public:
  Merge(const Context& context, const LogQuery& query, Chosen chosen, bool prefixed)
      : context_(context), query_(query), chosen_(std::move(chosen)), look_(context, prefixed) {
    look_.add(chosen_.slots);
    for (const SlotNews& slot : chosen_.slots) sources_.emplace_back(slot, query);
    for (const SlotNews& slot : chosen_.forgotten) forgotten_.emplace_back(slot, query);
  }

  // What stands before is not shown.
  void start_at(logs::Cursor from) { sources_[0].start_at(from); }

  // What stands there now, in the order of time. Lines of no known time stay together, before the others.
  Status show_kept(bool to_the_end) {
    using Next = std::tuple<WallNs, std::size_t>;
    std::priority_queue<Next, std::vector<Next>, std::greater<>> order;
    std::vector<logs::Line> lines(sources_.size());
    const auto advance = [&](std::size_t i) -> Status {
      const Result<bool> got = sources_[i].next(lines[i]);
      if (!got) return failure(got.error());
      tell_gap(sources_[i]);
      if (*got || (to_the_end && sources_[i].finish(lines[i]))) order.emplace(lines[i].wall_ns, i);
      return {};
    };
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (Status opened = sources_[i].open(); !opened) return opened;
      if (Status advanced = advance(i); !advanced) return advanced;
    }
    while (!order.empty()) {
      const std::size_t i = std::get<1>(order.top());
      order.pop();
      show(i, lines[i]);
      if (Status advanced = advance(i); !advanced) return advanced;
    }
    flush();
    return {};
  }

  // Services that come later and have one of the names are shown, too.
  Status follow() {
    Result<logs::Watcher> created = logs::Watcher::create();
    if (!created) return failure(created.error());
    logs::Watcher watcher = std::move(*created);
    // Before its content is looked at.
    const int above = watcher.watch(chosen_.directory, newcomers);
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (Status begun = sources_[i].begin_following(watcher); !begun) return begun;
      if (Status shown = show_live(i); !shown) return shown;
    }
    for (LogSource& source : forgotten_) {
      const Result<logs::Tail> end = logs::last_lines(source.slot().log_directory, 0);
      if (!end) return failure(end.error());
      source.start_at(end->end);
      if (Status begun = source.begin_following(watcher); !begun) return begun;
    }
    if (Status taken = take_returned(); !taken) return taken;
    for (std::uint64_t seen = 0, first = 1;; first = 0) {
      if (above >= 0 && (first != 0 || watcher.events_of(above) != seen)) {
        seen = watcher.events_of(above);
        if (Status found = take_new(watcher); !found) return found;
      }
      flush();
      if (const Result<bool> more = await_news(watcher); !more || !*more)
        return more ? Status() : failure(more.error());
      if (Status taken = take_returned(); !taken) return taken;
      for (std::size_t i = 0; i < sources_.size(); ++i) {
        if (!sources_[i].has_news()) continue;
        if (Status shown = show_live(i); !shown) return shown;
      }
    }
  }

 private:
  void show(std::size_t i, const logs::Line& line) { show(i, sources_[i].slot(), line); }
  void show(std::size_t i, const SlotNews& slot, const logs::Line& line) {
    look_.append(out_, slot, i, line);
    if (out_.size() >= enough_output) flush();
  }
  void flush() {
    write_out(out_);
    out_.clear();
  }
  void tell_gap(LogSource& source) {
    if (!source.take_gap()) return;
    flush();
    write_err(fmt::format("hearth: older lines of {} are gone: its files were rotated away\n", source.slot().name));
  }
  Status show_live(std::size_t i) {
    logs::Line line;
    for (;;) {
      const Result<bool> got = sources_[i].next_live(line);
      if (!got) return failure(got.error());
      tell_gap(sources_[i]);
      if (!*got) return {};
      show(i, line);
    }
  }
  // Of those that were forgotten, who is up again and writes. Files that are only tidied up are news, too.
  Status take_returned() {
    for (auto source = forgotten_.begin(); source != forgotten_.end();) {
      logs::Line line;
      const Result<bool> got = source->has_news() ? source->next_live(line) : Result<bool>(false);
      if (!got) return failure(got.error());
      if (!*got) {
        ++source;
        continue;
      }
      chosen_.slots.push_back(source->slot());
      look_.add(chosen_.slots);
      show(sources_.size(), source->slot(), line);
      sources_.push_back(std::move(*source));
      source = forgotten_.erase(source);
      if (Status shown = show_live(sources_.size() - 1); !shown) return shown;
    }
    return {};
  }
  // Services that have begun to write since.
  Status take_new(logs::Watcher& watcher) {
    const Result<std::vector<SlotNews>> found =
        services_with_logs(chosen_.directory, context_.arguments.words, chosen_.slots);
    if (!found) return {};
    for (const SlotNews& slot : *found) {
      const auto same = [&](const SlotNews& one) { return one.log_directory == slot.log_directory; };
      const auto of_same = [&](const LogSource& source) { return same(source.slot()); };
      if (std::ranges::any_of(chosen_.slots, same) || std::ranges::any_of(forgotten_, of_same)) continue;
      chosen_.slots.push_back(slot);
      look_.add(chosen_.slots);
      sources_.emplace_back(slot, query_);
      if (Status begun = sources_.back().begin_following(watcher); !begun) return begun;
      if (Status shown = show_live(sources_.size() - 1); !shown) return shown;
    }
    return {};
  }

  const Context& context_;
  const LogQuery& query_;
  Chosen chosen_;
  Look look_;
  std::vector<LogSource> sources_;
  std::vector<LogSource> forgotten_;  // followed from where they end now
  std::string out_;
};

// Asks the logger for the next files, by files of the streams' names (docs/formats/log-files.md), and waits until it has
// taken them away.
int rotate(const Context& context, const Chosen& chosen) {
  if (context.arguments.words.empty())
    return complain(context, usage("logs --rotate", "no service is named", "hearth logs --rotate NAME..."),
                    exit_code::usage);
  if (!instance_lives(context.instance)) {
    return complain(context,
                    Error{Remedy::try_later, "rotate", "the logs", "hearth does not run",
                          "its files do not grow now: they may be taken away as they are", 0},
                    exit_code::not_running);
  }
  Result<logs::Watcher> watcher = logs::Watcher::create();
  if (!watcher) return complain(context, watcher.error());
  const std::string directory = chosen.directory + "/.rotate";
  const int watch = watcher->watch(directory, IN_DELETE | IN_ONLYDIR);
  if (watch < 0) return complain(context, errno_error("ask for the next files in", directory, -watch));
  std::vector<std::string> asked;
  for (const SlotNews& slot : chosen.slots) {
    const std::string path = directory + slot.log_directory.substr(slot.log_directory.rfind('/'));
    const os::Fd made(::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!made) return complain(context, errno_error("ask for the next file by", path, errno));
    asked.push_back(path);
  }
  const MonoNs deadline = after(os::read_mono(), longest_rotation);
  for (;;) {
    std::erase_if(asked, [](const std::string& path) { return ::access(path.c_str(), F_OK) != 0; });
    if (asked.empty()) return exit_code::done;
    const SpanNs left = deadline - os::read_mono();
    if (left <= 0) break;
    pollfd polled{watcher->descriptor(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(left / ns_per_ms) + 1);
    watcher->take_events();
  }
  return complain(context,
                  Error{Remedy::try_later, "rotate", asked[0], "the logger has not taken it up yet",
                        "it will when it can: `hearth status` says what its disk suffers from", 0},
                  exit_code::failed);
}

bool is_glob(const std::string& name) {
  return name.find_first_of("*?") != name.npos;
}

// Nothing is shown, and there is something.
void tell_forgotten(const Context& context, std::size_t count) {
  if (count == 0) return;
  write_err(fmt::format("hearth: no service is up; logs of {} that {} down: `hearth {}logs --all`\n", count,
                        count == 1 ? "is" : "are", context.place_option));
}

}  // namespace

int command_logs(const Context& asked) {
  ::signal(SIGPIPE, SIG_DFL);  // `hearth logs -f web | head` ends like tail
  Result<std::vector<std::string>> names = without_tags(asked, asked.arguments.words);
  if (!names) return complain(asked, names.error());
  Context context = asked;
  context.arguments.words = std::move(*names);
  const Arguments& arguments = context.arguments;
  const Result<LogQuery> query = query_of(arguments, os::read_clock().wall);
  if (!query) return complain(context, query.error(), exit_code::usage);
  Result<Chosen> chosen = choose(context);
  if (!chosen) return complain(context, chosen.error());

  if (arguments.has("rotate")) return rotate(context, *chosen);
  const bool follow = arguments.has("follow");
  const bool open_ended = arguments.words.empty() || std::ranges::any_of(arguments.words, is_glob);
  const bool several = chosen->slots.size() > 1 || (follow && open_ended);
  if (arguments.has("all") && !arguments.words.empty())
    return complain(context, usage("logs --all", "services are named, too", "leave out either"), exit_code::usage);
  if (!several && chosen->slots.empty()) {
    tell_forgotten(context, chosen->forgotten.size());
    return exit_code::done;
  }
  std::optional<logs::Cursor> joined;
  if (!several && !context.json && !query->filters() && !arguments.has("timestamps")) {
    const int code = pass_through(context, *chosen, query->lines, follow, joined);
    if (!joined) return code;
  }

  Merge merge(context, *query, std::move(*chosen), several);
  if (joined) merge.start_at(*joined);
  Status done = joined ? Status() : merge.show_kept(!follow);
  if (done && follow) done = merge.follow();
  return done ? exit_code::done : complain(context, done.error(), exit_code::failed);
}

}  // namespace hearth::cli
