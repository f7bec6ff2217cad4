// logs: reads the files themselves, so that it works whatever state hearth is in. Only which services a name means
// is asked of hearth, and read from the log directory when it does not answer.
#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/log_lines.h"
#include "cli/progress.h"
#include "config/scalars.h"
#include "logs/reader.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr std::size_t usual_lines = 20;
constexpr std::size_t all_lines = std::numeric_limits<std::size_t>::max();

Result<std::size_t> lines_of(const Arguments& arguments) {
  const std::string text = arguments.value("lines").value_or(std::to_string(usual_lines));
  if (text == "all") return all_lines;
  const auto count = config::parse_number(text);
  if (!count) {
    return failure(Remedy::fix_input, "show", "--lines " + text, "it is no number of lines", "a number, or all");
  }
  return static_cast<std::size_t>(*count);
}

Result<std::vector<SlotNews>> choose(const Context& context) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/status"}, after(os::read_mono(), seconds(2)));
  std::vector<SlotNews> running;
  if (answer) {
    if (Result<std::vector<SlotNews>> services = services_news(*answer)) running = std::move(*services);
  }
  // By the directories: they are there for what hearth has forgotten, too. What runs tells where they are.
  std::string directory = context.instance.log_directory;
  if (!running.empty()) directory = running[0].log_directory.substr(0, running[0].log_directory.rfind('/'));
  Result<std::vector<SlotNews>> chosen = services_with_logs(directory, context.arguments.words);
  if (chosen || running.empty()) return chosen;
  // A service that has not written yet has no directory; following it makes sense all the same.
  for (const SlotNews& slot : running) {
    for (const std::string& name : context.arguments.words) {
      if (name != slot.name) continue;
      if (!chosen) chosen = std::vector<SlotNews>();
      chosen->push_back(slot);
      break;
    }
  }
  return chosen;
}

// A line of a tail, with the time to sort by: its own stamp, or the one before it in the same log.
struct StampedLine {
  std::string stamp, text;
};

// One service's output on its way to stdout.
class Source {
 public:
  Source(const Context& context, const SlotNews& slot, std::string prefix)
      : json_(context.json), slot_(slot), prefix_(std::move(prefix)) {
    head_ = fmt::format(R"({{"project":{},"service":{},"index":{},"line":)", json_text(slot.project),
                        json_text(slot.name), slot.index);
  }

  void show(std::string_view bytes) {
    if (!json_ && prefix_.empty()) return write_out(bytes);
    std::string out;
    cutter_.add(bytes, [&](std::string_view line) { append(out, line); });
    write_out(out);
  }
  void finish() {
    std::string out;
    cutter_.finish([&](std::string_view line) { append(out, line); });
    write_out(out);
  }
  bool piece(const logs::Piece& piece) {
    if (piece.gap)
      write_err(fmt::format("hearth: older lines of {} are gone: its files were rotated away\n", slot_.name));
    show(piece.bytes);
    return true;
  }

  // The last lines go into `tail`, to be merged with those of others; `-n all` is a stream of its own.
  Status begin(std::size_t lines, bool follow, std::vector<StampedLine>& tail) {
    logs::Cursor from;
    if (lines != all_lines) {
      const Result<logs::Tail> last = logs::last_lines(slot_.log_directory, lines);
      if (!last) return failure(last.error());
      from = last->end;
      if (!json_ && prefix_.empty()) {
        write_out(last->bytes);
      } else {
        std::string stamp;
        const auto keep = [&](std::string_view line) {
          if (const std::string_view own = stamp_of(line); !own.empty()) stamp = own;
          tail.push_back({stamp, {}});
          append(tail.back().text, line);
        };
        cutter_.add(last->bytes, keep);
        if (!follow) cutter_.finish(keep);
      }
      if (!follow) return {};
    }
    Result<logs::Follower> follower = logs::Follower::create(slot_.log_directory, from);
    if (!follower) return failure(follower.error());
    follower_ = std::make_unique<logs::Follower>(std::move(*follower));
    return more();
  }
  Status more() {
    const Result<bool> taken = follower_->take([this](const logs::Piece& p) { return piece(p); });
    if (!taken) return failure(taken.error());
    return {};
  }
  int descriptor() const { return follower_->descriptor(); }

 private:
  void append(std::string& out, std::string_view line) {
    if (json_) {
      out += head_ + json_text(line) + "}\n";
    } else {
      out += prefix_;
      out += line;
      out += '\n';
    }
  }

  bool json_;
  SlotNews slot_;
  std::string prefix_, head_;
  LineCutter cutter_;
  std::unique_ptr<logs::Follower> follower_;
};

std::vector<std::string> prefixes(const std::vector<SlotNews>& slots, bool color) {
  static constexpr int colors[] = {36, 33, 35, 32, 34, 31};
  std::vector<std::string> texts(slots.size());
  if (slots.size() < 2) return texts;
  const Labels labels(slots);
  std::size_t widest = 0;
  for (const SlotNews& slot : slots) widest = std::max(widest, labels.of(slot).size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::string name = labels.of(slots[i]);
    texts[i] = color ? fmt::format("\x1b[{}m{:<{}} |\x1b[0m ", colors[i % std::size(colors)], name, widest)
                     : fmt::format("{:<{}} | ", name, widest);
  }
  return texts;
}

int follow_all(const Context& context, std::vector<Source>& sources) {
  std::vector<pollfd> polled;
  for (const Source& source : sources) polled.push_back({source.descriptor(), POLLIN, 0});
  polled.push_back({STDOUT_FILENO, 0, 0});  // POLLERR: whoever read us is gone
  for (;;) {
    const int n = ::poll(polled.data(), polled.size(), -1);
    if (n < 0 && errno != EINTR) return complain(context, errno_error("wait for", "logs", errno));
    if ((polled.back().revents & POLLERR) != 0) return exit_code::done;
    for (std::size_t i = 0; n > 0 && i < sources.size(); ++i) {
      if (polled[i].revents == 0) continue;
      if (const Status more = sources[i].more(); !more) return complain(context, more.error(), exit_code::failed);
    }
  }
}

}  // namespace

int command_logs(const Context& context) {
  ::signal(SIGPIPE, SIG_DFL);  // `hearth logs -f web | head` ends like tail
  if (context.arguments.words.empty()) {
    return complain(context, Error{Remedy::fix_input, "show", "logs", "no service is named", "hearth logs NAME...", 0},
                    exit_code::usage);
  }
  const Result<std::size_t> lines = lines_of(context.arguments);
  if (!lines) return complain(context, lines.error(), exit_code::usage);
  const Result<std::vector<SlotNews>> chosen = choose(context);
  if (!chosen) return complain(context, chosen.error());

  const bool follow = context.arguments.has("follow");
  const std::vector<std::string> prefix = prefixes(*chosen, look_at_terminal(STDOUT_FILENO).color);
  std::vector<Source> sources;
  for (std::size_t i = 0; i < chosen->size(); ++i) sources.emplace_back(context, (*chosen)[i], prefix[i]);
  std::vector<StampedLine> tail;
  for (Source& source : sources) {
    if (const Status begun = source.begin(*lines, follow, tail); !begun)
      return complain(context, begun.error(), exit_code::failed);
    if (!follow) source.finish();
  }
  // Lines without any stamp (log.format = "raw") have no time: they stay together, before the others.
  std::ranges::stable_sort(tail, {}, &StampedLine::stamp);
  std::string out;
  for (const StampedLine& line : tail) out += line.text;
  write_out(out);
  return follow ? follow_all(context, sources) : exit_code::done;
}

}  // namespace hearth::cli
