// events: what has happened, from the journal of the running hearth and its copy on the disk.
#include <algorithm>
#include <limits>
#include <poll.h>
#include <signal.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/nearest.h"
#include "base/placed.h"
#include "base/rfc3339.h"
#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/event_news.h"
#include "cli/left_behind.h"
#include "cli/log_times.h"
#include "cli/tags.h"
#include "config/numbers.h"
#include "model/replica_names.h"
#include "os/clock.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

constexpr std::size_t usual_lines = 20;
constexpr std::size_t all_lines = std::numeric_limits<std::size_t>::max();
constexpr int pause_ms = 50;

struct Wanted {
  std::size_t lines = usual_lines;
  std::string since;  // RFC 3339 as the journal has it; "" = whenever
};

Result<Wanted> wanted_of(const Arguments& arguments) {
  Wanted wanted;
  if (const auto text = arguments.value("since")) {
    const Result<WallNs> since = parse_moment("--since", *text, os::read_clock().wall);
    if (!since) return failure(since.error());
    wanted.since = rfc3339(*since);
    wanted.lines = all_lines;
  }
  if (const auto text = arguments.value("lines")) {
    const auto count = config::parse_number(*text);
    if (!count && *text != "all")
      return failure(Remedy::fix_input, "show", "--lines " + *text, "it is no number of events", "a number, or all");
    wanted.lines = count ? static_cast<std::size_t>(*count) : all_lines;
  }
  return wanted;
}

void show(const Context& context, const EventNews& event) {
  if (context.json) return write_out(event.line + "\n");
  write_out(fmt::format("{}  {:<20}  {}\n", event.time, event.service.empty() ? "hearth" : event.service,
                        placed(event_words(event), context.place_option)));
}

std::string target_of(const Context& context, std::uint64_t after_id) {
  std::string target = fmt::format("/v1/events?after={}", after_id);
  std::string names;
  for (const std::string& name : context.arguments.words) names += (names.empty() ? "" : ",") + escaped(name);
  if (!names.empty()) target += "&names=" + names;
  return target;
}

// As after a shutdown: neither state nor services that go on without it.
bool nothing_is_left(const Context& context) {
  return !os::state_is_left(context.instance.directory) && left_runs(context.instance.directory).empty();
}

// Goes on where the last event was, whoever answers: a supervisor that is killed costs nobody an event.
int follow(const Context& context, std::uint64_t last) {
  EventReader reader;
  reader.go_on_after(last);
  const Patience patience = patience_for(context);
  MonoNs give_up_at = never;
  for (;;) {
    Client client(context.socket_path());
    const auto answer = client.stream(
        target_of(context, reader.last()),
        [&](std::string_view bytes) {
          give_up_at = never;
          reader.feed(bytes, [&](std::string_view line) {
            if (const EventNews event = event_news(line); event.id != 0) show(context, event);
          });
          pollfd out{STDOUT_FILENO, 0, 0};
          return !(::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0);
        },
        never);
    if (answer && answer->status != 200) return complain(context, refusal(*answer));
    if (answer) return exit_code::done;  // nobody reads us any more
    const bool may_return = answer.error().trouble == Trouble::cut || answer.error().trouble == Trouble::not_running;
    if (!may_return) return complain(context, answer.error());
    const MonoNs now = os::read_mono();
    if (give_up_at == never) give_up_at = after(now, patience.reconnect);
    const bool lives = !patience.lives || patience.lives();
    if (lives && now < give_up_at) {
      ::poll(nullptr, 0, pause_ms);
      continue;
    }
    if (!lives && nothing_is_left(context)) {
      write_err("hearth has ended; there are no more events\n");
      return exit_code::done;
    }
    ClientError gone = answer.error();
    gone.trouble = Trouble::not_running;
    return complain(context, gone);
  }
}

// Its events may have left the journal, however well hearth knows it.
bool is_service(const Context& context, const std::string& name) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/status?names=" + escaped(name)}, after(os::read_mono(), seconds(2)));
  return answer && services_news(*answer).has_value();
}

