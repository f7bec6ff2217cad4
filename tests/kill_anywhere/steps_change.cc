// The story `change`: what services can be told about their lives, and another document over the first.
//
//   x w t f l p r   ready by exec, http, tcp, file, log, a pipe and notify; r is told to reload; f is restarted and l goes
//                   because the document has changed
//   q s y           ready by a Unix socket, an answer to PING, and having run for a while
//   v               is well while a file is there; it is taken away once, and v restarted for it
//   h               hooks around its life
//   j               a task
//   k               a listening socket, in whose backlog somebody waits while k is restarted
//   n               comes with the second document
//   d               exits while the victim stands at its point
#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "scenario.h"
#include "support/notify.h"

namespace hearth::kill_anywhere {
namespace {

// Where nobody answers yet, or answered somebody who was killed.
constexpr const char* often = R"("interval_ns":300000000)";

// A port of 127.0.0.1 that is ours and at which nobody listens.
os::Fd reserve_port(int& number) {
  os::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0)
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  number = ntohs(address.sin_port);
  return fd;
}

bool has(const std::string& path, const char* word) {
  return os::read_file(path).value_or("").find(word) != std::string::npos;
}

}  // namespace

std::string Scenario::change_document(bool second) const {
  const std::string program = options_.programs + "/hearth-ka-service", at = options_.directory;
  const auto ready = [](const std::string& probe) { return fmt::format(R"(,"ready":{{{},{}}})", probe, often); };
  const auto hook = [&](const char* name) {
    return fmt::format(R"("{}":{{"command":["{}","{}","hook","{}/hooks"]}})", name, program, name, at);
  };
  const std::string file_v = fmt::format(R"("type":"file","target":"{}/v")", at);
  std::vector<std::string> services = {
      service_json("x", "", ready(fmt::format(R"("type":"exec","command":["{}","x","check","{}/x"])", program, at))),
      service_json("w", "", ready(fmt::format(R"("type":"http","url":"http://127.0.0.1:{}/")", port_numbers_.at(0)))),
      service_json("t", "", ready(fmt::format(R"("type":"tcp","address":"127.0.0.1:{}")", port_numbers_.at(1)))),
      service_json("f", "",
                   ready(fmt::format(R"("type":"file","target":"{}/f")", at)) + (second ? R"(,"cwd":"/")" : "")),
      service_json("p", "", R"(,"ready":{"type":"fd","descriptor":3})"),
      service_json("r", "", R"(,"ready":{"type":"notify"})"),
      service_json("h", "",
                   R"(,"actions":{)" + hook("before_start") + "," + hook("after_start") + "," + hook("before_stop") +
                       "," + hook("after_stop") + "}"),
      service_json("j", "", R"(,"type":"task","restart":"never")"),
      service_json("k", "", fmt::format(R"(,"listen":[{{"name":"door","address":"unix:{}/k.sock"}}])", at)),
      service_json("d", "", R"(,"restart":"never")"),
      service_json("q", "", ready(fmt::format(R"("type":"unix","target":"{}/q.sock")", at))),
      service_json("s", "", ready(fmt::format(R"("type":"frame","target":"{}/s.sock")", at))),
      service_json("y", "", R"(,"ready":{"type":"uptime","uptime_ns":50000000})"),
      // Ready by it, too: before that nobody asks whether it is well.
      service_json("v", fmt::format(R"(marks","{}/v)", at),
                   ready(file_v) + fmt::format(R"(,"backoff":{{"initial_ns":0,"max_ns":0,"jitter":0}},"live":{{{},{},)"
                                               R"("failure_threshold":1}})",
                                               file_v, often)),
      second ? service_json("n", "", "") : service_json("l", "", ready(R"("type":"log","target":"^00000003 r")"))};
  return apply_json(project_, fmt::format("{}", fmt::join(services, ",")), second);
}

void Scenario::begin_change() {
  start_load();
  for (int i = 0; i < 2; ++i) ports_.push_back(reserve_port(port_numbers_.emplace_back()));
  Order& apply = order("apply", "/v1/apply", change_document(false));
  for (const char* name : {"x", "w", "t", "f", "p", "r", "h", "j", "k", "d", "q", "s", "y", "v", "l"})
    await_greeting(name, apply);
  command("x", "touch " + options_.directory + "/x");
  command("f", "touch " + options_.directory + "/f");
  command("w", "serve " + std::to_string(port_numbers_.at(0)));
  command("t", "serve " + std::to_string(port_numbers_.at(1)));
  command("q", "open " + options_.directory + "/q.sock");
  command("s", "open " + options_.directory + "/s.sock");
  command("p", "pipe 3");
  command("l", "write 8");
  command("r", "notify READY=1");
  command("j", "write 5");
  hub_.send("j", "exit 0");
  settle(apply);
}

void Scenario::run_hooks_and_task() {
  const std::string hooks = options_.directory + "/hooks";
  // Who takes over from a hearth that is no more does not know which hooks it had run.
  const auto lost = [&] { return loss() == Loss::all_of_hearth; };
  await("the hook after_start", [&] { return has(hooks, "after_start\n") || lost(); });
  settle(order("stop h", "/v1/orders", R"({"verb":"stop","names":["h"]})"));
  await("the hook after_stop", [&] { return has(hooks, "after_stop\n") || lost(); });
  evidence_.after_exit = status_when("the task has ended", [](const StatusView& view) {
    const auto j = view.services.find("j");
    return j != view.services.end() && j->second.has_exit;
  });
}

void Scenario::send_hangup() {
  Order& reload = order("reload r", "/v1/orders", R"({"verb":"reload","names":["r"]})");
  command("w", "write 20");
  int said_after = revivals_;
  await("the end of the order \"reload r\"", [&] {
    // READY=1 may have died unread with all of hearth.
    if (revivals_ > std::exchange(said_after, revivals_)) command("r", "notify READY=1");
    return reload.done();
  });
  settle(reload);
  evidence_.hangups = command("r", "hups");
}

// Who takes over asks anew, and so does who has seen nothing of the file's absence.
void Scenario::fail_liveness() {
  const std::uint64_t before = hub_.newest("v")->run;
  // Not by v, which may be told to stop before it can answer.
  unlink((options_.directory + "/v").c_str());
  command("w", "write 5");
  await("v's second run", [&] { return hub_.newest("v")->run > before; });
  // Not late where it is asked again after a while.
  await("v to be ready again", [&] {
    const StatusView view = status();
    const auto v = view.services.find("v");
    return v != view.services.end() && v->second.run > before && v->second.ready;
  });
}

void Scenario::apply_again() {
  Order& apply = order("apply again", "/v1/apply", change_document(true));
  await("f's second run", [&] { return hub_.all("f").size() > 1 || (apply.done() && !apply.error().empty()); });
  await_greeting("n", apply);
  command("n", "write 10");
  command("f", "touch " + options_.directory + "/f");
  settle(apply);
}

// Whoever waits in the backlog of its socket meanwhile is answered by its next run.
void Scenario::restart_k() {
  const os::Fd caller(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t length = 0;
  const sockaddr_un address = support::address_of(options_.directory + "/k.sock", false, length);
  if (connect(caller.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0)
    evidence_.caller_heard = std::string("nobody listened: ") + std::strerror(errno);
  const std::uint64_t before = hub_.newest("k")->run;
  Order& restart = order("restart k", "/v1/orders", R"({"verb":"restart","names":["k"]})");
  await("k's second run",
        [&] { return hub_.newest("k")->run > before || (restart.done() && !restart.error().empty()); });
  settle(restart);
  const std::string answer = ask("k", "accept");
  char pong[8] = {};
  if (evidence_.caller_heard.empty()) {
    const ssize_t n = answer == "done" ? recv(caller.get(), pong, sizeof pong, MSG_DONTWAIT) : 0;
    evidence_.caller_heard = n > 0 ? std::string(pong, static_cast<std::size_t>(n)) : "k: " + answer;
  }
}

void Scenario::accept_after_restart() {
  restart_k();
  evidence_.hooks = os::read_file(options_.directory + "/hooks").value_or("");
  end_d();
  const bool reached_before = tracer_->reached();
  evidence_.last = status_when("all is ready again", [](const StatusView& view) {
    return std::all_of(view.services.begin(), view.services.end(), [](const auto& service) {
      return service.second.state != "running" || (service.second.pid != 0 && service.second.ready);
    });
  });
  look_at_takeovers(reached_before);
}

}  // namespace hearth::kill_anywhere
