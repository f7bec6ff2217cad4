#include "config/schema.h"

#include <fmt/core.h>

#include "config/node_text.h"
#include "config/project.h"
#include "config/service_keys.h"

namespace hearth::config {
namespace {

std::string members_of(const Described& rule);

std::string properties_of(const std::vector<Described>& rules) {
  std::string out;
  for (const Described& rule : rules) {
    if (!out.empty()) out += ",\n";
    out += fmt::format("{}:{{{}}}", quoted(rule.name), members_of(rule));
  }
  return out;
}

std::string members_of(const Described& rule) {
  std::string out = rule.about.empty() ? "" : "\"description\":" + quoted(rule.about);
  const auto add = [&](const std::string& members) {
    if (members.empty()) return;
    if (!out.empty()) out += ',';
    out += members;
  };
  if (rule.keys.empty()) {
    add(rule.json);
  } else {
    const std::string table = fmt::format("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{{{}}}",
                                          properties_of(rule.keys));
    add(rule.json.empty() ? table : fmt::format("\"anyOf\":[{{{}}},{{{}}}]", rule.json, table));
  }
  if (!rule.standard.empty()) add("\"default\":" + rule.standard);
  return out;
}

constexpr std::string_view names = R"("propertyNames":{"pattern":"^[A-Za-z0-9_-]{1,48}$"})";
constexpr std::string_view use_of_templates =
    R"("template":{"description":"The templates that it is made of; its own keys win.","type":["string","array"],"items":{"type":"string"}})";

}  // namespace

std::string json_schema() {
  const Environment env;
  Reader reader(env, "/");
  ServiceDraft draft;
  Document document;
  const std::string service = properties_of(reader.describe<ServiceDraft>(service_rules(), draft));
  const std::string project = properties_of(reader.describe<Document>(project_rules(), document));
  std::string out = R"({"$schema":"https://json-schema.org/draft/2020-12/schema","title":"hearth.toml",)";
  out += R"("description":"Services that hearth starts, watches and restarts.","type":"object",)"
         R"("additionalProperties":false,"properties":{)";
  out += fmt::format(
      "\n\"project\":{{\"description\":\"The project as a whole.\",\"type\":\"object\",\"additionalProperties\":false,"
      "\"properties\":{{{}}}}},\n",
      project);
  out += R"("vars":{"description":"Variables for ${NAME} in this file, before those of the environment.",)"
         R"("type":"object","propertyNames":{"pattern":"^[A-Za-z_][A-Za-z0-9_]*$"},)"
         R"("additionalProperties":{"type":["string","number","boolean"]}},)";
  out += "\n";
  out += R"("include":{"description":"Files that are read before this one, relative to it; with * and ?.",)"
         R"("type":"array","items":{"type":"string"}},)";
  out += "\n";
  out += R"("defaults":{"description":"Keys that every service has unless it says otherwise.","$ref":"#/$defs/keys"},)";
  out += fmt::format(
      "\n\"template\":{{\"description\":\"Keys that services take over by template = "
      "\\\"NAME\\\".\",\"type\":\"object\","
      "{},\"additionalProperties\":{{\"$ref\":\"#/$defs/keys\"}}}},\n",
      names);
  out += fmt::format(
      "\"service\":{{\"description\":\"The services.\",\"type\":\"object\",{},\"additionalProperties\":{{\"$ref\":"
      "\"#/$defs/keys\"}}}}}},\n",
      names);
  out += fmt::format(
      "\"$defs\":{{\"keys\":{{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{{{},\n{}}}}}}}}}\n",
      use_of_templates, service);
  return out;
}

}  // namespace hearth::config
