#include "cli/cli.h"

#include <algorithm>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/version.h"
#include "cli/answers.h"
#include "cli/command_table.h"
#include "cli/commands.h"

namespace hearth::cli {
namespace {

struct Command {
  const char* name;
  int (*run)(const Context&);
};

constexpr Command functions[] = {
    {"up", command_up},           {"down", command_down},         {"run", command_run},
    {"status", command_status},   {"logs", command_logs},         {"events", command_events},
    {"explain", command_explain}, {"top", command_top},           {"tree", command_tree},
    {"import", command_import},   {"export", command_export},     {"start", command_start},
    {"stop", command_stop},       {"restart", command_restart},   {"reload", command_reload},
    {"scale", command_scale},     {"signal", command_signal},     {"wait", command_wait},
    {"exec", command_exec},       {"shutdown", command_shutdown}, {"version", command_version},
    {"help", command_help},       {"config", command_config},     {"completion", command_completion},
    {"daemon", command_daemon},   {"enable", command_enable},     {"disable", command_disable},
    {"doctor", command_doctor},   {"reset", command_reset},       {"pid", command_pid},
    {"upgrade", command_upgrade},
};

// A program that was started without stdin, stdout or stderr would open its socket there.
void open_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) ::close(fd);
}

}  // namespace

int run(int argc, char** argv) {
  if (const std::optional<int> code = fast_status(argc, argv)) return *code;
  open_standard_descriptors();
  ::signal(SIGPIPE, SIG_IGN);

  const std::vector<std::string> line(argv + 1, argv + argc);
  Result<Arguments> arguments = parse_arguments(line);
  if (!arguments) {
    Context bare;
    bare.json = std::find(line.begin(), line.end(), "--json") != line.end();
    return complain(bare, arguments.error(), exit_code::usage);
  }
  if (arguments->command.empty()) {
    const bool asked = arguments->has("help");
    asked ? write_out(help_text()) : write_err(help_text());
    return asked ? exit_code::done : exit_code::usage;
  }
  if (arguments->has("help")) {
    write_out(help_text(*find_command(arguments->command)));
    return exit_code::done;
  }
  const bool json = arguments->has("json");
  const Result<Context> context = make_context(std::move(*arguments), version);
  if (!context) {
    Context bare;
    bare.json = json;
    return complain(bare, context.error(), exit_code::usage);
  }
  for (const Command& command : functions) {
    if (context->arguments.command == command.name) return command.run(*context);
  }
  return exit_code::usage;
}

}  // namespace hearth::cli
