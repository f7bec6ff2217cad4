#include "config/toml.h"

#include <algorithm>
#include <array>
#include <tuple>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/limits.h"
#include "config/node.h"
#include "config/reader.h"
#include "config/service_keys.h"
#include "config/text.h"
#include "model/dependencies.h"

namespace hearth::config {
namespace {

constexpr std::array<std::string_view, 2> top_keys = {"project", "service"};

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

class Project {
 public:
  Project(const Node& root, std::string_view path, const Environment& env)
      : root_(root), reader_(env, directory_of(path)) {
    const std::string_view directory = directory_of(path);
    document_.path = path;
    document_.project = sanitised(directory.substr(directory.rfind('/') + 1));
  }

  void read() {
    bool has_services = false;
    for (const Entry& entry : root_.entries) {
      if (entry.key == "project") {
        read_project(entry.value);
      } else if (entry.key == "service") {
        has_services = true;
        read_services(entry);
      } else {
        unknown_top_key(entry);
      }
    }
    reader_.set_subject({});
    // An unknown table is most likely the service that is missing here.
    if (!has_services && !top_problem_) {
      reader_.problem({}, "the file defines no service", "add [service.NAME] with a command");
    }
    check_dependencies();
  }

  std::vector<Diagnostic> take_problems() { return reader_.take_problems(); }
  Document take_document() { return std::move(document_); }

 private:
  void read_project(const Node& value) {
    static constexpr std::array<KeyRule<Document>, 1> rules = {{
        {"name",
         [](Reader& r, const Node& v, std::string_view k, Document& d) {
           std::string name;
           if (!r.text(v, k, name)) return;
           if (!valid_name(name)) {
             return r.problem(
                 v.at, fmt::format("{} is {}, not a name of 1 to 48 letters, digits, '_' and '-'", k, quote(name)),
                 fmt::format("write name = \"{}\"", sanitised(name)));
           }
           d.project = name;
         }},
    }};
    reader_.set_subject({});
    reader_.table<Document>(value, "project", rules, Scope::project, document_);
  }

  void read_services(const Entry& all) {
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
    for (const Entry& entry : all.value.entries) {
      if (reader_.full()) return;
      read_one(entry);
    }
  }

  void read_one(const Entry& entry) {
    reader_.set_subject({});
    if (entry.value.kind != Node::Kind::table) {
      return reader_.problem(entry.at, fmt::format("{} stands in [service] and not in a service", quote(entry.key)),
                             "give the service a name: [service.NAME]");
    }
    if (!valid_name(entry.key)) {
      reader_.problem(entry.at,
                      fmt::format("{} is not a name of 1 to 48 letters, digits, '_' and '-'", quote(entry.key)),
                      fmt::format("write [service.{}]", sanitised(entry.key)));
    }
    reader_.set_subject("service " + (valid_name(entry.key) ? entry.key : quote(entry.key)));
    ServiceDraft draft;
    draft.spec.name = entry.key;
    draft.at = entry.at;
    read_service(reader_, entry.value, draft);
    document_.services.push_back(std::move(draft.spec));
    dependency_at_.push_back(std::move(draft.dependency_at));
  }

  void unknown_top_key(const Entry& entry) {
    reader_.set_subject({});
    top_problem_ = true;
    const bool looks_like_service = entry.value.kind == Node::Kind::table && entry.value.find("command") != nullptr;
    if (looks_like_service && valid_name(entry.key)) {
      return reader_.problem(entry.at, fmt::format("unknown table [{}]", entry.key),
                             fmt::format("a service is written [service.{}]", entry.key));
    }
    reader_.unknown_key(entry, "", top_keys, Scope::file);
  }

  void check_dependencies() {
    constexpr std::size_t enough = 100;
    for (const DependencyProblem& problem : dependency_problems(document_.services, enough)) {
      const ServiceSpec& service = document_.services[problem.service];
      const std::string wanted = quote(service.depends_on[problem.dependency].service);
      const Position at = dependency_at_[problem.service][problem.dependency];
      reader_.set_subject("service " + service.name);
      switch (problem.fault) {
        case DependencyFault::self: reader_.problem(at, "it depends on itself", "remove that dependency"); break;
        case DependencyFault::unknown:
          reader_.problem(at, fmt::format("it depends on {}, and there is no such service", wanted),
                          problem.nearest.empty() ? std::string("add [service.NAME] for it, or remove the dependency")
                                                  : fmt::format("did you mean \"{}\"?", problem.nearest));
          break;
        case DependencyFault::cycle:
          reader_.problem(at, "its dependencies form a cycle: " + problem.cycle, "remove one of them");
          break;
      }
    }
  }

  const Node& root_;
  Reader reader_;
  Document document_;
  bool top_problem_ = false;
  std::vector<std::vector<Position>> dependency_at_;  // as document_.services and their depends_on
};

}  // namespace

std::string Parsed::text() const {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += diagnostic.text() + "\n";
  if (more > 0) out += fmt::format("... and {} more\n", more);
  return out;
}

Parsed parse_project(std::string_view text, std::string_view path, const Environment& env, std::string_view shown) {
  Parsed parsed;
  const Tree tree = parse_tree(text);
  if (tree.ok) {
    Project project(tree.root, path, env);
    project.read();
    parsed.diagnostics = project.take_problems();
    if (parsed.diagnostics.empty()) {
      parsed.document = project.take_document();
      parsed.document->environment = env.captured();
    }
  } else {
    parsed.diagnostics.push_back(tree.syntax_error);
  }
  std::sort(parsed.diagnostics.begin(), parsed.diagnostics.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.at, a.message) < std::tie(b.at, b.message);
  });
  if (parsed.diagnostics.size() > max_diagnostics) {
    parsed.more = parsed.diagnostics.size() - max_diagnostics;
    parsed.diagnostics.resize(max_diagnostics);
  }
  for (Diagnostic& diagnostic : parsed.diagnostics) diagnostic.file = shown.empty() ? path : shown;
  return parsed;
}

}  // namespace hearth::config
