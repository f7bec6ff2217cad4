#include "config/foreign.h"

#include <algorithm>
#include <array>
#include <span>

namespace hearth::config {
namespace {

struct Foreign {
  std::string_view key;  // small letters, without '-' and '_'
  std::string_view advice;
};

constexpr std::string_view copies = "hearth calls it \"replicas\": replicas = 4, and {index} in texts";
constexpr std::string_view streams = "remove it: hearth keeps both streams, see `hearth logs` and the table \"log\"";
constexpr std::string_view starts = "hearth calls it \"autostart\": autostart = false";
constexpr std::string_view env_file = "hearth calls it \"env_files\": env_files = [\"app.env\"]";
constexpr std::string_view before = "hearth calls it \"before_start\"";
constexpr std::string_view events = "hearth has events of its own: `hearth events`";
constexpr std::string_view groups = "hearth calls it \"tags\": tags = [\"NAME\"]";
constexpr std::string_view arguments = "arguments stand in \"command\": command = [\"program\", \"argument\"]";
constexpr std::string_view stamps = "hearth calls it log.format: log = { format = \"stamped\" }";
constexpr std::string_view containers = "remove it: hearth runs programs of this machine, not containers";
constexpr std::string_view given =
    "hearth calls it \"capabilities\": all that it has, capabilities = [\"net_bind_service\"]";
constexpr std::string_view withheld =
    "hearth calls it \"capabilities\": all that it has; or capability_bounding_set = [\"all\", \"-net_raw\"]";
constexpr std::string_view daemon =
    "hearth calls it \"type\": type = \"forking\"; better run the program in the foreground";
constexpr std::string_view group = "remove it: hearth always ends the whole tree of a service";
constexpr std::string_view image = "hearth runs programs of this machine, not images; write \"command\"";
constexpr std::string_view memory =
    "hearth calls it \"max_memory\": max_memory = \"4GiB\"; who uses more is restarted, as by a failed liveness probe";
constexpr std::string_view hard_memory =
    "hearth calls it \"cgroup\": cgroup = { memory_max = \"4GiB\" }; max_memory = \"4GiB\" restarts who uses more";
constexpr std::string_view soft_memory = "hearth calls it \"cgroup\": cgroup = { memory_high = \"3GiB\" }";
constexpr std::string_view tasks = "hearth calls it \"cgroup\": cgroup = { pids_max = 512 }";
constexpr std::string_view processor_time = "hearth calls it \"cgroup\": cgroup = { cpu_max = \"150%\" }";
constexpr std::string_view processor_share = "hearth calls it \"cgroup\": cgroup = { cpu_weight = 100 }";
constexpr std::string_view disk_share = "hearth calls it \"cgroup\": cgroup = { io_weight = 100 }";
constexpr std::string_view written = "hearth calls it \"sandbox\": sandbox = { write_paths = [\"/srv/data\"] }";
constexpr std::string_view read_only =
    "hearth says what may be changed: sandbox = { write_paths = [\"/srv/data\"] }; all else may only be read";
constexpr std::string_view out_of_sight =
    "hearth says what may be read: sandbox = { read_paths = [\"/usr\", \"/etc\"] }; all else may not";
constexpr std::string_view executed = "hearth calls it \"sandbox\": sandbox = { exec_paths = [\"/usr\"] }";
constexpr std::string_view calls = "hearth calls it \"sandbox\": sandbox = { deny_syscalls = [\"@default\"] }";
constexpr std::string_view probes = "hearth calls it \"ready\" (and \"live\" for what must stay so)";
constexpr std::string_view depends = "hearth calls it \"depends_on\"";
constexpr std::string_view count = "hearth calls it \"max_restarts\" (within \"restart_window\")";
constexpr std::string_view timetable =
    "hearth has no timetable; let cron call `hearth start NAME`, of a service with type = \"task\"";
constexpr std::string_view settling = "hearth calls it \"ready\": ready = { type = \"uptime\", after = \"1s\" }";
constexpr std::string_view first_delay = "hearth calls it \"backoff\": backoff = { initial = \"1s\" }";

constexpr Foreign service_keys[] = {
    // clang deduces no std::array of so many
    Foreign{"after", depends},
    Foreign{"ambientcapabilities", "hearth calls it \"capabilities\": capabilities = [\"net_bind_service\"]"},
    Foreign{"args", arguments},
    Foreign{"autorestart", "hearth calls it \"restart\": \"always\", \"on-failure\" or \"never\""},
    Foreign{"availability", "hearth calls it \"restart\""},
    Foreign{"backoffcoefficient", "hearth calls it backoff.factor"},
    Foreign{"backoffseconds", first_delay},
    Foreign{"before", "write \"depends_on\" in the other service"},
    Foreign{"bgprocess", daemon},
    Foreign{"bind", "hearth calls it \"listen\": listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"bindsto", "hearth calls it depends_on: depends_on = { NAME = { stop = true, restart = true } }"},
    Foreign{"blockioweight", disk_share},
    Foreign{"build", image},
    Foreign{"cachedirectory", "hearth calls it \"cache_directories\""},
    Foreign{"capadd", given},
    Foreign{"capdrop", withheld},
    Foreign{"categories", groups},
    Foreign{"chdir", "hearth calls it \"cwd\""},
    Foreign{"check", "hearth calls it \"ready\": ready = { type = \"exec\", command = [...] }"},
    Foreign{"cmd", "hearth calls it \"command\""},
    Foreign{"combinelogs", streams},
    Foreign{"containername", "the name stands in the header: [service.NAME]"},
    Foreign{"copyenv", "remove it: services have the environment of who calls `hearth up`"},
    Foreign{"cpuaffinity", "hearth calls it \"cpus\""},
    Foreign{"cpumax", processor_time},
    Foreign{"cpuquota", processor_time},
    Foreign{"cpus", "hearth calls it \"cpus\": the processors that it may use, cpus = [0, 1]"},
    Foreign{"cpuset", "hearth calls it \"cpus\""},
    Foreign{"cpushares", processor_share},
    Foreign{"cpuweight", processor_share},
    Foreign{"cron", timetable},
    Foreign{"cronrestart", "hearth has no timetable for restarts; cron can call `hearth restart NAME`"},
    Foreign{"daemon", daemon},
    Foreign{"daemonize", daemon},
    Foreign{"denysyscalls", calls},
    Foreign{"depends", depends},
    Foreign{"dependsms", depends},
    Foreign{"dependson", depends},
    Foreign{"deploy", copies},
    Foreign{"description", "write it as a comment: # ..."},
    Foreign{"dir", "hearth calls it \"cwd\""},
    Foreign{"directory", "hearth calls it \"cwd\""},
    Foreign{"disabled", "hearth calls it \"autostart\": autostart = false"},
    Foreign{"dotenv", env_file},
    Foreign{"downsignal", "hearth calls it \"stop_signal\""},
    Foreign{"enabled", starts},
    Foreign{"entrypoint", "hearth calls it \"command\""},
    Foreign{"envfile", env_file},
    Foreign{"environment", "hearth calls it \"env\": env = { NAME = \"value\" }"},
    Foreign{"environmentfile", env_file},
    Foreign{"environmentfiles", env_file},
    Foreign{"errorfile", streams},
    Foreign{"essential", "hearth calls it \"on_give_up\": on_give_up = \"exit\""},
    Foreign{"eventlistener", events},
    Foreign{"exec", "hearth calls it \"command\""},
    Foreign{"execinterpreter", "it is the first item of \"command\": command = [\"python3\", \"server.py\"]"},
    Foreign{"execmode", copies},
    Foreign{"execpaths", executed},
    Foreign{"execreload", "hearth calls it \"reload_command\"; a signal alone is \"reload_signal\""},
    Foreign{"execstart", "hearth calls it \"command\": command = [\"program\", \"argument\"]"},
    Foreign{"execstartpost", "hearth calls it \"after_start\""},
    Foreign{"execstartpre", before},
    Foreign{"execstop", "hearth calls it \"stop_command\"; a signal alone is \"stop_signal\""},
    Foreign{"execstoppost", "hearth calls it \"after_stop\""},
    Foreign{"execstoppre", "hearth calls it \"before_stop\""},
    Foreign{"exitcodes", "hearth calls it \"success_exit_codes\""},
    Foreign{"exitonfailure", "hearth calls it \"on_give_up\": on_give_up = \"exit\""},
    Foreign{"expbackoffrestartdelay", first_delay},
    Foreign{"expose", containers},
    Foreign{"extends", "hearth calls it \"template\""},
    Foreign{"filedescriptorstoremax", "hearth calls it \"fdstore_max\""},
    Foreign{"finalkillsignal", "remove it: it is always KILL"},
    Foreign{"finish", "hearth calls it \"after_stop\""},
    Foreign{"flagessential", "hearth calls it \"on_give_up\": on_give_up = \"exit\""},
    Foreign{"gid", "hearth calls it \"group\""},
    Foreign{"gracefultimeout", "hearth calls it \"stop_timeout\""},
    Foreign{"health", probes},
    Foreign{"healthcheck", probes},
    Foreign{"hostname", containers},
    Foreign{"ignorewatch", "hearth does not watch files; call `hearth restart NAME` when they change"},
    Foreign{"image", image},
    Foreign{"inaccessibledirectories", out_of_sight},
    Foreign{"inaccessiblepaths", out_of_sight},
    Foreign{"include", "it stands on top of the file, before all [headers]; a service takes over a \"template\""},
    Foreign{"instances", copies},
    Foreign{"instancevar", "write env = { NODE_APP_INSTANCE = \"{index}\" }"},
    Foreign{"interpreter", "it is the first item of \"command\": command = [\"python3\", \"server.py\"]"},
    Foreign{"interpreterargs", arguments},
    Foreign{"iopriority", "hearth calls it \"io_priority\""},
    Foreign{"ioschedulingclass", "hearth calls it \"io_priority\""},
    Foreign{"ioschedulingpriority", "hearth calls it \"io_priority\""},
    Foreign{"ioweight", disk_share},
    Foreign{"isdaemon", daemon},
    Foreign{"isdotenvdisabled", "remove it: hearth reads the files of env_files and no others"},
    Foreign{"istty", "hearth calls it \"stdin\": stdin = \"pty\""},
    Foreign{"killasgroup", group},
    Foreign{"killmode", group},
    Foreign{"killsignal", "hearth calls it \"stop_signal\""},
    Foreign{"killtimeout", "hearth calls it \"stop_timeout\""},
    Foreign{"killtimeoutsecs", "hearth calls it \"stop_timeout\""},
    Foreign{"labels", groups},
    Foreign{"landlock", written},
    Foreign{"launchtimeoutseconds", "hearth calls it \"start_timeout\""},
    Foreign{"ldlibrarypath", "hearth calls it \"library_path\""},
    Foreign{"ldpreload", "hearth calls it \"preload\""},
    Foreign{"limitas", "hearth calls it \"limits\": limits = { as = \"8GiB\" }"},
    Foreign{"limitcore", "hearth calls it \"limits\": limits = { core = 0 }"},
    Foreign{"limitmemlock", "hearth calls it \"limits\": limits = { memlock = \"unlimited\" }"},
    Foreign{"limitnofile", "hearth calls it \"limits\": limits = { nofile = 65536 }"},
    Foreign{"listenstream", "hearth calls it \"listen\": listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"listentimeout", "hearth calls it \"start_timeout\""},
    Foreign{"livenessprobe", "hearth calls it \"live\""},
    Foreign{"loadcredential", "hearth calls it \"credentials\""},
    Foreign{"logconfiguration", "hearth calls it \"log\""},
    Foreign{"logdateformat", stamps},
    Foreign{"logfile", streams},
    Foreign{"logging", "hearth calls it \"log\""},
    Foreign{"loglocation", streams},
    Foreign{"maxdeathtally", count},
    Foreign{"maxmemoryrestart", memory},
    Foreign{"maxpids", tasks},
    Foreign{"maxrestart", count},
    Foreign{"maxretry", count},
    Foreign{"memlimit", hard_memory},
    Foreign{"memoryhigh", soft_memory},
    Foreign{"memorylimit", hard_memory},
    Foreign{"memorymax", hard_memory},
    Foreign{"memoryrestart", memory},
    Foreign{"mergelogs", streams},
    Foreign{"minuptime", settling},
    Foreign{"name", "the name stands in the header: [service.NAME]"},
    Foreign{"namespace", groups},
    Foreign{"networks", containers},
    Foreign{"nextrun", timetable},
    Foreign{"nodeargs", arguments},
    Foreign{"noexecpaths", executed},
    Foreign{"nonewprivileges", "hearth calls it \"no_new_privs\""},
    Foreign{"notificationfd", "hearth calls it \"ready\": ready = { type = \"fd\", ... }"},
    Foreign{"notify", "hearth calls it \"ready\": ready = \"notify\""},
    Foreign{"numprocesses", copies},
    Foreign{"numprocs", copies},
    Foreign{"numprocsstart", "remove it: {index} begins with 0"},
    Foreign{"oncalendar", timetable},
    Foreign{"oneshot", "hearth calls it \"type\": type = \"task\""},
    Foreign{"onfailure", "hearth calls it \"on_failure\""},
    Foreign{"oomscoreadjust", "hearth calls it \"oom_score_adj\""},
    Foreign{"outfile", streams},
    Foreign{"partof", "hearth calls it depends_on: depends_on = { NAME = { stop = true, restart = true } }"},
    Foreign{"passenvironment", "remove it: services have the environment of who calls `hearth up`"},
    Foreign{"pidfile", "hearth calls it \"pid_file\""},
    Foreign{"pidslimit", tasks},
    Foreign{"pidsmax", tasks},
    Foreign{"ports", "hearth calls it \"listen\": listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"poststart", "hearth calls it \"after_start\""},
    Foreign{"poststop", "hearth calls it \"after_stop\""},
    Foreign{"prestart", before},
    Foreign{"prestop", "hearth calls it \"before_stop\""},
    Foreign{"priority", "say who needs whom with \"depends_on\"; for the CPU there is \"nice\""},
    Foreign{"privileged", containers},
    Foreign{"processname", "the name stands in the header: [service.NAME]"},
    Foreign{"profiles", groups},
    Foreign{"program", "hearth calls it \"command\""},
    Foreign{"protecthome", out_of_sight},
    Foreign{"protectsystem", read_only},
    Foreign{"readinessprobe", "hearth calls it \"ready\""},
    Foreign{"readonlydirectories", read_only},
    Foreign{"readonlypaths", read_only},
    Foreign{"readpaths", out_of_sight},
    Foreign{"readwritedirectories", written},
    Foreign{"readwritepaths", written},
    Foreign{"readylogline", "hearth calls it \"ready\": ready = { type = \"log\", ... }"},
    Foreign{"readynotification", "hearth calls it \"ready\""},
    Foreign{"redirectstderr", streams},
    Foreign{"reload", "hearth calls it \"reload_command\""},
    Foreign{"remainafterexit", "hearth calls it \"type\": type = \"task\""},
    Foreign{"requires", depends},
    Foreign{"requisite", depends},
    Foreign{"respawn", "hearth calls it \"restart\""},
    Foreign{"restartdelay", first_delay},
    Foreign{"restartlimitcount", count},
    Foreign{"restartpolicy", "hearth calls it \"restart\": \"always\", \"on-failure\" or \"never\""},
    Foreign{"restartsec", first_delay},
    Foreign{"rlimitcore", "hearth calls it \"limits\": limits = { core = 0 }"},
    Foreign{"rlimitnofile", "hearth calls it \"limits\": limits = { nofile = 65536 }"},
    Foreign{"run", "hearth calls it \"command\""},
    Foreign{"runas", "hearth calls it \"user\""},
    Foreign{"runtimedirectory", "hearth calls it \"runtime_directories\""},
    Foreign{"scale", copies},
    Foreign{"schedule", timetable},
    Foreign{"script", "hearth calls it \"command\""},
    Foreign{"seccomp", calls},
    Foreign{"secrets", "hearth calls it \"credentials\", or \"env_files\" for variables"},
    Foreign{"securityopt", "hearth has \"no_new_privs\": no_new_privs = true"},
    Foreign{"sendhup", "`hearth reload NAME` sends \"reload_signal\""},
    Foreign{"serverurl", "remove it: services find the socket by HEARTH_INSTANCE"},
    Foreign{"shellcommand", "write shell = true, and the line as \"command\""},
    Foreign{"shutdown", "hearth calls it \"stop_signal\" and \"stop_timeout\""},
    Foreign{"singleton", "remove it: a service runs once unless it has \"replicas\""},
    Foreign{"smoothrecovery", "remove it: hearth starts it again without touching who depends on it"},
    Foreign{"socket", "hearth calls it \"listen\": listen = [\"unix:/path\"]"},
    Foreign{"sourcemapsupport", "write env = { NODE_OPTIONS = \"--enable-source-maps\" }"},
    Foreign{"standarderror", streams},
    Foreign{"standardinput", "hearth calls it \"stdin\""},
    Foreign{"standardoutput", streams},
    Foreign{"startlimitaction", "hearth calls it \"on_give_up\""},
    Foreign{"startlimitburst", count},
    Foreign{"startlimitinterval", "hearth calls it \"restart_window\""},
    Foreign{"startlimitintervalsec", "hearth calls it \"restart_window\""},
    Foreign{"startretries", "hearth calls it \"max_failed_starts\", and counts the first start, too"},
    Foreign{"startsecs", settling},
    Foreign{"startupprobe", "hearth calls it \"ready\", with \"start_timeout\""},
    Foreign{"statedirectory", "hearth calls it \"state_directories\""},
    Foreign{"stderrcapturemaxbytes", events},
    Foreign{"stderreventsenabled", events},
    Foreign{"stderrlogfile", streams},
    Foreign{"stderrstream", streams},
    Foreign{"stderrsyslog", "hearth calls it log.sink: log = { sink = \"syslog\" }"},
    Foreign{"stdinopen", "hearth calls it \"stdin\": stdin = \"pty\""},
    Foreign{"stdoutcapturemaxbytes", events},
    Foreign{"stdouteventsenabled", events},
    Foreign{"stdoutlogfile", streams},
    Foreign{"stdoutlogfilebackups", "hearth calls it log.max_files: log = { max_files = 10 }"},
    Foreign{"stdoutlogfilemaxbytes", "hearth calls it log.max_size: log = { max_size = \"10MiB\" }"},
    Foreign{"stdoutstream", streams},
    Foreign{"stdoutsyslog", "hearth calls it log.sink: log = { sink = \"syslog\" }"},
    Foreign{"stopasgroup", group},
    Foreign{"stopchildren", group},
    Foreign{"stopgraceperiod", "hearth calls it \"stop_timeout\""},
    Foreign{"stopwaitsecs", "hearth calls it \"stop_timeout\""},
    Foreign{"successexitstatus", "hearth calls it \"success_exit_codes\""},
    Foreign{"systemcallfilter", calls},
    Foreign{"tasksmax", tasks},
    Foreign{"template", "hearth calls it \"template\""},
    Foreign{"termsignal", "hearth calls it \"stop_signal\""},
    Foreign{"time", stamps},
    Foreign{"timeoutfinish", "it is the time of \"after_stop\""},
    Foreign{"timeoutkill", "hearth calls it \"stop_timeout\""},
    Foreign{"timeoutsec", "hearth calls it \"start_timeout\", and \"stop_timeout\" for the end"},
    Foreign{"timeoutstart", "hearth calls it \"start_timeout\""},
    Foreign{"timeoutstartsec", "hearth calls it \"start_timeout\""},
    Foreign{"timeoutstop", "hearth calls it \"stop_timeout\""},
    Foreign{"timeoutstopsec", "hearth calls it \"stop_timeout\""},
    Foreign{"timeoutup", "hearth calls it \"start_timeout\""},
    Foreign{"timer", timetable},
    Foreign{"treekill", group},
    Foreign{"tty", "hearth calls it \"stdin\": stdin = \"pty\""},
    Foreign{"uid", "hearth calls it \"user\""},
    Foreign{"ulimits", "hearth calls it \"limits\""},
    Foreign{"usesockets", "hearth calls it \"listen\""},
    Foreign{"virtualenv", "name its program: command = [\"venv/bin/python\", \"server.py\"]"},
    Foreign{"vizion", "remove it: hearth looks at no repository"},
    Foreign{"volumes", "hearth runs programs of this machine: they see its files as they are"},
    Foreign{"waitready", "hearth calls it \"ready\": ready = \"notify\""},
    Foreign{"waitsfor", "hearth calls it \"depends_on\": depends_on = { NAME = { required = false } }"},
    Foreign{"wantedby", "`hearth up` starts what the file says; docs/guide/systemd.md is about the boot"},
    Foreign{"wants", "hearth calls it \"depends_on\": depends_on = { NAME = { required = false } }"},
    Foreign{"warmupdelay", "hearth has [project] start_concurrency: so many start at a time"},
    Foreign{"watch", "hearth does not watch files; call `hearth restart NAME` when they change"},
    Foreign{"watchdogsec", "hearth calls it \"watchdog\""},
    Foreign{"workdir", "hearth calls it \"cwd\""},
    Foreign{"workingdir", "hearth calls it \"cwd\""},
    Foreign{"workingdirectory", "hearth calls it \"cwd\""},
    Foreign{"writepaths", written},
};

constexpr std::array file_keys = {
    Foreign{"apps", "services are written [service.NAME]"},
    Foreign{"default", "hearth calls it [defaults]"},
    Foreign{"environment", "hearth calls it [vars] for this file, env in [defaults] for services"},
    Foreign{"env", "hearth calls it [vars] for this file, env in [defaults] for services"},
    Foreign{"envfile", "write env_files = [...] into [defaults]"},
    Foreign{"eventlistener", "hearth has events of its own: `hearth events`"},
    Foreign{"files", "hearth calls it \"include\": include = [\"services/*.toml\"]"},
    Foreign{"group", "hearth calls it \"tags\", in each service"},
    Foreign{"imports", "hearth calls it \"include\": include = [\"services/*.toml\"]"},
    Foreign{"inethttpserver", "remove it: hearth listens on a Unix socket, and needs no setting for it"},
    Foreign{"loglevel", "remove it: hearth has none"},
    Foreign{"networks", "remove it: hearth runs programs of this machine, not containers"},
    Foreign{"processes", "services are written [service.NAME]"},
    Foreign{"program", "services are written [service.NAME]"},
    Foreign{"programs", "services are written [service.NAME]"},
    Foreign{"services", "services are written [service.NAME]"},
    Foreign{"socket", "sockets stand in a service: listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"supervisorctl", "remove it: the program `hearth` finds its socket"},
    Foreign{"supervisord", "hearth's own settings are options of the command, see `hearth --help`"},
    Foreign{"templates", "a template is written [template.NAME]"},
    Foreign{"unit", "services are written [service.NAME]"},
    Foreign{"unixhttpserver", "remove it: the program `hearth` finds its socket"},
    Foreign{"variables", "hearth calls it [vars]"},
    Foreign{"version", "remove it: hearth knows its formats"},
    Foreign{"volumes", "remove it: hearth runs programs of this machine, not containers"},
    Foreign{"watcher", "services are written [service.NAME]"},
};

constexpr std::array probe_keys = {
    Foreign{"exec", "write type = \"exec\" and \"command\""},
    Foreign{"failurethresholds", "hearth calls it \"failure_threshold\""},
    Foreign{"host", "it stands in \"url\" or \"address\""},
    Foreign{"httpget", "write type = \"http\" and \"url\""},
    Foreign{"initialdelay", "remove it: hearth tries at once and again until start_timeout"},
    Foreign{"initialdelayseconds", "remove it: hearth tries at once and again until start_timeout"},
    Foreign{"periodseconds", "hearth calls it \"interval\""},
    Foreign{"port", "it stands in \"url\" or \"address\""},
    Foreign{"retries", "hearth calls it \"failure_threshold\""},
    Foreign{"startperiod", "it is the service's \"start_timeout\""},
    Foreign{"status", "hearth calls it \"expect_status\""},
    Foreign{"test", "write type = \"exec\" and \"command\""},
    Foreign{"timeoutseconds", "hearth calls it \"timeout\""},
};

constexpr std::array sandbox_keys = {
    Foreign{"denysystemcalls", "hearth calls it \"deny_syscalls\""},
    Foreign{"execpath", "hearth calls it \"exec_paths\""},
    Foreign{"networkaccess", "Landlock's rules for ports are not offered"},
    Foreign{"nonewprivs", "a sandbox implies it; write it beside the table, and not in it"},
    Foreign{"readonlypaths", read_only},
    Foreign{"readwritepaths", "hearth calls it \"write_paths\""},
    Foreign{"seccomp", "hearth calls it \"deny_syscalls\": deny_syscalls = [\"@default\"]"},
    Foreign{"syscalls", "hearth calls it \"deny_syscalls\": it says what is denied"},
    Foreign{"systemcallfilter", "hearth calls it \"deny_syscalls\": deny_syscalls = [\"@default\"]"},
};

constexpr std::array cgroup_keys = {
    Foreign{"cpu", "hearth calls it \"cpu_max\": cpu_max = \"150%\""},
    Foreign{"cpuquota", "hearth calls it \"cpu_max\": cpu_max = \"150%\""},
    Foreign{"cpus", "hearth calls it \"cpu_max\": cpu_max = \"150%\"; which processors says `cpus` of the service"},
    Foreign{"cpushares", "hearth calls it \"cpu_weight\""},
    Foreign{"memory", "hearth calls it \"memory_max\""},
    Foreign{"memorylimit", "hearth calls it \"memory_max\""},
    Foreign{"pids", "hearth calls it \"pids_max\""},
    Foreign{"tasksmax", "hearth calls it \"pids_max\""},
};

constexpr std::array backoff_keys = {
    Foreign{"base", "hearth calls it \"factor\""},       Foreign{"delay", "hearth calls it \"initial\""},
    Foreign{"maxdelay", "hearth calls it \"max\""},      Foreign{"min", "hearth calls it \"initial\""},
    Foreign{"multiplier", "hearth calls it \"factor\""},
};

constexpr std::array log_keys = {
    Foreign{"file",
            "hearth chooses the files; `hearth logs NAME` shows them, `hearth status --json` where "
            "they are"},
    Foreign{"maxbackups", "hearth calls it \"max_files\""},
    Foreign{"maxbytes", "hearth calls it \"max_size\""},
    Foreign{"path",
            "hearth chooses the files; `hearth logs NAME` shows them, `hearth status --json` where "
            "they are"},
    Foreign{"timestamps", "write format = \"stamped\""},
};

constexpr std::array listen_keys = {
    Foreign{"host", "it stands in \"address\": \"tcp:HOST:PORT\""},
    Foreign{"path", "it stands in \"address\": \"unix:PATH\""},
    Foreign{"port", "it stands in \"address\": \"tcp:HOST:PORT\""},
};

std::string_view look_up(std::span<const Foreign> list, std::string_view key) {
  const auto found = std::ranges::find(list, key, &Foreign::key);
  return found == list.end() ? std::string_view() : found->advice;
}

}  // namespace

std::string plain_key(std::string_view key) {
  std::string plain;
  for (const char c : key) {
    if (c == '-' || c == '_') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return plain;
}

std::string_view foreign_advice(Scope scope, std::string_view key) {
  const std::string plain = plain_key(key);
  switch (scope) {
    case Scope::file: return look_up(file_keys, plain);
    case Scope::service: return look_up(service_keys, plain);
    case Scope::probe: return look_up(probe_keys, plain);
    case Scope::backoff: return look_up(backoff_keys, plain);
    case Scope::log: return look_up(log_keys, plain);
    case Scope::listen: return look_up(listen_keys, plain);
    case Scope::project:
    case Scope::dependency:
    case Scope::action:
    case Scope::limits: break;
    case Scope::sandbox: return look_up(sandbox_keys, plain);
    case Scope::cgroup: return look_up(cgroup_keys, plain);
  }
  return {};
}

}  // namespace hearth::config
