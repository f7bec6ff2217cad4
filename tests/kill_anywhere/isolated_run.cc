#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "campaign.h"
#include "os/clock.h"
#include "os/fd.h"
#include "support/own_world.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {

using namespace support;

namespace {

namespace json = boost::json;

// A run has deadlines of its own for each step; this is for a tool that hangs.
constexpr SpanNs longest_run = seconds(120);

template <typename List>
json::array array_of(const List& list) {
  json::array out;
  for (const auto& item : list) out.emplace_back(item);
  return out;
}

std::vector<std::string> texts_of(const json::value& value) {
  std::vector<std::string> out;
  for (const json::value& item : value.as_array()) out.emplace_back(item.as_string());
  return out;
}

// Everything until the writer is gone, or "" when that takes too long.
std::string read_until_end(int fd) {
  const MonoNs deadline = after(os::read_mono(), longest_run);
  std::string text;
  for (;;) {
    pollfd wait{fd, POLLIN, 0};
    const SpanNs left = deadline - os::read_mono();
    if (left <= 0 || poll(&wait, 1, static_cast<int>(left / ns_per_ms) + 1) == 0) return "";
    char bytes[65536];
    const ssize_t n = read(fd, bytes, sizeof bytes);
    if (n == 0) return text;
    if (n > 0) text.append(bytes, static_cast<std::size_t>(n));
  }
}

RunResult failed_run(const std::string& why) {
  RunResult result;
  result.verdict.violations.push_back(why);
  return result;
}

}  // namespace

std::string to_json(const RunResult& result) {
  json::object out;
  const Report& report = result.report;
  out["reached"] = report.reached;
  out["call"] = report.call_number;
  out["trail"] = report.trail;
  out["role"] = report.role;
  out["children"] = report.children;
  json::array calls;
  for (const Call& call : report.calls)
    calls.push_back(json::array{call.kind, static_cast<int>(call.phase), call.returned, array_of(call.failures)});
  out["calls"] = std::move(calls);
  out["commits"] = array_of(report.commits);
  out["violations"] = array_of(result.verdict.violations);
  out["tolerated"] = array_of(result.verdict.tolerated);
  out["seconds"] = result.seconds;
  return json::serialize(out);
}

RunResult result_from_json(const std::string& line) {
  json::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return failed_run("the run ended without a result");
  const json::object& in = value.as_object();
  RunResult result;
  result.report.reached = in.at("reached").as_bool();
  result.report.call_number = in.at("call").to_number<long>();
  result.report.trail = std::string(in.at("trail").as_string());
  result.report.role = std::string(in.at("role").as_string());
  result.report.children = in.at("children").to_number<std::uint32_t>();
  for (const json::value& item : in.at("calls").as_array()) {
    const json::array& call = item.as_array();
    result.report.calls.push_back(
        {call.at(0).to_number<long>(), static_cast<Phase>(call.at(1).to_number<int>()), call.at(2).as_bool(), {}});
    for (const json::value& failure : call.at(3).as_array())
      result.report.calls.back().failures.push_back(failure.to_number<int>());
  }
  for (const json::value& item : in.at("commits").as_array())
    result.report.commits.push_back(item.to_number<std::uint64_t>());
  result.verdict.violations = texts_of(in.at("violations"));
  result.verdict.tolerated = texts_of(in.at("tolerated"));
  result.seconds = in.at("seconds").to_number<double>();
  return result;
}

RunResult isolated_run(const ScenarioOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return failed_run("the tool has no pipe for the result");
  const os::Fd from(ends[0]);
  os::Fd to(ends[1]);
  const pid_t pid = fork();
  if (pid == 0) {
    std::string line;
    // What hearth finds, and so the number of its system calls, does not depend on the rest of the machine then.
    enter_own_world(false);
    try {
      line = to_json(Scenario(options).run());
    } catch (const std::exception& error) {
      line = to_json(failed_run(std::string("the tool failed: ") + error.what()));
    }
    (void)os::write_all(to.get(), line, "the result");
    _exit(0);
  }
  to.reset();
  const std::string text = read_until_end(from.get());
  // Whatever hangs or has escaped is ours now, and ends here.
  kill_all_below();
  return text.empty() ? failed_run("the tool's own process for this run hung or crashed") : result_from_json(text);
}

}  // namespace hearth::kill_anywhere
