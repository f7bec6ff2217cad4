#include "cli/command_table.h"

#include <algorithm>

namespace hearth::cli {
namespace {

constexpr OptionText global[] = {
    {0, "dir", "DIR", "use the instance in exactly this directory"},
    {0, "instance", "NAME", "use the instance of this name (\"default\"); \"auto\": `help up`"},
    {0, "json", nullptr, "write JSON for programs"},
    {'h', "help", nullptr, "explain the command"},
};

constexpr OptionText file = {'f', "file", "FILE", "this file, instead of hearth.toml here or in a directory above"};
constexpr OptionText no_wait = {0, "no-wait", nullptr, "return when the order is accepted"};
constexpr OptionText timeout = {0, "timeout", "TIME",
                                "wait no longer than this (\"90s\", \"5m\"); the order itself goes on"};
constexpr OptionText all = {0, "all", nullptr, "all services"};

constexpr OptionText set = {0, "set", "KEY=VALUE", "over what the files say: service.web.nice=5; may be repeated"};

constexpr OptionText up_options[] = {
    file,
    set,
    {0, "foreground", nullptr, "stay, show what services write, and stop them at Ctrl-C"},
    {0, "exit-code-from", "NAME", "in the foreground, until this service has ended; its exit code is that of `up`"},
    {0, "abort-on-exit", nullptr, "in the foreground, until any service has ended"},
    no_wait,
    timeout};
constexpr OptionText down_options[] = {file,
                                       {'p', "project", "PROJECT", "the project of this name, instead of a file"},
                                       {0, "all", nullptr, "every service of every project"},
                                       no_wait,
                                       timeout};
constexpr OptionText run_options[] = {
    {0, "name", "NAME", "call the service so; otherwise it has the name of the program"},
    {0, "cwd", "DIR", "run it in this directory, otherwise in the current one"},
    {0, "env", "NAME=VALUE", "set a variable for it; may be repeated"},
    {0, "restart", "POLICY", "restart it always, on-failure (the default) or never"},
    {0, "wait", nullptr, "wait until it runs (the default)"},
    no_wait,
    timeout,
};
constexpr OptionText order_options[] = {all, no_wait, timeout};
constexpr OptionText start_options[] = {
    all, {0, "no-deps", nullptr, "leave what they depend on as it is"}, no_wait, timeout};
constexpr OptionText wait_options[] = {no_wait, timeout};
constexpr OptionText signal_options[] = {all, {0, "all-processes", nullptr, "to the whole process group of each"}};
constexpr OptionText until_options[] = {{0, "for", "STATE", "ready (the default), stopped, completed or failed"},
                                        {0, "timeout", "TIME", "wait no longer than this (\"90s\", \"5m\")"}};
constexpr OptionText reload_options[] = {
    set, file, {0, "dry-run", nullptr, "only tell what would be done"}, no_wait, timeout};
constexpr OptionText logs_options[] = {
    {'f', "follow", nullptr, "go on with what comes"},
    {'n', "lines", "COUNT",
     "of each service so many of the last lines that are wanted (20; all, where a time or a pattern is given); "
     "\"all\": "
     "everything kept"},
    {0, "since", "TIME", "what came at this time or later"},
    {0, "until", "TIME", "what came at this time or earlier"},
    {0, "grep", "RE", "lines that match this regular expression, as for `grep -E`"},
    {'i', "ignore-case", nullptr, "--grep takes upper and lower case as one"},
    {0, "invert-match", nullptr, "lines that --grep does not match"},
    {0, "all", nullptr, "services, too, that are down and that hearth has forgotten"},
    {0, "rotate", nullptr, "begin the next file of each log now, and show nothing"},
    {'t', "timestamps", nullptr, "before each line that has no time of its own the time at which it came"},
};
constexpr OptionText config_options[] = {
    file,
    set,
    {0, "origin", nullptr, "show: say behind each value where it comes from"},
    {0, "defaults", nullptr, "show: also what nobody has set"},
};
constexpr OptionText import_options[] = {{'o', "output", "FILE", "write here, and nowhere if it exists"}};
constexpr OptionText export_options[] = {
    file, set, {'o', "output", "DIR", "write each unit into a file of its own there"}};
constexpr OptionText top_options[] = {
    {0, "once", nullptr, "write one table and end, as without a terminal"},
    {'s', "sort", "KEY", "cpu (the usual one), memory, restarts, uptime or name"},
    {'i', "interval", "TIME", "look so often (2s)"},
    {0, "pss", nullptr, "memory with shared pages divided among those who share them; dear for large processes"},
};
constexpr OptionText events_options[] = {
    {'f', "follow", nullptr, "go on with what comes"},
    {'n', "lines", "COUNT", "begin with so many of the last events (20); \"all\": with everything kept"},
    {0, "since", "TIME", "begin here; a TIME is written as for `hearth logs`"},
};
constexpr OptionText help_options[] = {{0, "man", nullptr, "write the manual page's source"}};
constexpr OptionText daemon_options[] = {{0, "detach", nullptr, "return when it answers"}};

constexpr OptionText unit_directory = {0, "unit-dir", "DIR", "the units are here, and systemd is not told"};
constexpr OptionText enable_options[] = {file, unit_directory, {0, "print", nullptr, "show the units, change nothing"}};
constexpr OptionText disable_options[] = {file, unit_directory};
constexpr OptionText doctor_options[] = {
    {0, "fix", nullptr, "put right what can be put right without touching services"}};
constexpr OptionText upgrade_options[] = {
    {0, "from", "DIR", "the programs are in this directory"},
    {0, "keeper", nullptr, "replace the keeper's program, too"},
    {0, "dry-run", nullptr, "only try the programs, and tell"},
    {0, "timeout", "TIME", "wait no longer than this for the new ones (60s)"},
};
constexpr OptionText reset_options[] = {
    {'y', "yes", nullptr, "do not ask"},
    {0, "force", nullptr, "do not try an orderly shutdown first"},
};

constexpr CommandText table[] = {
    {"up", "", "start what ./hearth.toml says, and wait until all of it is ready",
     "Finds hearth.toml here or in a directory above, starts hearth itself if it is not running, hands the file and "
     "the environment of the caller over, and waits until every service is ready. Services that run already are left "
     "alone unless their entry has changed.\n\n"
     "When a service fails, says which, why, and the last lines it wrote. Ctrl-C ends the waiting, not the "
     "services.\n\n"
     "With --foreground it stays: the lines of all services come to stdout, Ctrl-C or SIGTERM stops them in order, a "
     "second one kills them. It also ends when all services have ended for good, or as --exit-code-from and "
     "--abort-on-exit say (both imply --foreground); whatever ends it, all are stopped. For CI and containers: "
     "`hearth --instance auto up --exit-code-from tests` does it in a hearth of its own, of which nothing is left.",
     up_options},
    {"down", "[NAME...]", "stop and forget: the services of ./hearth.toml, or by name",
     "With names, stops these services and forgets them; their logs stay. It is the way to get rid of one that "
     "`hearth run` has made. One that stands in a hearth.toml comes back with the next `hearth up`.\n\n"
     "Without names, stops every service that was applied from ./hearth.toml, renamed ones too, in reverse order of "
     "their dependencies. A file that is gone is named by -f as before, or its project by -p; the project of what "
     "`hearth run` started is \"run\". hearth itself and other projects go on.",
     down_options, Words::services},
    {"run", "-- COMMAND...", "start one command as a service, without a file",
     "The command runs like any service: watched, restarted by policy, its output kept. Its name is that of the "
     "program unless --name says otherwise; a second one of the same name is refused while the first is up. "
     "`hearth down NAME` stops it and forgets it, `hearth down -p run` all that were started so.",
     run_options, Words::none, true},
    {"status",
     "[NAME...]",
     "how the services are",
     "A name is SERVICE, PROJECT.SERVICE, SERVICE.INDEX or PROJECT.SERVICE.INDEX, with * and ? as in the shell.\n\n"
     "The exit code tells scripts the worst of them: 0 all running and ready (or completed), 3 not running, "
     "150 starting, 151 degraded, 152 crash-looping; 4 when hearth cannot be asked or a name is unknown.\n\n"
     "RESTARTS counts the automatic ones: not what somebody ordered, and not the further tries of a start that was "
     "refused because a resource was missing.",
     {},
     Words::services},
    {"logs", "[NAME...]", "what services have written",
     "Reads the log files themselves, so it works whatever state hearth is in. Without names, those of the "
     "services "
     "that `hearth status` knows; of those that are down and forgotten the logs stay, and are shown when they are "
     "named, with --all, or when hearth does not run. The lines of several are merged in the order of time and "
     "prefixed by the services' names. -f shows services of these "
     "names that come later, too.\n\n"
     "A TIME is \"5m\" or \"5m ago\", \"14:30\" (the last time that the clock showed this), \"today\", \"yesterday "
     "09:00\", "
     "\"2025-01-31 14:30\", \"2025-01-31T14:30:00Z\" or \"@SECONDS\" since 1970. It is found by the time index beside "
     "each log "
     "file; the times of lines that carry none are exact to 10 ms.",
     logs_options, Words::services},
    {"events", "[NAME...]", "what has happened, and who ordered it",
     "Each line is a time, whom it is about, and what happened. Names choose services as `hearth status` does; without "
     "names the events of hearth itself are told, too. --json writes them as they are kept, one object a line, with "
     "the "
     "id of the event that led to each. Works without a running hearth: then it reads what is on the disk.",
     events_options, Words::services},
    {"explain",
     "NAME",
     "why a service is in the state it is in",
     "Follows the events back from the service's state to what began it: an order and who gave it, an exit, a limit, "
     "another service. The newest comes first. Then says what a service that is not well wrote last, what it waits "
     "for, what is lost of its log, and which command would change that.",
     {},
     Words::services},
    {"top", "[NAME...]", "what services use: CPU, memory, threads, live",
     "All processes of a service together: CPU in percent of one processor since the last look, memory that is "
     "resident, "
     "threads, processes, restarts and how long it has been running. On a terminal it goes on until q; c, m, r, u and "
     "n choose what it is sorted by. j and k or the cursor keys choose a service; then l shows what it wrote last, and "
     "R "
     "restarts, S stops and t starts it, after a question. /proc is read by this command, so that watching costs "
     "hearth nothing.",
     top_options, Words::services},
    {"tree", "[NAME...]", "the processes of services, as a tree", "", {}, Words::services},
    {"pid",
     "[NAME...]",
     "the PID of a service, for scripts",
     "Of each its main process, one a line, in the order of the names; of replicas, all. Without names that of hearth "
     "itself: the keeper, to which signals go. Exit code 3 when one does not run.",
     {},
     Words::services},
    {"import", "supervisord|pm2|procfile|systemd FILE...", "make a hearth.toml of another supervisor's files",
     "Writes a hearth.toml to stdout, and to stderr what could not be carried over: each with file, line and what to "
     "do. "
     "supervisord: supervisord.conf, and what it includes. pm2: ecosystem.config.js (run by node) or its JSON. "
     "procfile: "
     "with .env beside it. systemd: .service units; several at once keep what they need of each other.",
     import_options, Words::files, false, "supervisord pm2 procfile systemd"},
    {"export", "systemd [NAME...]", "services as units of systemd",
     "Reads hearth.toml and all that belongs to it, as `config show` does, and writes a .service unit for each "
     "service, "
     "or for those that are named; to stderr what systemd has no counterpart for. Replicas become instances of a "
     "template with %i, and a target that has them all. hearth itself is not needed, nor asked.",
     export_options, Words::services, false, "systemd"},
    {"start", "NAME...", "start services",
     "Starts services that are stopped, failed or completed, and what they need and is not up: other services that "
     "were stopped on purpose, too, also when the service itself is up already. With --no-deps they wait for those "
     "until somebody starts them.",
     start_options, Words::services},
    {"stop", "NAME...", "stop services",
     "Sends the stop signal, and KILL to what is left after the grace period. Of the services that are named, those "
     "that depend on others stop first. What depends on them and is not named goes on, but for services whose "
     "depends_on says stop = true: they stop, too. --all leaves alone what is stopped already or has completed.",
     order_options, Words::services},
    {"restart", "NAME...", "stop services and start them again",
     "A deliberate restart does not count as a failure. What they need and is not up is started, as by `start`. --all "
     "and patterns (`'web*'`, @TAG) leave alone a task that has completed; one that is named is run again.",
     start_options, Words::services},
    {"reload", "[NAME...]", "apply a changed file, or have services reload",
     "Compares the file with what is up and tells what the difference means to each service: nothing; live, where the "
     "program need not be told (restart policy, probes, timeouts, limits of the log, dependencies); restart; start; "
     "stop. Then does it, all or nothing. What somebody has stopped stays stopped, unlike with `up`, which otherwise "
     "does the same. With --dry-run nothing is done.\n\n"
     "With names, the services read their own configuration again: each gets its reload_signal. One with ready = "
     "\"notify\" that says RELOADING=1 within half a second has reloaded when it says READY=1; the others when "
     "they have outlived the signal by 0.2 s. One with a reload_command has that run instead, and has reloaded when it "
     "has ended.",
     reload_options, Words::services},
    {"scale", "NAME=COUNT...", "run another number of replicas",
     "Starts what is missing, or stops and forgets the replicas with the highest numbers; the others are left alone. "
     "Holds until the next `up` or `reload`, which go by the file again.",
     wait_options, Words::counts},
    {"signal", "SIGNAL NAME...", "send a signal to services",
     "SIGNAL is a name or a number: HUP, USR1, 10. The main process of each service gets it, with --all-processes all "
     "of its process group. One that is not running refuses for all. Nothing follows from it by itself: a service that "
     "ends is restarted as its policy says; `stop` is what keeps it down.",
     signal_options, Words::services, false, "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH"},
    {"wait", "NAME...", "wait until services are ready, stopped, completed or failed",
     "Orders nothing and waits for all that are named. --for ready, which is the default, is content with a task that "
     "has completed, and gives up with exit code 1 when one has failed or is stopped on purpose; --for completed does "
     "so, too. --for stopped is content with every end. Also exit code 1 when --timeout has passed.",
     until_options, Words::services},
    {"exec",
     "NAME -- COMMAND...",
     "run a command as a service would run",
     "With the service's environment, directory, user, umask, nice value, limits, capabilities and no_new_privs, but "
     "as a "
     "child of the caller: his terminal, no supervision, not in the service's cgroup. What hearth sets for each run "
     "(HEARTH_RUN, NOTIFY_SOCKET, "
     "LISTEN_FDS) is not there. The service need not run. The exit code is the command's; 127 when there is no such "
     "command, 126 when it cannot be executed.",
     {},
     Words::services,
     true},
    {"shutdown", "", "stop everything, then hearth itself",
     "Ends with the line \"Shutdown complete\" when nothing is left. When hearth does not run, says so; that is no "
     "failure.",
     wait_options},
    {"upgrade", "", "let another version of hearth go on, without touching a service",
     "Takes hearth-supervisor, hearth-logger and hearth-keeper beside this program, or in --from DIR, and tries them "
     "first: they must speak the same language, and the supervisor must say that it could go on with what the running "
     "hearth has. Then the supervisor ends, and the new one takes over "
     "as "
     "after a crash, within milliseconds; the logger is next. Services are not touched, and no exit, no line and no "
     "order is lost.\n\n"
     "Programs that are refused change nothing. When the new supervisor does not come up, the one before comes back by "
     "itself, and the command says why, with exit code 1. It does so, too, when the new one, or its logger, comes up "
     "and then dies three times within ten seconds of a start, or hangs: the command has ended by then, and `hearth "
     "status` and `hearth events` say why. Ctrl-C during the trial changes nothing.\n\n"
     "The keeper goes on as it is, and the command says so when its file is another one by now. With --keeper it "
     "executes that in its own place first: it has a child try whether the program could go on with what there is, "
     "stays the same process, and loses no exit. When it refuses, the command says why, and nothing else has changed "
     "either.\n\n"
     "SIGUSR2 to the keeper (`hearth pid`) does the same with supervisor and logger beside the one that runs.",
     upgrade_options},
    {"config", "validate|show|get|set|unset|schema [KEY [VALUE]]", "look at ./hearth.toml, and change it",
     "validate reads the file and all that belongs to it, as `up` would, and says what is wrong. show writes what is "
     "in "
     "effect, as TOML, with variables replaced. get writes one value, also a default. set changes one value in the "
     "file, keeps comments and everything else as it is, and leaves the file alone when the result is not valid. unset "
     "takes one out again, with its line. schema "
     "writes the JSON schema for editors.\n\n"
     "A KEY is service.NAME.KEY, defaults.KEY, vars.NAME or project.KEY. A VALUE is TOML, or else text: 5, true, "
     "[\"a\", \"b\"], always.\n\n"
     "hearth does not need to run. Exit code 6 when the file is not valid, 2 for a key that is none, 1 for one that is "
     "not set.",
     config_options, Words::config},
    {"version", "", "this program's version, and which version and files run", "", {}},
    {"help", "[COMMAND]", "explain a command", "", help_options, Words::commands},
    {"completion",
     "bash|zsh|fish",
     "write a completion script for a shell",
     "For bash: source <(hearth completion bash). For zsh: put it into a directory of $fpath as _hearth. "
     "For fish: hearth completion fish > ~/.config/fish/completions/hearth.fish.",
     {},
     Words::shells},
    {"daemon", "", "run hearth in the foreground, for service managers",
     "Becomes the keeper of the instance. `hearth up` and `hearth run` do this by themselves.\n\n"
     "When hearth answers orders, it says READY=1 to the service manager that started it (Type=notify), and STOPPING=1 "
     "when it ends. Exit code 75 means that hearth runs already in this instance: RestartPreventExitStatus=75 keeps "
     "systemd from trying again and again.",
     daemon_options},
    {"enable", "", "start what ./hearth.toml says whenever the machine boots",
     "Writes two units for systemd and enables them: one for hearth itself, if it has none yet, and one for this "
     "project, "
     "which does `hearth up` with its file. As root for the machine, otherwise for your own manager. What a boot "
     "brings "
     "back is what the file says then; nothing that was started by hand. A unit that somebody else wrote stays as it "
     "is.",
     enable_options},
    {"disable", "", "start it no more when the machine boots",
     "Disables and removes the unit that `hearth enable` wrote for this project. What runs goes on, and hearth's own "
     "unit "
     "stays.",
     disable_options},
    {"doctor", "", "what of this machine and this instance is not as it should be",
     "Looks at the kernel's features (by trying them), cgroups, limits, the programs of hearth, the instance "
     "directory, "
     "room on its file systems, services that nobody watches, and memory of GPUs. Each finding says what to do; --fix "
     "removes what a dead hearth has left, while none runs. Exit code 1 when there is a problem, 0 otherwise.",
     doctor_options},
    {"reset", "", "kill everything of this instance, whatever state it is in",
     "For when a shutdown does not help. Stops in order first, for ten seconds, if hearth answers; then kills hearth's "
     "processes (who has the instance's lock open) and every process of its services (by PID and start time, "
     "environment, "
     "cgroup, output and lineage, never by the name of a command), removes sockets, pipes, state and documents, and "
     "tells who still has memory of a GPU. Logs stay, and numbers of runs go on. Ends with \"Reset complete\", or "
     "names "
     "what could not be killed.",
     reset_options},
};

}  // namespace

std::span<const CommandText> commands() {
  return table;
}
std::span<const OptionText> global_options() {
  return global;
}

const CommandText* find_command(std::string_view name) {
  const auto found = std::ranges::find_if(table, [&](const CommandText& command) { return command.name == name; });
  return found == std::end(table) ? nullptr : &*found;
}

std::string usage_line(const CommandText& command) {
  std::string line = std::string("hearth ") + command.name;
  if (!command.options.empty()) line += " [OPTIONS]";
  if (*command.words != '\0') line += std::string(" ") + command.words;
  return line;
}

}  // namespace hearth::cli