// Replicas that are there, or of which events are kept.
std::vector<std::uint32_t> indexes_of(const Context& context, const std::vector<EventNews>& kept,
                                      std::string_view service) {
  std::vector<std::uint32_t> indexes;
  for (const EventNews& event : kept) {
    const std::size_t dot = event.service.rfind('.');
    if (!selects_label(service, event.service)) continue;
    if (const auto index = config::parse_number(std::string_view(event.service).substr(dot + 1)))
      indexes.push_back(static_cast<std::uint32_t>(*index));
  }
  Client client(context.socket_path());
  const auto answer =
      client.ask({.target = "/v1/status?names=" + escaped(service)}, after(os::read_mono(), seconds(2)));
  if (const Result<std::vector<SlotNews>> slots = answer ? services_news(*answer) : std::vector<SlotNews>())
    for (const SlotNews& slot : *slots) indexes.push_back(slot.index);
  return indexes;
}

Error of_nobody(const Context& context, const std::string& name) {
  std::vector<std::string> services;
  if (const auto all = kept_events(context, {})) {
    std::string others =
        other_indexes(name, [&](std::string_view service) { return indexes_of(context, all->events, service); });
    if (!others.empty())
      return Error{Remedy::not_found,
                   "show events of",
                   name,
                   "no event of a replica of that index is kept",
                   std::move(others),
                   0};
    for (const EventNews& event : all->events)
      if (const std::size_t dot = event.service.find('.'); dot != event.service.npos)
        services.push_back(event.service.substr(dot + 1, event.service.rfind('.') - dot - 1));
  }
  const std::vector<std::string_view> words(services.begin(), services.end());
  const std::string_view near = nearest(name, words);
  return Error{Remedy::not_found,
               "show events of",
               name,
               "no service of that name is known, and no event of one is kept",
               near.empty() ? "`hearth status` lists the services" : fmt::format("did you mean \"{}\"?", near),
               0};
}

}  // namespace

int command_events(const Context& asked) {
  ::signal(SIGPIPE, SIG_DFL);  // `hearth events -f | head` ends like tail
  const Result<Wanted> wanted = wanted_of(asked.arguments);
  if (!wanted) return complain(asked, wanted.error(), exit_code::usage);
  Result<std::vector<std::string>> names = without_tags(asked, asked.arguments.words);
  if (!names) return complain(asked, names.error());
  Context context = asked;
  context.arguments.words = std::move(*names);
  const auto kept = kept_events(context, context.arguments.words);
  if (!kept) return complain(context, kept.error());
  if (!kept->running && kept->events.empty()) {
    return complain(context,
                    Error{Remedy::not_found, "show events of", "hearth in " + context.instance.directory,
                          "it is not running, and has left none", hint_without_hearth(context), 0},
                    exit_code::not_running);
  }
  for (const std::string& name : context.arguments.words) {
    const bool known =
        std::ranges::any_of(kept->events, [&](const EventNews& e) { return selects_label(name, e.service); });
    if (known) continue;
    // Of one that is to come there may be some soon.
    if (!context.arguments.has("follow") && !(kept->running && is_service(context, name)))
      return complain(context, of_nobody(context, name), exit_code::usage);
    write_err(fmt::format("hearth: no event of {} is kept\n", name));
  }
  std::vector<const EventNews*> chosen;
  for (const EventNews& event : kept->events)
    if (event.time >= wanted->since) chosen.push_back(&event);
  const std::size_t skipped = chosen.size() > wanted->lines ? chosen.size() - wanted->lines : 0;
  for (std::size_t i = skipped; i < chosen.size(); ++i) show(context, *chosen[i]);
  if (!context.arguments.has("follow")) return exit_code::done;
  if (!kept->running) {
    return complain(context,
                    Error{Remedy::not_found, "follow the events of", "hearth in " + context.instance.directory,
                          "it is not running", hint_without_hearth(context), 0},
                    exit_code::not_running);
  }
  return follow(asked, kept->events.empty() ? 0 : kept->events.back().id);
}

}  // namespace hearth::cli
