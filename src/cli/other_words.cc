#include "cli/other_words.h"

#include <algorithm>
#include <span>

namespace hearth::cli {
namespace {

struct Answer {
  std::span<const std::string_view> words;
  std::string_view hint;
};

using Word = std::string_view;

// clang-format off
constexpr Word list[] = {"ps", "ls", "l", "list", "listall", "jlist", "prettylist", "lssrc", "list-units", "avail",
                         "summary", "processes", "process", "ping"};
constexpr Word describe[] = {"describe", "desc", "show", "info", "inspect", "cat", "report"};
constexpr Word is_up[] = {"is-active", "is-running", "is-started", "is-up", "isup", "is-failed"};
constexpr Word why[] = {"why", "list-dependencies", "graph", "analyze"};
constexpr Word monitor[] = {"monit", "imonit", "dash", "dashboard", "stats", "htop", "watch"};
constexpr Word tail[] = {"tail", "log", "maintail", "catlog", "reloadLogs", "journal", "journalctl"};
constexpr Word attach[] = {"attach", "fg", "connect", "console"};
constexpr Word clear[] = {"clear", "clearlog", "flush", "rotate"};
constexpr Word apply[] = {"apply", "update", "daemon-reload", "refresh", "load"};
constexpr Word look[] = {"reread", "diff", "plan"};
constexpr Word add[] = {"add", "create", "new"};
constexpr Word remove[] = {"remove", "rm", "delete", "del", "forget", "unload"};
constexpr Word begin[] = {"startsrc", "wake", "resume"};
constexpr Word end[] = {"stopsrc", "release", "halt"};
constexpr Word again[] = {"try-restart", "condrestart", "bounce", "reset-failed"};
constexpr Word reexec[] = {"daemon-reexec", "reexec", "updatePM2"};
constexpr Word graceful[] = {"gracefulReload", "softreload", "force-reload", "reload-or-restart", "hup"};
constexpr Word kill[] = {"kill", "sendSignal", "send-signal", "term"};
constexpr Word quit[] = {"quit", "exit", "poweroff"};
constexpr Word boot[] = {"save", "dump", "resurrect", "startup", "preset", "persist"};
constexpr Word no_boot[] = {"unstartup", "mask", "cleardump"};
constexpr Word at_boot[] = {"is-enabled"};
constexpr Word only[] = {"isolate"};
constexpr Word once[] = {"once", "oneshot"};
constexpr Word environment[] = {"env", "getallenv", "show-environment", "printenv"};
constexpr Word set[] = {"edit", "setenv", "set-environment", "unsetenv", "set"};
constexpr Word check[] = {"validate", "check", "configtest", "verify", "lint"};
constexpr Word make[] = {"init", "ecosystem", "convert", "generate"};
constexpr Word count[] = {"numprocesses", "incr", "decr"};
constexpr Word serve[] = {"serve", "daemonize", "supervisord"};

constexpr Answer answers[] = {
    {list, "did you mean `hearth status`?"},
    {describe, "`hearth status NAME` says how it is, `hearth explain NAME` why, `hearth config show NAME` what its entry says"},
    {is_up, "`hearth status NAME` answers with its exit code: 0 when it is up and ready, 3 when it is not running"},
    {why, "`hearth explain NAME` says what it waits for, `hearth config show NAME` what it depends on"},
    {monitor, "`hearth top` shows what services use, live; `hearth events -f` what happens"},
    {tail, "`hearth logs -f NAME` shows what it has written, and goes on"},
    {attach, "no service has a terminal to attach to: `hearth logs -f NAME` shows what it writes, "
             "`hearth exec NAME -- COMMAND` runs a command where it runs"},
    {clear, "nothing has to be cleared: `log.max_files` and `log.max_total` say how much is kept; "
            "`hearth logs --rotate NAME` begins a new file"},
    {apply, "`hearth reload` applies a changed hearth.toml, `hearth up` also starts what is stopped"},
    {look, "`hearth reload --dry-run` tells what a changed hearth.toml would do, `hearth reload` does it"},
    {add, "write it into hearth.toml, and `hearth up` starts it; `hearth run -- COMMAND` needs no file"},
    {remove, "`hearth down NAME` stops it and forgets it"},
    {begin, "did you mean `hearth start`?"},
    {end, "`hearth stop NAME` stops a service, `hearth shutdown` all of hearth"},
    {again, "`hearth restart NAME` does it; `hearth start NAME` tries again what was given up"},
    {reexec, "`hearth upgrade` has another version of hearth go on, without touching a service"},
    {graceful, "`hearth reload NAME` has it reload itself, `hearth restart NAME` starts it anew"},
    {kill, "`hearth signal KILL NAME` sends a signal, `hearth stop NAME` ends it and keeps it down, "
           "`hearth shutdown` ends hearth"},
    {quit, "`hearth shutdown` stops everything, then hearth; to leave the services running, send QUIT to the PID that "
           "`hearth pid` tells"},
    {boot, "nothing has to be saved: hearth.toml says what runs, `hearth enable` brings it up at every boot, "
           "and `hearth up` now"},
    {no_boot, "`hearth disable` keeps it from starting at boot; `autostart = false` in its entry keeps `hearth up` from it"},
    {at_boot, "`hearth enable --print` shows the units that bring it up at boot, `systemctl is-enabled UNIT` says whether they do"},
    {only, "nothing stops everything else: `hearth stop NAME` ends what should not run, `hearth start NAME` starts what it needs, too"},
    {once, "`hearth run --restart never -- COMMAND` runs a command once; in a file, `type = \"task\"` does"},
    {environment, "`hearth exec NAME -- env` shows its variables"},
    {set, "`hearth config set KEY VALUE` changes one value in hearth.toml, `hearth reload` applies it"},
    {check, "did you mean `hearth config validate`?"},
    {make, "`hearth import` makes a hearth.toml of another supervisor's files; `hearth run -- COMMAND` needs none"},
    {count, "`hearth scale NAME=COUNT` runs another number of replicas"},
    {serve, "`hearth daemon` is hearth in the foreground; `hearth up` and `hearth run` start it by themselves"},
};
// clang-format on

struct OptionAnswer {
  std::string_view command;
  std::span<const std::string_view> options;
  std::string_view hint;
};

constexpr Word live[] = {"--watch", "-w", "--follow", "-f", "--live", "--interval", "-i"};
constexpr Word until[] = {"--wait", "--wait-for"};
constexpr Word start_again[] = {"--detach", "-d", "--detached", "--daemon", "-D"};

constexpr Word last_lines[] = {"--tail", "-t"};

constexpr OptionAnswer option_answers[] = {
    {"status", live,
     "`hearth top` shows services live, `hearth events -f` what happens to them; `hearth wait NAME` waits until one is "
     "ready"},
    {"status", until,
     "`hearth wait NAME` waits until it is ready, `hearth wait --for stopped NAME` until it is stopped"},
    {"logs", last_lines, "-n COUNT shows the last lines, `hearth logs -n all` everything"},
    {"up", start_again, "leave it out: services run in the background, `hearth up` waits until they are ready"},
};

}  // namespace

std::string_view answer_to_option(std::string_view command, std::string_view option) {
  for (const OptionAnswer& answer : option_answers)
    if (answer.command == command && std::ranges::find(answer.options, option) != answer.options.end())
      return answer.hint;
  return {};
}

std::string_view answer_to(std::string_view word) {
  for (const Answer& answer : answers)
    if (std::ranges::find(answer.words, word) != answer.words.end()) return answer.hint;
  return {};
}

std::string answer_to_name(std::string_view name) {
  if (name == "all") return "every service is meant by --all";
  const std::size_t colon = name.find(':');
  if (colon == 0 || colon == name.npos) return {};
  const std::string group(name.substr(0, colon)), program(name.substr(colon + 1));
  const std::string of_group =
      "@" + group + " are the services with the tag " + group + ", '" + group + ".*' those of the project " + group;
  return program.empty() || program == "*"
             ? of_group
             : "between project and service stands a dot: " + group + "." + program + "; " + of_group;
}

std::vector<std::string_view> other_words() {
  std::vector<std::string_view> all;
  for (const Answer& answer : answers) all.insert(all.end(), answer.words.begin(), answer.words.end());
  return all;
}

}  // namespace hearth::cli
