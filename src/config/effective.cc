#include "config/effective.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/layers.h"
#include "config/node_text.h"
#include "config/project.h"
#include "config/scalars.h"
#include "config/service_keys.h"

namespace hearth::config {
namespace {

std::vector<Described> described_service() {
  const Environment env;
  Reader reader(env, "/");
  ServiceDraft draft;
  return reader.describe<ServiceDraft>(service_rules(), draft);
}

std::string dotted(const std::string& prefix, std::string_view key) {
  return prefix.empty() ? key_text(key) : prefix + "." + key_text(key);
}

class Collector {
 public:
  Collector(const std::vector<Source>& sources, const std::vector<std::string>& parts, const Expansions& expansions,
            std::vector<Setting>& out)
      : sources_(sources), parts_(parts), expansions_(expansions), out_(out) {}

  void walk(const Node& node, const std::string& key) {
    if (node.kind == Node::Kind::table && !node.entries.empty()) {
      for (const Entry& entry : node.entries) walk(entry.value, dotted(key, entry.key));
      return;
    }
    Setting setting{.key = key,
                    .value = toml_text(node, &expansions_),
                    .json = json_text(node, &expansions_),
                    .plain = plain_of(node),
                    .at = node.at,
                    .origin = origin(node.at)};
    out_.push_back(std::move(setting));
  }

  // What the rules know and `node` (may be null) has not. A table whose first key has no default is not there unless
  // somebody writes it: where there is no probe, its interval has no meaning.
  void standards(const std::vector<Described>& rules, const Node* node, const std::string& key) {
    for (const Described& rule : rules) {
      const Entry* set = node != nullptr ? node->find(rule.name) : nullptr;
      const Node* table = set != nullptr && set->value.kind == Node::Kind::table ? &set->value : nullptr;
      if (!rule.keys.empty()) {
        const bool always_there = !rule.keys.front().standard.empty();
        if (table != nullptr || (set == nullptr && always_there)) standards(rule.keys, table, dotted(key, rule.name));
      } else if (set == nullptr && !rule.standard.empty()) {
        standard(dotted(key, rule.name), rule.standard);
      }
    }
  }

  void standard(std::string key, const std::string& value) {
    out_.push_back({.key = std::move(key),
                    .value = value,
                    .json = value,
                    .plain = plain_of(value_of_text(value)),
                    .standard = true,
                    .origin = "default"});
  }

 private:
  std::string plain_of(const Node& node) const {
    if (node.kind != Node::Kind::string) return toml_text(node, &expansions_);
    const auto replaced = expansions_.find(&node);
    return replaced != expansions_.end() ? replaced->second : node.text;
  }

  std::string origin(Position at) const {
    std::string text = sources_[at.source].shown;
    if (at.line != 0) text += fmt::format(":{}", at.line);
    if (at.part != 0) text += fmt::format(" ({})", parts_[at.part]);
    return text;
  }

