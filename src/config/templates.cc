#include "config/templates.h"

#include <algorithm>
#include <optional>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/limits.h"
#include "config/merge.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::size_t max_templates = 1000;

std::optional<Entry> take(Node& root, std::string_view key) {
  Entry* entry = root.find(key);
  if (entry == nullptr) return std::nullopt;
  Entry taken = std::move(*entry);
  root.entries.erase(root.entries.begin() + (entry - root.entries.data()));
  return taken;
}

class Templates {
 public:
  Templates(Node tables, Reader& reader, std::vector<std::string>& parts)
      : tables_(std::move(tables)), reader_(reader), state_(tables_.entries.size(), State::raw) {
    used_.assign(tables_.entries.size(), false);
    for (Entry& entry : tables_.entries) {
      mark_part(entry.value, static_cast<std::uint16_t>(parts.size()));
      parts.push_back("template " + (valid_name(entry.key) ? entry.key : quote(entry.key)));
    }
  }

  // What the templates that `table` names amount to; its key `template` is gone then.
  Node sum_of(Node& table, bool for_a_service) {
    Node sum;
    const std::optional<Entry> wanted = take(table, "template");
    if (!wanted) return sum;
    const Node& value = wanted->value;
    if (value.kind == Node::Kind::string) {
      add(value, for_a_service, sum);
    } else if (value.kind == Node::Kind::array) {
      for (const Node& item : value.items) add(item, for_a_service, sum);
    } else {
      reader_.wrong_type(value, "template", "the name of a template, or several in an array");
    }
    return sum;
  }

  void read_unused() {
    for (std::size_t i = 0; i < tables_.entries.size(); ++i) {
      if (used_[i]) continue;
      resolve(i, tables_.entries[i].at);
      ServiceDraft draft;
      draft.spec.name = "x";
      if (tables_.entries[i].value.kind == Node::Kind::table)
        reader_.table<ServiceDraft>(tables_.entries[i].value, "", service_rules(), Scope::service, draft);
    }
  }

 private:
  enum class State : unsigned char { raw, under_way, done };

  void add(const Node& name, bool for_a_service, Node& sum) {
    if (name.kind != Node::Kind::string) return reader_.wrong_type(name, "template", "the name of a template");
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < tables_.entries.size(); ++i) {
      if (tables_.entries[i].key != name.text) {
        names.push_back(tables_.entries[i].key);
        continue;
      }
      used_[i] = used_[i] || for_a_service;
      if (!resolve(i, name.at)) return;
      Node copy = tables_.entries[i].value;
      return merge_table(sum, std::move(copy));
    }
    const std::string_view near = nearest(name.text, names);
    reader_.problem(name.at, fmt::format("there is no template {}", quote(name.text)),
                    near.empty() ? fmt::format("add [template.{}]", valid_name(name.text) ? name.text : "NAME")
                                 : fmt::format("did you mean \"{}\"?", near));
  }

  // Lays a template over those that it names itself. False when there is nothing to take from it.
  bool resolve(std::size_t index, Position at) {
    Entry& entry = tables_.entries[index];
    if (entry.value.kind != Node::Kind::table) return false;
    if (state_[index] == State::under_way) {
      reader_.problem(at, fmt::format("the templates form a cycle: {} is made of itself", quote(entry.key)),
                      "remove one of them");
      return false;
    }
    if (state_[index] == State::done) return true;
    state_[index] = State::under_way;
    Node below = sum_of(entry.value, used_[index]);
    below.at = entry.value.at;
    merge_table(below, std::move(entry.value));
    entry.value = std::move(below);
    state_[index] = State::done;
    return true;
  }

  Node tables_;
  Reader& reader_;
  std::vector<State> state_;
  std::vector<bool> used_;
};

// The table, or an empty one after a complaint.
Node table_or_nothing(std::optional<Entry> entry, std::string_view header, Reader& reader) {
  if (!entry) return {};
  if (entry->value.kind == Node::Kind::table) return std::move(entry->value);
  reader.wrong_type(entry->value, entry->key, "a table", fmt::format("write {}", header));
  return {};
}

// [defaults] is said of all services, and some of it is nothing for a task: that is not said of one.
Node defaults_for(const Node& defaults, const Node& named, const Node& service) {
  Node sum = defaults;
  const Entry* type = service.find("type");
  if (type == nullptr) type = named.find("type");
  if (type == nullptr || type->value.text != "task") return sum;
  std::erase_if(sum.entries, [](const Entry& entry) {
    return std::ranges::find(keys_not_of_tasks, entry.key) != std::end(keys_not_of_tasks) ||
           (entry.key == "restart" && entry.value.text == "always");
  });
  return sum;
}

}  // namespace

void spread_shared_tables(Node& root, Reader& reader, std::vector<std::string>& parts) {
  parts.assign(1, "");
  reader.set_subject({});
  Node defaults = table_or_nothing(take(root, "defaults"), "[defaults]", reader);
  Node tables = table_or_nothing(take(root, "template"), "[template.NAME]", reader);
  parts.push_back("defaults");
  mark_part(defaults, 1);
  if (tables.entries.size() > max_templates) {
    reader.problem(tables.at, fmt::format("{} templates, more than {}", tables.entries.size(), max_templates), {});
    tables.entries.clear();
  }
  for (const Entry& entry : tables.entries) {
    if (entry.value.kind == Node::Kind::table) continue;
    reader.problem(entry.at, fmt::format("{} stands in [template] and not in a template", quote(entry.key)),
                   "give the template a name: [template.NAME]");
  }
  Templates templates(std::move(tables), reader, parts);
  reader.set_parts(parts);
  if (const Entry* odd = defaults.find("template"); odd != nullptr) {
    reader.problem(odd->at, "it has a template, and would be the template of all",
                   "write the keys themselves into [defaults]");
    defaults.entries.erase(defaults.entries.begin() + (odd - defaults.entries.data()));
  }

  Entry* services = root.find("service");
  if (services != nullptr && services->value.kind == Node::Kind::table) {
    for (Entry& service : services->value.entries) {
      if (service.value.kind != Node::Kind::table) continue;
      reader.set_subject("service " + (valid_name(service.key) ? service.key : quote(service.key)));
      Node named = templates.sum_of(service.value, true);
      if (defaults.entries.empty() && named.entries.empty()) continue;
      Node sum = defaults_for(defaults, named, service.value);
      sum.at = service.value.at;
      merge_table(sum, std::move(named));
      merge_table(sum, std::move(service.value));
      service.value = std::move(sum);
    }
  }
  templates.read_unused();
  reader.set_subject({});
}

}  // namespace hearth::config
