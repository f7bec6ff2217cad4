#include "cli/commands.h"
namespace hearth::cli {
int command_logs(const Context& context) {
  return complain(context, Error{Remedy::environment, "show", "logs", "not yet", "", 0});
}
}  // namespace hearth::cli
