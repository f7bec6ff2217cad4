#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/reset.h"
#include "os/clock.h"
#include "os/gpu.h"
#include "os/proc_stat.h"

namespace hearth::cli {
namespace {

constexpr SpanNs orderly_wait = seconds(10);
constexpr std::uint64_t mib = 1u << 20;

Result<bool> confirmed(const Context& context) {
  if (context.arguments.has("yes")) return true;
  if (::isatty(STDIN_FILENO) == 0 || context.json)
    return failure(Remedy::fix_input, "reset", context.instance.directory, "it kills every service of this instance",
                   "say --yes");
  write_err(
      fmt::format("This kills hearth and every service in {}. Logs stay. Go on? [y/N] ", context.instance.directory));
  std::string line(16, '\0');
  const ssize_t got = ::read(STDIN_FILENO, line.data(), line.size());
  return got > 0 && (line[0] == 'y' || line[0] == 'Y');
}

// Who can still stop in order does so, for a while.
void try_shutdown(const Context& context) {
  Client client(context.socket_path());
  const auto answer = client.ask({.target = "/v1/instance"}, after(os::read_mono(), seconds(2)));
  if (!answer) return;
  const Result<InstanceNews> instance = instance_news(*answer);
  if (!instance) return;
  if (!context.json) write_err("hearth answers: stopping it in order, for 10 s at most\n");
  InterruptWatch watch;
  Client asking(context.socket_path(), &watch);
  Order order;
  order.body = R"({"verb":"shutdown"})";
  order.doing = "shutdown";
  order.wait = true;
  order.timeout = orderly_wait;
  order.keeper_pid = static_cast<int>(instance->keeper_pid);
  (void)follow(context, asking, watch, order);
}

std::string list_json(const std::vector<std::string>& names) {
  return names_json(names);
}

std::string gpu_text(const os::GpuReport& gpu) {
  if (!gpu.seen) return "GPU: none that tells of its memory\n";
  if (!gpu.trouble.empty()) return "GPU: " + gpu.trouble + "\n";
  if (gpu.uses.empty()) return "GPU: no process has memory of it\n";
  std::string text;
  for (const os::GpuUse& use : gpu.uses) {
    text += use.pid == 0 ? fmt::format("GPU {}: {} MiB in use\n", use.gpu, use.bytes / mib)
                         : fmt::format("GPU {}: {} MiB held by {} (PID {})\n", use.gpu, use.bytes / mib,
                                       os::command_of(use.pid), use.pid);
  }
  return text;
}

std::string report_text(const ResetReport& report) {
  std::string text;
  for (const Killed& killed : report.hearth) text += fmt::format("killed {} (PID {})\n", killed.what, killed.pid);
  for (const std::string& label : report.services) text += fmt::format("ended {}\n", label);
  text += fmt::format("{} processes of services killed, {} files removed\n", report.processes, report.files);
  return text;
}

std::string report_json(const ResetReport& report, const os::GpuReport& gpu) {
  std::string text = R"({"hearth":[)";
  for (const Killed& killed : report.hearth)
    text += fmt::format(R"({}{{"command":{},"pid":{}}})", &killed == report.hearth.data() ? "" : ",",
                        json_text(killed.what), killed.pid);
  text += fmt::format(R"(],"services":{},"processes":{},"files":{},"survivors":{},"trouble":{},"gpu":[)",
                      list_json(report.services), report.processes, report.files, list_json(report.survivors),
                      report.trouble.empty() ? "null" : json_text(report.trouble));
  for (const os::GpuUse& use : gpu.uses)
    text += fmt::format(R"({}{{"gpu":{},"pid":{},"bytes":{}}})", &use == gpu.uses.data() ? "" : ",", json_text(use.gpu),
                        use.pid, use.bytes);
  return text + "]}\n";
}

}  // namespace

int command_reset(const Context& context) {
  const Result<bool> yes = confirmed(context);
  if (!yes) return complain(context, yes.error());
  if (!*yes) {
    write_err("nothing was done\n");
    return exit_code::failed;
  }
  if (!context.arguments.has("force")) try_shutdown(context);
  const ResetReport report = reset_instance(context.instance);
  const os::GpuReport gpu = os::gpu_memory();
  const bool whole = report.trouble.empty() && report.survivors.empty();
  if (context.json) {
    write_out(report_json(report, gpu));
    return whole ? exit_code::done : exit_code::failed;
  }
  write_out(report_text(report));
  write_out(gpu_text(gpu));
  if (whole) {
    write_out("Reset complete\n");
    return exit_code::done;
  }
  std::string names;
  for (const std::string& survivor : report.survivors) names += (names.empty() ? "" : ", ") + survivor;
  return complain(context,
                  Error{Remedy::environment, "reset", context.instance.directory,
                        report.trouble.empty() ? "what could not be killed: " + names : report.trouble,
                        names.empty() ? "" : "files stay, so that it can still be found", 0},
                  exit_code::failed);
}

}  // namespace hearth::cli
