#include "config/foreign.h"

#include <algorithm>
#include <array>

namespace hearth::config {
namespace {

struct Foreign {
  std::string_view key;  // small letters, without '-' and '_'
  std::string_view advice;
};

constexpr std::string_view copies =
    "hearth runs one process per service for now; write one [service.NAME] for each copy";
constexpr std::string_view streams = "remove it: hearth keeps both streams, see `hearth logs` and the table \"log\"";
constexpr std::string_view starts = "remove it: `hearth up` starts every service, `hearth stop NAME` keeps one down";
constexpr std::string_view group = "remove it: hearth always ends the whole tree of a service";
constexpr std::string_view image = "hearth runs programs of this machine, not images; write \"command\"";
constexpr std::string_view memory = "hearth sets no memory limit yet; limits.as bounds the address space";
constexpr std::string_view probes = "hearth calls it \"ready\" (and \"live\" for what must stay so)";
constexpr std::string_view depends = "hearth calls it \"depends_on\"";
constexpr std::string_view count = "hearth calls it \"max_restarts\" (within \"restart_window\")";
constexpr std::string_view first_delay = "hearth calls it \"backoff\": backoff = { initial = \"1s\" }";

constexpr std::array service_keys = {
    Foreign{"after", depends},
    Foreign{"args", "arguments stand in \"command\": command = [\"program\", \"argument\"]"},
    Foreign{"autorestart", "hearth calls it \"restart\": \"always\", \"on-failure\" or \"never\""},
    Foreign{"autostart", starts},
    Foreign{"availability", "hearth calls it \"restart\""},
    Foreign{"backoffseconds", first_delay},
    Foreign{"bind", "hearth calls it \"listen\": listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"build", image},
    Foreign{"chdir", "hearth calls it \"cwd\""},
    Foreign{"cmd", "hearth calls it \"command\""},
    Foreign{"containername", "the name stands in the header: [service.NAME]"},
    Foreign{"cpus", "hearth sets no CPU limit yet; \"nice\" lowers the priority"},
    Foreign{"cronrestart", "hearth has no timetable for restarts; cron can call `hearth restart NAME`"},
    Foreign{"depends", depends},
    Foreign{"deploy", copies},
    Foreign{"description", "write it as a comment: # ..."},
    Foreign{"dir", "hearth calls it \"cwd\""},
    Foreign{"directory", "hearth calls it \"cwd\""},
    Foreign{"enabled", starts},
    Foreign{"entrypoint", "hearth calls it \"command\""},
    Foreign{"envfile", "write the variables themselves: env = { NAME = \"value\" }"},
    Foreign{"environment", "hearth calls it \"env\": env = { NAME = \"value\" }"},
    Foreign{"environmentfile", "write the variables themselves: env = { NAME = \"value\" }"},
    Foreign{"errorfile", streams},
    Foreign{"exec", "hearth calls it \"command\""},
    Foreign{"execmode", copies},
    Foreign{"execreload", "hearth calls it \"reload_signal\""},
    Foreign{"execstart", "hearth calls it \"command\": command = [\"program\", \"argument\"]"},
    Foreign{"execstartpre",
            "make it a service of its own with restart = \"never\" and depend on it with "
            "condition = \"completed_successfully\""},
    Foreign{"execstop", "hearth calls it \"stop_signal\""},
    Foreign{"exitcodes", "hearth calls it \"success_exit_codes\""},
    Foreign{"expbackoffrestartdelay", first_delay},
    Foreign{"filedescriptorstoremax", "hearth calls it \"fdstore_max\""},
    Foreign{"gid", "hearth calls it \"group\""},
    Foreign{"gracefultimeout", "hearth calls it \"stop_timeout\""},
    Foreign{"health", probes},
    Foreign{"healthcheck", probes},
    Foreign{"image", image},
    Foreign{"instances", copies},
    Foreign{"interpreter", "it is the first item of \"command\": command = [\"python3\", \"server.py\"]"},
    Foreign{"isdaemon", "run the program in the foreground: hearth needs the process itself"},
    Foreign{"killasgroup", group},
    Foreign{"killsignal", "hearth calls it \"stop_signal\""},
    Foreign{"killtimeout", "hearth calls it \"stop_timeout\""},
    Foreign{"limitcore", "hearth calls it \"limits\": limits = { core = 0 }"},
    Foreign{"limitnofile", "hearth calls it \"limits\": limits = { nofile = 65536 }"},
    Foreign{"listenstream", "hearth calls it \"listen\": listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"listentimeout", "hearth calls it \"start_timeout\""},
    Foreign{"livenessprobe", "hearth calls it \"live\""},
    Foreign{"logfile", streams},
    Foreign{"logging", "hearth calls it \"log\""},
    Foreign{"loglocation", streams},
    Foreign{"maxmemoryrestart", memory},
    Foreign{"memlimit", memory},
    Foreign{"memorymax", memory},
    Foreign{"mergelogs", streams},
    Foreign{"minuptime", "hearth calls it backoff.reset_after: backoff = { reset_after = \"60s\" }"},
    Foreign{"name", "the name stands in the header: [service.NAME]"},
    Foreign{"notify", "hearth calls it \"ready\": ready = \"notify\""},
    Foreign{"numprocesses", copies},
    Foreign{"numprocs", copies},
    Foreign{"oomscoreadjust", "hearth calls it \"oom_score_adj\""},
    Foreign{"outfile", streams},
    Foreign{"pidfile", "remove it: hearth knows its processes; run the program in the foreground"},
    Foreign{"ports", "hearth calls it \"listen\": listen = [\"tcp:127.0.0.1:8080\"]"},
    Foreign{"priority", "say who needs whom with \"depends_on\"; for the CPU there is \"nice\""},
    Foreign{"processname", "the name stands in the header: [service.NAME]"},
    Foreign{"program", "hearth calls it \"command\""},
    Foreign{"readinessprobe", "hearth calls it \"ready\""},
    Foreign{"redirectstderr", streams},
    Foreign{"replicas", copies},
    Foreign{"requires", depends},
    Foreign{"restartdelay", first_delay},
    Foreign{"restartlimitcount", count},
    Foreign{"restartpolicy", "hearth calls it \"restart\": \"always\", \"on-failure\" or \"never\""},
    Foreign{"restartsec", first_delay},
    Foreign{"rlimitnofile", "hearth calls it \"limits\": limits = { nofile = 65536 }"},
    Foreign{"run", "hearth calls it \"command\""},
    Foreign{"script", "hearth calls it \"command\""},
    Foreign{"shutdown", "hearth calls it \"stop_signal\" and \"stop_timeout\""},
    Foreign{"socket", "hearth calls it \"listen\": listen = [\"unix:/path\"]"},
    Foreign{"startlimitburst", count},
    Foreign{"startlimitintervalsec", "hearth calls it \"restart_window\""},
    Foreign{"startretries", count},
    Foreign{"startsecs",
            "say when it is up with \"ready\"; how long until restarts are forgiven is "
            "backoff.reset_after"},
    Foreign{"startupprobe", "hearth calls it \"ready\", with \"start_timeout\""},
    Foreign{"stderrlogfile", streams},
    Foreign{"stdoutlogfile", streams},
    Foreign{"stdoutlogfilebackups", "hearth calls it log.max_files: log = { max_files = 10 }"},
    Foreign{"stdoutlogfilemaxbytes", "hearth calls it log.max_size: log = { max_size = \"10MiB\" }"},
    Foreign{"stopasgroup", group},
    Foreign{"stopgraceperiod", "hearth calls it \"stop_timeout\""},
    Foreign{"stopwaitsecs", "hearth calls it \"stop_timeout\""},
    Foreign{"successexitstatus", "hearth calls it \"success_exit_codes\""},
    Foreign{"timeoutstartsec", "hearth calls it \"start_timeout\""},
    Foreign{"timeoutstopsec", "hearth calls it \"stop_timeout\""},
    Foreign{"type", "hearth needs no type; for sd_notify write ready = \"notify\""},
    Foreign{"uid", "hearth calls it \"user\""},
    Foreign{"ulimits", "hearth calls it \"limits\""},
    Foreign{"volumes", "hearth runs programs of this machine: they see its files as they are"},
    Foreign{"waitready", "hearth calls it \"ready\": ready = \"notify\""},
    Foreign{"waitsfor", "hearth calls it \"depends_on\": depends_on = { NAME = { required = false } }"},
    Foreign{"wants", "hearth calls it \"depends_on\": depends_on = { NAME = { required = false } }"},
    Foreign{"watch", "hearth does not watch files; call `hearth restart NAME` when they change"},
    Foreign{"watchdogsec", "hearth calls it \"watchdog\""},
    Foreign{"workdir", "hearth calls it \"cwd\""},
    Foreign{"workingdir", "hearth calls it \"cwd\""},
    Foreign{"workingdirectory", "hearth calls it \"cwd\""},
};

constexpr std::array file_keys = {
    Foreign{"apps", "services are written [service.NAME]"},
    Foreign{"processes", "services are written [service.NAME]"},
    Foreign{"program", "services are written [service.NAME]"},
    Foreign{"programs", "services are written [service.NAME]"},
    Foreign{"supervisord", "hearth's own settings are options of the command, see `hearth --help`"},
    Foreign{"unit", "services are written [service.NAME]"},
    Foreign{"version", "remove it: hearth knows its formats"},
    Foreign{"watcher", "services are written [service.NAME]"},
};

constexpr std::array probe_keys = {
    Foreign{"exec", "write type = \"exec\" and \"command\""},
    Foreign{"failurethresholds", "hearth calls it \"failure_threshold\""},
    Foreign{"host", "it stands in \"url\" or \"address\""},
    Foreign{"httpget", "write type = \"http\" and \"url\""},
    Foreign{"initialdelay", "remove it: hearth tries at once and again until start_timeout"},
    Foreign{"initialdelayseconds", "remove it: hearth tries at once and again until start_timeout"},
    Foreign{"path", "it stands in \"url\": url = \"http://127.0.0.1:8080/health\""},
    Foreign{"periodseconds", "hearth calls it \"interval\""},
    Foreign{"port", "it stands in \"url\" or \"address\""},
    Foreign{"retries", "hearth calls it \"failure_threshold\""},
    Foreign{"startperiod", "it is the service's \"start_timeout\""},
    Foreign{"status", "hearth calls it \"expect_status\""},
    Foreign{"test", "write type = \"exec\" and \"command\""},
    Foreign{"timeoutseconds", "hearth calls it \"timeout\""},
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

template <std::size_t n>
std::string_view look_up(const std::array<Foreign, n>& list, std::string_view key) {
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
    case Scope::limits: break;
  }
  return {};
}

}  // namespace hearth::config
