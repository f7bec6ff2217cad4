#include "config/project.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/limits.h"
#include "config/replicas.h"
#include "config/service_keys.h"
#include "config/templates.h"
#include "config/text.h"
#include "model/dependencies.h"

namespace hearth::config {
namespace {

constexpr std::array<std::string_view, 6> top_keys = {"project", "vars", "include", "defaults", "template", "service"};

// Every character that a name cannot have becomes a dash; never empty.
std::string sanitised(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if (name.size() == max_name) break;
    name += valid_name(std::string_view(&c, 1)) ? c : '-';
  }
  return name.find_first_not_of('-') == name.npos ? "project" : name;
}

std::string_view directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos || slash == 0 ? std::string_view("/") : path.substr(0, slash);
}

void read_name(Reader& r, const Node& v, std::string_view k, Document& d) {
  std::string name;
  if (!r.text(v, k, name)) return;
  if (!valid_name(name)) {
    return r.problem(v.at, fmt::format("{} is {}, not a name of 1 to 48 letters, digits, '_' and '-'", k, quote(name)),
                     fmt::format("write name = \"{}\"", sanitised(name)));
  }
  d.project = name;
}

constexpr std::array<KeyRule<Document>, 2> rules = {{
    {"name", read_name, "What status and logs call the project; otherwise the name of its directory."},
    {"start_concurrency",
     [](Reader& r, const Node& v, std::string_view k, Document& d) {
       r.integer(v, k, 0, max_services, d.start_concurrency);
     },
     "So many services may be starting at a time; 0: any number."},
}};

}  // namespace

std::span<const KeyRule<Document>> project_rules() {
  return rules;
}

std::string project_name(std::string_view path) {
  const std::string_view directory = directory_of(path);
  return sanitised(directory.substr(directory.rfind('/') + 1));
}

Project::Project(Layers& layers, std::string_view path, const Environment& env, Files* files)
    : root_(layers.root),
      env_(env),
      env_files_(files, layers.sources, layers.bytes),
      reader_(env_, directory_of(path)) {
  document_.path = path;
  document_.project = project_name(path);
  reader_.set_env_files(&env_files_);
}

void Project::read() {
  // Variables first: every text may use them.
  for (const Entry& entry : root_.entries) {
    if (entry.key == "vars") read_vars(entry.value);
  }
  spread_shared_tables(root_, reader_, parts_);
  bool has_services = false;
  for (const Entry& entry : root_.entries) {
    if (entry.key == "project") {
      read_project(entry.value);
    } else if (entry.key == "service") {
      has_services = true;
      read_services(entry);
    } else if (entry.key != "vars") {
      unknown_top_key(entry);
    }
  }
  reader_.set_subject({});
  // An unknown table is most likely the service that is missing here.
  if (!has_services && !top_problem_) {
    reader_.problem({}, "the file defines no service", "add [service.NAME] with a command");
  }
  check_dependencies();
  check_listen();
}

void Project::read_project(const Node& value) {
  reader_.set_subject({});
  reader_.table<Document>(value, "project", rules, Scope::project, document_);
}

// Each sees the environment and those above it: PORT = "${PORT:-8080}" is what people write.
void Project::read_vars(const Node& value) {
  reader_.set_subject({});
  if (value.kind != Node::Kind::table) {
    return reader_.wrong_type(value, "vars", "a table", "write [vars] with NAME = \"value\"");
  }
  for (const Entry& entry : value.entries) {
    const std::string key = "vars." + entry.key;
    if (!plain_variable(entry.key)) {
      reader_.problem(entry.at, fmt::format("{} cannot be used as ${{...}}", quote(entry.key)),
                      "a name has letters, digits and '_', and begins with no digit");
      continue;
    }
    std::string text;
    const Node::Kind kind = entry.value.kind;
    if (kind == Node::Kind::integer || kind == Node::Kind::boolean || kind == Node::Kind::floating) {
      text = entry.value.described();
    } else if (kind != Node::Kind::string) {
      reader_.wrong_type(entry.value, key, "text, a number, true or false", "put it in quotes");
      continue;
    } else if (!reader_.expanded(entry.value, key, text)) {
      continue;
    }
    env_.set(entry.key, std::move(text));
  }
}

void Project::read_services(const Entry& all) {
  reader_.set_subject({});
  if (all.value.kind != Node::Kind::table) {
    return reader_.wrong_type(all.value, "service", "a table", "services are written [service.NAME]");
  }
  if (all.value.entries.empty()) {
    return reader_.problem(all.at, "service is empty", "add [service.NAME] with a command");
  }
  if (all.value.entries.size() > max_services) {
    return reader_.problem(all.at, fmt::format("{} services, more than {}", all.value.entries.size(), max_services),
                           "split them over several projects");
  }
  document_.services.reserve(all.value.entries.size());
  for (const Entry& entry : all.value.entries) {
    if (reader_.full()) return;
    read_one(entry);
  }
}

