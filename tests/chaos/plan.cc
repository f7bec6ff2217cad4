#include "plan.h"

#include <fmt/format.h>

namespace hearth::chaos {
namespace {

constexpr int kFirstPort = 7001;

}  // namespace

Plan::Plan(std::uint64_t seed, std::string directory, std::string program, std::string host)
    : directory_(std::move(directory)), program_(std::move(program)), host_(std::move(host)) {
  Random random(seed ^ 0x9a17);
  add_characters();
  add_by_chance(random);
}

void Plan::add(Planned service) {
  services_.push_back(std::move(service));
}

void Plan::add_characters() {
  const std::string p = directory_ + "/p/";
  add({.name = "raw", .character = "writer", .ready_file = p + "raw.ready"});
  add({.name = "stamped", .character = "writer", .form = "stamped"});
  add({.name = "json",
       .character = "notifier",
       .form = "json",
       .ready = "\"notify\"",
       .ready_file = p + "json.ready",
       .extra = "watchdog = \"15s\"\n"});
  add({.name = "told", .character = "teller", .ready = "\"fd:3\""});
  add({.name = "file",
       .character = "filer",
       .more = p + "file.made",
       .form = "stamped",
       .ready = "{ type = \"file\", path = \"" + p + "file.made\", interval = \"100ms\" }"});
  add({.name = "asked",
       .character = "writer",
       .form = "json",
       .ready = "{ type = \"exec\", command = [\"" + program_ + "\", \"probe\", \"-\"], interval = \"500ms\" }",
       .ready_file = p + "asked.ready"});
  add({.name = "server",
       .character = "server",
       .more = "2",
       .ready = "{ type = \"unix\", path = \"" + p + "server.sock\" }",
       .sockets = {"unix:" + p + "server.sock", fmt::format("tcp:{}:{}", host_, kFirstPort)}});
  const std::string door = fmt::format("{}:{}", host_, kFirstPort + 1);
  add({.name = "door",
       .character = "server",
       .more = "1",
       .ready = "{ type = \"tcp\", address = \"" + door + "\" }",
       .sockets = {"tcp:" + door}});
  add({.name = "storer", .character = "storer", .ready = "\"notify\"", .stores = true});
  add({.name = "forker",
       .character = "forker",
       .more = p + "forker.pid",
       .extra = "type = \"forking\"\npid_file = \"" + p + "forker.pid\"\n"});
  add({.name = "tree", .character = "tree"});
  add({.name = "looper", .character = "looper", .nature = Nature::loops});
  add({.name = "good", .character = "task", .more = "0", .nature = Nature::task, .task_code = 0});
  add({.name = "bad", .character = "task", .more = "7", .nature = Nature::task, .task_code = 7});
  add({.name = "hooked", .character = "writer", .hooked = true});
  add({.name = "web", .character = "writer", .form = "stamped", .replicas = 2});
  add({.name = "needy", .character = "writer", .needs = "asked"});
  add({.name = "hasty", .character = "writer", .full_wait = "200ms"});
  add({.name = "packed", .character = "writer", .form = "stamped", .max_size = "16KiB", .compress = true});
}

void Plan::add_by_chance(Random& random) {
  const std::uint64_t more = below(random, 8);
  for (std::uint64_t i = 0; i < more; ++i) {
    Planned service;
    service.name = "more" + std::to_string(i);
    service.form = std::vector<std::string>{"raw", "stamped", "json"}[below(random, 3)];
    service.max_size = std::vector<std::string>{"16KiB", "64KiB", "1MiB"}[below(random, 3)];
    service.hooked = below(random, 4) == 0;
    switch (below(random, 5)) {
      case 0:
        service.character = "notifier";
        service.ready = "\"notify\"";
        break;
      case 1:
        service.character = "looper";
        service.nature = Nature::loops;
        break;
      case 2: service.character = "tree"; break;
      default: service.character = "writer";
    }
    if (below(random, 2) == 0 && service.nature == Nature::steady)
      service.ready_file = directory_ + "/p/" + service.name + ".ready";
    add(std::move(service));
  }
}

const Planned* Plan::find(const std::string& slot) const {
  const std::string name = slot.substr(0, slot.find('.'));
  for (const Planned& service : services_)
    if (service.name == name) return &service;
  return nullptr;
}

std::vector<std::string> Plan::slots() const {
  std::vector<std::string> slots;
  for (const Planned& service : services_) {
    slots.push_back(service.name);
    for (int i = 1; service.replicas > 1 && i < most_replicas; ++i)
      slots.push_back(service.name + "." + std::to_string(i));
  }
  return slots;
}

std::string Plan::toml(int variant) const {
  std::string text = "[project]\nname = \"chaos\"\n";
  for (const Planned& service : services_) {
    text += fmt::format("\n[service.{}]\ncommand = [\"{}\", \"{}\", \"{}{}\", \"{}\"]\n", service.name, program_,
                        service.character, service.name, service.replicas > 1 ? ".{index}" : "", service.more);
    text += fmt::format("log = {{ format = \"{}\", max_size = \"{}\", max_files = 10000, full_wait = \"{}\"{} }}\n",
                        service.form, service.max_size, service.full_wait, service.compress ? ", compress = true" : "");
    text += fmt::format("env = {{ CHAOS_DIR = \"{}\", VARIANT = \"{}\" }}\n", directory_,
                        changes(service, variant) ? variant : 0);
    text += "stop_timeout = \"20s\"\n";
    if (service.nature == Nature::task) text += "type = \"task\"\n";
    if (service.nature == Nature::steady)
      text += "restart = \"always\"\nbackoff = { initial = \"20ms\", max = \"500ms\" }\n";
    if (service.nature == Nature::loops)
      text += "restart = \"always\"\nbackoff = { initial = \"50ms\", max = \"600ms\" }\n";
    if (!service.ready.empty()) text += "ready = " + service.ready + "\n";
    if (!service.ready_file.empty()) text += "ready_file = \"" + service.ready_file + "\"\n";
    if (!service.sockets.empty()) text += fmt::format("listen = [\"{}\"]\n", fmt::join(service.sockets, "\", \""));
    if (!service.needs.empty()) text += fmt::format("depends_on = {{ {} = \"ready\" }}\n", service.needs);
    if (service.replicas > 1) text += fmt::format("replicas = {}\n", service.replicas);
    if (service.hooked) text += fmt::format("before_start = [\"{}\", \"before\", \"{}\"]\n", program_, service.name);
    text += service.extra;
  }
  return text;
}

}  // namespace hearth::chaos
