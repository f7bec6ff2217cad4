// scale: another number of replicas.
#include <string>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "config/limits.h"
#include "config/numbers.h"

namespace hearth::cli {
namespace {

// {"web":4,"api":2}
Result<std::string> replicas_json(const std::vector<std::string>& words) {
  if (words.empty()) return failure(Remedy::fix_input, "scale", "nothing", "no service is named", "hearth scale web=4");
  std::string members;
  for (const std::string& word : words) {
    const std::size_t equals = word.rfind('=');
    const auto count = config::parse_number(equals == word.npos ? "" : word.substr(equals + 1));
    if (equals == 0 || !count || *count > config::max_services)
      return failure(Remedy::fix_input, "scale", word, "it is no SERVICE=NUMBER",
                     fmt::format("for example: hearth scale {}=2", equals == 0 ? "web" : word.substr(0, equals)));
    members += fmt::format("{}{}:{}", members.empty() ? "" : ",", json_text(word.substr(0, equals)), *count);
  }
  return "{" + members + "}";
}

}  // namespace

int command_scale(const Context& context) {
  const Result<SpanNs> timeout = timeout_of(context.arguments);
  if (!timeout) return complain(context, timeout.error(), exit_code::usage);
  const Result<std::string> replicas = replicas_json(context.arguments.words);
  if (!replicas) return complain(context, replicas.error(), exit_code::usage);
  Order order;
  order.body = R"({"verb":"scale","replicas":)" + *replicas + "}";
  order.doing = "scale";
  order.wait = !context.arguments.has("no-wait");
  order.timeout = *timeout;
  order.tells_removed = order.applies_a_file = true;
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  return conclude(context, follow(context, client, watch, order), order, "scaled");
}

}  // namespace hearth::cli