void Project::read_one(const Entry& entry) {
  reader_.set_subject({});
  if (entry.value.kind != Node::Kind::table) {
    return reader_.problem(entry.at, fmt::format("{} stands in [service] and not in a service", quote(entry.key)),
                           "give the service a name: [service.NAME]");
  }
  if (!valid_name(entry.key)) {
    reader_.problem(entry.at, fmt::format("{} is not a name of 1 to 48 letters, digits, '_' and '-'", quote(entry.key)),
                    fmt::format("write [service.{}]", sanitised(entry.key)));
  }
  reader_.set_subject("service " + (valid_name(entry.key) ? entry.key : quote(entry.key)));
  ServiceDraft draft;
  draft.spec.name = entry.key;
  draft.at = draft.user_at = draft.group_at = entry.at;
  read_service(reader_, entry.value, draft);
  document_.services.push_back(std::move(draft.spec));
  places_.push_back({draft.at, draft.user_at, draft.group_at});
  dependency_at_.push_back(std::move(draft.dependency_at));
  listen_at_.push_back(std::move(draft.listen_at));
}

void Project::unknown_top_key(const Entry& entry) {
  reader_.set_subject({});
  top_problem_ = true;
  const bool looks_like_service = entry.value.kind == Node::Kind::table && entry.value.find("command") != nullptr;
  if (looks_like_service && valid_name(entry.key)) {
    return reader_.problem(entry.at, fmt::format("unknown table [{}]", entry.key),
                           fmt::format("a service is written [service.{}]", entry.key));
  }
  reader_.unknown_key(entry, "", top_keys, Scope::file);
}

void Project::check_dependencies() {
  constexpr std::size_t enough = 100;
  for (const DependencyProblem& problem : dependency_problems(document_.services, enough)) {
    const ServiceSpec& service = document_.services[problem.service];
    const std::string wanted = quote(service.depends_on[problem.dependency].service);
    const Position at = dependency_at_[problem.service][problem.dependency];
    reader_.set_subject("service " + service.name);
    // A dependency of [defaults] is not that of one service: say whose.
    const std::string it = at.part == 0 ? "it" : "service " + service.name;
    switch (problem.fault) {
      case DependencyFault::self:
        reader_.problem(at, it + " depends on itself",
                        at.part == 0 ? "remove that dependency" : "name it in the services that need it");
        break;
      case DependencyFault::unknown:
        reader_.problem(at, fmt::format("{} depends on {}, and there is no such service", it, wanted),
                        problem.nearest.empty() ? std::string("add [service.NAME] for it, or remove the dependency")
                                                : fmt::format("did you mean \"{}\"?", problem.nearest));
        break;
      case DependencyFault::cycle:
        reader_.problem(
            at, (at.part == 0 ? "its dependencies" : "the dependencies of " + it) + " form a cycle: " + problem.cycle,
            "remove one of them");
        break;
    }
  }
}

// Of services that start by themselves; of others it may be meant that one of them is up at a time.
void Project::check_listen() {
  std::vector<Listening> all;
  for (std::size_t i = 0; i < document_.services.size(); ++i) {
    const ServiceSpec& service = document_.services[i];
    for (std::size_t item = 0; service.autostart && item < service.listen.size() && item < listen_at_[i].size(); ++item)
      for (std::uint32_t replica = 0; replica < service.replicas && all.size() <= max_services; ++replica)
        if (auto socket = listening(service.listen[item].address, replica)) {
          socket->service = i;
          socket->item = item;
          all.push_back(std::move(*socket));
        }
  }
  std::ranges::stable_sort(all, {}, &Listening::place);
  for (std::size_t first = 0; first < all.size(); ++first) {
    for (std::size_t second = first + 1; second < all.size() && all[second].place == all[first].place; ++second) {
      if (all[first].service == all[second].service || !meet(all[first], all[second])) continue;
      const ServiceSpec& later = document_.services[all[second].service];
      reader_.set_subject("service " + later.name);
      reader_.problem(
          listen_at_[all[second].service][all[second].item],
          fmt::format("it would listen on {}, as service {} does, and only one can",
                      quote(later.listen[all[second].item].address), document_.services[all[first].service].name),
          "choose another port or path, or set autostart = false where only one of them is to be up");
      break;
    }
  }
}

}  // namespace hearth::config