  const std::vector<Source>& sources_;
  const std::vector<std::string>& parts_;
  const Expansions& expansions_;
  std::vector<Setting>& out_;
};

// What may be written in this service, with the defaults that hold there: a file that says all of it means the same.
std::vector<Described> rules_of(const ServiceSpec& spec, std::vector<Described> rules) {
  const auto named = [](std::vector<Described>& all, std::string_view name) -> Described* {
    const auto found = std::ranges::find(all, name, &Described::name);
    return found != all.end() ? &*found : nullptr;
  };
  if (spec.type == ServiceType::task) {
    std::erase_if(rules, [](const Described& rule) {
      return std::ranges::find(keys_not_of_tasks, rule.name) != std::end(keys_not_of_tasks);
    });
    if (Described* restart = named(rules, "restart")) restart->standard = quoted("never");
  }
  for (const auto& [name, probe] : {std::pair("ready", &*spec.ready), std::pair("live", &*spec.live)}) {
    Described* table = named(rules, name);
    if (table == nullptr || probe->type == ProbeType::none) continue;
    std::erase_if(table->keys, [&](const Described& key) { return !probe_takes(probe->type, key.name); });
    if (probe->type != ProbeType::memory) continue;
    if (Described* key = named(table->keys, "interval")) key->standard = quoted(duration_text(probe->interval));
    if (Described* key = named(table->keys, "failure_threshold"))
      key->standard = fmt::format("{}", probe->failure_threshold);
  }
  return rules;
}

void collect_service(Collector& collector, const Entry& service, const ServiceSpec& spec,
                     const std::vector<Described>* rules) {
  const std::string key = dotted("service", service.key);
  collector.walk(service.value, key);
  if (rules == nullptr) return;
  collector.standards(rules_of(spec, *rules), &service.value, key);
  if (service.value.find("cwd") == nullptr) collector.standard(key + ".cwd", quoted(spec.cwd));
}

void collect_project(Collector& collector, const Node* own, std::string_view path) {
  if (own == nullptr || own->find("name") == nullptr) {
    collector.standard("project.name", quoted(project_name(path)));
  }
  const Environment env;
  Reader reader(env, "/");
  Document document;
  collector.standards(reader.describe<Document>(project_rules(), document), own, "project");
}

}  // namespace

Effective effective_configuration(const ProjectInput& input, bool standards) {
  Effective effective;
  Layers layers = merge_layers({input.text, input.path, input.shown, input.env, input.files, input.settings});
  std::vector<Diagnostic> problems = std::move(layers.problems);
  if (problems.empty()) {
    Project project(layers, input.path, input.env, input.files);
    Expansions expansions;
    project.record_expansions(&expansions);
    project.read();
    problems = project.take_problems();
    if (problems.empty()) {
      effective.parsed.document = project.take_document();
      effective.parsed.document->environment = input.env.captured();
      effective.parsed.places = project.take_places();
      const std::vector<Described> rules = standards ? described_service() : std::vector<Described>();
      Collector collector(layers.sources, project.parts(), expansions, effective.settings);
      const Entry* own = layers.root.find("project");
      if (standards) collect_project(collector, own != nullptr ? &own->value : nullptr, input.path);
      for (const Entry& entry : layers.root.entries) {
        if (entry.key != "service") {
          collector.walk(entry.value, key_text(entry.key));
          continue;
        }
        const std::vector<ServiceSpec>& specs = effective.parsed.document->services;
        for (std::size_t i = 0; i < specs.size(); ++i) {
          collect_service(collector, entry.value.entries[i], specs[i], standards ? &rules : nullptr);
        }
      }
    }
  }
  finish_parsed(effective.parsed, std::move(problems), std::move(layers.sources));
  return effective;
}

namespace {

void add_keys(const std::vector<Described>& rules, const std::string& above, std::set<std::string>& keys) {
  for (const Described& rule : rules) {
    const std::string key = above + "." + rule.name;
    keys.insert(key);
    add_keys(rule.keys, key, keys);
  }
}

}  // namespace

std::vector<std::string> all_keys(const Effective& effective) {
  std::set<std::string> keys;
  for (const Setting& setting : effective.settings) keys.insert(setting.key);
  const std::vector<Described> rules = described_service();
  if (effective.parsed.document)
    for (const ServiceSpec& spec : effective.parsed.document->services)
      add_keys(rules, dotted("service", spec.name), keys);
  return {keys.begin(), keys.end()};
}

bool is_key(std::string_view wanted, const Effective& effective, std::string& near) {
  const std::string begin = "service.";
  near.clear();
  if (!wanted.starts_with(begin)) {
    std::string ignored;
    const std::string whole = begin + std::string(wanted);
    if (is_key(whole, effective, ignored)) near = whole;  // "web.nice"
    return false;
  }
  std::string_view rest = wanted.substr(begin.size());
  std::set<std::string_view> names;
  for (const ServiceSpec& spec : effective.parsed.document->services) names.insert(spec.name);
  const std::string_view service = rest.substr(0, rest.find('.'));
  if (!names.contains(service)) {
    const std::vector<std::string_view> all(names.begin(), names.end());
    near = nearest(service, all);
    if (!near.empty()) near = begin + near + std::string(rest.substr(service.size()));
    return false;
  }
  std::string before = begin + std::string(service);
  const std::vector<Described> top = described_service();
  const std::vector<Described>* rules = &top;
  rest.remove_prefix(service.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('.'));
    const auto found = std::ranges::find(*rules, part, &Described::name);
    if (found == rules->end()) {
      std::vector<std::string_view> known;
      for (const Described& rule : *rules) known.push_back(rule.name);
      near = nearest(part, known);
      if (!near.empty()) near = before + "." + near + std::string(rest.substr(part.size()));
      return false;
    }
    before += "." + found->name;
    rest.remove_prefix(part.size());
    if (found->keys.empty()) return true;  // below are names of the user's: env.PORT
    rules = &found->keys;
  }
  return true;
}

}  // namespace hearth::config
