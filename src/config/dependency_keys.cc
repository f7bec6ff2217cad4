// `depends_on`: an array of names, or a table from name to condition. Whether the names exist is seen when all
// services are known (project.cc).
#include <array>

#include <fmt/core.h>

#include "config/service_keys.h"
#include "config/text.h"
#include "model/dependencies.h"

namespace hearth::config {
namespace {

constexpr std::array condition_synonyms = {
    Synonym{"service_started", "started"},
    Synonym{"process_started", "started"},
    Synonym{"running", "started"},
    Synonym{"service_healthy", "ready"},
    Synonym{"process_healthy", "ready"},
    Synonym{"healthy", "ready"},
    Synonym{"done", "completed"},
    Synonym{"process_completed", "completed"},
    Synonym{"exited", "completed"},
    Synonym{"success", "completed_successfully"},
    Synonym{"service_completed_successfully", "completed_successfully"},
    Synonym{"process_completed_successfully", "completed_successfully"},
};

constexpr std::array<KeyRule<Dependency>, 4> rules = {{
    {"condition", [](Reader& r, const Node& v, std::string_view k,
                     Dependency& t) { r.choice(v, k, condition_words, condition_synonyms, t.condition); }},
    {"required", [](Reader& r, const Node& v, std::string_view k, Dependency& t) { r.flag(v, k, t.required); }},
    {"restart", [](Reader& r, const Node& v, std::string_view k, Dependency& t) { r.flag(v, k, t.restart); }},
    {"stop", [](Reader& r, const Node& v, std::string_view k, Dependency& t) { r.flag(v, k, t.stop); }},
}};

void add(Reader& r, Position at, Dependency dependency, ServiceDraft& draft) {
  for (const Dependency& other : draft.spec.depends_on) {
    if (other.service == dependency.service) {
      return r.problem(at, fmt::format("depends_on names {} twice", quote(dependency.service)), "remove one of them");
    }
  }
  draft.spec.depends_on.push_back(std::move(dependency));
  draft.dependency_at.push_back(at);
}

void read_one(Reader& r, const Entry& entry, const std::string& key, ServiceDraft& draft) {
  Dependency dependency;
  dependency.service = entry.key;
  if (entry.value.kind == Node::Kind::string) {
    // db = "ready" says all there is to say.
    r.choice(entry.value, key, condition_words, condition_synonyms, dependency.condition);
  } else if (!r.table<Dependency>(entry.value, key, rules, Scope::dependency, dependency)) {
    return;
  } else if (dependency.stop && !has_to_stay(dependency)) {
    return r.problem(entry.at, fmt::format("{}.stop = true needs a dependency that has to be there", key),
                     "remove stop, or required = false and a condition that waits for its end");
  }
  add(r, entry.at, std::move(dependency), draft);
}

void read_depends_on(Reader& reader, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind == Node::Kind::table) {
    for (const Entry& entry : value.entries) read_one(reader, entry, Reader::full_key(key, entry.key), draft);
    return;
  }
  if (value.kind != Node::Kind::array) {
    const bool text = value.kind == Node::Kind::string;
    return reader.wrong_type(value, key, "an array of names or a table",
                             text ? fmt::format("write depends_on = [{}]", quote(value.text)) : "");
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    Dependency dependency;
    if (!reader.text(value.items[i], fmt::format("{}[{}]", key, i), dependency.service)) continue;
    add(reader, value.items[i].at, std::move(dependency), draft);
  }
}

constexpr std::array group_rules = {
    ServiceRule{
        "depends_on", read_depends_on, "The services that have to be there before it is started.",
        R"("type":["array","object"],"items":{"type":"string"},"additionalProperties":{"type":["string","object"]})"},
};

}  // namespace

KeyGroup dependency_keys() {
  return {group_rules};
}

}  // namespace hearth::config
