// signal and `reload NAME`: what running services are told.
#include <string>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "config/scalars.h"

namespace hearth::cli {
namespace {

Error usage(const char* operation, std::string subject, std::string reason, std::string hint) {
  return Error{Remedy::fix_input, operation, std::move(subject), std::move(reason), std::move(hint), 0};
}

}  // namespace

int command_signal(const Context& context) {
  const Arguments& arguments = context.arguments;
  const bool all = arguments.has("all");
  const std::vector<std::string>& words = arguments.words;
  if (words.empty() || (words.size() == 1) != all)
    return complain(context,
                    usage("signal", words.empty() ? "nothing" : words[0],
                          words.size() > 1 ? "--all and names exclude each other" : "a signal and a service are needed",
                          "hearth signal HUP NAME..., or hearth signal HUP --all"),
                    exit_code::usage);
  const std::optional<int> number = config::parse_signal(words[0]);
  if (!number) {
    const std::string near = config::nearest_signal(words[0]);
    return complain(
        context,
        usage("signal", words[0], "it is no signal",
              near.empty() ? "the signal stands first: hearth signal HUP NAME" : "did you mean " + near + "?"),
        exit_code::usage);
  }
  Order order;
  order.body = fmt::format(R"({{"verb":"signal","signal":{},"names":{},"all":{},"all_processes":{}}})", *number,
                           names_json({words.begin() + 1, words.end()}), all, arguments.has("all-processes"));
  order.doing = "signal";
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  const Outcome outcome = follow(context, client, watch, order);
  const int code = conclude(context, outcome, order, nullptr);
  if (code == exit_code::done && !context.json && outcome.accepted) {
    const std::size_t count = outcome.accepted->slots;
    write_out(fmt::format("{} sent to {} service{}\n", words[0], count, count == 1 ? "" : "s"));
  }
  return code;
}

int command_reload_services(const Context& context) {
  const Arguments& arguments = context.arguments;
  for (const char* option : {"file", "dry-run"})
    if (arguments.has(option))
      return complain(context,
                      usage("reload", fmt::format("--{}", option), "it is for the file, and services are named",
                            "`hearth reload` reads the file again, `hearth reload NAME` has a service reload itself"),
                      exit_code::usage);
  const Result<SpanNs> timeout = timeout_of(arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  Order order;
  order.body = fmt::format(R"({{"verb":"reload","names":{}}})", names_json(arguments.words));
  order.doing = "reload";
  order.wait = !arguments.has("no-wait");
  order.timeout = *timeout;
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  return conclude(context, follow(context, client, watch, order), order, "reloaded");
}

}  // namespace hearth::cli
