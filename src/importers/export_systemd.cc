#include "importers/export_systemd.h"

#include <algorithm>
#include <cctype>

namespace hearth::importers {
namespace {

// systemd.service(5), "Command lines": quotes, C escapes, % and $ doubled.
std::string word(const std::string& text) {
  std::string out;
  bool quotes = text.empty();
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
    quotes =
        quotes || std::isspace(static_cast<unsigned char>(c)) != 0 || c == '"' || c == '\'' || c == ';' || c == '#';
  }
  return quotes ? "\"" + out + "\"" : out;
}

// Of Environment=: $ has no meaning there.
std::string assignment(const std::string& name, const std::string& value) {
  std::string out = "\"" + name + "=";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%') out += c;
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

std::string span(SpanNs value) {
  return value % ns_per_s == 0 ? std::to_string(value / ns_per_s) + "s" : std::to_string(value / ns_per_ms) + "ms";
}

std::string unit_name(const Document& document, const std::string& service) {
  return document.project + "-" + service + ".service";
}

class Unit {
 public:
  Unit(const Document& document, const ServiceSpec& spec, std::vector<Finding>& findings)
      : document_(document), spec_(spec), findings_(findings) {}

  Exported make() {
    unit_section();
    service_section();
    text_ += "\n[Install]\nWantedBy=default.target\n";
    return {unit_name(document_, spec_.name), std::move(text_)};
  }

 private:
  void line(const std::string& key, const std::string& value) { text_ += key + "=" + value + "\n"; }
  void wanting(const std::string& what, const std::string& remedy) {
    findings_.push_back({document_.path, 0, "service " + spec_.name + ": " + what, remedy});
  }

  void unit_section() {
    text_ = "# Made by `hearth export systemd`.\n[Unit]\n";
    line("Description", spec_.name + " of " + document_.project);
    for (const Dependency& dependency : spec_.depends_on) {
      const std::string other = unit_name(document_, dependency.service);
      line(dependency.restart ? "BindsTo" : dependency.required ? "Requires" : "Wants", other);
      line("After", other);
    }
    if (spec_.crash_limit.max_restarts > 0) {
      line("StartLimitIntervalSec", span(spec_.crash_limit.window));
      line("StartLimitBurst", std::to_string(spec_.crash_limit.max_restarts + 1));
    } else {
      line("StartLimitIntervalSec", "0");
    }
  }

  void service_section() {
    text_ += "\n[Service]\n";
    const bool task = spec_.type == ServiceType::task;
    line("Type", task                                     ? "oneshot"
                 : spec_.type == ServiceType::forking     ? "forking"
                 : spec_.ready->type == ProbeType::notify ? "notify"
                                                          : "exec");
    if (task) line("RemainAfterExit", "yes");
    if (spec_.type == ServiceType::forking && !spec_.around->pid_file.empty())
      line("PIDFile", plain(spec_.around->pid_file));
    if (spec_.ready->type != ProbeType::none && spec_.ready->type != ProbeType::notify)
      wanting("its readiness probe has no counterpart", "who depends on it is started as soon as it runs");
    if (spec_.live->type != ProbeType::none)
      wanting("its liveness probe has no counterpart", "WatchdogSec= with WATCHDOG=1 of the service does it");
    command();
    if (!spec_.cwd.empty()) line("WorkingDirectory", plain(spec_.cwd));
    if (!spec_.user.empty()) line("User", spec_.user);
    if (!spec_.group.empty()) line("Group", spec_.group);
    for (const auto& [name, value] : spec_.env) line("Environment", assignment(name, value));
    restarts();
    line("TimeoutStartSec", spec_.start_timeout == 0 ? "infinity" : span(spec_.start_timeout));
    line("TimeoutStopSec", span(spec_.stop_timeout));
    if (spec_.stop_signal != 15) line("KillSignal", std::to_string(spec_.stop_signal));
    if (spec_.watchdog > 0) line("WatchdogSec", span(spec_.watchdog));
    limits();
    if (!spec_.listen.empty()) wanting("its sockets are not carried over", "write a .socket unit for them");
    if (spec_.replicas > 1) wanting("it has " + std::to_string(spec_.replicas) + " replicas, and one is written", "");
  }

  void command() {
    std::string words;
    for (const std::string& each : spec_.command) words += (words.empty() ? "" : " ") + word(each);
    const bool absolute = !spec_.command.empty() && spec_.command[0].starts_with('/');
    line("ExecStart", words);
    if (!absolute && !spec_.command.empty() && spec_.command[0].find('/') != std::string::npos)
      wanting("systemd wants an absolute path of " + spec_.command[0], "write it into ExecStart");
  }

  void restarts() {
    const bool task = spec_.type == ServiceType::task;
    if (spec_.restart == RestartPolicy::never || task)
      line("Restart", "no");
    else
      line("Restart", spec_.restart == RestartPolicy::always ? "always" : "on-failure");
    line("RestartSec", span(spec_.backoff.initial));
    std::string codes;
    for (const int code : spec_.success_exit_codes)
      if (code != 0) codes += (codes.empty() ? "" : " ") + std::to_string(code);
    if (!codes.empty()) line("SuccessExitStatus", codes);
  }

  void limits() {
    if (spec_.umask) {
      std::string digits;
      for (int shift = 6; shift >= 0; shift -= 3) digits += static_cast<char>('0' + ((*spec_.umask >> shift) & 7));
      line("UMask", "0" + digits);
    }
    if (spec_.nice) line("Nice", std::to_string(*spec_.nice));
    if (spec_.oom_score_adj) line("OOMScoreAdjust", std::to_string(*spec_.oom_score_adj));
    const auto amount = [](std::uint64_t value) { return value == UINT64_MAX ? "infinity" : std::to_string(value); };
    for (const ResourceLimit& limit : spec_.limits) {
      std::string name = limit.name;
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
      line("Limit" + name, amount(limit.soft) + ":" + amount(limit.hard));
    }
  }

  const Document& document_;
  const ServiceSpec& spec_;
  std::vector<Finding>& findings_;
  std::string text_;
};

}  // namespace

std::vector<Exported> export_systemd(const Document& document, std::vector<Finding>& findings) {
  std::vector<Exported> units;
  for (const ServiceSpec& spec : document.services) units.push_back(Unit(document, spec, findings).make());
  return units;
}

}  // namespace hearth::importers
