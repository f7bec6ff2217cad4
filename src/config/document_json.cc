#include "config/document_json.h"

#include <algorithm>
#include <set>

#include <boost/json.hpp>

#include "config/document_fields.h"
#include "config/json_reader.h"
#include "config/json_writer.h"
#include "model/dependencies.h"

namespace hearth::config {
namespace {

std::unexpected<Error> refused(std::string reason, std::string hint = {}) {
  return failure(Remedy::fix_input, "read", "document", std::move(reason), std::move(hint));
}

// What no single field shows.
std::string contradiction(const Document& document) {
  if (document.services.size() > max_services) return "services has more than 4096 items";
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < document.services.size(); ++i) {
    const ServiceSpec& service = document.services[i];
    const std::string place = "services[" + std::to_string(i) + "]";
    if (!names.insert(service.name).second) return place + ".name: there is another service " + quote(service.name);
    if (service.command.empty() || service.command.front().empty()) return place + ".command is empty";
    if (service.ready->type == ProbeType::memory) return place + ".ready.type: \"memory\" is for live only";
    for (const Dependency& other : service.depends_on)
      if (other.stop && !has_to_stay(other))
        return place + ".depends_on: stop is for a dependency that has to be there";
    for (const ResourceLimit& limit : service.process->limits) {
      if (limit.name.empty()) return place + ".limits: one has no name";
      if (limit.soft > limit.hard) return place + ".limits: " + limit.name + " has soft above hard";
    }
  }
  for (const std::string& line : document.environment) {
    if (line.find('=') == 0 || line.find('=') == line.npos) return "environment: " + quote(line) + " is not NAME=VALUE";
  }
  return {};
}

}  // namespace

std::string document_to_json(const Document& document) {
  boost::json::object out;
  out.emplace("format", document_format);
  JsonWriter writer(out);
  describe_document(writer, document);
  return boost::json::serialize(out);
}

Result<Document> document_from_json(std::string_view text) {
  if (text.size() > max_json_bytes) return refused("it has more than 64 MiB");
  boost::json::monotonic_resource memory(std::max<std::size_t>(text.size(), 4096));
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = 16;
  const boost::json::value json =
      boost::json::parse(boost::json::string_view(text.data(), text.size()), error, &memory, options);
  if (error) return refused("it is not JSON: " + error.message());
  if (!json.is_object()) return refused("it is not a JSON object");

  const boost::json::object& object = json.get_object();
  const boost::json::value* format = object.if_contains("format");
  if (format == nullptr || !format->is_int64()) return refused("it has no \"format\"");
  if (format->get_int64() != document_format) {
    return refused(
        "its format is " + std::to_string(format->get_int64()) + ", known is " + std::to_string(document_format),
        "it was written by another version of hearth");
  }
  Document document;
  JsonTrail trail;
  JsonReader reader(object, trail);
  describe_document(reader, document);
  if (trail.problem.empty()) trail.problem = contradiction(document);
  if (!trail.problem.empty()) return refused(std::move(trail.problem));
  return document;
}

}  // namespace hearth::config
